//! Times as RFC 3339 text.

use super::{NS_PER_S, push_padded};

/// Reads RFC 3339 (section 5.6) as ns since 1970: `T`, `t` or a space between date and time, any
/// number of decimals (those after the ninth are cut off), `Z`, `z` or an offset. A leap second is
/// the first of the next minute. Years beyond an `i64` end up at its ends. `None` if it isn't that.
#[inline]
pub(super) fn parse_rfc3339(text: &[u8]) -> Option<i64> {
    let (date_time, mut rest) = text.split_first_chunk::<19>()?;
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T' | b't' | b' ', tail @ ..] = date_time
    else {
        return None;
    };
    let [h1, h2, b':', min1, min2, b':', s1, s2] = tail else { return None };
    let mut wrong = 0_u8;
    let mut pair = |tens: &u8, ones: &u8| -> u8 {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        wrong |= u8::from(tens > 9) | u8::from(ones > 9);
        tens.wrapping_mul(10).wrapping_add(ones)
    };
    let year = i64::from(pair(y1, y2)) * 100 + i64::from(pair(y3, y4));
    let (month, day) = (pair(m1, m2), pair(d1, d2));
    let (hour, minute, second) = (pair(h1, h2), pair(min1, min2), pair(s1, s2));
    if wrong != 0 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let days = days_since_1970(year, month, day)?;
    let mut fraction_ns = 0_i64;
    if let Some((b'.', after)) = rest.split_first() {
        (fraction_ns, rest) = read_fraction(after)?;
    }
    let offset_s = match rest {
        [b'Z' | b'z'] => 0,
        _ => read_offset_s(rest)?,
    };
    let seconds =
        days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second)
            - offset_s;
    // A leap second ends a day in UTC, nothing else does.
    if second == 60 && seconds.rem_euclid(86_400) != 0 {
        return None;
    }
    // Years that nanoseconds don't reach are out of range in any case.
    Some(seconds.saturating_mul(NS_PER_S).saturating_add(fraction_ns))
}

/// The decimals after the point, as ns, and what follows them.
#[inline]
fn read_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    const SCALE: [i64; 10] =
        [0, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    let len = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(len)?;
    if digits.is_empty() {
        return None;
    }
    let kept = digits.get(..digits.len().min(9))?;
    let value = kept.iter().fold(0_i64, |value, byte| value * 10 + i64::from(byte - b'0'));
    Some((value * SCALE.get(kept.len())?, rest))
}

/// `+02:00`, `-05:30`: how far local time is ahead of UTC, in seconds.
fn read_offset_s(text: &[u8]) -> Option<i64> {
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = text else { return None };
    if ![h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |tens: &u8, ones: &u8| i64::from(tens - b'0') * 10 + i64::from(ones - b'0');
    let (hours, minutes) = (number(h1, h2), number(m1, m2));
    if hours > 23 || minutes > 59 {
        return None;
    }
    let offset_s = hours * 3_600 + minutes * 60;
    Some(if *sign == b'-' { -offset_s } else { offset_s })
}

/// Days from 1970-01-01 to a date of the Gregorian calendar; `None` if there is no such date.
/// (The year begins in March here, so that the leap day is its last.)
#[inline]
fn days_since_1970(year: i64, month: u8, day: u8) -> Option<i64> {
    const DAYS: [u8; 13] = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_max = *DAYS.get(usize::from(month))?;
    if day == 0 || day > days_max || (month == 2 && day == 29 && !leap) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (century_4, year_of_400) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_400 = year_of_400 * 365 + year_of_400 / 4 - year_of_400 / 100 + day_of_year;
    Some(century_4 * 146_097 + day_of_400 - 719_468)
}

/// The other way round: year, month, day.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (century_4, day_of_400) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_400 =
        (day_of_400 - day_of_400 / 1_460 + day_of_400 / 36_524 - day_of_400 / 146_096) / 365;
    let day_of_year = day_of_400 - (365 * year_of_400 + year_of_400 / 4 - year_of_400 / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (century_4 * 400 + year_of_400 + i64::from(month <= 2), month, day)
}

/// Appends a time (ns since 1970) as RFC 3339 text in UTC, without quotes.
pub fn write_rfc3339(ns: i64, out: &mut Vec<u8>) {
    let (seconds, fraction_ns) = (ns.div_euclid(NS_PER_S), ns.rem_euclid(NS_PER_S));
    let (days, second_of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date_of(days);
    for (number, width, end) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second_of_day / 3_600, 2, b':'),
        (second_of_day / 60 % 60, 2, b':'),
        (second_of_day % 60, 2, b'.'),
    ] {
        push_padded(number.unsigned_abs(), width, out);
        out.push(end);
    }
    match fraction_ns.unsigned_abs() {
        0 => {
            out.pop();
        }
        ns if ns % 1_000_000 == 0 => push_padded(ns / 1_000_000, 3, out),
        ns if ns % 1_000 == 0 => push_padded(ns / 1_000, 6, out),
        ns => push_padded(ns, 9, out),
    }
    out.push(b'Z');
}
