//! `template`: makes a new payload from an EventBridge input template.
//!
//! - A template that begins with `{`, `[` or `"`, that is one insertion or any other JSON, gives
//!   that JSON. Everything else is text, and gives a JSON string.
//! - `<$.path>` stands for a value of the event. Outside of quotes it is the value as JSON: a text
//!   keeps its quotes; a missing one is `null`. Within quotes it is the text itself, or the JSON of
//!   anything else, escaped so that it stays one text; a missing one is nothing.
//! - `[*]` in a path stands for every element of an array: the values found make an array.
//! - `<aws.pipes.…>` stand for what the pipe knows. `<aws.pipes.event>` and
//!   `<aws.pipes.event.json>` are both the whole event.
//! - `\<` and `\>` stand for the characters.
//! - An input transformer of a rule, `{"InputPathsMap": {…}, "InputTemplate": "…"}` in JSON, is
//!   taken as it stands, too.
//!
//! Whether the result is JSON is known before any event has come: a value is JSON wherever one may
//! stand. Start reading at [`Template::render`]; `parse.rs` reads the text.

mod parse;
mod path;

use event::json::{DEPTH_MAX, Kind, Raw};

use self::path::{Found, Path};
use super::{TransformContext, TransformFault, push_string};
use crate::stage::enrich::depth;
use crate::stage::time::write_rfc3339;

const NS_PER_MS: i64 = 1_000_000;

/// A template, read.
#[derive(Debug, Clone)]
pub(super) struct Template {
    parts: Box<[Part]>,
}

#[derive(Debug, Clone)]
enum Part {
    /// JSON as it stands.
    Literal(Box<[u8]>),
    Value {
        source: Source,
        /// It stands within a string.
        quoted: bool,
    },
}

/// What an insertion stands for.
#[derive(Debug, Clone)]
enum Source {
    /// A value of the event.
    Path(Path),
    /// A text that is known beforehand, as JSON.
    Fixed(Box<[u8]>),
    /// When the event was received.
    IngestionTime,
    /// The whole event.
    Event,
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong: a line with the place, the template's line and a caret below it.
    pub(super) fn new(text: &str, context: &TransformContext) -> Result<Template, String> {
        parse::parse(text, context).map_err(|error| error.to_string())
    }

    /// Appends what the template makes of a payload.
    pub(super) fn render(
        &self,
        payload: &[u8],
        received_ms: i64,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TransformFault> {
        let start = out.len();
        for part in &self.parts {
            match part {
                Part::Literal(json) => out.extend_from_slice(json),
                Part::Value { source, quoted } => {
                    source.write(payload, received_ms, *quoted, out)?;
                }
            }
            if out.len() - start > bytes_max {
                return Err(TransformFault::TooLarge { bytes_max });
            }
        }
        if depth(out.get(start..).unwrap_or_default()) > DEPTH_MAX {
            return Err(TransformFault::TooDeep);
        }
        Ok(())
    }
}

impl Source {
    fn write(
        &self,
        payload: &[u8],
        received_ms: i64,
        quoted: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), TransformFault> {
        match self {
            Source::Path(path) => {
                match path.find(payload).map_err(|_| TransformFault::Ambiguous)? {
                    Found::One(value) => write(value, quoted, out),
                    Found::Nothing if quoted => {}
                    Found::Nothing => out.extend_from_slice(b"null"),
                    Found::Many(values) => {
                        let mut array = vec![b'['];
                        for (index, value) in values.iter().enumerate() {
                            if index > 0 {
                                array.push(b',');
                            }
                            array.extend_from_slice(value.bytes());
                        }
                        array.push(b']');
                        write(Raw::new(&array), quoted, out);
                    }
                }
            }
            Source::Fixed(json) => write(Raw::new(json), quoted, out),
            Source::IngestionTime => {
                let ns = received_ms.saturating_mul(NS_PER_MS);
                let mut json = vec![b'"'];
                write_rfc3339(ns, &mut json);
                json.push(b'"');
                write(Raw::new(&json), quoted, out);
            }
            Source::Event => write(Raw::new(payload), quoted, out),
        }
        Ok(())
    }
}

/// Appends a value: as JSON, or as a part of a string.
fn write(value: Raw<'_>, quoted: bool, out: &mut Vec<u8>) {
    let bytes = value.bytes();
    match value.kind() {
        _ if !quoted => out.extend_from_slice(bytes),
        Kind::String => {
            let inner = bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or_default();
            out.extend_from_slice(inner);
        }
        Kind::Object | Kind::Array => {
            let start = out.len();
            push_string(&String::from_utf8_lossy(bytes), out);
            // Without the quotes: it is a part of another string.
            out.remove(start);
            out.pop();
        }
        Kind::Number | Kind::Bool | Kind::Null => out.extend_from_slice(bytes),
    }
}

#[cfg(test)]
mod tests;
