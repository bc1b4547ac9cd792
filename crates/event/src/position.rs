//! Where in its source an event stood.

use std::fmt;
use std::sync::Arc;

/// The part of a source that has an order of its own: a file, a shard, a partition, a queue.
/// The text is the source's; it is stable over restarts.
pub type ShardId = Arc<str>;

/// An order number within a shard: a file's byte offset, a partition's offset or a stream's
/// sequence number. 192 bits, because Kinesis' sequence numbers have up to 56 decimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset {
    hi: u64,
    lo: u128,
}

impl Offset {
    /// The lowest offset.
    pub const ZERO: Self = Self { hi: 0, lo: 0 };

    /// Out of its high 64 and low 128 bits.
    #[must_use]
    pub const fn from_parts(hi: u64, lo: u128) -> Self {
        Self { hi, lo }
    }

    /// Its high 64 and low 128 bits.
    #[must_use]
    pub const fn parts(self) -> (u64, u128) {
        (self.hi, self.lo)
    }

    /// The number, where it fits into 64 bits.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        if self.hi == 0 { u64::try_from(self.lo).ok() } else { None }
    }
}

impl From<u64> for Offset {
    fn from(value: u64) -> Self {
        Self { hi: 0, lo: u128::from(value) }
    }
}

impl fmt::Display for Offset {
    /// Decimal up to 128 bits, hexadecimal beyond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hi == 0 { self.lo.fmt(f) } else { write!(f, "0x{:x}{:032x}", self.hi, self.lo) }
    }
}

impl Offset {
    /// The next whole number.
    #[must_use]
    pub const fn next(self) -> Self {
        match self.lo.checked_add(1) {
            Some(lo) => Self { hi: self.hi, lo },
            None => Self { hi: self.hi + 1, lo: 0 },
        }
    }
}
