//! Kinesis' sequence numbers: up to 56 decimal digits, which 192 bits hold.

use event::Offset;

/// The number that `text` writes in decimal; `None` when it isn't one of at most 192 bits.
pub(super) fn parse(text: &str) -> Option<Offset> {
    if text.is_empty() {
        return None;
    }
    let (mut hi, mut lo) = (0_u64, 0_u128);
    for digit in text.bytes() {
        let digit = u128::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        // lo * 10 + digit, in two halves, so that what carries over is seen.
        let low = (lo & u128::from(u64::MAX)) * 10 + digit;
        let high = (lo >> 64) * 10 + (low >> 64);
        lo = (high << 64) | (low & u128::from(u64::MAX));
        let carry = u64::try_from(high >> 64).ok()?;
        hi = hi.checked_mul(10)?.checked_add(carry)?;
    }
    Some(Offset::from_parts(hi, lo))
}

/// The number in decimal.
pub(super) fn show(offset: Offset) -> String {
    let (mut hi, mut lo) = offset.parts();
    let mut digits = Vec::new();
    loop {
        let mut rest = u128::from(hi % 10);
        hi /= 10;
        let high = (rest << 64) | (lo >> 64);
        rest = high % 10;
        let low = (rest << 64) | (lo & u128::from(u64::MAX));
        lo = ((high / 10) << 64) | (low / 10);
        digits.push(b'0' + (low % 10) as u8);
        if hi == 0 && lo == 0 {
            break;
        }
    }
    digits.iter().rev().map(|digit| char::from(*digit)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_length_round_trip() {
        let longest = "6277101735386680763835789423207666416102355444464034512895";
        for text in [
            "0",
            "7",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
            "49590338271490256608559692538361571095921575989136588898",
            longest,
        ] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(
            parse("340282366920938463463374607431768211456"),
            Some(Offset::from_parts(1, 0))
        );
        assert!(
            parse("49590338271490256608559692538361571095921575989136588898")
                > parse("49590338271490256608559692538361571095921575989136588897")
        );
        for bad in ["", "-1", "12a", "6277101735386680763835789423207666416102355444464034512896"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
