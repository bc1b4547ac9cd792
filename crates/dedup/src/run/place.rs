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
        Self::with(key.window_ms, key.expiry_ms())
    }

    /// Where keys with this window and expiry belong.
    pub(crate) fn with(window_ms: i64, expiry_ms: i64) -> Self {
        if window_ms == FOREVER_MS {
            return Self { class: FOREVER, bucket: 0 };
        }
        let bits = 64 - window_ms.max(1).saturating_sub(1).leading_zeros() as u8;
        let class = bits.clamp(CLASS_MIN, FOREVER - 1);
        Self { class, bucket: expiry_ms >> (class - BUCKETS_OF_CLASS_BITS) }
    }

    /// The first and the last expiry, in ms, with which keys of a window of this class lie here.
    pub(crate) const fn expiries(self) -> (i64, i64) {
        if self.class == FOREVER {
            return (i64::MIN, i64::MAX);
        }
        let bits = self.class - BUCKETS_OF_CLASS_BITS;
        (self.bucket << bits, (self.bucket << bits) | ((1 << bits) - 1))
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

    proptest::proptest! {
        #[test]
        fn a_place_holds_all_keys_between_its_first_and_last_expiry(
            window_ms in proptest::prelude::prop_oneof![
                proptest::prelude::Just(FOREVER_MS), 0..i64::MAX, 0_i64..10_000_000],
            recorded_ms: i64,
        ) {
            let place = Place::of(&key(recorded_ms, window_ms));
            let (first, last) = place.expiries();
            let expiry_ms = key(recorded_ms, window_ms).expiry_ms();
            proptest::prop_assert!((first..=last).contains(&expiry_ms));
            for expiry_ms in [first, last] {
                proptest::prop_assert_eq!(Place::with(window_ms, expiry_ms), place);
            }
        }
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
