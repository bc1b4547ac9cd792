//! A letter as it stands in its file; see docs/formats/letter.md.
//!
//! The checksum covers the letter's canonical form: the same members in the same order without
//! space between them. So a file that was only laid out anew is still the one that was written.

use std::borrow::Cow;

use bytes::Bytes;
use event::batch::Attribute;
use event::death::Attempt;
use event::{Marks, Offset};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::id::{parse_id, show_id};
use super::letter::Letter;

/// Version of the format.
pub const VERSION: u32 = 1;

/// Marks by name; the names go to disk.
const MARKS: [(&str, Marks); 5] = [
    ("late", Marks::LATE),
    ("update", Marks::UPDATE),
    ("no_key", Marks::NO_KEY),
    ("copy_of_dead", Marks::COPY_OF_DEAD),
    ("replayed", Marks::REPLAYED),
];

/// A letter's file can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// It is no letter, or one that was damaged beyond reading.
    #[error("it is no dead letter: {0}")]
    Unreadable(String),
    /// A newer program wrote it.
    #[error("it has version {0}, and this program reads version {VERSION}")]
    Newer(u32),
}

/// A letter that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadLetter {
    /// The letter.
    pub letter: Letter,
    /// It was changed since it was written: its checksum isn't that of its content.
    pub edited: bool,
}

#[derive(Deserialize)]
struct Head {
    onceflow_letter: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<'a> {
    onceflow_letter: u32,
    id: String,
    pipe: Cow<'a, str>,
    source: Cow<'a, str>,
    shard: Cow<'a, str>,
    start: String,
    end: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition_key: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partition_key_base64: Option<String>,
    #[serde(rename = "type")]
    event_type: Cow<'a, str>,
    key: String,
    body_hash: String,
    recorded_ms: i64,
    window_ms: i64,
    received_ms: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broker_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_ms: Option<i64>,
    died_ms: i64,
    marks: Vec<Cow<'a, str>>,
    routes: Cow<'a, [String]>,
    held_by: Cow<'a, [String]>,
    stage: Cow<'a, str>,
    class: Cow<'a, str>,
    message: Cow<'a, str>,
    deterministic: bool,
    sink: Cow<'a, str>,
    config: String,
    attempts: Vec<AttemptForm<'a>>,
    replay_count: u32,
    replay: Cow<'a, str>,
    attributes: Vec<AttributeForm<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checksum: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttemptForm<'a> {
    at_ms: i64,
    sink: Cow<'a, str>,
    /// Empty: the sink has the event.
    error: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeForm<'a> {
    name: Cow<'a, str>,
    #[serde(rename = "type")]
    data_type: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

impl Letter {
    /// The letter's file, checksum included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut form = form(self);
        form.checksum = Some(show_id(checksum(&form)));
        // Serialisation of text and numbers into memory can't fail.
        let mut bytes = serde_json::to_vec_pretty(&form).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The same in one line, for messages.
    #[must_use]
    pub fn encode_line(&self) -> Vec<u8> {
        let mut form = form(self);
        form.checksum = Some(show_id(checksum(&form)));
        serde_json::to_vec(&form).unwrap_or_default()
    }

    /// Reads a letter's file back.
    ///
    /// # Errors
    /// [`LetterError`]. A file that was edited is read, and says so.
    pub fn decode(bytes: &[u8]) -> Result<ReadLetter, LetterError> {
        let unreadable = |error: serde_json::Error| LetterError::Unreadable(error.to_string());
        let head: Head = serde_json::from_slice(bytes).map_err(unreadable)?;
        if head.onceflow_letter > VERSION {
            return Err(LetterError::Newer(head.onceflow_letter));
        }
        let mut form: Form<'_> = serde_json::from_slice(bytes).map_err(unreadable)?;
        let claimed = form.checksum.take();
        let edited = claimed.as_deref() != Some(show_id(checksum(&form)).as_str());
        let letter = letter(form).map_err(LetterError::Unreadable)?;
        Ok(ReadLetter { letter, edited })
    }
}

/// Of a form without its checksum.
fn checksum(form: &Form<'_>) -> u128 {
    xxh3_128(&serde_json::to_vec(form).unwrap_or_default())
}

/// Bytes as text where they are some, else as base64.
fn text_or_base64(bytes: &[u8]) -> (Option<Cow<'_, str>>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text.into()), None),
        Err(_) => (None, Some(base64_simd::STANDARD.encode_to_string(bytes))),
    }
}

fn from_text_or_base64(
    name: &str,
    text: Option<Cow<'_, str>>,
    base64: Option<String>,
) -> Result<Option<Vec<u8>>, String> {
    match (text, base64) {
        (Some(text), None) => Ok(Some(text.into_owned().into_bytes())),
        (None, Some(base64)) => match base64_simd::STANDARD.decode_to_vec(base64) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(format!("{name}_base64: {error}")),
        },
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(format!("it has both {name} and {name}_base64")),
    }
}

fn attempt_form(attempt: &Attempt) -> AttemptForm<'_> {
    let Attempt { at_ms, sink, error } = attempt;
    AttemptForm { at_ms: *at_ms, sink: sink.into(), error: error.into() }
}

fn attribute_form(attribute: &Attribute) -> AttributeForm<'_> {
    let Attribute { name, data_type, value } = attribute;
    let (value, value_base64) = text_or_base64(value);
    AttributeForm { name: name.into(), data_type: data_type.into(), value, value_base64 }
}

fn form(letter: &Letter) -> Form<'_> {
    let (partition_key, partition_key_base64) =
        letter.partition_key.as_deref().map_or((None, None), text_or_base64);
    let (raw, raw_base64) = text_or_base64(&letter.body);
    let marks = MARKS.iter().filter(|(_, mark)| letter.marks.has(*mark));
    Form {
        onceflow_letter: VERSION,
        id: show_id(letter.id),
        pipe: (&letter.pipe).into(),
        source: (&letter.source).into(),
        shard: (&letter.shard).into(),
        start: letter.start.to_decimal(),
        end: letter.end.to_decimal(),
        partition_key,
        partition_key_base64,
        event_type: (&letter.event_type).into(),
        key: show_id(letter.key),
        body_hash: format!("{:016x}", letter.body_hash),
        recorded_ms: letter.recorded_ms,
        window_ms: letter.window_ms,
        received_ms: letter.received_ms,
        broker_ms: letter.broker_ms,
        event_ms: letter.event_ms,
        died_ms: letter.died_ms,
        marks: marks.map(|(name, _)| Cow::Borrowed(*name)).collect(),
        routes: (&letter.routes).into(),
        held_by: (&letter.held_by).into(),
        stage: (&letter.stage).into(),
        class: (&letter.class).into(),
        message: (&letter.message).into(),
        deterministic: letter.deterministic,
        sink: (&letter.sink).into(),
        config: format!("{:016x}", letter.config),
        attempts: letter.attempts.iter().map(attempt_form).collect(),
        replay_count: letter.replay_count,
        replay: (&letter.replay).into(),
        attributes: letter.attributes.iter().map(attribute_form).collect(),
        raw,
        raw_base64,
        checksum: None,
    }
}

fn letter(form: Form<'_>) -> Result<Letter, String> {
    let hex64 = |name: &str, text: &str| {
        u64::from_str_radix(text, 16).map_err(|_| format!("{name} is no hexadecimal number"))
    };
    let hex128 = |name: &str, text: &str| {
        parse_id(text).ok_or_else(|| format!("{name} isn't 32 hexadecimal digits"))
    };
    let offset = |name: &str, text: &str| {
        Offset::from_decimal(text).ok_or_else(|| format!("{name} is no position"))
    };
    let mut marks = Marks::NONE;
    for name in &form.marks {
        let known = MARKS.iter().find(|(known, _)| known == name);
        let (_, mark) = known.ok_or_else(|| format!("`{name}` is no mark"))?;
        marks = marks.with(*mark);
    }
    let attempt = |form: AttemptForm<'_>| Attempt {
        at_ms: form.at_ms,
        sink: form.sink.into_owned(),
        error: form.error.into_owned(),
    };
    let attribute = |form: AttributeForm<'_>| {
        let value = from_text_or_base64("value", form.value, form.value_base64)?;
        let value = value.ok_or("an attribute has no value")?;
        Ok::<_, String>(Attribute {
            name: form.name.into_owned(),
            data_type: form.data_type.into_owned(),
            value: value.into(),
        })
    };
    let body = from_text_or_base64("raw", form.raw, form.raw_base64)?;
    Ok(Letter {
        id: hex128("id", &form.id)?,
        pipe: form.pipe.into_owned(),
        source: form.source.into_owned(),
        shard: form.shard.into_owned(),
        start: offset("start", &form.start)?,
        end: offset("end", &form.end)?,
        partition_key: from_text_or_base64(
            "partition_key",
            form.partition_key,
            form.partition_key_base64,
        )?,
        event_type: form.event_type.into_owned(),
        key: hex128("key", &form.key)?,
        body_hash: hex64("body_hash", &form.body_hash)?,
        recorded_ms: form.recorded_ms,
        window_ms: form.window_ms,
        received_ms: form.received_ms,
        broker_ms: form.broker_ms,
        event_ms: form.event_ms,
        died_ms: form.died_ms,
        marks,
        routes: form.routes.into_owned(),
        held_by: form.held_by.into_owned(),
        stage: form.stage.into_owned(),
        class: form.class.into_owned(),
        message: form.message.into_owned(),
        deterministic: form.deterministic,
        sink: form.sink.into_owned(),
        config: hex64("config", &form.config)?,
        attempts: form.attempts.into_iter().map(attempt).collect(),
        replay_count: form.replay_count,
        replay: form.replay.into_owned(),
        attributes: form.attributes.into_iter().map(attribute).collect::<Result<_, _>>()?,
        body: Bytes::from(body.ok_or("it has neither raw nor raw_base64")?),
    })
}
