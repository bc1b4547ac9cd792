//! The list of failed events in the answer to a call with several.

use event::path::{FieldPath, Step};
use event::sink::{Failure, FailureKind};
use serde_json::Value;

use super::failure::failure;

/// Class of an event that the receiver listed.
const CLASS: &str = "listed";
/// So much of an error in the list is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// The events that the answer says failed: number in the call, and why. `keys` are those of the
/// call's events, in order.
///
/// # Errors
/// The list can't be understood.
pub(super) fn failed(
    answer: &[u8],
    path: &FieldPath,
    keys: &[u128],
) -> Result<Vec<(usize, Failure)>, String> {
    if answer.is_empty() {
        return Ok(Vec::new()); // it has nothing to say, as with 204
    }
    let answer: Value = serde_json::from_slice(answer)
        .map_err(|error| format!("the answer isn't JSON: {error}"))?;
    let list = path.steps().iter().try_fold(&answer, |value, step| match step {
        Step::Field(name) => value.get(&**name),
        Step::Index(index) => value.get(*index as usize),
    });
    match list {
        None => Err(format!("the answer has no {path}")),
        Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entries)) => entries.iter().map(|entry| one(entry, keys)).collect(),
        Some(_) => Err(format!("{path} is no array")),
    }
}

fn one(entry: &Value, keys: &[u128]) -> Result<(usize, Failure), String> {
    let Value::Object(fields) = entry else {
        let failure = failure(FailureKind::Transient, CLASS, "listed as failed".into());
        return Ok((index(entry, keys)?, failure));
    };
    let which = fields.get("index").or_else(|| fields.get("itemIdentifier"));
    let which = which.ok_or("an entry has neither `index` nor `itemIdentifier`")?;
    let kind = match fields.get("transient") {
        None | Some(Value::Null | Value::Bool(true)) => FailureKind::Transient,
        Some(Value::Bool(false)) => FailureKind::Deterministic,
        Some(_) => return Err("`transient` is neither true nor false".into()),
    };
    let said = match fields.get("error") {
        None | Some(Value::Null) => "listed as failed".to_owned(),
        Some(Value::String(text)) => text.chars().take(SHOWN_CHARS_MAX).collect(),
        Some(other) => other.to_string().chars().take(SHOWN_CHARS_MAX).collect(),
    };
    Ok((index(which, keys)?, failure(kind, CLASS, said)))
}

/// A number, or a text that holds one, or the event's idempotency key.
fn index(which: &Value, keys: &[u128]) -> Result<usize, String> {
    let found = match which {
        Value::Number(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
        Value::String(text) if text.len() == 32 => {
            let key = u128::from_str_radix(text, 16).ok();
            key.and_then(|key| keys.iter().position(|other| *other == key))
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    found
        .filter(|index| *index < keys.len())
        .ok_or_else(|| format!("the call had no event {which}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(answer: &str) -> Result<Vec<(usize, FailureKind, String)>, String> {
        let path = FieldPath::parse("$.batchItemFailures").unwrap();
        let all = failed(answer.as_bytes(), &path, &[10, 11, 12])?;
        Ok(all.into_iter().map(|(index, why)| (index, why.kind, why.message)).collect())
    }

    fn indices(list: &str) -> Result<Vec<usize>, String> {
        let all = read(&format!("{{\"batchItemFailures\":{list}}}"))?;
        Ok(all.into_iter().map(|(index, ..)| index).collect())
    }

    #[test]
    fn the_forms_of_a_list() {
        assert_eq!(indices("[]"), Ok(vec![]));
        assert_eq!(indices("null"), Ok(vec![]));
        assert_eq!(indices("[0, 2]"), Ok(vec![0, 2]));
        assert_eq!(indices(r#"["1"]"#), Ok(vec![1]));
        assert_eq!(indices(r#"[{"index":1},{"itemIdentifier":"2"}]"#), Ok(vec![1, 2]));
        let key = format!("{:032x}", 11);
        assert_eq!(indices(&format!(r#"[{{"itemIdentifier":"{key}"}}]"#)), Ok(vec![1]));
        assert_eq!(read(""), Ok(vec![]));
    }

    #[test]
    fn an_entry_says_why_and_whether_it_may_go_well_later() {
        let all = read(
            r#"{"batchItemFailures":[{"index":0,"error":"full","transient":true},
                {"index":1,"error":{"code":7},"transient":false}]}"#,
        );
        let first = (0, FailureKind::Transient, "full".to_owned());
        assert_eq!(all, Ok(vec![first, (1, FailureKind::Deterministic, "{\"code\":7}".into())]));
    }

    #[test]
    fn what_cant_be_understood_is_named() {
        for bad in
            ["[3]", "[-1]", "[1.5]", r#"["x"]"#, "[{}]", "7", r#"[{"index":0,"transient":1}]"#]
        {
            assert!(indices(bad).is_err(), "{bad}");
        }
        assert_eq!(read("{}").unwrap_err(), "the answer has no $.batchItemFailures");
        assert!(read("<html>").unwrap_err().starts_with("the answer isn't JSON"));
    }
}
