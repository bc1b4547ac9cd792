//! Events made after a pipe's own tests; without tests, after the paths that its config looks at.

use std::io::Write as _;

use event::path::FieldPath;
use flate2::Compression;
use flate2::write::GzEncoder;
use pipe::config::{DedupKey, Given, PipeConfig};
use pipe::stage::decode::DecodeStep;
use pipe::stage::time::TimeFormat;
use serde_json::{Value, json};

use super::keys::{self, Keys};
use crate::exit::Failure;

/// 2026-11-01T08:00:00Z, the time of an event where the config names a field for it.
const EVENT_TIME_S: i64 = 1_793_520_000;

/// Makes events of one pipe.
pub(super) struct Made {
    templates: Vec<Value>,
    key: Vec<FieldPath>,
    encode: Vec<DecodeStep>,
    prefix: String,
}

impl Made {
    /// `prefix` tells its keys from those of other proofs.
    pub(super) fn new(config: &PipeConfig, prefix: String) -> Result<Made, Failure> {
        if config.decode.contains(&DecodeStep::Zstd) {
            return Err(Failure::usage(format!(
                "pipe {}: events behind zstd can't be made; record some and give them with --events",
                config.pipe
            )));
        }
        let of_payload = |key: &DedupKey| {
            matches!(key, DedupKey::Fields(_)) && key.paths().len() == key.parts().len()
        };
        if config.dedup.as_ref().is_some_and(|dedup| !of_payload(&dedup.key)) {
            return Err(Failure::usage(format!(
                "pipe {}: a proof knows events by fields of their payload, and this key is made of \
                 something else; prove it with a `key` of fields",
                config.pipe
            )));
        }
        let mut keys = Keys::new(config);
        let given = config.tests.iter().flat_map(|test| &test.given);
        let mut templates: Vec<Value> = given
            .filter_map(|given| match given {
                Given::Event(payload) => keys.decoded(payload),
                Given::Wait(_) => None,
            })
            .filter(Value::is_object)
            .collect();
        templates.dedup();
        if templates.is_empty() {
            templates.push(after_paths(config));
        }
        let key = config.dedup.as_ref().map(|dedup| dedup.key.paths()).unwrap_or_default();
        let encode = config.decode.iter().rev().copied().collect();
        Ok(Made { templates, key, encode, prefix })
    }

    /// Event `number`, wrapped as the pipe expects it.
    pub(super) fn event(&self, number: u64) -> Vec<u8> {
        let templates = self.templates.len().max(1) as u64;
        let template = self.templates.get((number % templates) as usize);
        let mut value = template.cloned().unwrap_or_else(|| json!({}));
        let id = Value::from(format!("{}{number}", self.prefix));
        match self.key.split_first() {
            // An event of a test that has no key stays without.
            Some((first, _)) if keys::get(&value, first).is_some() => {
                keys::set(&mut value, first, id);
            }
            Some(_) => {}
            None => keys::set(&mut value, &number_field(), id),
        }
        wrap(&self.encode, value.to_string().into_bytes())
    }
}

/// Where events without a key have their number.
fn number_field() -> FieldPath {
    FieldPath::parse("$.number").unwrap_or_else(|_| whole())
}

fn whole() -> FieldPath {
    // No steps are never too many.
    FieldPath::from_steps(Vec::new()).unwrap_or_else(|_| number_field())
}

fn after_paths(config: &PipeConfig) -> Value {
    let mut value = json!({ "text": "made by prove" });
    let envelope = &config.envelope;
    for path in [&envelope.id, &envelope.source, &envelope.subject].into_iter().flatten() {
        keys::set(&mut value, path, json!("a"));
    }
    for path in config.dedup.iter().flat_map(|dedup| dedup.key.paths()) {
        keys::set(&mut value, &path, json!("a"));
    }
    if let Some(path) = &envelope.event_type {
        keys::set(&mut value, path, json!("made"));
    }
    if let Some(time) = &envelope.time {
        let at = match time.format {
            TimeFormat::EpochSeconds => json!(EVENT_TIME_S),
            TimeFormat::EpochMillis => json!(EVENT_TIME_S * 1000),
            _ => json!("2026-11-01T08:00:00Z"),
        };
        keys::set(&mut value, &time.path, at);
    }
    value
}

/// Undoes the decoding. `steps` are the pipe's, the last one first.
fn wrap(steps: &[DecodeStep], payload: Vec<u8>) -> Vec<u8> {
    steps.iter().fold(payload, |payload, step| match step {
        DecodeStep::Url => {
            let mut out = String::new();
            for byte in payload {
                if byte.is_ascii_alphanumeric() {
                    out.push(char::from(byte));
                } else {
                    out.push_str(&format!("%{byte:02X}"));
                }
            }
            out.into_bytes()
        }
        DecodeStep::Base64 => base64_simd::STANDARD.encode_to_string(&payload).into_bytes(),
        DecodeStep::Gzip => {
            let mut out = GzEncoder::new(Vec::new(), Compression::fast());
            match out.write_all(&payload).and_then(|()| out.finish()) {
                Ok(bytes) => bytes,
                Err(_) => payload, // nothing in memory fails
            }
        }
        _ => payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrapped_is_unwrapped() {
        use pipe::stage::decode::{Decoded, Decoder};
        let steps = [DecodeStep::Url, DecodeStep::Base64, DecodeStep::Gzip, DecodeStep::Json];
        let reversed: Vec<DecodeStep> = steps.iter().rev().copied().collect();
        let payload = br#"{"id":"1","text":"a b%20"}"#.to_vec();
        let wrapped = wrap(&reversed, payload.clone());
        let mut out = Vec::new();
        let decoded = Decoder::new(&steps, 1 << 20).decode(&wrapped, &mut out).unwrap();
        assert!(!matches!(decoded, Decoded::Same));
        assert_eq!(out, payload);
    }
}
