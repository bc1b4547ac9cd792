//! Which run a key belongs to: by window class and expiry bucket, so that forgetting is deleting
//! a file.

use crate::scope::{CommittedKey, FOREVER_MS};

/// The class of windows without end. They have one bucket.
pub(crate) const FOREVER: u8 = 63;
/// Windows of up to 2^19 ms (8.7 min) share a class, so that short ones don't make many files.
const CLASS_MIN: u8 = 19;
/// A bucket spans a quarter of the longest window of its class.
const BUCKETS_OF_CLASS_BITS: u8 = 2;

/// A window class and an expiry bucket in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Windows of at most 2^class ms, and more than half of that; [`FOREVER`] without end.
    pub(crate) class: u8,
    /// Whole spans of 2^(class - 2) ms between the Unix epoch and the key's expiry.
    pub(crate) bucket: i64,
}

impl Place {
    pub(crate) fn of(key: &CommittedKey) -> Self {
        if key.window_ms == FOREVER_MS {
            return Self { class: FOREVER, bucket: 0 };
        }
        let bits = 64 - key.window_ms.max(1).saturating_sub(1).leading_zeros() as u8;
        let class = bits.clamp(CLASS_MIN, FOREVER - 1);
        Self { class, bucket: key.expiry_ms() >> (class - BUCKETS_OF_CLASS_BITS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::KeyState;

    fn key(recorded_ms: i64, window_ms: i64) -> CommittedKey {
        CommittedKey {
            key: 1,
            recorded_ms,
            window_ms,
            body_hash: 0,
            state: KeyState::Delivered,
            by: Default::default(),
        }
    }

    #[test]
    fn windows_of_one_class_share_buckets() {
        assert_eq!(Place::of(&key(0, 300_000)).class, CLASS_MIN);
        assert_eq!(Place::of(&key(0, 1)).class, CLASS_MIN);
        assert_eq!(Place::of(&key(0, 0)).class, CLASS_MIN);
        assert_eq!(Place::of(&key(0, 600_000)).class, 20);
        assert_eq!(Place::of(&key(0, 1 << 20)).class, 20);
        assert_eq!(Place::of(&key(0, (1 << 20) + 1)).class, 21);
        assert_eq!(Place::of(&key(0, i64::MAX - 1)).class, FOREVER - 1);
        assert_eq!(Place::of(&key(9, FOREVER_MS)), Place { class: FOREVER, bucket: 0 });
    }

    #[test]
    fn a_class_has_few_buckets_at_a_time() {
        let window_ms = 86_400_000;
        let first = Place::of(&key(1_700_000_000_000, window_ms));
        let last = Place::of(&key(1_700_000_000_000 + window_ms, window_ms));
        assert_eq!(first.class, last.class);
        assert!(last.bucket - first.bucket <= 4);
    }
}
