//! Values as text: numbers, UUIDs, patterns, times.

use super::rng::Rng;

/// The second that RFC 3339 times were written for last: neighbours share it.
#[derive(Debug, Default)]
pub(super) struct Second {
    epoch: Option<i64>,
    text: String,
}

/// An index by weights that are summed up.
#[inline]
pub(super) fn pick(sums: &[u64], rng: &mut Rng) -> usize {
    let at = rng.below(sums.last().copied().unwrap_or(0));
    sums.iter().position(|&sum| at < sum).unwrap_or(0)
}

#[inline]
pub(super) fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

pub(super) fn decimal(value: i64, digits: u32, out: &mut Vec<u8>) {
    let unit = 10u64.pow(digits);
    if value < 0 {
        out.push(b'-');
    }
    let value = value.unsigned_abs();
    integer(value / unit, out);
    out.push(b'.');
    let fraction = value % unit;
    let mut shown = itoa::Buffer::new();
    let shown = shown.format(fraction);
    out.extend(std::iter::repeat_n(b'0', (digits as usize).saturating_sub(shown.len())));
    out.extend_from_slice(shown.as_bytes());
}

pub(super) fn pattern(text: &[u8], rng: &mut Rng, out: &mut Vec<u8>) {
    out.extend(text.iter().map(|&byte| match byte {
        b'#' => b'0' + rng.below(10) as u8,
        b'?' => b'a' + rng.below(26) as u8,
        byte => byte,
    }));
}

/// 16 hexadecimal digits of the number's 16 nibbles, in some order.
#[inline]
fn hex(number: u64) -> [u8; 16] {
    let half = |x: u64| {
        let x = (x | (x << 16)) & 0x0000_ffff_0000_ffff;
        let x = (x | (x << 8)) & 0x00ff_00ff_00ff_00ff;
        let x = (x | (x << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
        // 1 in each byte that holds 10 or more, which becomes a letter: 39 beyond the digits.
        let letters = ((x + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
        x + 0x3030_3030_3030_3030 + letters * 39
    };
    let both = u128::from(half(number & 0xffff_ffff)) | u128::from(half(number >> 32)) << 64;
    both.to_le_bytes()
}

/// A random UUID (RFC 9562, version 4) in quotes.
pub(super) fn uuid(rng: &mut Rng, out: &mut Vec<u8>) {
    let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, _, c1, c2, c3] = hex(rng.next());
    let last = rng.next();
    let variant = match last >> 62 {
        0 => b'8',
        1 => b'9',
        2 => b'a',
        _ => b'b',
    };
    // The two top bits chose the variant: the last 12 digits come of the 48 bits below.
    let [e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, d1, d2, d3, _] = hex(last);
    out.extend_from_slice(&[
        b'"', a0, a1, a2, a3, a4, a5, a6, a7, b'-', b0, b1, b2, b3, b'-', b'4', c1, c2, c3, b'-',
        variant, d1, d2, d3, b'-', e0, e1, e2, e3, e4, e5, e6, e7, f0, f1, f2, f3, b'"',
    ]);
}

impl Second {
    pub(super) fn write(&mut self, at_ms: i64, out: &mut Vec<u8>) {
        let epoch = at_ms.div_euclid(1000);
        if self.epoch != Some(epoch) {
            let time = jiff::Timestamp::from_second(epoch).unwrap_or(jiff::Timestamp::MAX);
            self.text = time.strftime("\"%Y-%m-%dT%H:%M:%S.").to_string();
            self.epoch = Some(epoch);
        }
        out.extend_from_slice(self.text.as_bytes());
        let ms = u16::try_from(at_ms.rem_euclid(1000)).unwrap_or(0);
        let digit = |number: u16| b'0' + (number % 10) as u8;
        out.extend_from_slice(&[digit(ms / 100), digit(ms / 10), digit(ms), b'Z', b'"']);
    }
}
