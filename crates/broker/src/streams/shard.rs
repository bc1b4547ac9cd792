//! Shards, and which of them takes a record.

use md5::{Digest, Md5};

use super::record::SequenceNumber;

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub number: u32,
    /// The hash keys that it takes: from here …
    pub hash_start: u128,
    /// … to here, inclusive.
    pub hash_end: u128,
    /// The oldest record that is kept, or the next one to come.
    pub trim_horizon: SequenceNumber,
    /// The next record to come.
    pub next: SequenceNumber,
}

/// The hash ranges of a stream: equal ones, the last takes what is left, as the service splits them.
pub(super) struct Ranges {
    /// Where each begins, ascending; the first is 0.
    starts: Vec<u128>,
}

impl Ranges {
    pub(super) fn new(shards: u32) -> Self {
        let shards = u128::from(shards.max(1));
        // 2^128 / shards, which only for one shard doesn't fit.
        let size = if shards == 1 { 0 } else { (u128::MAX - (shards - 1)) / shards + 1 };
        Self { starts: (0..shards).map(|shard| shard * size).collect() }
    }

    pub(super) fn count(&self) -> usize {
        self.starts.len()
    }

    /// First and last hash key of each shard.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, u128)> {
        let ends = self.starts.iter().skip(1).map(|next| next - 1).chain([u128::MAX]);
        self.starts.iter().copied().zip(ends)
    }

    /// The shard that takes a record. Hashes nothing where there is no choice.
    pub(super) fn shard_of(&self, partition_key: &str, explicit_hash_key: Option<u128>) -> u32 {
        if self.starts.len() == 1 {
            return 0;
        }
        let key = explicit_hash_key.unwrap_or_else(|| hash_key(partition_key));
        let after = self.starts.partition_point(|start| *start <= key);
        u32::try_from(after.saturating_sub(1)).unwrap_or(0)
    }
}

/// The MD5 of a partition key, as a number with the first byte highest.
fn hash_key(partition_key: &str) -> u128 {
    u128::from_be_bytes(Md5::digest(partition_key.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_keys_are_the_md5_of_rfc_1321_with_the_first_byte_highest() {
        assert_eq!(hash_key("a"), 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661);
        assert_eq!(hash_key("abc"), 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72);
        assert_eq!(hash_key("message digest"), 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0);
        // "ä" in UTF-8.
        assert_eq!(hash_key("\u{e4}"), 0x8419_b71c_87a2_25a2_c70b_5048_6fbe_e545);
    }

    #[test]
    fn ranges_are_those_that_the_service_shows() {
        let ranges = |shards| Ranges::new(shards).iter().collect::<Vec<_>>();
        assert_eq!(ranges(1), [(0, u128::MAX)]);
        let half = 170_141_183_460_469_231_731_687_303_715_884_105_727;
        assert_eq!(ranges(2), [(0, half), (half + 1, u128::MAX)]);
        let third = 113_427_455_640_312_821_154_458_202_477_256_070_485;
        assert_eq!(ranges(3), [(0, third - 1), (third, 2 * third - 1), (2 * third, u128::MAX)]);
        for shards in [4, 7, 1000] {
            let ranges = ranges(shards);
            assert_eq!((ranges[0].0, ranges[shards as usize - 1].1), (0, u128::MAX));
            assert!(ranges.windows(2).all(|two| two[0].1 + 1 == two[1].0));
        }
    }

    #[test]
    fn a_record_goes_to_the_range_that_holds_its_key() {
        let ranges = Ranges::new(4);
        for (number, (start, end)) in ranges.iter().enumerate() {
            assert_eq!(ranges.shard_of("x", Some(start)), number as u32);
            assert_eq!(ranges.shard_of("x", Some(end)), number as u32);
        }
        assert_eq!(ranges.shard_of("a", None), 0, "0x0cc1…");
        assert_eq!(ranges.shard_of("abc", None), 2, "0x9001…");
        assert_eq!(ranges.shard_of("message digest", None), 3, "0xf96b…");
        assert_eq!(ranges.shard_of("abc", Some(0)), 0, "the explicit key wins");
    }
}
