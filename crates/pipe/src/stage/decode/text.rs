//! Text in ASCII dress: percent-encoding and base64.

use super::DecodeFault;

pub(super) fn percent_decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    // Byte by byte: in JSON that was sent like this, every few bytes there is an escape.
    let start = out.len();
    out.resize(start + input.len(), 0);
    let mut slots = out.iter_mut().skip(start);
    let mut rest = input;
    let mut written = 0;
    while let [first, after @ ..] = rest {
        let byte = if *first == b'%' {
            let broken = DecodeFault::UrlBroken { at: input.len() - rest.len() };
            let [high, low, after @ ..] = after else { return Err(broken) };
            let (high, low) = hex(*high).zip(hex(*low)).ok_or(broken)?;
            rest = after;
            high << 4 | low
        } else {
            rest = after;
            *first
        };
        if let Some(slot) = slots.next() {
            *slot = byte;
        }
        written += 1;
    }
    out.truncate(start + written);
    Ok(())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

pub(super) fn base64_decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    let text = input.trim_ascii();
    let padding = text.iter().rev().take(3).take_while(|byte| **byte == b'=').count();
    let unpadded = text.len() - padding;
    // Padding is no duty, but where it stands it has to be right.
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return Err(DecodeFault::Base64Broken);
    }
    let digits = text.get(..unpadded).unwrap_or_default();
    let alphabet = if memchr::memchr2(b'-', b'_', digits).is_some() {
        base64_simd::URL_SAFE_NO_PAD
    } else {
        base64_simd::STANDARD_NO_PAD
    };
    alphabet.decode_append(digits, out).map_err(|_| DecodeFault::Base64Broken)
}
