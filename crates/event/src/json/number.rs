//! Numbers by value.

/// The most significant digits that [`canonical_number`] takes.
const DIGITS_MAX: usize = 1_000;
/// The largest power of ten of the last significant digit, either way, that it takes.
const POWER_MAX: i64 = 1_000_000;
/// No payload has as many digits as it takes to bring a power of ten beyond this one back.
const POWER_CLAMP: i64 = 1 << 60;

/// A number with too many significant digits, or too far from 1, to be compared by value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the number has more than {DIGITS_MAX} significant digits, or a power of ten beyond \
     {POWER_MAX}"
)]
pub struct NumberTooBig;

/// Appends the canonical form of a number to `out`: the same bytes for the same value (`1`,
/// `1.0`, `1e0`, `10e-1`; `-0` and `0`), other bytes for every other value. The value is the exact
/// decimal one: nothing is rounded, `9007199254740993` is not `9007199254740992`.
///
/// The form is `-`, the significant digits without zeros at either end, `e`, the power of ten of
/// the last digit (`-1.50` becomes `-15e-1`); zero is `0`. `raw` is a JSON number out of a scanned
/// payload; for anything else the form says nothing.
///
/// # Errors
/// [`NumberTooBig`] with more than 1,000 significant digits, or if the power of ten is beyond
/// ±1,000,000. That depends on the value alone, too, not on how it is written. `out` is then as it
/// was.
pub fn canonical_number(raw: &[u8], out: &mut Vec<u8>) -> Result<(), NumberTooBig> {
    let (negative, raw) = match raw.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, raw),
    };
    let (whole, rest) = split_digits(raw);
    let (fraction, rest) = match rest.split_first() {
        Some((b'.', rest)) => split_digits(rest),
        _ => (&[][..], rest),
    };
    let written = match rest.split_first() {
        Some((b'e' | b'E', digits)) => exponent(digits),
        _ => 0,
    };

    // Zeros at the end: first those of the fraction, and those of the whole part only if nothing
    // of the fraction is left. Zeros at the front the same way from the other side.
    let fraction = trim_back(fraction);
    let mut power = written - fraction.len() as i64;
    let mut whole = trim_front(whole);
    if fraction.is_empty() {
        let trimmed = trim_back(whole);
        power += (whole.len() - trimmed.len()) as i64;
        whole = trimmed;
    }
    let fraction = if whole.is_empty() { trim_front(fraction) } else { fraction };

    if whole.is_empty() && fraction.is_empty() {
        out.push(b'0');
        return Ok(());
    }
    if whole.len() + fraction.len() > DIGITS_MAX || power.abs() > POWER_MAX {
        return Err(NumberTooBig);
    }
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(whole);
    out.extend_from_slice(fraction);
    out.push(b'e');
    push_integer(power, out);
    Ok(())
}

fn split_digits(bytes: &[u8]) -> (&[u8], &[u8]) {
    let len = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    bytes.split_at(len)
}

fn trim_front(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    digits.split_at(zeros).1
}

fn trim_back(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|b| **b == b'0').count();
    digits.split_at(digits.len() - zeros).0
}

/// The exponent as written, held within ±[`POWER_CLAMP`].
fn exponent(bytes: &[u8]) -> i64 {
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, bytes),
    };
    let size = digits.iter().filter(|b| b.is_ascii_digit()).fold(0, |size: i64, digit| {
        size.saturating_mul(10).saturating_add(i64::from(digit - b'0')).min(POWER_CLAMP)
    });
    if negative { -size } else { size }
}

/// Appends an integer within ±[`POWER_MAX`] in decimal.
fn push_integer(value: i64, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let size = value.unsigned_abs();
    let mut unit = 1;
    while size / unit >= 10 {
        unit *= 10;
    }
    while unit > 0 {
        out.push(b'0' + (size / unit % 10) as u8);
        unit /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical(raw: &str) -> Result<String, NumberTooBig> {
        let mut out = Vec::new();
        canonical_number(raw.as_bytes(), &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn one_value_has_one_form() {
        for (form, spellings) in [
            ("1e0", &["1", "1.0", "1e0", "10e-1", "0.1e1", "1E+0", "0.001e3", "1e-0"][..]),
            ("0", &["0", "-0", "0.0", "-0.000e7", "0e99999999999999999999999"]),
            ("-15e-1", &["-1.5", "-1.50", "-15e-1", "-0.15E1", "-150e-02"]),
            ("1e3", &["1000", "1e3", "1.0e3", "0.1e4", "10.00e2"]),
            ("1001e-2", &["10.01", "10.010", "1001e-2", "0.01001e3"]),
            ("9007199254740993e0", &["9007199254740993", "9007199254740993.0"]),
            ("9007199254740992e0", &["9007199254740992"]),
            ("1e1000000", &["1e1000000", "10e999999"]),
            ("-1e-1000000", &["-1e-1000000", "-0.1e-999999"]),
        ] {
            for raw in spellings {
                assert_eq!(canonical(raw).as_deref(), Ok(form), "{raw}");
            }
        }
    }

    #[test]
    fn what_is_too_big_depends_on_the_value_alone() {
        let digits = |n: usize| "7".repeat(n);
        assert!(canonical(&digits(1000)).is_ok());
        assert_eq!(canonical(&digits(1001)), Err(NumberTooBig));
        assert_eq!(canonical(&format!("0.{}", digits(1001))), Err(NumberTooBig));
        assert_eq!(canonical(&format!("1{}", "0".repeat(5000))).as_deref(), Ok("1e5000"));
        assert_eq!(canonical(&format!("1.{}", "0".repeat(5000))).as_deref(), Ok("1e0"));
        assert_eq!(canonical(&format!("0.{}1e5001", "0".repeat(5000))).as_deref(), Ok("1e0"));
        for raw in ["1e1000001", "10e1000000", "1e-1000001", "1e99999999999999999999999"] {
            assert_eq!(canonical(raw), Err(NumberTooBig), "{raw}");
        }
    }

    #[test]
    fn a_refusal_leaves_the_output_alone() {
        let mut out = b"kept".to_vec();
        assert!(canonical_number(b"1e9999999", &mut out).is_err());
        assert_eq!(out, b"kept");
    }

    /// A decimal: sign, digits as an integer, power of ten.
    #[derive(Debug, Clone)]
    struct Decimal {
        negative: bool,
        digits: u64,
        power: i32,
    }

    impl Decimal {
        /// Exact: both brought to the smaller power of ten, within 128 bits (powers within ±9).
        fn equals(&self, other: &Decimal) -> bool {
            let least = self.power.min(other.power);
            let at_least = |d: &Decimal| {
                let size = i128::from(d.digits) * 10_i128.pow((d.power - least) as u32);
                if d.negative { -size } else { size }
            };
            at_least(self) == at_least(other)
        }

        /// One of the ways to write it: `point` digits behind the point, zeros around it.
        fn spelled(&self, point: usize, zeros: usize, upper: bool, plus: bool) -> String {
            let digits = self.digits.to_string();
            let padded = format!("{digits:0>width$}", width = point + 1);
            let (whole, fraction) = padded.split_at(padded.len() - point);
            let mut out = String::from(if self.negative { "-" } else { "" });
            out += whole;
            if point + zeros > 0 {
                out += ".";
                out += fraction;
                out += &"0".repeat(zeros);
            }
            let power = self.power + point as i32;
            if power != 0 || plus {
                out += if upper { "E" } else { "e" };
                out += if plus && power >= 0 { "+" } else { "" };
                out += &power.to_string();
            }
            out
        }
    }

    fn decimals() -> impl Strategy<Value = Decimal> {
        let digits = prop_oneof![0..20_u64, Just(10), Just(100), Just(1000), 0..1_u64 << 50];
        (any::<bool>(), digits, -9..=9_i32).prop_map(|(negative, digits, power)| Decimal {
            negative,
            digits,
            power,
        })
    }

    fn spelled_decimals() -> impl Strategy<Value = (Decimal, String)> {
        (decimals(), 0..12_usize, 0..4_usize, any::<bool>(), any::<bool>()).prop_map(
            |(decimal, point, zeros, upper, plus)| {
                let spelled = decimal.spelled(point, zeros, upper, plus);
                (decimal, spelled)
            },
        )
    }

    proptest! {
        #![proptest_config(crate::json::tests::cases(2000))]

        #[test]
        fn forms_are_equal_exactly_when_values_are(a in spelled_decimals(), b in spelled_decimals()) {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&a.1).is_ok(), "{}", a.1);
            let same = canonical(&a.1).unwrap() == canonical(&b.1).unwrap();
            prop_assert_eq!(same, a.0.equals(&b.0), "{} {}", a.1, b.1);
        }

        #[test]
        fn every_spelling_has_the_same_form(
            decimal in decimals(), point in 0..12_usize, zeros in 0..4_usize, plus in any::<bool>()
        ) {
            let plain = canonical(&decimal.spelled(0, 0, false, false)).unwrap();
            prop_assert_eq!(canonical(&decimal.spelled(point, zeros, true, plus)).unwrap(), plain);
        }

        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..24)) {
            let _ = canonical_number(&raw, &mut Vec::new());
        }
    }
}
