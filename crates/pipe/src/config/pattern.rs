//! Event patterns (`filter`, and `match` of a sink): YAML to JSON, and the pattern's mistakes back
//! to their place.

use serde_json::{Map, Number, Value};

use super::delivery::PatternKind;
use super::place::Place;
use super::problem::Problems;
use super::section::Section;
use super::yaml::{Data, Name, Node, Scalar};
use crate::stage::filter::{Pattern, PatternError};

/// Builds the pattern under `key`: one that compiles. `None`: there is none, or it is wrong.
pub(crate) fn build(
    section: &Section,
    key: &str,
    kind: PatternKind,
    problems: &mut Problems<'_>,
) -> Option<Value> {
    let node = section.node(key)?;
    let name = section.name_of(key);
    let pattern = match json(node) {
        Ok(pattern) => pattern,
        Err(errors) => {
            for (place, message, help) in errors {
                problems.add(place, message).help(help);
            }
            return None;
        }
    };
    let errors = check(&pattern, kind);
    if errors.is_empty() {
        let compiled = Pattern::compile_kind(&pattern, kind).ok()?;
        for warning in compiled.warnings() {
            problems.warn(name, warning, "change it, or take that part out");
        }
        return Some(pattern);
    }
    for error in errors {
        let place = locate(node, &error.pointer, name);
        problems.add(place, error.message).help(error.help);
    }
    None
}

/// Asks the filter what it can't use. It stops at the first mistake, so that each field at the top
/// is asked about alone if the whole doesn't do: more mistakes are found at once.
fn check(pattern: &Value, kind: PatternKind) -> Vec<PatternError> {
    let Err(first) = Pattern::compile_kind(pattern, kind) else { return Vec::new() };
    let Value::Object(fields) = pattern else { return vec![first] };
    let alone = fields.iter().filter_map(|(name, below)| {
        let mut field = Map::new();
        field.insert(name.clone(), below.clone());
        Pattern::compile_kind(&Value::Object(field), kind).err()
    });
    let errors: Vec<PatternError> = alone.collect();
    if errors.is_empty() { vec![first] } else { errors }
}

/// A mistake at a place, with help.
type Found = (Place, String, String);

/// A node as JSON, by YAML 1.2's core schema: what is in quotes is text.
pub(crate) fn json(node: &Node) -> Result<Value, Vec<Found>> {
    match &node.data {
        Data::Scalar(scalar) => {
            scalar_json(scalar).map_err(|(message, help)| vec![(node.place, message, help)])
        }
        Data::List(items) => {
            let (values, errors) = parts(items.iter().map(json));
            if errors.is_empty() { Ok(Value::Array(values)) } else { Err(errors) }
        }
        Data::Map(pairs) => {
            let (values, errors) = parts(pairs.iter().map(|(_, node)| json(node)));
            let names = pairs.iter().map(|(name, _)| name.text.clone());
            if errors.is_empty() {
                Ok(Value::Object(names.zip(values).collect::<Map<_, _>>()))
            } else {
                Err(errors)
            }
        }
    }
}

fn parts(found: impl Iterator<Item = Result<Value, Vec<Found>>>) -> (Vec<Value>, Vec<Found>) {
    let (mut values, mut errors) = (Vec::new(), Vec::new());
    for part in found {
        match part {
            Ok(value) => values.push(value),
            Err(more) => errors.extend(more),
        }
    }
    (values, errors)
}

fn scalar_json(scalar: &Scalar) -> Result<Value, (String, String)> {
    let text = scalar.text.as_str();
    if !scalar.plain {
        return Ok(Value::String(text.to_owned()));
    }
    if scalar.is_null() {
        return Ok(Value::Null);
    }
    match text {
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.contains(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    if !numeric {
        return Ok(Value::String(text.to_owned()));
    }
    let whole = digits.bytes().all(|b| b.is_ascii_digit());
    if whole && digits.len() > 1 && digits.starts_with('0') {
        let help = format!("write \"{text}\" if it is text, or take the zeros away");
        return Err((format!("YAML takes `{text}` for a number"), help));
    }
    if whole {
        let number = text.trim_start_matches('+');
        let number = number.parse::<i64>().map(Number::from);
        return match number.or_else(|_| digits.parse::<u64>().map(Number::from)) {
            Ok(number) if !(text.starts_with('-') && number.is_u64() && digits != "0") => {
                Ok(Value::Number(number))
            }
            _ => {
                let help = format!("write \"{text}\" if it is text");
                Err((format!("`{text}` is too large for a number"), help))
            }
        };
    }
    match text.parse::<f64>().ok().and_then(Number::from_f64) {
        Some(number) => Ok(Value::Number(number)),
        // `1-2`, `1.2.3`, `2026-11-02`: YAML takes them for text, too.
        None => Ok(Value::String(text.to_owned())),
    }
}

/// Where a JSON pointer leads to: the key and its value, or the entry of a list; `name` for the
/// whole.
fn locate(node: &Node, pointer: &str, name: Place) -> Place {
    let mut here = node;
    let mut place = name;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let below = match &here.data {
            Data::Map(pairs) => pairs
                .iter()
                .find(|(name, _)| name.text == token)
                .map(|(name, node)| (whole(name, node), node)),
            Data::List(items) => token
                .parse::<usize>()
                .ok()
                .and_then(|index| items.get(index))
                .map(|item| (item.place, item)),
            Data::Scalar(_) => None,
        };
        let Some((below_place, below)) = below else { break };
        place = below_place;
        here = below;
    }
    place
}

/// A key with its value if that is short, else the key.
fn whole(name: &Name, node: &Node) -> Place {
    match &node.data {
        Data::Scalar(_) => name.place.to(node.place),
        _ => name.place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Result<Value, (String, String)> {
        scalar_json(&Scalar { text: text.to_owned(), plain: true, replaced: false, broken: false })
    }

    #[test]
    fn plain_scalars_are_what_yaml_says() {
        for (text, json) in [
            ("1", "1"),
            ("-1", "-1"),
            ("+7", "7"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("0", "0"),
            ("1.5", "1.5"),
            ("1e3", "1000.0"),
            ("true", "true"),
            ("~", "null"),
            ("", "null"),
            ("yes", "\"yes\""),
            ("2026-11-02", "\"2026-11-02\""),
            ("1.2.3", "\"1.2.3\""),
            ("-", "\"-\""),
            ("...", "\"...\""),
        ] {
            assert_eq!(plain(text).unwrap().to_string(), json, "{text}");
        }
        for text in ["007", "-9223372036854775809", "99999999999999999999"] {
            assert!(plain(text).is_err(), "{text}");
        }
    }
}
