//! What differs between two bodies: JSON field by field, anything else as a whole.

use serde_json::{Value, json};

/// Differences that are told at most.
const DIFFERENCES_MAX: usize = 100;

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Difference {
    /// Where, as a path: `$.a.b[2]`.
    pub(super) path: String,
    /// What the first body has there; `None`: nothing.
    pub(super) before: Option<Value>,
    /// What the other one has.
    pub(super) after: Option<Value>,
}

impl Difference {
    pub(super) fn kind(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "path": self.path, "kind": self.kind(), "before": self.before, "after": self.after,
        })
    }

    pub(super) fn text(&self) -> String {
        let show = |value: &Option<Value>| value.as_ref().map_or(String::new(), Value::to_string);
        let (before, after) = (show(&self.before), show(&self.after));
        match self.kind() {
            "added" => format!("+ {}: {after}", self.path),
            "removed" => format!("- {}: {before}", self.path),
            _ => format!("~ {}: {before} -> {after}", self.path),
        }
    }
}

/// What differs; empty for equal ones.
pub(super) fn differences(before: &[u8], after: &[u8]) -> Vec<Difference> {
    let read = |body: &[u8]| serde_json::from_slice::<Value>(body);
    let mut found = Vec::new();
    match (read(before), read(after)) {
        (Ok(before), Ok(after)) => compare("$", &before, &after, &mut found),
        _ if before == after => {}
        _ => found.push(Difference {
            path: "$".into(),
            before: Some(String::from_utf8_lossy(before).into()),
            after: Some(String::from_utf8_lossy(after).into()),
        }),
    }
    found.truncate(DIFFERENCES_MAX);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Difference>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in old {
                let path = format!("{path}.{name}");
                match new.get(name) {
                    Some(other) => compare(&path, value, other, found),
                    None => {
                        found.push(Difference { path, before: Some(value.clone()), after: None })
                    }
                }
            }
            for (name, value) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                let path = format!("{path}.{name}");
                found.push(Difference { path, before: None, after: Some(value.clone()) });
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (value, other)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{at}]"), value, other, found);
            }
        }
        _ if before != after => found.push(Difference {
            path: path.to_owned(),
            before: Some(before.clone()),
            after: Some(after.clone()),
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_removed_and_changed_fields_are_named_by_path() {
        let before = br#"{"id":1,"a":{"b":[1,2],"gone":true},"same":"x"}"#;
        let after = br#"{"same":"x","a":{"b":[1,3],"new":null},"id":1}"#;
        let text: Vec<String> = differences(before, after).iter().map(Difference::text).collect();
        assert_eq!(text, ["~ $.a.b[1]: 2 -> 3", "- $.a.gone: true", "+ $.a.new: null"]);
        assert_eq!(differences(before, before), []);
        assert_eq!(differences(b"no", b"json").len(), 1);
        assert_eq!(differences(b"same", b"same"), []);
    }
}
