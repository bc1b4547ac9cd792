//! What a key is made of.

use std::fmt;
use std::str::FromStr;

use dedup::key::{FIELDS_OF_BODY, FIELDS_OF_BROKER_ID, FIELDS_OF_RAW_BODY};
use event::path::FieldPath;

use super::problem::Problems;
use super::section::{Section, Value};

/// What makes two events the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DedupKey {
    /// Fields of the payload and attributes of the message, 1 to 16.
    Fields(Vec<KeyPart>),
    /// The whole body, however it is spelled.
    Body,
    /// The whole body, byte for byte.
    RawBody,
    /// The id that the broker gave the event: the place where it stands in its source.
    BrokerId,
}

/// One entry of `dedup.key`, as one text: `$.user.id`, `attribute event_id`, `body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPart {
    /// A field of the payload.
    Path(FieldPath),
    /// An attribute of the message, by its name.
    Attribute(String),
    /// The whole body; stands alone.
    Body,
    /// The whole body, byte for byte; stands alone.
    RawBody,
    /// The broker's id; stands alone.
    BrokerId,
}

/// The words among the parts, and what each means.
pub(crate) const KEY_WORDS: [(&str, &str); 3] = [
    (
        "body",
        "the whole body: JSON whose members stand in another order, whose numbers or strings are \
         written another way, or with other whitespace, is the same",
    ),
    ("raw_body", "the whole body, byte for byte"),
    (
        "broker_id",
        "what the broker knows the event by, the same for a redelivery: the message id of a queue, \
         shard and sequence number of a stream, file and byte offset; standard input has none",
    ),
];

/// Before the name of an attribute, in a part's text.
const ATTRIBUTE: &str = "attribute ";

impl KeyPart {
    fn of_word(text: &str) -> Option<Self> {
        Some(match text {
            "body" => Self::Body,
            "raw_body" => Self::RawBody,
            "broker_id" => Self::BrokerId,
            _ => return None,
        })
    }

    /// The part that a word names.
    pub(crate) fn word(text: &str) -> Option<Self> {
        Self::of_word(text)
    }

    fn is_field(&self) -> bool {
        matches!(self, Self::Path(_) | Self::Attribute(_))
    }
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(f),
            Self::Attribute(name) => write!(f, "{ATTRIBUTE}{name}"),
            Self::Body => f.write_str("body"),
            Self::RawBody => f.write_str("raw_body"),
            Self::BrokerId => f.write_str("broker_id"),
        }
    }
}

/// A text that is no part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no part of a key")]
pub struct NotAKeyPart(String);

impl FromStr for KeyPart {
    type Err = NotAKeyPart;

    fn from_str(text: &str) -> Result<Self, NotAKeyPart> {
        if let Some(word) = Self::of_word(text) {
            return Ok(word);
        }
        if let Some(name) = text.strip_prefix(ATTRIBUTE) {
            return Ok(Self::Attribute(name.to_owned()));
        }
        FieldPath::parse(text).map(Self::Path).map_err(|_| NotAKeyPart(text.to_owned()))
    }
}

impl DedupKey {
    /// The key that these parts make; `None` if a word doesn't stand alone, or there is none.
    #[must_use]
    pub fn of_parts(parts: &[KeyPart]) -> Option<Self> {
        match parts {
            [] => None,
            [KeyPart::Body] => Some(Self::Body),
            [KeyPart::RawBody] => Some(Self::RawBody),
            [KeyPart::BrokerId] => Some(Self::BrokerId),
            fields if fields.iter().all(KeyPart::is_field) => Some(Self::Fields(fields.to_vec())),
            _ => None,
        }
    }

    /// The parts that it is made of.
    #[must_use]
    pub fn parts(&self) -> Vec<KeyPart> {
        match self {
            Self::Fields(parts) => parts.clone(),
            Self::Body => vec![KeyPart::Body],
            Self::RawBody => vec![KeyPart::RawBody],
            Self::BrokerId => vec![KeyPart::BrokerId],
        }
    }

    /// The fields of the payload that it is made of.
    #[must_use]
    pub fn paths(&self) -> Vec<FieldPath> {
        let path = |part: &KeyPart| match part {
            KeyPart::Path(path) => Some(path.clone()),
            _ => None,
        };
        match self {
            Self::Fields(parts) => parts.iter().filter_map(path).collect(),
            _ => Vec::new(),
        }
    }

    /// What the ledger calls it: the number of its fields, or what stands in place of one
    /// ([`dedup::key::definition`]).
    #[must_use]
    pub fn fields(&self) -> u32 {
        match self {
            Self::Fields(parts) => u32::try_from(parts.len()).unwrap_or(u32::MAX),
            Self::Body => FIELDS_OF_BODY,
            Self::RawBody => FIELDS_OF_RAW_BODY,
            Self::BrokerId => FIELDS_OF_BROKER_ID,
        }
    }

    /// In words: `a key of 2 fields`.
    pub(crate) fn described(&self) -> String {
        match self {
            Self::Fields(parts) if parts.len() == 1 => "a key of 1 field".to_owned(),
            Self::Fields(parts) => format!("a key of {} fields", parts.len()),
            Self::Body => "`key: body`".to_owned(),
            Self::RawBody => "`key: raw_body`".to_owned(),
            Self::BrokerId => "`key: broker_id`".to_owned(),
        }
    }
}

/// Builds `dedup.key`. `None`: something in it is wrong.
pub(crate) fn build(
    pipe: &Section,
    section: &Section,
    problems: &mut Problems<'_>,
) -> Option<DedupKey> {
    let items = section.list("key")?;
    let mut parts: Vec<KeyPart> = Vec::new();
    let mut is_bad = false;
    for item in items {
        let part = match &item.value {
            Value::KeyPart(part) => part.clone(),
            Value::Section(section) => match section.text("attribute") {
                Some(name) => KeyPart::Attribute(name.to_owned()),
                None => return None,
            },
            _ => return None,
        };
        if parts.contains(&part) {
            // One of them was meant to be another.
            let message = format!("`{part}` is in this key twice");
            problems.add(item.place, message).help("keep one");
            is_bad = true;
        } else if !part.is_field() && items.len() > 1 {
            let message = format!("`{part}` is a whole key: it stands alone");
            problems
                .add(item.place, message)
                .help(format!("write `key: {part}`, or take it out of the list"));
            is_bad = true;
        }
        is_bad |= has_no_source(pipe, &part, item.place, problems);
        parts.push(part);
    }
    if is_bad { None } else { DedupKey::of_parts(&parts) }
}

/// Whether the pipe's source never has what a part names.
fn has_no_source(
    pipe: &Section,
    part: &KeyPart,
    place: super::place::Place,
    problems: &mut Problems<'_>,
) -> bool {
    let source = pipe.section("source");
    let reads = |kind: &str| source.is_some_and(|source| source.entry(kind).is_some());
    match part {
        KeyPart::Attribute(_) if reads("file") || reads("kinesis") => {
            let what = if reads("file") { "lines of a file" } else { "records of a stream" };
            problems.add(place, format!("{what} have no attributes")).help(
                "name a field of the payload, like `$.event_id`; messages of `sqs` have some",
            );
            true
        }
        KeyPart::BrokerId if is_standard_input(source) => {
            problems
                .add(place, "standard input has no id for an event: it is another at each run")
                .help("name a field of the payload, like `$.event_id`, or `key: body`");
            true
        }
        _ => false,
    }
}

fn is_standard_input(source: Option<&Section>) -> bool {
    let file = source.and_then(|source| source.section_if("file"));
    file.and_then(|file| file.text("path")) == Some("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_reads_as_it_is_shown() {
        for text in
            ["$.a.b[0]", "$['odd key']", "attribute event id", "body", "raw_body", "broker_id"]
        {
            let part: KeyPart = text.parse().unwrap();
            assert_eq!(part.to_string(), text);
        }
        assert!("id".parse::<KeyPart>().is_err());
    }

    #[test]
    fn a_word_stands_alone() {
        let parts = |texts: &[&str]| -> Vec<KeyPart> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        assert_eq!(DedupKey::of_parts(&parts(&["body"])), Some(DedupKey::Body));
        assert_eq!(DedupKey::of_parts(&parts(&["body", "$.a"])), None);
        assert_eq!(DedupKey::of_parts(&[]), None);
        let key = DedupKey::of_parts(&parts(&["$.a", "attribute b"])).unwrap();
        assert_eq!((key.fields(), key.paths().len()), (2, 1));
        assert_eq!(DedupKey::of_parts(&key.parts()), Some(key));
    }
}
