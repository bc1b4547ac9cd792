//! Where a string ends: searched for, or known beforehand.

use super::block::{self, BLOCK};
use super::grammar::{self, byte, window};
use super::{Expected, JsonError, JsonErrorKind};

/// The end of a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct StringEnd {
    /// Where the closing quote stands.
    pub(super) at: usize,
    /// Whether there is a backslash before it.
    pub(super) escaped: bool,
}

/// Where the strings of one payload end.
pub(super) trait Strings {
    /// Whether there may be backslashes in them.
    const ESCAPES: bool;

    /// The end of the string whose opening quote stands right before `at`. It is asked for every
    /// string of the payload, in their order.
    fn end(&mut self, json: &[u8], at: usize) -> Result<StringEnd, JsonError>;

    /// Whether a string that was passed may hold bytes that aren't ASCII.
    fn high(&self) -> bool;
}

/// Looks at the bytes of each string when the walk comes to it.
#[derive(Debug, Default)]
pub(super) struct Searched {
    high: u32,
}

impl Strings for Searched {
    const ESCAPES: bool = true;

    #[inline(always)]
    fn end(&mut self, json: &[u8], mut at: usize) -> Result<StringEnd, JsonError> {
        while let Some(block) = window::<BLOCK>(json, at) {
            let marks = block::string_marks(block);
            self.high |= marks.high;
            if marks.stops != 0 {
                at += marks.stops.trailing_zeros() as usize;
                if byte(json, at) == b'"' {
                    return Ok(StringEnd { at, escaped: false });
                }
                break;
            }
            at += BLOCK;
        }
        let (end, high) = byte_by_byte(json, at)?;
        self.high |= high;
        Ok(end)
    }

    fn high(&self) -> bool {
        self.high != 0
    }
}

/// The end of a string from any place in it, and whether something before it isn't ASCII.
#[inline(never)]
fn byte_by_byte(json: &[u8], mut at: usize) -> Result<(StringEnd, u32), JsonError> {
    let mut escaped = false;
    let mut high = 0;
    while let Some(byte) = json.get(at) {
        high |= u32::from(byte & 0x80);
        at += match byte {
            b'"' => return Ok((StringEnd { at, escaped }, high)),
            b'\\' => {
                escaped = true;
                grammar::escape(json, at)?
            }
            0..0x20 => return grammar::fail(at, JsonErrorKind::ControlCharacter),
            _ => 1,
        };
    }
    grammar::broken(at, Expected::ClosingQuote)
}

/// Takes the ends from a list of all quotes, see [`Quotes`](super::quotes::Quotes). In a payload
/// without backslashes the walk meets each quote once: as the beginning of a string, or as its end.
#[derive(Debug)]
pub(super) struct Indexed<'q> {
    /// Where the strings begin and end that are still to come.
    pub(super) pairs: std::slice::Iter<'q, [u32; 2]>,
    /// Whether something in the payload isn't ASCII.
    pub(super) high: bool,
}

impl Strings for Indexed<'_> {
    const ESCAPES: bool = false;

    #[inline(always)]
    fn end(&mut self, json: &[u8], _: usize) -> Result<StringEnd, JsonError> {
        match self.pairs.next() {
            Some([_, end]) => Ok(StringEnd { at: *end as usize, escaped: false }),
            None => grammar::broken(json.len(), Expected::ClosingQuote),
        }
    }

    fn high(&self) -> bool {
        self.high
    }
}
