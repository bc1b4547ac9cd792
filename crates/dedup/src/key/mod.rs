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
//! | attribute of bytes | `x`, length, the bytes |
//! | whole body | `B`, length, its form of [`event::json::Canonical`] |
//! | raw body | `R`, length, the bytes |
//! | broker's id | `I`, length, the shard's name, the offset (high 8 bytes, low 16) |
//!
//! The parts of a key of several fields follow each other. An attribute that is text or a number
//! is encoded like a field of that value: only the paths may differ by pipe, so a key that stands
//! in the payload here and in an attribute there is one key. Body and broker's id stand alone.
//!
//! Lengths are 4 bytes, little-endian, in bytes; so are the numbers of an offset. The hash is
//! XXH3-128 under the scope's secret, so that nobody outside can make two keys meet. Both are part
//! of what is on disk: they never change (the test `keys_are_frozen`).

mod definition;
mod problem;
mod secret;
mod value;

pub use definition::{FIELDS_OF_BODY, FIELDS_OF_BROKER_ID, FIELDS_OF_RAW_BODY, definition};
pub use problem::KeyProblem;
pub use value::KeyValue;

use event::Offset;
use event::json::Canonical;
use xxhash_rust::xxh3::{xxh3_64_with_secret, xxh3_128_with_secret};

use secret::Secret;
use value::{encode, push};

/// Makes keys and body hashes of one scope.
#[derive(Clone, Debug)]
pub struct KeyMaker {
    secret: Secret,
    across_types: bool,
    fields: usize,
}

/// A key that is made of the whole body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyKey {
    /// The key.
    pub key: u128,
    /// A hash of the body that is the same for all its spellings.
    pub body_hash: u64,
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
    pub fn key<'a, V: Copy + Into<KeyValue<'a>>>(
        &self,
        event_type: &[u8],
        values: &[Option<V>],
        scratch: &mut Vec<u8>,
    ) -> Result<u128, KeyProblem> {
        self.begin(event_type, scratch);
        for field in 0..self.fields {
            match values.get(field).copied().flatten() {
                Some(value) => encode(field, value.into(), scratch)?,
                None => return Err(KeyProblem::Missing(field)),
            }
        }
        Ok(self.hash(scratch))
    }

    /// The key that the whole body makes, whatever its spelling.
    ///
    /// # Errors
    /// [`KeyProblem::Body`]: it has no canonical form.
    pub fn body_key(
        &self,
        event_type: &[u8],
        body: &[u8],
        canonical: &mut Canonical,
        scratch: &mut Vec<u8>,
    ) -> Result<BodyKey, KeyProblem> {
        self.begin(event_type, scratch);
        push(b'B', &[], scratch);
        let start = scratch.len();
        canonical.write(body, scratch).map_err(KeyProblem::Body)?;
        let form = scratch.get(start..).unwrap_or_default();
        let (len, body_hash) = (form.len() as u32, self.body_hash(form));
        if let Some(place) = scratch.get_mut(start - 4..start) {
            place.copy_from_slice(&len.to_le_bytes());
        }
        Ok(BodyKey { key: self.hash(scratch), body_hash })
    }

    /// The key that the whole body makes, byte for byte.
    #[must_use]
    pub fn raw_body_key(&self, event_type: &[u8], body: &[u8], scratch: &mut Vec<u8>) -> u128 {
        self.begin(event_type, scratch);
        push(b'R', body, scratch);
        self.hash(scratch)
    }

    /// The key that the id makes which the broker gave the event: its shard and its place there,
    /// which for a queue is its message id. `shard` must name the stream, too, where shards of
    /// several streams have one name.
    #[must_use]
    pub fn broker_key(
        &self,
        event_type: &[u8],
        shard: &[&str],
        start: Offset,
        scratch: &mut Vec<u8>,
    ) -> u128 {
        self.begin(event_type, scratch);
        push(b'I', &[], scratch);
        let from = scratch.len();
        shard.iter().for_each(|part| scratch.extend_from_slice(part.as_bytes()));
        let (high, low) = start.parts();
        scratch.extend_from_slice(&high.to_le_bytes());
        scratch.extend_from_slice(&low.to_le_bytes());
        let len = (scratch.len() - from) as u32;
        if let Some(place) = scratch.get_mut(from - 4..from) {
            place.copy_from_slice(&len.to_le_bytes());
        }
        self.hash(scratch)
    }

    /// The hash of an event's body.
    #[must_use]
    pub fn body_hash(&self, body: &[u8]) -> u64 {
        xxh3_64_with_secret(body, self.secret.bytes())
    }

    #[inline]
    fn begin(&self, event_type: &[u8], scratch: &mut Vec<u8>) {
        scratch.clear();
        if !self.across_types {
            push(b'T', event_type, scratch);
        }
    }

    #[inline]
    fn hash(&self, encoded: &[u8]) -> u128 {
        xxh3_128_with_secret(encoded, self.secret.bytes())
    }
}
