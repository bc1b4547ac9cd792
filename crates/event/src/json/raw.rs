//! One JSON value as the bytes it came in.

use std::borrow::Cow;

use super::lookup::{Elements, Members};
use super::{NumberTooBig, text};

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
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Raw<'a> {
        Raw { bytes: bytes.trim_ascii() }
    }

    /// Exactly the bytes of one value.
    #[inline]
    pub(super) fn whole(bytes: &'a [u8]) -> Raw<'a> {
        Raw { bytes }
    }

    /// The bytes, a string's quotes included.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// What the value is, by its first byte.
    #[must_use]
    #[inline]
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
    /// or if an escape in it is half a surrogate pair (`"\ud800"`): the grammar of RFC 8259 lets
    /// that pass, so a scan does, but it stands for no text.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        text::unescape(self.inner()?)
    }

    /// Whether it is a string that stands for this text. Allocates nothing.
    #[must_use]
    pub fn is_str(&self, text: &str) -> bool {
        self.inner().is_some_and(|inner| text::stands_for(inner, text.as_bytes()))
    }

    /// The bytes between a string's quotes, escapes as they came.
    fn inner(&self) -> Option<&'a [u8]> {
        self.bytes.strip_prefix(b"\"")?.strip_suffix(b"\"")
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
        self.number()?.parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// The value of a number that is written as an integer (no point, no exponent) within `i64`.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.number()?.parse().ok()
    }

    fn number(&self) -> Option<&'a str> {
        match self.bytes.first() {
            Some(b'-' | b'0'..=b'9') => std::str::from_utf8(self.bytes).ok(),
            _ => None,
        }
    }

    /// Appends the canonical form of a number, see [`canonical_number`](super::canonical_number).
    ///
    /// # Errors
    /// [`NumberTooBig`]; `out` is as it was then.
    pub fn canonical_number(&self, out: &mut Vec<u8>) -> Result<(), NumberTooBig> {
        super::canonical_number(self.bytes, out)
    }

    /// The members of an object, names first, in their order and also those that stand twice;
    /// nothing if it is no object.
    #[must_use]
    pub fn members(&self) -> Members<'a> {
        Members::new(self.bytes)
    }

    /// The elements of an array, in their order; nothing if it is no array.
    #[must_use]
    pub fn elements(&self) -> Elements<'a> {
        Elements::new(self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_what_its_bytes_say() {
        assert_eq!(Raw::new(b" true\n").as_bool(), Some(true));
        assert_eq!(Raw::new(b"false").as_bool(), Some(false));
        assert_eq!(Raw::new(b"\"true\"").as_bool(), None);
        assert_eq!(Raw::new(br#""a\u0041""#).as_str().as_deref(), Some("aA"));
        assert!(Raw::new(br#""a\u0041""#).is_str("aA"));
        assert!(!Raw::new(b"aA").is_str("aA"));
        assert_eq!(Raw::new(b"\"").as_str(), None);
        assert_eq!(Raw::new(b"-12").as_i64(), Some(-12));
        assert_eq!(Raw::new(b"1.0").as_i64(), None);
        assert_eq!(Raw::new(b"9223372036854775808").as_i64(), None);
        assert_eq!(Raw::new(b"-1.5e2").as_f64(), Some(-150.0));
        assert_eq!(Raw::new(b"1e999").as_f64(), None);
        assert_eq!(Raw::new(b"\"1\"").as_f64(), None);
        for (bytes, kind) in [
            (&b"\"\""[..], Kind::String),
            (b"-1", Kind::Number),
            (b"true", Kind::Bool),
            (b"null", Kind::Null),
            (b"{}", Kind::Object),
            (b"[]", Kind::Array),
        ] {
            assert_eq!(Raw::new(bytes).kind(), kind);
        }
    }
}
