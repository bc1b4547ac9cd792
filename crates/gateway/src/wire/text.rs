//! A JSON string that stays where it is, if it can.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A string of a request: a piece of the request itself, unless something in it was escaped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Text<'a>(Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Text<'_> {
    /// The text as bytes: a slice of `request`, which it was read from, or a copy.
    pub(crate) fn bytes(&self, request: &Bytes) -> Bytes {
        let text = match &self.0 {
            Cow::Borrowed(text) => text.as_bytes(),
            Cow::Owned(text) => return Bytes::copy_from_slice(text.as_bytes()),
        };
        let start = (text.as_ptr() as usize).checked_sub(request.as_ptr() as usize);
        match start {
            Some(start) if start + text.len() <= request.len() => {
                request.slice(start..start + text.len())
            }
            _ => Bytes::copy_from_slice(text),
        }
    }

    /// The text, owned.
    pub(crate) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Borrowing)
    }
}

struct Borrowing;

impl<'de> Visitor<'de> for Borrowing {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Text<'de>, E> {
        Ok(Text(Cow::Owned(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_escaped_is_a_slice_of_the_request() {
        let request = Bytes::from_static(br#"{"a":"plain","b":"esc\u0041ped"}"#);
        let map: std::collections::BTreeMap<Text<'_>, Text<'_>> =
            sonic_rs::from_slice(&request).unwrap();
        let texts: Vec<_> = map.values().collect();
        let plain = texts[0].bytes(&request);
        assert_eq!(plain.as_ptr(), request[6..].as_ptr());
        assert_eq!(plain, "plain");
        assert_eq!(texts[1].bytes(&request), "escAped");
    }
}
