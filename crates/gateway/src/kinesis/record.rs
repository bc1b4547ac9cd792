//! Records as given to PutRecord and PutRecords.

use broker::streams::NewRecord;
use bytes::Bytes;

use super::error::{Kind, KinesisError};
use crate::wire::Text;

/// Bytes of data of a record, before base64.
const DATA_BYTES_MAX: usize = 1 << 20;
const KEY_CHARS_MAX: usize = 256;

/// A record as given.
pub(super) struct Draft<'a, 'b> {
    /// Base64.
    pub(super) data: Option<&'b Text<'a>>,
    pub(super) partition_key: Option<&'b Text<'a>>,
    pub(super) explicit_hash_key: Option<&'b Text<'a>>,
}

/// The records, checked. Their data are slices of one buffer.
pub(super) fn check(drafts: &[Draft<'_, '_>]) -> Result<Vec<NewRecord>, KinesisError> {
    let mut bytes = 0;
    for draft in drafts {
        let data = draft.data.ok_or_else(|| KinesisError::missing("data"))?;
        bytes += base64_simd::STANDARD.decoded_length(data.as_bytes()).map_err(|_| not_base64())?;
    }
    let mut buffer = vec![0; bytes];
    let mut ends = Vec::with_capacity(drafts.len());
    let mut at = 0;
    for draft in drafts {
        let data = draft.data.map_or(&[][..], |data| data.as_bytes());
        let into = buffer.get_mut(at..).unwrap_or_default();
        let decoded = base64_simd::STANDARD
            .decode(data, base64_simd::Out::from_slice(into))
            .map_err(|_| not_base64())?
            .len();
        if decoded > DATA_BYTES_MAX {
            let what = format!("Member must have length less than or equal to {DATA_BYTES_MAX}");
            return Err(KinesisError::constraint(format_args!("{decoded} bytes"), "data", what));
        }
        ends.push((at, at + decoded));
        at += decoded;
    }
    let buffer = Bytes::from(buffer);
    let of = |(draft, (from, to)): (&Draft<'_, '_>, (usize, usize))| {
        Ok(NewRecord {
            partition_key: key(draft.partition_key)?.to_owned(),
            explicit_hash_key: draft.explicit_hash_key.map(|key| hash_key(key)).transpose()?,
            data: buffer.slice(from..to),
        })
    };
    drafts.iter().zip(ends).map(of).collect()
}

fn not_base64() -> KinesisError {
    KinesisError::new(Kind::Serialization, "the data of a record is not base64")
}

fn key<'b>(key: Option<&'b Text<'_>>) -> Result<&'b str, KinesisError> {
    let key: &str = key.ok_or_else(|| KinesisError::missing("partitionKey"))?;
    if key.is_empty() {
        let what = "Member must have length greater than or equal to 1";
        return Err(KinesisError::constraint(key, "partitionKey", what));
    }
    if key.len() > KEY_CHARS_MAX && key.chars().count() > KEY_CHARS_MAX {
        let what = "Member must have length less than or equal to 256";
        return Err(KinesisError::constraint(key, "partitionKey", what));
    }
    Ok(key)
}

fn hash_key(key: &str) -> Result<u128, KinesisError> {
    let digits = key.bytes().all(|byte| byte.is_ascii_digit());
    let plain = key == "0" || !key.starts_with('0');
    if !digits || !plain || key.is_empty() {
        let what = "Member must satisfy regular expression pattern: 0|([1-9]\\d{0,38})";
        return Err(KinesisError::constraint(key, "explicitHashKey", what));
    }
    key.parse().map_err(|_| {
        let what = "Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1].";
        KinesisError::argument(format!("{what} Specified value was {key}"))
    })
}

/// What a record counts in its shard's rate, and in the size of a request.
pub(super) fn size(record: &NewRecord) -> usize {
    record.data.len() + record.partition_key.len()
}
