//! The parts of RFC 8259's grammar: numbers, literals, escapes, whitespace, and what stands
//! between the members of an object or the elements of an array.
//!
//! Each function is told where something stands in the payload and answers where it ends. A look
//! past the end sees a zero byte, which is allowed nowhere, so that a payload that is cut short is
//! broken like any other. The usual ways are inlined into the walk. What is rare is not, and takes
//! and gives plain values, so that the state of the walk stays in registers.

use super::{Expected, JsonError, JsonErrorKind, block};

/// The byte there; 0 past the end.
#[inline(always)]
pub(super) fn byte(json: &[u8], at: usize) -> u8 {
    match json.get(at) {
        Some(byte) => *byte,
        None => 0,
    }
}

/// The `N` bytes from there, if there are as many.
#[inline(always)]
pub(super) fn window<const N: usize>(json: &[u8], at: usize) -> Option<&[u8; N]> {
    json.get(at..)?.first_chunk()
}

#[cold]
#[inline(never)]
pub(super) fn fail<T>(at: usize, what: JsonErrorKind) -> Result<T, JsonError> {
    Err(JsonError { at, what })
}

#[cold]
#[inline(never)]
pub(super) fn broken<T>(at: usize, expected: Expected) -> Result<T, JsonError> {
    Err(JsonError { at, what: JsonErrorKind::Broken(expected) })
}

/// Skips whitespace.
#[inline(always)]
pub(super) fn space(json: &[u8], at: usize) -> usize {
    if byte(json, at) > b' ' { at } else { spaces(json, at) }
}

#[inline(never)]
fn spaces(json: &[u8], mut at: usize) -> usize {
    while matches!(byte(json, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

/// From behind a name to behind its colon.
#[inline(always)]
pub(super) fn colon(json: &[u8], at: usize) -> Result<usize, JsonError> {
    if byte(json, at) == b':' { Ok(at + 1) } else { colon_in_space(json, at) }
}

#[inline(never)]
fn colon_in_space(json: &[u8], at: usize) -> Result<usize, JsonError> {
    let at = spaces(json, at);
    if byte(json, at) == b':' { Ok(at + 1) } else { broken(at, Expected::Colon) }
}

/// What follows a member or an element.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// Another one: a member whose name's quote stands there, or an element somewhere behind there.
    More(usize),
    /// The container ended before there.
    Closed(usize),
}

/// From behind a member to the next one.
#[inline(always)]
pub(super) fn next_member(json: &[u8], at: usize) -> Result<Next, JsonError> {
    match byte(json, at) {
        b',' if byte(json, at + 1) == b'"' => Ok(Next::More(at + 1)),
        b',' if window(json, at + 1) == Some(b" \"") => Ok(Next::More(at + 2)),
        b'}' => Ok(Next::Closed(at + 1)),
        _ => next_member_in_space(json, at),
    }
}

#[inline(never)]
fn next_member_in_space(json: &[u8], at: usize) -> Result<Next, JsonError> {
    let at = spaces(json, at);
    match byte(json, at) {
        b',' => {
            let at = spaces(json, at + 1);
            if byte(json, at) != b'"' {
                return broken(at, Expected::Name);
            }
            Ok(Next::More(at))
        }
        b'}' => Ok(Next::Closed(at + 1)),
        _ => broken(at, Expected::CommaOrBrace),
    }
}

/// From behind an element to the next one.
#[inline(always)]
pub(super) fn next_element(json: &[u8], at: usize) -> Result<Next, JsonError> {
    let at = space(json, at);
    match byte(json, at) {
        b',' => Ok(Next::More(at + 1)),
        b']' => Ok(Next::Closed(at + 1)),
        _ => broken(at, Expected::CommaOrBracket),
    }
}

/// A number. Answers where it ends.
#[inline(always)]
pub(super) fn number(json: &[u8], start: usize) -> Result<usize, JsonError> {
    let at = start + usize::from(byte(json, start) == b'-');
    let mut end = digits(json, at)?;
    if byte(json, at) == b'0' {
        // Nothing but a point or an exponent may follow; another digit is left over.
        end = at + 1;
    }
    match byte(json, end) {
        b'.' | b'e' | b'E' => fraction(json, end),
        _ => Ok(end),
    }
}

/// A fraction, an exponent, or both.
#[inline(never)]
fn fraction(json: &[u8], mut at: usize) -> Result<usize, JsonError> {
    if byte(json, at) == b'.' {
        at = digits(json, at + 1)?;
    }
    if matches!(byte(json, at), b'e' | b'E') {
        let sign = matches!(byte(json, at + 1), b'+' | b'-');
        at = digits(json, at + 1 + usize::from(sign))?;
    }
    Ok(at)
}

/// At least one digit.
#[inline(always)]
fn digits(json: &[u8], at: usize) -> Result<usize, JsonError> {
    match window(json, at).map(block::digits) {
        Some(count @ 1..16) => Ok(at + count),
        _ => many_digits(json, at),
    }
}

#[inline(never)]
fn many_digits(json: &[u8], mut at: usize) -> Result<usize, JsonError> {
    if !byte(json, at).is_ascii_digit() {
        return broken(at, Expected::Digit);
    }
    while byte(json, at).is_ascii_digit() {
        at += 1;
    }
    Ok(at)
}

/// `true`, `false` or `null`; anything else is no value. Answers where it ends.
#[inline(always)]
pub(super) fn literal(json: &[u8], at: usize) -> Result<usize, JsonError> {
    match window(json, at) {
        Some(b"true" | b"null") => Ok(at + 4),
        Some(b"fals") if byte(json, at + 4) == b'e' => Ok(at + 5),
        _ if matches!(byte(json, at), b't' | b'f' | b'n') => broken(at, Expected::Literal),
        _ => broken(at, Expected::Value),
    }
}

/// An escape. Answers how long it is.
pub(super) fn escape(json: &[u8], at: usize) -> Result<usize, JsonError> {
    match byte(json, at + 1) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(2),
        b'u' if window(json, at + 2).and_then(hex4).is_some() => Ok(6),
        b'u' => broken(at + 2, Expected::HexDigits),
        _ => broken(at + 1, Expected::Escape),
    }
}

/// The value of four hexadecimal digits.
pub(super) fn hex4(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}
