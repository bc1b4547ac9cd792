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

fn starts_with(value: &Value, prefix: &Value) -> bool {
    value.as_str().is_some_and(|value| value.starts_with(prefix.as_str().unwrap()))
}

fn accepts(alternative: &Value, value: &Value) -> bool {
    let Some(operator) = alternative.as_object() else { return same(alternative, value) };
    let (name, argument) = operator.iter().next().unwrap();
    let listed = |argument: &Value| match argument {
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    };
    match name.as_str() {
        "prefix" => starts_with(value, argument),
        "exists" => *argument == true,
        "anything-but" => match argument.get("prefix") {
            Some(prefixes) => !listed(prefixes).iter().any(|prefix| starts_with(value, prefix)),
            None => !listed(argument).iter().any(|other| same(other, value)),
        },
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
        other => panic!("{other}"),
    }
}
