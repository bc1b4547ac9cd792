//! Validating: does a payload satisfy the pipe's JSON Schema?
//!
//! The one stage that builds a tree per event, because that is what a schema is checked against.
//! It is opt-in, and the tree lives no longer than the check.

use std::fmt::{self, Write as _};

/// The most characters of a violation's message that are kept: messages quote the value.
pub const MESSAGE_CHARS_MAX: usize = 256;

/// A compiled JSON Schema (drafts 4 to 2020-12; without `$schema` the newest).
#[derive(Debug)]
pub struct Validator {
    schema: jsonschema::Validator,
}

/// A schema that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the JSON Schema is wrong at `{pointer}`: {message}")]
pub struct SchemaError {
    /// Where in the schema, as a JSON pointer; empty for the whole.
    pub pointer: String,
    /// What is wrong, at most [`MESSAGE_CHARS_MAX`] characters.
    pub message: String,
}

/// A payload that doesn't satisfy the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("against the schema at `{instance_path}`: {message}")]
pub struct SchemaViolation {
    /// Where in the payload, as a JSON pointer; empty for the whole. At most
    /// [`MESSAGE_CHARS_MAX`] characters.
    pub instance_path: String,
    /// What is wrong, at most [`MESSAGE_CHARS_MAX`] characters.
    pub message: String,
}

impl SchemaViolation {
    /// A stable snake_case name, used as the reason of a rejection.
    #[must_use]
    pub fn name(&self) -> &'static str {
        "schema_violation"
    }
}

impl Validator {
    /// Compiles a schema. References to other documents aren't followed: a pipe must not depend
    /// on what a network or a folder holds at its start.
    ///
    /// # Errors
    /// [`SchemaError`] if it is no schema, or refers to another document.
    pub fn new(schema: &serde_json::Value) -> Result<Validator, SchemaError> {
        match jsonschema::options().build(schema) {
            Ok(schema) => Ok(Validator { schema }),
            Err(error) => Err(SchemaError {
                pointer: bounded(error.instance_path()),
                message: bounded(&error),
            }),
        }
    }

    /// Checks one payload that the scanner has accepted.
    ///
    /// # Errors
    /// [`SchemaViolation`] with the first violation found. Also for a payload that can't be made
    /// a tree of (an escape that is half of a surrogate pair, the last level of nesting).
    pub fn validate(&self, payload: &[u8]) -> Result<(), SchemaViolation> {
        let instance: serde_json::Value = serde_json::from_slice(payload).map_err(|error| {
            SchemaViolation { instance_path: String::new(), message: bounded(&error) }
        })?;
        self.schema.validate(&instance).map_err(|error| SchemaViolation {
            instance_path: bounded(error.instance_path()),
            message: bounded(&error),
        })
    }
}

/// Text of at most [`MESSAGE_CHARS_MAX`] characters. What doesn't fit isn't even formatted: a
/// message may quote a value of ten megabytes.
fn bounded(shown: &impl fmt::Display) -> String {
    struct Bounded {
        text: String,
        room: usize,
    }
    impl fmt::Write for Bounded {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let Some((cut, _)) = part.char_indices().nth(self.room) else {
                self.room -= part.chars().count();
                self.text.push_str(part);
                return Ok(());
            };
            self.text.push_str(part.get(..cut).unwrap_or(""));
            self.text.pop();
            self.text.push('…');
            self.room = 0;
            Err(fmt::Error)
        }
    }
    let mut bounded = Bounded { text: String::new(), room: MESSAGE_CHARS_MAX };
    // An error only says that it was cut.
    let _ = write!(bounded, "{shown}");
    bounded.text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn app_event() -> Validator {
        Validator::new(&json!({
            "type": "object",
            "required": ["event_uuid", "event_name"],
            "properties": {
                "event_uuid": { "type": "string", "minLength": 4 },
                "event_name": { "enum": ["game:started", "game:resumed"] },
                "specifics": { "properties": { "levels": { "items": { "type": "integer" } } } },
            },
        }))
        .unwrap()
    }

    #[test]
    fn payloads_are_checked_and_the_place_is_named() {
        let validator = app_event();
        assert_eq!(
            validator.validate(br#"{"event_uuid":"0190","event_name":"game:resumed"}"#),
            Ok(())
        );
        for (payload, path, part) in [
            (r#"{"event_uuid":"0190"}"#, "", "event_name"),
            (r#"{"event_uuid":17,"event_name":"game:resumed"}"#, "/event_uuid", "17"),
            (r#"{"event_uuid":"0","event_name":"game:resumed"}"#, "/event_uuid", "shorter"),
            (
                r#"{"event_uuid":"0190","event_name":"game:resumed","specifics":{"levels":[1,"2"]}}"#,
                "/specifics/levels/1",
                "integer",
            ),
        ] {
            let violation = validator.validate(payload.as_bytes()).unwrap_err();
            assert_eq!(violation.instance_path, path, "{violation}");
            assert!(violation.message.contains(part), "{violation}");
            assert_eq!(violation.name(), "schema_violation");
        }
    }

    #[test]
    fn messages_are_bounded() {
        let long = "ü".repeat(1 << 20);
        let payload = json!({ "event_uuid": "0190", "event_name": long }).to_string();
        let violation = app_event().validate(payload.as_bytes()).unwrap_err();
        assert_eq!(violation.message.chars().count(), MESSAGE_CHARS_MAX);
        assert!(violation.message.ends_with('…'));
        assert_eq!(bounded(&"x".repeat(MESSAGE_CHARS_MAX)), "x".repeat(MESSAGE_CHARS_MAX));
    }

    #[test]
    fn what_no_tree_can_hold_is_a_violation() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(127), "]".repeat(127));
        for payload in [r#"{"a":"\ud800"}"#, &deep] {
            assert!(app_event().validate(payload.as_bytes()).is_err());
        }
    }

    #[test]
    fn a_wrong_schema_is_named_with_its_place() {
        let error =
            Validator::new(&json!({ "properties": { "a": { "type": "strnig" } } })).unwrap_err();
        assert_eq!(error.pointer, "/properties/a/type", "{error}");
        for schema in [
            json!({ "$ref": "https://example.com/x.json" }),
            json!({ "$ref": "file:///etc/x" }),
            json!(17),
        ] {
            let error = Validator::new(&schema).unwrap_err();
            assert!(!error.message.is_empty(), "{error}");
        }
    }
}
