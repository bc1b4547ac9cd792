//! The walk over a payload that checks the grammar of RFC 8259.
//!
//! A [`Scanner`] is told where something stands and answers where it ends. Reading past the end
//! gives a zero byte, which is allowed nowhere, so that an end is an error like any other byte.
//! What is wrong is kept aside in the scanner: [`Stop`] says only that there is something, which
//! lets results travel in registers.

use super::block::{self, BLOCK};
use super::{DEPTH_MAX, Expected, JsonError, JsonErrorKind};

/// The walk ended; [`Scanner::error`] says why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stop;

/// The name of a member.
pub(super) struct Name {
    /// Where its closing quote stands.
    pub(super) end: usize,
    /// Where its member's value begins.
    pub(super) value: usize,
    /// Whether it holds a backslash.
    pub(super) escaped: bool,
}

pub(super) struct Scanner<'a> {
    json: &'a [u8],
    /// Not zero once a string may have held bytes beyond ASCII.
    high: u32,
    error: JsonError,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(json: &'a [u8]) -> Scanner<'a> {
        Scanner { json, high: 0, error: JsonError { at: 0, what: JsonErrorKind::Empty } }
    }

    pub(super) fn json(&self) -> &'a [u8] {
        self.json
    }

    /// What stopped the walk.
    pub(super) fn error(&self) -> JsonError {
        self.error
    }

    #[cold]
    #[inline(never)]
    pub(super) fn stop(&mut self, at: usize, what: JsonErrorKind) -> Stop {
        self.error = JsonError { at, what };
        Stop
    }

    #[cold]
    #[inline(never)]
    fn broken(&mut self, at: usize, expected: Expected) -> Stop {
        self.stop(at, JsonErrorKind::Broken(expected))
    }

    /// The byte there; 0 at the end.
    #[inline(always)]
    pub(super) fn byte(&self, at: usize) -> u8 {
        match self.json.get(at) {
            Some(byte) => *byte,
            None => 0,
        }
    }

    #[inline(always)]
    fn window<const N: usize>(&self, at: usize) -> Option<&'a [u8; N]> {
        self.json.get(at..)?.first_chunk()
    }

    /// Skips whitespace.
    #[inline(always)]
    pub(super) fn space(&self, at: usize) -> usize {
        if self.byte(at) > b' ' { at } else { self.space_slow(at) }
    }

    #[inline(never)]
    fn space_slow(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), b' ' | b'\t' | b'\n' | b'\r') {
            at += 1;
        }
        at
    }

    /// Opens a container: where its first content begins, `None` if it is empty (or another).
    pub(super) fn open(&self, at: usize, open: u8, close: u8) -> Option<usize> {
        let content = self.space(at + 1);
        (self.byte(at) == open && self.byte(content) != close).then_some(content)
    }

    /// Any value, with `depth` containers around it. Answers where it ends.
    #[inline(always)]
    pub(super) fn value(&mut self, at: usize, depth: usize) -> Result<usize, Stop> {
        match self.byte(at) {
            b'"' => self.string(at + 1).map(|(end, _)| end + 1),
            b'-' | b'0'..=b'9' => self.number(at),
            b'{' | b'[' => self.container(at, depth),
            _ => self.literal(at),
        }
    }

    /// The name of a member and the colon behind it.
    #[inline(always)]
    pub(super) fn name(&mut self, at: usize) -> Result<Name, Stop> {
        if self.byte(at) != b'"' {
            return Err(self.broken(at, Expected::Name));
        }
        let (end, escaped) = self.string(at + 1)?;
        let colon = self.space(end + 1);
        if self.byte(colon) != b':' {
            return Err(self.broken(colon, Expected::Colon));
        }
        Ok(Name { end, value: self.space(colon + 1), escaped })
    }

    /// What follows a member or an element of a container that ends with `close`.
    #[inline(always)]
    pub(super) fn comma(&mut self, at: usize, close: u8) -> Result<Next, Stop> {
        let at = self.space(at);
        match self.byte(at) {
            b',' => Ok(Next::More(self.space(at + 1))),
            byte if byte == close => Ok(Next::Closed(at + 1)),
            _ if close == b'}' => Err(self.broken(at, Expected::CommaOrBrace)),
            _ => Err(self.broken(at, Expected::CommaOrBracket)),
        }
    }

    /// A container and everything in it, without recursion.
    #[inline(never)]
    fn container(&mut self, mut at: usize, depth: usize) -> Result<usize, Stop> {
        let mut open = Open::new(depth);
        loop {
            let byte = self.byte(at);
            at = match byte {
                b'"' => self.string(at + 1)?.0 + 1,
                b'-' | b'0'..=b'9' => self.number(at)?,
                b'{' | b'[' => {
                    if !open.push(byte == b'{') {
                        return Err(self.stop(at, JsonErrorKind::TooDeep));
                    }
                    at = self.space(at + 1);
                    // '}' and ']' are each two above their opening.
                    if self.byte(at) != byte + 2 {
                        if byte == b'{' {
                            at = self.name(at)?.value;
                        }
                        continue;
                    }
                    open.pop();
                    at + 1
                }
                _ => self.literal(at)?,
            };
            loop {
                if open.is_empty() {
                    return Ok(at);
                }
                let object = open.innermost_is_object();
                match self.comma(at, if object { b'}' } else { b']' })? {
                    Next::More(next) => {
                        at = if object { self.name(next)?.value } else { next };
                        break;
                    }
                    Next::Closed(end) => {
                        open.pop();
                        at = end;
                    }
                }
            }
        }
    }

    /// A string from behind its opening quote. Answers where its closing quote stands, and whether
    /// there is a backslash before it.
    #[inline(always)]
    fn string(&mut self, mut at: usize) -> Result<(usize, bool), Stop> {
        while let Some(block) = self.window::<BLOCK>(at) {
            let marks = block::string_marks(block);
            self.high |= marks.high;
            if marks.stops != 0 {
                at += marks.stops.trailing_zeros() as usize;
                if self.byte(at) == b'"' {
                    return Ok((at, false));
                }
                break;
            }
            at += BLOCK;
        }
        self.string_slow(at)
    }

    #[inline(never)]
    fn string_slow(&mut self, mut at: usize) -> Result<(usize, bool), Stop> {
        let mut escaped = false;
        while let Some(byte) = self.json.get(at) {
            self.high |= u32::from(byte & 0x80);
            at += match byte {
                b'"' => return Ok((at, escaped)),
                b'\\' => {
                    escaped = true;
                    self.escape(at)?
                }
                0..0x20 => return Err(self.stop(at, JsonErrorKind::ControlCharacter)),
                _ => 1,
            };
        }
        Err(self.broken(at, Expected::ClosingQuote))
    }

    /// An escape. Answers how long it is.
    fn escape(&mut self, at: usize) -> Result<usize, Stop> {
        match self.byte(at + 1) {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(2),
            b'u' if self.window(at + 2).and_then(hex4).is_some() => Ok(6),
            b'u' => Err(self.broken(at + 2, Expected::HexDigits)),
            _ => Err(self.broken(at + 1, Expected::Escape)),
        }
    }

    #[inline(always)]
    fn number(&mut self, start: usize) -> Result<usize, Stop> {
        let at = start + usize::from(self.byte(start) == b'-');
        if let Some(window) = self.window(at) {
            let digits = block::digits(window);
            let end = at + digits;
            let plain = !matches!(self.byte(end), b'.' | b'e' | b'E')
                && (digits == 1 || self.byte(at) != b'0');
            if plain && (1..16).contains(&digits) {
                return Ok(end);
            }
        }
        self.number_slow(at)
    }

    /// A number of any form, from behind its minus.
    #[inline(never)]
    fn number_slow(&mut self, at: usize) -> Result<usize, Stop> {
        let mut at = if self.byte(at) == b'0' { at + 1 } else { self.digits(at)? };
        if self.byte(at) == b'.' {
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), b'e' | b'E') {
            let sign = matches!(self.byte(at + 1), b'+' | b'-');
            at = self.digits(at + 1 + usize::from(sign))?;
        }
        Ok(at)
    }

    fn digits(&mut self, mut at: usize) -> Result<usize, Stop> {
        if !self.byte(at).is_ascii_digit() {
            return Err(self.broken(at, Expected::Digit));
        }
        while self.byte(at).is_ascii_digit() {
            at += 1;
        }
        Ok(at)
    }

    /// `true`, `false` or `null`; anything else is no value.
    #[inline(always)]
    fn literal(&mut self, at: usize) -> Result<usize, Stop> {
        match self.window(at) {
            Some(b"true" | b"null") => Ok(at + 4),
            Some(b"fals") if self.byte(at + 4) == b'e' => Ok(at + 5),
            _ if matches!(self.byte(at), b't' | b'f' | b'n') => {
                Err(self.broken(at, Expected::Literal))
            }
            _ => Err(self.broken(at, Expected::Value)),
        }
    }

    /// The end of a document whose value ended at `at`: nothing but whitespace may follow, and
    /// what isn't ASCII (only in strings, or the grammar would have refused it) must be UTF-8.
    #[inline(always)]
    pub(super) fn finish(&mut self, at: usize) -> Result<(), Stop> {
        let at = self.space(at);
        if at < self.json.len() {
            return Err(self.stop(at, JsonErrorKind::TrailingBytes));
        }
        if self.high != 0 { self.utf8() } else { Ok(()) }
    }

    #[inline(never)]
    fn utf8(&mut self) -> Result<(), Stop> {
        match simdutf8::compat::from_utf8(self.json) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.stop(error.valid_up_to(), JsonErrorKind::InvalidUtf8)),
        }
    }
}

/// What follows a member or an element.
pub(super) enum Next {
    /// Another one, there.
    More(usize),
    /// Nothing: the container ended before there.
    Closed(usize),
}

/// The containers that are open, as a stack of bits.
struct Open {
    /// The innermost in bit 0; 1 is an object.
    objects: u128,
    depth: usize,
    outer: usize,
}

impl Open {
    #[inline(always)]
    fn new(outer: usize) -> Open {
        Open { objects: 0, depth: outer, outer }
    }

    /// False if that would be too deep.
    #[inline(always)]
    fn push(&mut self, object: bool) -> bool {
        self.objects = self.objects << 1 | u128::from(object);
        self.depth += 1;
        self.depth <= DEPTH_MAX
    }

    #[inline(always)]
    fn pop(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        self.depth == self.outer
    }

    #[inline(always)]
    fn innermost_is_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

/// The value of four hexadecimal digits.
pub(super) fn hex4(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value << 4 | char::from(*digit).to_digit(16)?))
}
