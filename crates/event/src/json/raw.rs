//! One JSON value as the bytes it came in.

use std::borrow::Cow;

use super::{JsonError, NumberTooBig};
use crate::path::FieldPath;

/// What a JSON value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    String,
    /// A number.
    Number,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// The bytes of one JSON value, without whitespace around it, out of a payload that was scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a> {
    bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    /// Takes the bytes of one value out of a scanned payload (or a whole one); whitespace around
    /// it is cut off. The content is not checked again: on bytes that are no valid JSON the
    /// answers below are wrong, but nothing panics.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Raw<'a> {
        Raw { bytes: bytes.trim_ascii() }
    }

    /// The bytes, a string's quotes included.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What the value is, by its first byte.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.bytes.first() {
            Some(b'"') => Kind::String,
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// The text of a string, unescaped; borrowed if it holds no escape. `None` if it is no string,
    /// or if an escape is a lone surrogate (`"\ud800"`), which stands for no text at all.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        None
    }

    /// Whether it is a string with this text.
    #[must_use]
    pub fn is_str(&self, text: &str) -> bool {
        self.as_str().is_some_and(|own| own == text)
    }

    /// The value of a bool.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.bytes {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The value of a number, rounded to the nearest `f64`. `None` if it is no number, or beyond
    /// the range of `f64`.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        None
    }

    /// The value of a number that is written as an integer within `i64`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        None
    }

    /// The members of an object, in their order, names first; nothing if it is no object.
    #[must_use]
    pub fn members(&self) -> Members<'a> {
        Members { rest: self.bytes }
    }

    /// The elements of an array, in their order; nothing if it is no array.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        Elements { rest: self.bytes }
    }

    /// Appends the canonical form of a number, see [`canonical_number`](super::canonical_number).
    ///
    /// # Errors
    /// [`NumberTooBig`]; `out` is as it was then.
    pub fn canonical_number(&self, out: &mut Vec<u8>) -> Result<(), NumberTooBig> {
        super::canonical_number(self.bytes, out)
    }
}

/// The members of an object: name (a [`Raw`] string) and value.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Members<'a> {
    type Item = (Raw<'a>, Raw<'a>);

    fn next(&mut self) -> Option<(Raw<'a>, Raw<'a>)> {
        self.rest = &[];
        None
    }
}

/// The elements of an array.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Elements<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        self.rest = &[];
        None
    }
}

impl FieldPath {
    /// Looks this one field up in a payload that was scanned. Meant for filters and transforms;
    /// a field that every event is asked for belongs into the [`Selection`](super::Selection).
    ///
    /// # Errors
    /// [`JsonError`] if it comes upon something broken (it looks no further than it must), or if
    /// the field stands twice.
    pub fn get<'a>(&self, json: &'a [u8]) -> Result<Option<Raw<'a>>, JsonError> {
        let _ = json;
        Ok(None)
    }
}
