//! How one field's value is made, as the YAML says it.

use super::read::{Pairs, Reader, json, scalar};
use super::spec::{PLAIN, Value, WITH_ARGUMENT};
use super::yaml::{Data, Name, Node, nearest};

/// Different values of a choice at most.
const CHOICES_MAX: usize = 10_000;
/// Digits after the point at most.
const DIGITS_MAX: usize = 9;

/// Whether JSON takes `text` for a number.
pub(super) fn json_number(text: &str) -> bool {
    matches!(serde_json::from_str(text), Ok(serde_json::Value::Number(_)))
}

/// Reads `uuid`, `{ integer: [1, 6] }`, `3`.
pub(super) fn value(reader: &mut Reader<'_, '_>, node: &Node) -> Option<Value> {
    match &node.data {
        Data::Map(pairs) => with_argument(reader, node, pairs),
        Data::List(_) => {
            reader
                .problems
                .add(node.place, "a list doesn't say how the value is made")
                .help("to choose one of them, write `{ choice: […] }`");
            None
        }
        Data::Scalar(text) => {
            let fixed = json(node).filter(|json| !json.starts_with('"'));
            if let Some(json) = fixed {
                return Some(Value::Fixed(json));
            }
            plain(reader, node, text.text.trim())
        }
    }
}

fn plain(reader: &mut Reader<'_, '_>, node: &Node, text: &str) -> Option<Value> {
    if let Some((_, value)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Some(value.clone());
    }
    if WITH_ARGUMENT.contains(&text) {
        reader
            .problems
            .add(node.place, format!("`{text}` needs to be told more"))
            .help(format!("write {}", example(text)));
        return None;
    }
    let error = reader.problems.add(node.place, format!("`{text}` is no way to make a value"));
    let names = PLAIN.iter().map(|(name, _)| *name);
    match nearest(text, names.clone().chain(WITH_ARGUMENT)) {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error.help(format!("there are: {}", names.collect::<Vec<_>>().join(", "))),
    };
    error.help(format!("for always the same text write `{{ value: {text} }}`"));
    None
}

fn example(name: &str) -> &'static str {
    match name {
        "integer" => "`{ integer: [1, 100] }`: a whole number between the two",
        "decimal" => "`{ decimal: [0.00, 9.99] }`: a number with as many digits",
        "chance" => "`{ chance: 20% }`: true in one of five events",
        "choice" => "`{ choice: [en, de] }`, or with weights `{ choice: { en: 3, de: 1 } }`",
        "value" => "`{ value: web }`: always the same",
        _ => "`{ pattern: \"usr_####??\" }`: `#` becomes a digit, `?` a letter",
    }
}

fn with_argument(reader: &mut Reader<'_, '_>, node: &Node, pairs: &Pairs) -> Option<Value> {
    let [(name, argument)] = pairs else {
        reader
            .problems
            .add(node.place, "a field is made in exactly one way")
            .help("for an object with fields of its own write dotted names: `a.b: uuid`");
        return None;
    };
    let found = match name.text.as_str() {
        "integer" => integer(argument),
        "decimal" => decimal(argument),
        "chance" => chance(argument),
        "choice" => return choice(reader, argument),
        "value" => json(argument).map(Value::Fixed),
        "pattern" => pattern(argument),
        _ => return unknown(reader, name),
    };
    if found.is_none() {
        reader
            .problems
            .add(argument.place, format!("`{}` can't be made of this", name.text))
            .help(format!("write {}", example(&name.text)));
    }
    found
}

fn unknown(reader: &mut Reader<'_, '_>, name: &Name) -> Option<Value> {
    let text = &name.text;
    let error = reader.problems.add(name.place, format!("`{text}` is no way to make a value"));
    if PLAIN.iter().any(|(name, _)| name == text) {
        error.help(format!("`{text}` stands alone: `field: {text}`"));
        return None;
    }
    match nearest(text, WITH_ARGUMENT) {
        Some(meant) => error.help(format!("did you mean `{meant}`?")),
        None => error.help(format!("there are: {}", WITH_ARGUMENT.join(", "))),
    };
    error.help("for an object with fields of its own write dotted names: `a.b: uuid`");
    None
}

fn two(node: &Node) -> Option<(&str, &str)> {
    match &node.data {
        Data::List(items) => match items.as_slice() {
            [least, most] => Some((scalar(least)?, scalar(most)?)),
            _ => None,
        },
        _ => None,
    }
}

fn integer(node: &Node) -> Option<Value> {
    let (min, max) = two(node)?;
    let (min, max) = (min.parse().ok()?, max.parse().ok()?);
    (min <= max).then_some(Value::Integer { min, max })
}

/// As many digits after the point as the longer bound has, at least one.
fn decimal(node: &Node) -> Option<Value> {
    let (min, max) = two(node)?;
    let digits_of = |text: &str| text.split_once('.').map_or(0, |(_, digits)| digits.len());
    let digits = digits_of(min).max(digits_of(max)).max(1);
    if digits > DIGITS_MAX || !json_number(min) || !json_number(max) || max.contains(['e', 'E']) {
        return None;
    }
    let scaled = |text: &str| -> Option<i64> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{fraction:0<digits$}").parse().ok()
    };
    let (min, max) = (scaled(min)?, scaled(max)?);
    (min <= max).then_some(Value::Decimal { min, max, digits: u32::try_from(digits).ok()? })
}

fn chance(node: &Node) -> Option<Value> {
    let text = scalar(node)?;
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.parse::<f64>().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(Value::Chance((share * 4_294_967_296.0) as u64))
}

fn pattern(node: &Node) -> Option<Value> {
    let text = scalar(node).filter(|text| !text.is_empty() && text.len() <= 1000)?;
    Some(Value::Pattern(text.to_owned()))
}

fn choice(reader: &mut Reader<'_, '_>, node: &Node) -> Option<Value> {
    let mut choices = Vec::new();
    let before = reader.problems.errors.len();
    match &node.data {
        Data::List(items) => {
            for item in items {
                match json(item) {
                    Some(json) => choices.push((json, 1)),
                    None => {
                        reader
                            .problems
                            .add(item.place, "a choice is made among text, numbers, true and false")
                            .help("objects and lists can't be chosen");
                    }
                }
            }
        }
        Data::Map(pairs) => {
            for (name, weight) in pairs {
                if let Some(weight) = reader.weight(weight) {
                    choices.push((super::names::json(&name.text), weight));
                }
            }
        }
        Data::Scalar(_) => {}
    }
    if reader.problems.errors.len() > before {
        return None;
    }
    let possible = choices.iter().any(|(_, weight)| *weight > 0);
    if !possible || choices.len() > CHOICES_MAX {
        reader
            .problems
            .add(node.place, format!("a choice is made among 1 to {CHOICES_MAX} values"))
            .help(format!("write {}", example("choice")));
        return None;
    }
    Some(Value::Choice(choices))
}
