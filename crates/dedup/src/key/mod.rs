//! What makes two events the same, as 128 bits.
//!
//! A key is the hash of an encoding that no two different lists of values share:
//!
//! | part | bytes |
//! | --- | --- |
//! | event type, unless `across_types` | `T`, length, the type |
//! | string | `s`, length, the text in UTF-8 without escapes |
//! | number | `n`, length, the canonical form of [`event::json::canonical_number`] |
//! | bool | `t` or `f` |
//!
//! Lengths are 4 bytes, little-endian, in bytes. The hash is XXH3-128 under the scope's secret, so
//! that nobody outside can make two keys meet. Both are part of what is on disk: they never change
//! (the test `keys_are_frozen`).

mod secret;

use event::json::{Kind, Raw};
use xxhash_rust::xxh3::{xxh3_64_with_secret, xxh3_128_with_secret};

use secret::Secret;

/// Why an event has no key. The number is the index of the key's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// The field isn't there.
    #[error("key field {0} is missing")]
    Missing(usize),
    /// The field is null.
    #[error("key field {0} is null")]
    Null(usize),
    /// The field is an object or an array.
    #[error("key field {0} is an object or an array, not a string, number or bool")]
    NotScalar(usize),
    /// The field is a string with half of a surrogate pair: no text.
    #[error("key field {0} holds half of a surrogate pair, which is no text")]
    NotText(usize),
    /// The field is a number beyond what is compared by value.
    #[error("key field {0} is a number too long to be compared by value")]
    NumberTooBig(usize),
}

impl KeyProblem {
    /// The stable name of the rule, for counters and the rejected file.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing(_) => "key_missing",
            Self::Null(_) => "key_null",
            Self::NotScalar(_) => "key_not_scalar",
            Self::NotText(_) => "key_not_text",
            Self::NumberTooBig(_) => "key_number_too_big",
        }
    }

    /// The index of the field.
    #[must_use]
    pub const fn field(self) -> usize {
        match self {
            Self::Missing(field)
            | Self::Null(field)
            | Self::NotScalar(field)
            | Self::NotText(field)
            | Self::NumberTooBig(field) => field,
        }
    }
}

/// Makes keys and body hashes of one scope.
#[derive(Clone, Debug)]
pub struct KeyMaker {
    secret: Secret,
    across_types: bool,
    fields: usize,
}

impl KeyMaker {
    /// For a scope with this secret, whose keys have `fields` fields, and include the event's type
    /// unless `across_types`.
    #[must_use]
    pub fn new(secret: &[u8; 16], across_types: bool, fields: usize) -> Self {
        Self { secret: Secret::expand(secret), across_types, fields }
    }

    /// The key of an event: `values` are its key fields, in the order of the config. `scratch` is
    /// room to work in; what it held is gone.
    ///
    /// # Errors
    /// [`KeyProblem`] for the first field that makes no key.
    pub fn key(
        &self,
        event_type: &[u8],
        values: &[Option<Raw<'_>>],
        scratch: &mut Vec<u8>,
    ) -> Result<u128, KeyProblem> {
        scratch.clear();
        if !self.across_types {
            push(b'T', event_type, scratch);
        }
        for field in 0..self.fields {
            match values.get(field).copied().flatten() {
                Some(value) => encode(field, value, scratch)?,
                None => return Err(KeyProblem::Missing(field)),
            }
        }
        Ok(xxh3_128_with_secret(scratch, self.secret.bytes()))
    }

    /// The hash of an event's body.
    #[must_use]
    pub fn body_hash(&self, body: &[u8]) -> u64 {
        xxh3_64_with_secret(body, self.secret.bytes())
    }
}

#[inline]
fn push(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    // A payload holds less than 4 GiB.
    let [a, b, c, d] = (content.len() as u32).to_le_bytes();
    out.reserve(5 + content.len());
    out.extend_from_slice(&[tag, a, b, c, d]);
    out.extend_from_slice(content);
}

#[inline]
fn encode(field: usize, value: Raw<'_>, out: &mut Vec<u8>) -> Result<(), KeyProblem> {
    match value.kind() {
        Kind::String => {
            // Most strings hold no escape: then what stands between the quotes is the text.
            let bytes = value.bytes();
            let inner = bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or(&[]);
            if memchr::memchr(b'\\', inner).is_none() {
                push(b's', inner, out);
                return Ok(());
            }
            let text = value.as_str().ok_or(KeyProblem::NotText(field))?;
            push(b's', text.as_bytes(), out);
        }
        Kind::Number => encode_number(field, value, out)?,
        Kind::Bool => out.push(if value.bytes() == b"true" { b't' } else { b'f' }),
        Kind::Null => return Err(KeyProblem::Null(field)),
        Kind::Object | Kind::Array => return Err(KeyProblem::NotScalar(field)),
    }
    Ok(())
}

fn encode_number(field: usize, value: Raw<'_>, out: &mut Vec<u8>) -> Result<(), KeyProblem> {
    out.extend_from_slice(&[b'n', 0, 0, 0, 0]);
    let start = out.len();
    value.canonical_number(out).map_err(|_| KeyProblem::NumberTooBig(field))?;
    let len = (out.len() - start) as u32;
    if let Some(place) = out.get_mut(start - 4..start) {
        place.copy_from_slice(&len.to_le_bytes());
    }
    Ok(())
}
