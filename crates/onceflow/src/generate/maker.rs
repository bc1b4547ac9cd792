//! Events as they are sent: made, and wrapped as the spec says.

use std::borrow::Cow;

use super::order::Amount;
use super::spec::{Encoding, FieldName, Spec};
use super::template::{Generator, Item};

/// Makes payloads, and knows the key of the last one.
#[derive(Debug)]
pub(crate) struct Maker {
    generator: Generator,
    encode: Vec<Encoding>,
    /// Fields of the key; the field after them is the partition key, if one is named.
    key_fields: usize,
    /// The marked field that decides on the shard; `None`: the key does.
    partition_field: Option<usize>,
    /// The JSON text, where the payload is something else.
    json: Vec<u8>,
}

impl Maker {
    /// Makes the events of `spec`. With `tells`, [`Maker::key`] and [`Maker::partition_key`] can
    /// be asked; `partition_key` is a field that every kind has.
    pub(crate) fn new(
        spec: &Spec,
        amount: &Amount,
        tells: bool,
        partition_key: Option<&FieldName>,
    ) -> Maker {
        let mut marked = if tells { spec.key.clone() } else { Vec::new() };
        let key_fields = marked.len();
        let partition_field = partition_key.filter(|_| tells).map(|name| {
            let known = marked.iter().position(|field| field == name);
            known.unwrap_or_else(|| {
                marked.push(name.clone());
                marked.len() - 1
            })
        });
        Maker {
            generator: Generator::new(spec, amount.seed, amount.late, &marked),
            encode: spec.encode.clone(),
            key_fields,
            partition_field,
            json: Vec::new(),
        }
    }

    /// What makes the events.
    pub(crate) fn generator(&self) -> &Generator {
        &self.generator
    }

    /// Appends the payload of `item`; no newline.
    pub(crate) fn make(&mut self, item: Item, out: &mut Vec<u8>) {
        if self.encode.is_empty() {
            self.generator.write(item, out);
            return;
        }
        self.json.clear();
        self.generator.write(item, &mut self.json);
        let (last, first) = self.encode.split_last().unwrap_or((&Encoding::Url, &[]));
        let mut wrapped: Option<Vec<u8>> = None;
        for encoding in first {
            let mut to = Vec::new();
            wrap(*encoding, wrapped.as_deref().unwrap_or(&self.json), &mut to);
            wrapped = Some(to);
        }
        wrap(*last, wrapped.as_deref().unwrap_or(&self.json), out);
    }

    /// The text of marked field `index` of the event that was made into `out` last.
    fn field<'a>(&'a self, index: usize, out: &'a [u8]) -> &'a [u8] {
        let json = if self.encode.is_empty() { out } else { &self.json };
        let range = self.generator.marked().get(index).cloned().unwrap_or(0..0);
        json.get(range).unwrap_or_default()
    }

    /// The key of the event that was made into `out` last: its field's text, or a JSON array of
    /// several; `None` if the spec names no key.
    pub(crate) fn key<'a>(&'a self, out: &'a [u8]) -> Option<Cow<'a, str>> {
        match self.key_fields {
            0 => None,
            1 => Some(text(self.field(0, out))),
            _ => {
                let fields = (0..self.key_fields).map(|index| self.field(index, out));
                let fields: Vec<_> = fields.map(String::from_utf8_lossy).collect();
                Some(Cow::Owned(format!("[{}]", fields.join(","))))
            }
        }
    }

    /// What decides on the shard of the event that was made into `out` last: the field that was
    /// named, else the key.
    pub(crate) fn partition_key<'a>(&'a self, out: &'a [u8]) -> Option<Cow<'a, str>> {
        match self.partition_field {
            Some(index) => Some(text(self.field(index, out))),
            None => self.key(out),
        }
    }
}

/// JSON text without its quotes; what isn't a string, as it stands.
fn text(json: &[u8]) -> Cow<'_, str> {
    let inner = json.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    match inner {
        Some(inner) if !inner.contains(&b'\\') => String::from_utf8_lossy(inner),
        Some(_) => match serde_json::from_slice::<String>(json) {
            Ok(text) => Cow::Owned(text),
            Err(_) => String::from_utf8_lossy(json),
        },
        None => String::from_utf8_lossy(json),
    }
}

fn wrap(encoding: Encoding, from: &[u8], out: &mut Vec<u8>) {
    match encoding {
        Encoding::Url => url(from, out),
        Encoding::Base64 => {
            base64_simd::STANDARD.encode_append(from, out);
        }
    }
}

/// As RFC 3986 has it: everything but letters, digits and `-._~` becomes `%XY`.
fn url(from: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble & 15)).copied().unwrap_or(b'0');
    out.reserve(from.len() * 2);
    for &byte in from {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_encoding_is_that_of_the_published_sample() {
        let mut out = Vec::new();
        let json = br#"{"id":"1","eventType":"IOT_EVENT","createdAt":11999111,"body":"Testevent"}"#;
        url(json, &mut out);
        let expected = "%7B%22id%22%3A%221%22%2C%22eventType%22%3A%22IOT_EVENT%22%2C\
            %22createdAt%22%3A11999111%2C%22body%22%3A%22Testevent%22%7D";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn text_loses_its_quotes_and_escapes() {
        assert_eq!(text(b"\"a\""), "a");
        assert_eq!(text(br#""a\"b\u00e4""#), "a\"b\u{e4}");
        assert_eq!(text(b"17"), "17");
    }
}
