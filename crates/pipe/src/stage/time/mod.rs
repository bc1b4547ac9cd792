//! Times in events: text or a count since 1970, read exactly, written in the other form.
//!
//! Between reading and writing a time is a count of nanoseconds since 1970-01-01T00:00:00Z in an
//! `i64`, so that no digit that a producer wrote gets lost on the way.

mod rfc3339;

use event::json::{Kind, Raw};

use self::rfc3339::parse_rfc3339;
pub use self::rfc3339::write_rfc3339;
use super::decimal::Decimal;

/// The earliest time that is taken, in ns since 1970: 1990-01-01T00:00:00Z. What lies before it is
/// a count in a wrong unit, a zero or a clock that was never set.
pub const TIME_NS_MIN: i64 = 631_152_000_000_000_000;
/// The latest time that is taken, in ns since 1970: 2100-01-01T00:00:00Z.
pub const TIME_NS_MAX: i64 = 4_102_444_800_000_000_000;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: i64 = 1_000_000;

/// How a field holds a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeFormat {
    /// Text as in RFC 3339: `2015-09-11T00:46:58.771Z`, `2015-09-11 02:46:58+02:00`.
    Rfc3339,
    /// Seconds since 1970, with or without decimals.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// Microseconds since 1970.
    EpochMicros,
    /// Nanoseconds since 1970.
    EpochNanos,
}

/// Why a value isn't a time in the format that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// A time, but not in this format; as `looks_like` it would lie between 1990 and 2100.
    #[error("the time isn't in {expected}: it looks like {looks_like}")]
    WrongUnit {
        /// The format that was asked for.
        expected: TimeFormat,
        /// The format in which the value makes sense.
        looks_like: TimeFormat,
    },
    /// Readable, but before 1990 or after 2100, and in no other unit between them.
    #[error("as {expected} the time lies before 1990 or after 2100, and it fits no other unit")]
    OutOfRange {
        /// The format that was asked for.
        expected: TimeFormat,
    },
    /// No time at all: neither text as in RFC 3339 nor a number.
    #[error("the value isn't a time in {expected}")]
    Broken {
        /// The format that was asked for.
        expected: TimeFormat,
    },
}

impl TimeError {
    /// A stable snake_case name, used as the reason of a rejection.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            TimeError::WrongUnit { .. } => "time_wrong_unit",
            TimeError::OutOfRange { .. } => "time_out_of_range",
            TimeError::Broken { .. } => "time_broken",
        }
    }
}

impl std::fmt::Display for TimeFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Every format, as configuration names them.
pub const TIME_FORMATS: [TimeFormat; 5] = [
    TimeFormat::Rfc3339,
    TimeFormat::EpochSeconds,
    TimeFormat::EpochMillis,
    TimeFormat::EpochMicros,
    TimeFormat::EpochNanos,
];

impl TimeFormat {
    /// The name that configuration uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TimeFormat::Rfc3339 => "rfc3339",
            TimeFormat::EpochSeconds => "epoch_seconds",
            TimeFormat::EpochMillis => "epoch_millis",
            TimeFormat::EpochMicros => "epoch_micros",
            TimeFormat::EpochNanos => "epoch_nanos",
        }
    }

    /// Nanoseconds in one step of the count; `None` for text.
    fn unit_ns(self) -> Option<i64> {
        match self {
            TimeFormat::Rfc3339 => None,
            TimeFormat::EpochSeconds => Some(NS_PER_S),
            TimeFormat::EpochMillis => Some(NS_PER_MS),
            TimeFormat::EpochMicros => Some(1_000),
            TimeFormat::EpochNanos => Some(1),
        }
    }

    /// Reads a time as milliseconds since 1970; what is finer is cut off.
    ///
    /// # Errors
    /// As [`parse_ns`](TimeFormat::parse_ns).
    pub fn parse_ms(self, raw: Raw<'_>) -> Result<i64, TimeError> {
        self.parse_ns(raw).map(|ns| ns.div_euclid(NS_PER_MS))
    }

    /// Reads a time as nanoseconds since 1970; what is finer is cut off. The formats that count
    /// take a number, and a string that holds one.
    ///
    /// # Errors
    /// [`TimeError`] for what is no time, and for one before [`TIME_NS_MIN`] or after
    /// [`TIME_NS_MAX`]: nearly always that is another unit than the one configured, and then the
    /// error names it.
    pub fn parse_ns(self, raw: Raw<'_>) -> Result<i64, TimeError> {
        match raw.kind() {
            Kind::String => {
                let inner = raw.bytes().get(1..raw.bytes().len().saturating_sub(1));
                let inner = inner.unwrap_or_default();
                match self.parse_text(inner) {
                    // An escape (`\u002d`, `\/`) is rare: only what failed is looked at again.
                    Err(error) if inner.contains(&b'\\') => match raw.as_str() {
                        Some(text) => self.parse_text(text.as_bytes()),
                        None => Err(error),
                    },
                    result => result,
                }
            }
            Kind::Number => self.parse_count(raw.bytes()),
            Kind::Bool | Kind::Null | Kind::Object | Kind::Array => {
                Err(TimeError::Broken { expected: self })
            }
        }
    }

    #[inline]
    fn parse_text(self, text: &[u8]) -> Result<i64, TimeError> {
        if self != TimeFormat::Rfc3339 {
            return match (self.parse_count(text), parse_rfc3339(text)) {
                (Err(TimeError::Broken { expected }), Some(_)) => {
                    Err(TimeError::WrongUnit { expected, looks_like: TimeFormat::Rfc3339 })
                }
                (result, _) => result,
            };
        }
        match parse_rfc3339(text) {
            Some(ns) if (TIME_NS_MIN..=TIME_NS_MAX).contains(&ns) => Ok(ns),
            Some(_) => Err(TimeError::OutOfRange { expected: self }),
            None => Err(wrong_unit_or_broken(self, text)),
        }
    }

    #[inline]
    fn parse_count(self, digits: &[u8]) -> Result<i64, TimeError> {
        let Some(unit_ns) = self.unit_ns() else {
            return Err(wrong_unit_or_broken(self, digits));
        };
        match count_ns(digits, unit_ns) {
            Count::Ns(ns) if (TIME_NS_MIN..=TIME_NS_MAX).contains(&ns) => Ok(ns),
            Count::NotANumber => Err(TimeError::Broken { expected: self }),
            Count::Ns(_) | Count::Huge => Err(match unit_that_fits(digits) {
                Some(looks_like) => TimeError::WrongUnit { expected: self, looks_like },
                None => TimeError::OutOfRange { expected: self },
            }),
        }
    }

    /// Appends a time (ns since 1970) as a JSON value. RFC 3339 is written in UTC with `Z` and as
    /// many groups of three decimals as it needs; seconds with the decimals they have; the finer
    /// counts as whole numbers, with what is finer than their unit cut off.
    pub fn write(self, ns: i64, out: &mut Vec<u8>) {
        match self {
            TimeFormat::Rfc3339 => {
                out.push(b'"');
                write_rfc3339(ns, out);
                out.push(b'"');
            }
            TimeFormat::EpochSeconds => {
                // By magnitude, so that -1.5 isn't written as -2.5.
                if ns < 0 {
                    out.push(b'-');
                }
                let ns = ns.unsigned_abs();
                let (seconds, fraction) = (ns / 1_000_000_000, ns % 1_000_000_000);
                push_integer(i64::try_from(seconds).unwrap_or(i64::MAX), out);
                if fraction != 0 {
                    out.push(b'.');
                    push_padded(fraction, 9, out);
                    while out.last() == Some(&b'0') {
                        out.pop();
                    }
                }
            }
            TimeFormat::EpochMillis => push_integer(ns.div_euclid(NS_PER_MS), out),
            TimeFormat::EpochMicros => push_integer(ns.div_euclid(1_000), out),
            TimeFormat::EpochNanos => push_integer(ns, out),
        }
    }
}

/// What a value is that isn't RFC 3339 text: a count since 1970 perhaps.
#[cold]
fn wrong_unit_or_broken(expected: TimeFormat, text: &[u8]) -> TimeError {
    match unit_that_fits(text) {
        Some(looks_like) => TimeError::WrongUnit { expected, looks_like },
        None => TimeError::Broken { expected },
    }
}

/// The unit in which this number lies between 1990 and 2100. The ranges don't overlap.
#[cold]
fn unit_that_fits(digits: &[u8]) -> Option<TimeFormat> {
    TIME_FORMATS.into_iter().find(|format| {
        let Some(unit_ns) = format.unit_ns() else { return false };
        matches!(count_ns(digits, unit_ns), Count::Ns(ns) if (TIME_NS_MIN..=TIME_NS_MAX).contains(&ns))
    })
}

enum Count {
    Ns(i64),
    /// Beyond what an `i64` of nanoseconds holds.
    Huge,
    NotANumber,
}

/// Reads a number as JSON writes it, exactly, and scales it to nanoseconds.
#[inline]
fn count_ns(text: &[u8], unit_ns: i64) -> Count {
    // The usual case: up to 18 digits and nothing else.
    if (1..=18).contains(&text.len()) && !(text.len() > 1 && text.first() == Some(&b'0')) {
        let mut value = 0_i64;
        let mut all_digits = true;
        for byte in text {
            let digit = byte.wrapping_sub(b'0');
            all_digits &= digit < 10;
            value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        }
        if all_digits {
            return value.checked_mul(unit_ns).map_or(Count::Huge, Count::Ns);
        }
    }
    count_ns_general(text, unit_ns)
}

/// As [`count_ns`], with sign, decimals and exponent.
#[cold]
fn count_ns_general(text: &[u8], unit_ns: i64) -> Count {
    let Some(number) = Decimal::read(text) else { return Count::NotANumber };
    number.scaled(unit_ns).map_or(Count::Huge, |scaled| Count::Ns(scaled.floor))
}

/// Appends a number with leading zeros up to `width` digits.
fn push_padded(mut number: u64, width: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + width, b'0');
    for slot in out.iter_mut().skip(start).rev() {
        *slot = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn push_integer(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[cfg(test)]
mod tests;
