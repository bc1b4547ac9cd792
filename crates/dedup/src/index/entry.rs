//! One entry of the index, and the 40 bytes that it takes in memory.

use super::windows::WindowClass;

/// An entry as it lies in memory: key (low, high), recorded time, body hash, and in the last word
/// the batch number modulo 2^32 (bits 0 to 31), the pipe (32 to 47), the window's class (48 to 60),
/// whether it is of a duplicate (61), and the state (62 and 63). Zeros, so that fresh memory needs no writing.
pub(crate) type Words = [u64; 5];

/// What holds the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The batch of [`Entry::pipe`] and [`Entry::number`]: in flight until the pipe has committed
    /// through it, delivered from then on.
    Batch,
    /// The ledger; the event was delivered.
    Delivered,
    /// The ledger; the event was filtered after its reservation.
    Filtered,
    /// The ledger; the event is a dead letter.
    Dead,
}

/// A key in flight or remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) key: u128,
    pub(crate) recorded_ms: i64,
    pub(crate) body_hash: u64,
    pub(crate) window: WindowClass,
    pub(crate) hold: Hold,
    /// Whether a duplicate put it there, which started the key's window anew: it stands only as
    /// long as its original does.
    pub(crate) refreshes: bool,
    /// The pipe that reserved the key; 0 unless held by a batch.
    pub(crate) pipe: u16,
    /// The batch that reserved the key, modulo 2^32; 0 unless held by a batch.
    pub(crate) number: u32,
}

impl Entry {
    #[inline]
    pub(crate) fn pack(&self) -> Words {
        let hold = match self.hold {
            Hold::Batch => 0,
            Hold::Delivered => 1,
            Hold::Filtered => 2,
            Hold::Dead => 3,
        };
        let owner = u64::from(self.number)
            | u64::from(self.pipe) << 32
            | u64::from(self.window.0) << 48
            | u64::from(self.refreshes) << 61
            | hold << 62;
        let low = self.key as u64;
        let high = (self.key >> 64) as u64;
        [low, high, self.recorded_ms.cast_unsigned(), self.body_hash, owner]
    }

    #[inline]
    pub(crate) fn unpack(words: &Words) -> Self {
        let [low, high, recorded, body_hash, owner] = *words;
        Self {
            key: u128::from(high) << 64 | u128::from(low),
            recorded_ms: recorded.cast_signed(),
            body_hash,
            window: WindowClass((owner >> 48 & 0x1fff) as u16),
            refreshes: owner >> 61 & 1 == 1,
            hold: match owner >> 62 {
                0 => Hold::Batch,
                1 => Hold::Delivered,
                2 => Hold::Filtered,
                _ => Hold::Dead,
            },
            pipe: (owner >> 32) as u16,
            number: owner as u32,
        }
    }

    #[inline]
    pub(super) fn key_of(words: &Words) -> u128 {
        let [low, high, ..] = *words;
        u128::from(high) << 64 | u128::from(low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_packed_unpacks(
            key in any::<u128>(), recorded_ms in any::<i64>(), body_hash in any::<u64>(),
            window in 0..1_u16 << 13, refreshes in any::<bool>(), pipe in any::<u16>(),
            number in any::<u32>(), hold in 0..4
        ) {
            let hold = [Hold::Batch, Hold::Delivered, Hold::Filtered, Hold::Dead][hold as usize];
            let window = WindowClass(window);
            let entry =
                Entry { key, recorded_ms, body_hash, window, hold, refreshes, pipe, number };
            prop_assert_eq!(Entry::unpack(&entry.pack()), entry);
            prop_assert_eq!(Entry::key_of(&entry.pack()), key);
        }
    }
}
