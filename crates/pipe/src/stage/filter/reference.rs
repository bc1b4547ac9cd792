//! A second matcher for the tests: the service's published algorithm, spelled out on a tree.
//!
//! The pattern is multiplied out into combinations of fields; the event is flattened into
//! path/value pairs that remember in which element of which array they stand; then every way to
//! pick values is tried, in the order of the paths.

use std::collections::BTreeMap;

use serde_json::Value;

type Combination<'p> = BTreeMap<String, &'p [Value]>;
/// Which element of an array (by number) was picked.
type Membership = BTreeMap<usize, usize>;

pub(super) fn matches(pattern: &Value, event: &Value) -> bool {
    let mut fields = Vec::new();
    flatten(event, &[], &Membership::new(), &mut 0, &mut fields);
    multiply(pattern, &[], vec![Combination::new()]).iter().any(|combination| {
        let keys: Vec<_> = combination.iter().collect();
        pick(&keys, &fields, &Membership::new())
    })
}

fn join(path: &[&str], name: &str) -> String {
    [path, &[name]].concat().join(".")
}

fn multiply<'p>(
    pattern: &'p Value,
    path: &[&'p str],
    mut combinations: Vec<Combination<'p>>,
) -> Vec<Combination<'p>> {
    for (name, value) in pattern.as_object().unwrap() {
        combinations = match value {
            Value::Array(patterns) if name == "$or" => patterns
                .iter()
                .flat_map(|pattern| multiply(pattern, path, combinations.clone()))
                .collect(),
            Value::Array(alternatives) => {
                for combination in &mut combinations {
                    combination.insert(join(path, name), alternatives);
                }
                combinations
            }
            nested => multiply(nested, &[path, &[name.as_str()]].concat(), combinations),
        };
    }
    combinations
}

struct Field<'e> {
    path: String,
    value: &'e Value,
    membership: Membership,
}

fn flatten<'e>(
    value: &'e Value,
    path: &[&str],
    membership: &Membership,
    arrays: &mut usize,
    fields: &mut Vec<Field<'e>>,
) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let path = [path, &[name.as_str()]].concat();
                flatten(value, &path, membership, arrays, fields);
            }
        }
        Value::Array(elements) => {
            let array = *arrays;
            *arrays += 1;
            for (index, element) in elements.iter().enumerate() {
                let mut membership = membership.clone();
                if element.is_object() || element.is_array() {
                    membership.insert(array, index);
                }
                flatten(element, path, &membership, arrays, fields);
            }
        }
        value => {
            fields.push(Field { path: path.join("."), value, membership: membership.clone() });
        }
    }
}

fn pick(keys: &[(&String, &&[Value])], fields: &[Field<'_>], so_far: &Membership) -> bool {
    let Some(((path, alternatives), rest)) = keys.split_first() else { return true };
    let consistent = |field: &&Field<'_>| {
        field.path == **path
            && field
                .membership
                .iter()
                .all(|(array, index)| so_far.get(array).is_none_or(|own| own == index))
    };
    let candidates: Vec<_> = fields.iter().filter(consistent).collect();
    let absent = alternatives.iter().any(|alternative| alternative["exists"] == false);
    if absent && candidates.is_empty() && pick(rest, fields, so_far) {
        return true;
    }
    candidates.iter().any(|field| {
        alternatives.iter().any(|alternative| accepts(alternative, field.value)) && {
            let mut so_far = so_far.clone();
            so_far.extend(field.membership.iter().map(|(array, index)| (*array, *index)));
            pick(rest, fields, &so_far)
        }
    })
}

fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// All texts that a character of `equals-ignore-case` stands for.
fn forms(c: char) -> [String; 3] {
    [c.to_string(), c.to_lowercase().to_string(), c.to_uppercase().to_string()]
}

/// What is left of the text after each way to take the pattern from its beginning.
fn fold_rests<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
    let Some(c) = pattern.chars().next() else { return vec![text] };
    let rest = &pattern[c.len_utf8()..];
    let taken = forms(c).into_iter().filter_map(|form| text.strip_prefix(form.as_str()));
    taken.flat_map(|text| fold_rests(rest, text)).collect()
}

/// Whether the text has the form of the wildcard, by trying every length for every `*`.
fn wild(pattern: &str, text: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => text.is_empty(),
        Some('*') => {
            let mut starts = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            starts.any(|at| wild(chars.as_str(), &text[at..]))
        }
        Some('\\') => {
            let c = chars.next().unwrap();
            text.strip_prefix(c).is_some_and(|text| wild(chars.as_str(), text))
        }
        Some(c) => text.strip_prefix(c).is_some_and(|text| wild(chars.as_str(), text)),
    }
}

/// The bits of an address, as text.
fn bits(address: &str) -> Option<String> {
    let address: std::net::IpAddr = address.parse().ok()?;
    Some(match address {
        std::net::IpAddr::V4(v4) => v4.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
        std::net::IpAddr::V6(v6) => v6.octets().iter().map(|byte| format!("{byte:08b}")).collect(),
    })
}

/// The operators that look at texts, with one text as their argument.
fn text_operator(name: &str, argument: &Value, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return false };
    if let Some(own) = argument.get("equals-ignore-case") {
        let own = own.as_str().unwrap();
        return match name {
            "prefix" => !fold_rests(own, text).is_empty(),
            _ => text
                .char_indices()
                .map(|(at, _)| &text[at..])
                .chain([""])
                .any(|end| fold_rests(own, end).contains(&"")),
        };
    }
    let own = argument.as_str().unwrap();
    match name {
        "prefix" => text.starts_with(own),
        "suffix" => text.ends_with(own),
        "equals-ignore-case" => fold_rests(own, text).contains(&""),
        "wildcard" => wild(own, text),
        "exactly" => own == text,
        other => panic!("{other}"),
    }
}

fn accepts(alternative: &Value, value: &Value) -> bool {
    let Some(operator) = alternative.as_object() else { return same(alternative, value) };
    let (name, argument) = operator.iter().next().unwrap();
    let listed = |argument: &Value| match argument {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    match name.as_str() {
        "exists" => *argument == true,
        "anything-but" => match argument.as_object() {
            Some(operator) => {
                let (name, texts) = operator.iter().next().unwrap();
                !listed(texts).iter().any(|text| text_operator(name, text, value))
            }
            None => !listed(argument).iter().any(|other| same(other, value)),
        },
        "cidr" => {
            let (network, mask) = argument.as_str().unwrap().split_once('/').unwrap();
            let (network, mask) = (bits(network).unwrap(), mask.parse::<usize>().unwrap());
            let own = value.as_str().and_then(bits);
            own.is_some_and(|own| own.len() == network.len() && own[..mask] == network[..mask])
        }
        "numeric" => {
            let Some(number) = value.as_f64().filter(|number| number.abs() <= 5e9) else {
                return false;
            };
            argument.as_array().unwrap().chunks(2).all(|pair| {
                let bound = pair[1].as_f64().unwrap();
                match pair[0].as_str().unwrap() {
                    "=" => number == bound,
                    "<" => number < bound,
                    "<=" => number <= bound,
                    ">" => number > bound,
                    ">=" => number >= bound,
                    other => panic!("{other}"),
                }
            })
        }
        name => text_operator(name, argument, value),
    }
}
