//! What makes two events the same, worked out naively from the config: by the text of the fields,
//! without hashes, without the ledger.

use event::path::{FieldPath, Step};
use pipe::config::PipeConfig;
use pipe::stage::decode::Decoder;
use serde_json::Value;

/// Longest decoded payload of a proof's event; bytes.
const DECODED_BYTES_MAX: usize = 64 << 20;
/// Integers up to here are exact in a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Finds the keys of a pipe's events.
pub(super) struct Keys {
    decoder: Decoder,
    /// Scope, paths and the type's path; `None` without dedup.
    of: Option<(String, Vec<FieldPath>, Option<FieldPath>)>,
}

impl Keys {
    pub(super) fn new(config: &PipeConfig) -> Keys {
        let of = config.dedup.as_ref().map(|dedup| {
            let by_type = config.envelope.event_type.clone().filter(|_| !dedup.across_types);
            (dedup.scope.clone(), dedup.key.paths(), by_type)
        });
        Keys { decoder: Decoder::new(&config.decode, DECODED_BYTES_MAX), of }
    }

    /// The payload behind its wrapping; `None` if it isn't JSON.
    pub(super) fn decoded(&mut self, payload: &[u8]) -> Option<Value> {
        let mut decoded = Vec::new();
        let same = matches!(
            self.decoder.decode(payload, &mut decoded).ok()?,
            pipe::stage::decode::Decoded::Same
        );
        serde_json::from_slice(if same { payload } else { &decoded }).ok()
    }

    /// The key of an event; `None` without dedup, or when a field of it is missing.
    pub(super) fn key(&mut self, payload: &[u8]) -> Option<String> {
        let value = self.decoded(payload)?;
        self.key_of(&value)
    }

    /// The key of a decoded event, or of a row that still has its fields.
    pub(super) fn key_of(&self, value: &Value) -> Option<String> {
        let (scope, paths, by_type) = self.of.as_ref()?;
        let mut key = vec![Value::from(scope.as_str())];
        if let Some(path) = by_type {
            key.push(get(value, path)?.clone());
        }
        for path in paths {
            key.push(by_value(get(value, path)?));
        }
        Some(Value::from(key).to_string())
    }

    /// Whether events with the same key are one event.
    pub(super) fn dedups(&self) -> bool {
        self.of.is_some()
    }
}

/// Numbers by value: `1.0` is `1`.
fn by_value(value: &Value) -> Value {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < EXACT_MAX => {
            Value::from(number as i64)
        }
        _ => value.clone(),
    }
}

/// The field at `path`.
pub(super) fn get<'v>(value: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.steps().iter().try_fold(value, |value, step| match step {
        Step::Field(name) => value.get(&**name),
        Step::Index(index) => value.get(*index as usize),
    })
}

/// Sets the field at `path`; objects on the way are made, anything else in the way stays.
pub(super) fn set(value: &mut Value, path: &FieldPath, to: Value) {
    let mut at = value;
    for step in path.steps() {
        at = match step {
            Step::Field(name) => {
                if at.is_null() {
                    *at = Value::Object(serde_json::Map::new());
                }
                let Some(fields) = at.as_object_mut() else { return };
                fields.entry(&**name).or_insert(Value::Null)
            }
            Step::Index(index) => match at.get_mut(*index as usize) {
                Some(item) => item,
                None => return,
            },
        };
    }
    *at = to;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_set_and_found_again() {
        let path = FieldPath::parse("$.a.b").unwrap();
        let mut value = serde_json::json!({ "a": { "c": 1 }, "list": [1, 2] });
        set(&mut value, &path, Value::from("x"));
        assert_eq!(get(&value, &path), Some(&Value::from("x")));
        set(&mut value, &FieldPath::parse("$.list[1]").unwrap(), Value::from(7));
        set(&mut value, &FieldPath::parse("$.new.deep").unwrap(), Value::from(true));
        let expected = serde_json::json!({ "a": { "c": 1, "b": "x" }, "list": [1, 7], "new": { "deep": true } });
        assert_eq!(value, expected);
    }

    #[test]
    fn numbers_are_the_same_by_value() {
        assert_eq!(by_value(&serde_json::json!(1.0)), by_value(&serde_json::json!(1)));
        assert_ne!(by_value(&serde_json::json!("1")), by_value(&serde_json::json!(1)));
        assert_ne!(by_value(&serde_json::json!(1.5)), by_value(&serde_json::json!(1)));
    }
}
