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

impl Offset {
    /// The number that a decimal text shows, as Kinesis writes its sequence numbers; `None` when it
    /// is empty, holds anything but digits, or is 2^192 or more.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        // Low limb first.
        let mut limbs = [0_u64; 3];
        for byte in text.bytes() {
            let mut carry = u128::from(byte.checked_sub(b'0').filter(|digit| *digit < 10)?);
            for limb in &mut limbs {
                let product = u128::from(*limb) * 10 + carry;
                *limb = product as u64; // its low half; the high one is carried over
                carry = product >> 64;
            }
            if carry != 0 {
                return None;
            }
        }
        let [low, middle, high] = limbs;
        Some(Self::from_parts(high, (u128::from(middle) << 64) | u128::from(low)))
    }

    /// The number in decimal, however long.
    #[must_use]
    pub fn to_decimal(self) -> String {
        let mut limbs = [self.hi, (self.lo >> 64) as u64, self.lo as u64];
        let mut digits = Vec::new();
        while digits.is_empty() || limbs.iter().any(|limb| *limb != 0) {
            let mut rest = 0_u128;
            for limb in &mut limbs {
                let dividend = (rest << 64) | u128::from(*limb);
                *limb = (dividend / 10) as u64; // fits: the rest is below 10
                rest = dividend % 10;
            }
            digits.push(char::from(b'0' + rest as u8));
        }
        digits.iter().rev().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_numbers_of_any_length_come_back() {
        let longest = "6277101735386680763835789423207666416102355444464034512895";
        for text in [
            "0",
            "7",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
            "49590338271490256608559692538361571095921575989136588898",
            longest,
        ] {
            assert_eq!(Offset::from_decimal(text).unwrap().to_decimal(), text);
        }
        let beyond_128_bits = Offset::from_decimal("340282366920938463463374607431768211456");
        assert_eq!(beyond_128_bits, Some(Offset::from_parts(1, 0)));
        assert_eq!(Offset::from_decimal(longest), Some(Offset::from_parts(u64::MAX, u128::MAX)));
        assert!(
            Offset::from_decimal("49590338271490256608559692538361571095921575989136588898")
                > Offset::from_decimal("49590338271490256608559692538361571095921575989136588897")
        );
        for bad in ["", "-1", "12a", "6277101735386680763835789423207666416102355444464034512896"] {
            assert_eq!(Offset::from_decimal(bad), None, "{bad}");
        }
    }
}
