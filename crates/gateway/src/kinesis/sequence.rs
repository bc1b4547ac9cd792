//! Sequence numbers in Kinesis' long form.

use std::fmt;
use std::str::FromStr;

use broker::streams::{SequenceNumber, Stream};
use event::Offset;

/// What a number of 11 digits can hold.
const CREATION: u64 = 100_000_000_000;
/// What a number of 13 digits can hold.
const CREATED_MS: u64 = 10_000_000_000_000;
/// Digits of the whole, as those of the service.
const DIGITS: usize = 56;
const PREFIX: &str = "49";

/// A sequence number as Kinesis shows it: 56 decimal digits that grow within a shard and differ
/// between shards and between streams.
///
/// | digits | |
/// | --- | --- |
/// | 2 | `49`, as those of the service begin |
/// | 13 | when the stream was made, ms since the Unix epoch |
/// | 11 | of the stream's creation id |
/// | 10 | the shard's number |
/// | 20 | the broker's [`SequenceNumber`], dense |
///
/// Nothing of the broker's number is lost. As a number it is below 2^192, so it fits into an
/// [`Offset`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LongSequenceNumber {
    created_ms: u64,
    creation: u64,
    shard: u32,
    sequence: SequenceNumber,
}

/// The text is no sequence number of this broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sequence number of this broker")]
pub struct NotASequenceNumber;

impl LongSequenceNumber {
    /// The long form of a record's place.
    #[must_use]
    pub fn new(stream: &Stream, shard: u32, sequence: SequenceNumber) -> Self {
        Self::from_parts(stream.created_ms(), stream.creation_id(), shard, sequence)
    }

    /// The long form, out of what it shows.
    #[must_use]
    pub fn from_parts(
        created_ms: i64,
        creation_id: u128,
        shard: u32,
        sequence: SequenceNumber,
    ) -> Self {
        let creation = u64::try_from(creation_id % u128::from(CREATION)).unwrap_or(0);
        let created_ms = u64::try_from(created_ms).unwrap_or(0).min(CREATED_MS - 1);
        Self { created_ms, creation, shard, sequence }
    }

    /// The broker's number.
    #[must_use]
    pub fn sequence(&self) -> SequenceNumber {
        self.sequence
    }

    /// The shard's number.
    #[must_use]
    pub fn shard(&self) -> u32 {
        self.shard
    }

    /// The same shard's long form of another record.
    #[must_use]
    pub fn at(self, sequence: SequenceNumber) -> Self {
        Self { sequence, ..self }
    }

    /// The same stream's long form of another shard.
    #[must_use]
    pub fn on(self, shard: u32) -> Self {
        Self { shard, ..self }
    }

    /// Whether it is of this shard of this stream.
    #[must_use]
    pub fn is_of(&self, stream: &Stream, shard: u32) -> bool {
        *self == Self::new(stream, shard, self.sequence)
    }

    /// The whole as a number.
    #[must_use]
    pub fn offset(&self) -> Offset {
        // Always 56 digits, so it always fits.
        Offset::from_decimal(&self.to_string()).unwrap_or(Offset::ZERO)
    }
}

impl fmt::Display for LongSequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created_ms, creation, shard, sequence } = self;
        write!(f, "{PREFIX}{created_ms:013}{creation:011}{shard:010}{:020}", sequence.0)
    }
}

impl FromStr for LongSequenceNumber {
    type Err = NotASequenceNumber;

    fn from_str(text: &str) -> Result<Self, NotASequenceNumber> {
        let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if text.len() != DIGITS || !all_digits || !text.starts_with(PREFIX) {
            return Err(NotASequenceNumber);
        }
        let part = |from, to| -> Result<u64, NotASequenceNumber> {
            let digits = text.get(from..to).ok_or(NotASequenceNumber)?;
            digits.parse().map_err(|_| NotASequenceNumber)
        };
        Ok(Self {
            created_ms: part(2, 15)?,
            creation: part(15, 26)?,
            shard: u32::try_from(part(26, 36)?).map_err(|_| NotASequenceNumber)?,
            sequence: SequenceNumber(part(36, 56)?),
        })
    }
}

impl TryFrom<Offset> for LongSequenceNumber {
    type Error = NotASequenceNumber;

    fn try_from(offset: Offset) -> Result<Self, NotASequenceNumber> {
        offset.to_decimal().parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(shard: u32, sequence: u64) -> LongSequenceNumber {
        LongSequenceNumber::from_parts(
            1_700_000_000_123,
            u128::MAX - 9,
            shard,
            SequenceNumber(sequence),
        )
    }

    #[test]
    fn there_and_back_in_text_and_as_a_number() {
        for shard in [0, 7, u32::MAX] {
            for sequence in [0, 1, 9_999_999_999, u64::MAX] {
                let long = long(shard, sequence);
                let text = long.to_string();
                assert_eq!(text.len(), 56);
                assert!(text.starts_with("49"));
                assert_eq!(text.parse(), Ok(long));
                assert_eq!(long.offset().to_decimal(), text);
                assert_eq!(LongSequenceNumber::try_from(long.offset()), Ok(long));
                assert_eq!((long.shard(), long.sequence().0), (shard, sequence));
            }
        }
    }

    #[test]
    fn it_grows_within_a_shard_as_text_and_as_a_number() {
        let numbers = [0, 1, 9, 10, 99_999, u64::MAX - 1, u64::MAX].map(|number| long(3, number));
        for pair in numbers.windows(2) {
            assert!(pair[0].to_string() < pair[1].to_string());
            assert!(pair[0].offset() < pair[1].offset());
        }
    }

    #[test]
    fn numbers_of_the_service_fit_and_others_are_refused() {
        let theirs = "49590338271490256608559692538361571095921575989136588898";
        assert_eq!(Offset::from_decimal(theirs).unwrap().to_decimal(), theirs);
        let max = "6277101735386680763835789423207666416102355444464034512895";
        assert_eq!(Offset::from_decimal(max), Some(Offset::from_parts(u64::MAX, u128::MAX)));
        assert_eq!(Offset::from_decimal(&format!("{}6", &max[..57])), None);
        assert_eq!(Offset::ZERO.to_decimal(), "0");
        for bad in ["", "-1", "1x", " 1"] {
            assert_eq!(Offset::from_decimal(bad), None, "{bad:?}");
        }
        for bad in ["", "0", "TRIM_HORIZON", &"9".repeat(56), &format!("49{}", "9".repeat(54))] {
            assert!(bad.parse::<LongSequenceNumber>().is_err(), "{bad:?}");
        }
    }
}
