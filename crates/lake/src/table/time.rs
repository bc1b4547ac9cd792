//! The event time of a row.

use event::json::{Kind, Raw};
use event::path::FieldPath;

/// The earliest event time that is taken, ns since 1970: 1990. What lies before it is a count in a
/// wrong unit, a zero, or a clock that was never set.
const NS_MIN: i128 = 631_152_000_000_000_000;
/// The latest: 2100.
const NS_MAX: i128 = 4_102_444_800_000_000_000;

/// How a field holds a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFormat {
    /// Text as in RFC 3339.
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

/// Where a row's event time stands, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTime {
    /// The field.
    pub path: FieldPath,
    /// How it holds the time.
    pub format: TimeFormat,
}

impl TimeFormat {
    fn unit_ns(self) -> i128 {
        match self {
            Self::Rfc3339 | Self::EpochNanos => 1,
            Self::EpochSeconds => 1_000_000_000,
            Self::EpochMillis => 1_000_000,
            Self::EpochMicros => 1_000,
        }
    }

    /// The time in ns since 1970, what is finer cut off; `None` for what is no time in this format,
    /// or lies before 1990 or after 2100. A count may also stand in a string.
    pub(crate) fn read(self, raw: Raw<'_>) -> Option<i64> {
        let bytes = raw.bytes();
        let ns = match (raw.kind(), self) {
            (Kind::String, Self::Rfc3339) => match rfc3339(bytes.get(1..bytes.len() - 1)?) {
                Some(ns) => ns,
                None => slow_rfc3339(&raw.as_str()?)?,
            },
            (Kind::String, _) => count(raw.as_str()?.as_bytes(), self.unit_ns())?,
            (Kind::Number, Self::Rfc3339) => return None,
            (Kind::Number, _) => count(bytes, self.unit_ns())?,
            _ => return None,
        };
        if (NS_MIN..=NS_MAX).contains(&ns) { i64::try_from(ns).ok() } else { None }
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day (UTC) of a time in ns since 1970.
pub(crate) fn date(ns: i64) -> (i64, u8, u8) {
    let z = ns.div_euclid(86_400_000_000_000) + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z - era * 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month as u8, day as u8)
}

fn two(bytes: &[u8], at: usize) -> Option<i64> {
    let tens = bytes.get(at)?.wrapping_sub(b'0');
    let ones = bytes.get(at + 1)?.wrapping_sub(b'0');
    (tens < 10 && ones < 10).then_some(i64::from(tens) * 10 + i64::from(ones))
}

/// The usual form, `2026-11-02T10:00:00.123Z`; `None` says that it takes a closer look.
fn rfc3339(text: &[u8]) -> Option<i128> {
    let head = text.first_chunk::<19>()?;
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b' ', _, _, b':', _, _, b':', _, _] = head
    else {
        return None;
    };
    let year = two(head, 0)? * 100 + two(head, 2)?;
    let (month, day) = (two(head, 5)?, two(head, 8)?);
    let (hour, minute, second) = (two(head, 11)?, two(head, 14)?, two(head, 17)?);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > last || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut fraction = 0;
    if let Some(after) = rest.strip_prefix(b".") {
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 0 {
            return None;
        }
        for index in 0..9 {
            let digit = after.get(index).filter(|_| index < digits);
            fraction = fraction * 10 + i64::from(digit.map_or(0, |digit| digit - b'0'));
        }
        rest = after.get(digits..)?;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let offset = match rest {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let (hours, minutes) = (two(rest, 1)?, two(rest, 4)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    Some(i128::from(seconds - offset) * 1_000_000_000 + i128::from(fraction))
}

#[cold]
fn slow_rfc3339(text: &str) -> Option<i128> {
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_nanosecond())
}

/// A decimal count of units as ns; an exponent is taken by way of `f64`.
fn count(digits: &[u8], unit_ns: i128) -> Option<i128> {
    let (negative, digits) = match digits.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    if digits.is_empty() || digits.len() > 40 {
        return None;
    }
    let (mut whole, mut ns, mut scale, mut point) = (0_i128, 0_i128, unit_ns, false);
    for byte in digits {
        match byte {
            b'0'..=b'9' if point => {
                scale /= 10;
                ns += i128::from(byte - b'0') * scale;
            }
            b'0'..=b'9' => whole = whole.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?,
            b'.' if !point => point = true,
            b'e' | b'E' => {
                let value: f64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
                let value = value * unit_ns as f64;
                let value = if value.abs() < 1e19 { value as i128 } else { return None };
                return Some(if negative { -value } else { value });
            }
            _ => return None,
        }
    }
    let ns = whole.checked_mul(unit_ns)?.checked_add(ns)?;
    Some(if negative { -ns } else { ns })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: TimeFormat, json: &str) -> Option<i64> {
        format.read(Raw::new(json.as_bytes()))
    }

    #[test]
    fn times_are_read_in_every_format() {
        let ns = 1_793_613_600_123_456_789;
        for (format, json) in [
            (TimeFormat::Rfc3339, r#""2026-11-02T10:00:00.123456789Z""#),
            (TimeFormat::Rfc3339, r#""2026-11-02 12:00:00.123456789+02:00""#),
            (TimeFormat::Rfc3339, r#""2026-11-02T04:30:00.1234567891-05:30""#),
            (TimeFormat::Rfc3339, r#""2026\u002d11-02T10:00:00.123456789Z""#),
            (TimeFormat::EpochSeconds, "1793613600.123456789"),
            (TimeFormat::EpochSeconds, r#""1793613600.1234567899""#),
            (TimeFormat::EpochMillis, "1793613600123.456789"),
            (TimeFormat::EpochMicros, "1793613600123456.789"),
            (TimeFormat::EpochNanos, "1793613600123456789"),
        ] {
            assert_eq!(read(format, json), Some(ns), "{json}");
        }
        assert_eq!(read(TimeFormat::EpochSeconds, "1.7936136e9"), Some(1_793_613_600_000_000_000));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for json in [
            "0",
            "null",
            "true",
            "{}",
            "[]",
            "\"\"",
            "\"x\"",
            "-5",
            "1e400",
            "9e99",
            "1793613600123",
        ] {
            assert_eq!(read(TimeFormat::EpochSeconds, json), None, "{json}");
        }
        for json in [
            "1793613600",
            "\"\"",
            "\"2026-02-30T00:00:00Z\"",
            "\"2026-11-02\"",
            "\"0001-01-01T00:00:00Z\"",
            "\"2026-11-02T10:00:00\"",
            "\"\\ud800\"",
        ] {
            assert_eq!(read(TimeFormat::Rfc3339, json), None, "{json}");
        }
    }

    #[test]
    fn dates_agree_with_jiff() {
        for second in (-3_000_000_000_i64..4_200_000_000).step_by(86_400 * 3 + 7777) {
            let time = jiff::Timestamp::from_second(second).unwrap();
            let day = time.to_zoned(jiff::tz::TimeZone::UTC).date();
            let ns = second * 1_000_000_000;
            assert_eq!(date(ns), (i64::from(day.year()), day.month() as u8, day.day() as u8));
            let text = format!("\"{time}\"");
            assert_eq!(
                read(TimeFormat::Rfc3339, &text),
                Some(ns).filter(|ns| (NS_MIN..=NS_MAX).contains(&i128::from(*ns)))
            );
        }
    }
}
