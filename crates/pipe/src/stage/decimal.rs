//! Numbers as JSON writes them, exactly: no detour over `f64`.

use std::cmp::Ordering;

/// The most significant digits that count; those after them only say that there are more.
const DIGITS_MAX: u32 = 27;

/// A JSON number taken apart: `digits × 10^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// The first [`DIGITS_MAX`] significant digits.
    digits: i128,
    exponent: i64,
    /// No digit that was left out is other than zero.
    exact: bool,
}

/// A number in steps of some unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scaled {
    /// Rounded down.
    pub(crate) floor: i64,
    /// Nothing was rounded.
    pub(crate) exact: bool,
}

impl Scaled {
    /// How the number compares to a whole count of steps.
    pub(crate) fn compare(self, other: i64) -> Ordering {
        self.floor.cmp(&other).then(if self.exact { Ordering::Equal } else { Ordering::Greater })
    }
}

impl Decimal {
    /// Takes a number apart; `None` if it isn't one by the grammar of RFC 8259, section 6.
    pub(crate) fn read(text: &[u8]) -> Option<Decimal> {
        let (negative, text) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            _ => (false, text),
        };
        let mantissa_len =
            text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at_checked(mantissa_len)?;
        let exponent = match exponent.split_first() {
            None => 0,
            Some((_, digits)) => read_exponent(digits)?,
        };
        let point = mantissa.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = match point {
            Some(point) => (mantissa.get(..point)?, mantissa.get(point + 1..)?),
            None => (mantissa, [].as_slice()),
        };
        let leading_zero = whole.len() > 1 && whole.first() == Some(&b'0');
        if whole.is_empty() || leading_zero || (point.is_some() && fraction.is_empty()) {
            return None;
        }
        let mut number = Decimal { negative, digits: 0, exponent, exact: true };
        let mut significant = 0;
        number.push_digits(whole, &mut significant, 0)?;
        number.push_digits(fraction, &mut significant, -1)?;
        Some(number)
    }

    /// Adds digits; each moves the exponent by `weight` if it is kept, else by `weight + 1`.
    fn push_digits(&mut self, digits: &[u8], significant: &mut u32, weight: i64) -> Option<()> {
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            if *significant < DIGITS_MAX {
                self.digits = self.digits * 10 + i128::from(digit);
                *significant += u32::from(self.digits != 0);
                self.exponent += weight;
            } else {
                self.exact &= digit == 0;
                self.exponent += weight + 1;
            }
        }
        Some(())
    }

    /// The value in steps of 1 / `units`: times `units`, rounded down. `None` beyond an `i64`.
    pub(crate) fn scaled(&self, units: i64) -> Option<Scaled> {
        // 27 digits times at most 10^10 stay within an i128.
        let value = if self.negative { -self.digits } else { self.digits };
        let value = value.checked_mul(i128::from(units))?;
        let cut = |floor: i64, exact: bool| Scaled { floor, exact: exact && self.exact };
        if value == 0 {
            return Some(cut(0, true));
        }
        let power = u32::try_from(self.exponent.unsigned_abs())
            .ok()
            .filter(|exponent| *exponent <= 38)
            .and_then(|exponent| 10_i128.checked_pow(exponent));
        match (power, self.exponent < 0) {
            (Some(power), true) => {
                let floor = i64::try_from(value.div_euclid(power)).ok()?;
                Some(cut(floor, value.rem_euclid(power) == 0))
            }
            (Some(power), false) => Some(cut(i64::try_from(value.checked_mul(power)?).ok()?, true)),
            (None, true) => Some(cut(if self.negative { -1 } else { 0 }, false)),
            (None, false) => None,
        }
    }

    /// Whether both stand for the same value. Of numbers with more than 27 significant digits
    /// nothing can be said: they equal no other.
    pub(crate) fn same_value(&self, other: &Decimal) -> bool {
        let (a, b) = (self.normal(), other.normal());
        self.exact && other.exact && a == b
    }

    fn normal(&self) -> (bool, i128, i64) {
        if self.digits == 0 {
            return (false, 0, 0);
        }
        let (mut digits, mut exponent) = (self.digits, self.exponent);
        while digits % 10 == 0 {
            digits /= 10;
            exponent += 1;
        }
        (self.negative, digits, exponent)
    }
}

/// An exponent's sign and digits; saturates far beyond what matters.
fn read_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = (value * 10 + i64::from(byte - b'0')).min(1_000_000_000_000);
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Decimal {
        Decimal::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_same_value_is_the_same_however_written() {
        for (a, b) in [
            ("301.8", "3.018e2"),
            ("1", "1.000"),
            ("10e-1", "1"),
            ("-0", "0.0e5"),
            ("123456789012", "1.23456789012E+11"),
            ("0.001", "1e-3"),
            ("100000000000000000000000000000000000000000", "1e41"),
        ] {
            assert!(read(a).same_value(&read(b)), "{a} {b}");
        }
        for (a, b) in [
            ("1", "-1"),
            ("1", "10"),
            ("0.1234567", "0.123456"),
            ("1e400", "1e401"),
            ("1234567890123456789012345678", "1234567890123456789012345679"),
        ] {
            assert!(!read(a).same_value(&read(b)), "{a} {b}");
        }
    }

    #[test]
    fn scaling_rounds_down_and_says_so() {
        for (text, floor, exact) in [
            ("1.5", 1_500_000, true),
            ("-1.5", -1_500_000, true),
            ("0.0000001", 0, false),
            ("-0.0000001", -1, false),
            ("5e9", 5_000_000_000_000_000, true),
            ("1e-400", 0, false),
            ("-1e-400", -1, false),
            ("0e999999999999999999999", 0, true),
            ("1.00000000000000000000000000000000000001", 1_000_000, false),
        ] {
            assert_eq!(read(text).scaled(1_000_000), Some(Scaled { floor, exact }), "{text}");
        }
        for text in ["1e14", "-1e400", "99999999999999999999999999999999999999999999"] {
            assert_eq!(read(text).scaled(1_000_000), None, "{text}");
        }
        assert_eq!(read("0.5").scaled(1).unwrap().compare(0), Ordering::Greater);
        assert_eq!(read("-0.5").scaled(1).unwrap().compare(0), Ordering::Less);
        assert_eq!(read("2").scaled(1).unwrap().compare(2), Ordering::Equal);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in
            ["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "1 ", "0x1", "1.2.3", "NaN", "--1"]
        {
            assert_eq!(Decimal::read(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_read_as_themselves(value in any::<i64>(), zeros in 0_usize..4) {
            let text = format!("{value}.{}", "0".repeat(zeros + 1));
            prop_assert_eq!(read(&text).scaled(1), Some(Scaled { floor: value, exact: true }));
            prop_assert!(read(&text).same_value(&read(&value.to_string())));
        }

        #[test]
        fn doubles_compare_as_they_do(a in -6e9_f64..6e9, b in -5_000_000_000_i64..5_000_000_000) {
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let there = a.partial_cmp(&(b as f64)).unwrap();
            prop_assert_eq!(read(&a.to_string()).scaled(1).unwrap().compare(b), there);
        }
    }
}
