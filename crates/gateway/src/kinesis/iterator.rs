//! Shard iterators: all that a read needs, with the time of issue and a check sum.

use broker::streams::{SequenceNumber, Stream};
use md5::{Digest, Md5};

use super::error::{Kind, KinesisError};

const VERSION: u8 = 1;
const SUM_BYTES: usize = 8;
/// Before the content of the check sum, so that no other one fits.
const SALT: &[u8] = b"onceflow shard iterator";

/// Where a shard is read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShardIterator {
    pub(super) stream: String,
    /// Of the stream that had the name then.
    pub(super) creation_id: u128,
    pub(super) shard: u32,
    pub(super) from: SequenceNumber,
    pub(super) issued_ms: i64,
}

impl ShardIterator {
    pub(super) fn new(stream: &Stream, shard: u32, from: SequenceNumber, now_ms: i64) -> Self {
        let creation_id = stream.creation_id();
        Self { stream: stream.name().into(), creation_id, shard, from, issued_ms: now_ms }
    }

    /// As a client gets it.
    pub(super) fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(self.issued_ms.to_be_bytes());
        bytes.extend(self.creation_id.to_be_bytes());
        bytes.extend(self.shard.to_be_bytes());
        bytes.extend(self.from.0.to_be_bytes());
        bytes.extend(self.stream.as_bytes());
        let sum = sum(&bytes);
        bytes.extend(sum);
        base64_simd::STANDARD.encode_to_string(bytes)
    }

    /// The iterator of a text; refused when it was not made here or is older than `life_ms`.
    pub(super) fn decode(text: &str, now_ms: i64, life_ms: i64) -> Result<Self, KinesisError> {
        let iterator =
            Self::read(text).ok_or_else(|| KinesisError::argument("Invalid ShardIterator."))?;
        if now_ms.saturating_sub(iterator.issued_ms) > life_ms {
            let message = format!(
                "Iterator expired. The iterator was created at time {} while right now it is \
                 {now_ms} which is further in the future than the tolerated delay of {life_ms} \
                 milliseconds.",
                iterator.issued_ms
            );
            return Err(KinesisError::new(Kind::ExpiredIterator, message));
        }
        Ok(iterator)
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = base64_simd::STANDARD.decode_to_vec(text).ok()?;
        let (content, check) = bytes.split_at_checked(bytes.len().checked_sub(SUM_BYTES)?)?;
        if check != sum(content) {
            return None;
        }
        let (version, rest) = content.split_first()?;
        let (issued_ms, rest) = rest.split_first_chunk()?;
        let (creation_id, rest) = rest.split_first_chunk()?;
        let (shard, rest) = rest.split_first_chunk()?;
        let (from, stream) = rest.split_first_chunk()?;
        if *version != VERSION {
            return None;
        }
        Some(Self {
            stream: std::str::from_utf8(stream).ok()?.into(),
            creation_id: u128::from_be_bytes(*creation_id),
            shard: u32::from_be_bytes(*shard),
            from: SequenceNumber(u64::from_be_bytes(*from)),
            issued_ms: i64::from_be_bytes(*issued_ms),
        })
    }
}

fn sum(content: &[u8]) -> [u8; SUM_BYTES] {
    let digest = Md5::new().chain_update(SALT).chain_update(content).finalize();
    digest.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iterator() -> ShardIterator {
        ShardIterator {
            stream: "app-events".into(),
            creation_id: 77 << 100,
            shard: 3,
            from: SequenceNumber(1 << 60),
            issued_ms: 1_000_000,
        }
    }

    #[test]
    fn an_iterator_gives_back_its_place_and_a_changed_one_does_not() {
        let text = iterator().encode();
        assert_eq!(ShardIterator::decode(&text, 1_000_000, 300_000).unwrap(), iterator());
        for at in 0..text.len() {
            let mut bad = text.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let error = ShardIterator::decode(&String::from_utf8(bad).unwrap(), 0, 0).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidArgument);
        }
        for bad in ["", "AAAA", "no base64", &text[..40]] {
            assert!(ShardIterator::decode(bad, 0, 0).is_err(), "{bad}");
        }
    }

    #[test]
    fn it_lives_for_five_minutes() {
        let text = iterator().encode();
        assert!(ShardIterator::decode(&text, 1_300_000, 300_000).is_ok());
        let error = ShardIterator::decode(&text, 1_300_001, 300_000).unwrap_err();
        assert_eq!(error.kind, Kind::ExpiredIterator);
    }
}
