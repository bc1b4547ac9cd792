//! Going through a payload that was scanned, value by value, without a selection and without
//! looking at anything twice.

use super::grammar::{self, Next, byte, space};
use super::strings::{Searched, Strings};
use super::{Expected, JsonError, walk};

/// A place in a payload that was scanned. Errors say that it wasn't: what the cursor passes over is
/// only checked as far as it takes to find the way.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    json: &'a [u8],
    at: usize,
}

/// A string or a name between its quotes, escapes as they came.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a> {
    /// The bytes between the quotes.
    pub inner: &'a [u8],
    /// Whether there is a backslash in them.
    pub escaped: bool,
}

impl<'a> Cursor<'a> {
    /// Before the payload's only value.
    #[must_use]
    #[inline]
    pub fn new(json: &'a [u8]) -> Cursor<'a> {
        Cursor { json, at: 0 }
    }

    /// The first byte of the value that comes next, whitespace skipped; 0 at the end.
    #[inline(always)]
    pub fn peek(&mut self) -> u8 {
        self.at = space(self.json, self.at);
        byte(self.json, self.at)
    }

    /// Passes over the string that comes next; [`Cursor::peek`] has seen its quote.
    ///
    /// # Errors
    /// [`JsonError`] when it has no end.
    #[inline(always)]
    pub fn string(&mut self) -> Result<Text<'a>, JsonError> {
        let start = self.at + 1;
        let end = Searched::default().end(self.json, start)?;
        self.at = end.at + 1;
        let inner = self.json.get(start..end.at).unwrap_or_default();
        Ok(Text { inner, escaped: end.escaped })
    }

    /// Passes over the number that comes next; its bytes.
    ///
    /// # Errors
    /// [`JsonError`] when it is none.
    #[inline(always)]
    pub fn number(&mut self) -> Result<&'a [u8], JsonError> {
        let start = self.at;
        self.at = grammar::number(self.json, start)?;
        Ok(self.json.get(start..self.at).unwrap_or_default())
    }

    /// Passes over the `true`, `false` or `null` that comes next.
    ///
    /// # Errors
    /// [`JsonError`] when it is none of them.
    #[inline(always)]
    pub fn literal(&mut self) -> Result<(), JsonError> {
        self.at = grammar::literal(self.json, self.at)?;
        Ok(())
    }

    /// Passes over the value that comes next, whatever it is; its bytes.
    ///
    /// # Errors
    /// [`JsonError`] when it is broken.
    #[inline]
    pub fn skip(&mut self) -> Result<&'a [u8], JsonError> {
        self.peek();
        let start = self.at;
        self.at = walk::skip(self.json, start)?;
        Ok(self.json.get(start..self.at).unwrap_or_default())
    }

    /// Goes into the object or array that comes next; whether there is anything in it. If not, it
    /// is passed over.
    ///
    /// # Errors
    /// [`JsonError`] when it is cut off.
    #[inline(always)]
    pub fn enter(&mut self) -> Result<bool, JsonError> {
        self.at = space(self.json, self.at + 1);
        let empty = matches!(byte(self.json, self.at), b'}' | b']');
        self.at += usize::from(empty);
        Ok(!empty)
    }

    /// Passes over the name of a member and its colon; the value comes next.
    ///
    /// # Errors
    /// [`JsonError`] when there is none.
    #[inline(always)]
    pub fn name(&mut self) -> Result<Text<'a>, JsonError> {
        if byte(self.json, self.at) != b'"' {
            return grammar::broken(self.at, Expected::Name);
        }
        let name = self.string()?;
        self.at = grammar::colon(self.json, self.at)?;
        Ok(name)
    }

    /// From behind a member to the next one; false when the object ended.
    ///
    /// # Errors
    /// [`JsonError`] when neither comes.
    #[inline(always)]
    pub fn next_member(&mut self) -> Result<bool, JsonError> {
        let next = grammar::next_member(self.json, self.at)?;
        Ok(self.go(next))
    }

    /// From behind an element to the next one; false when the array ended.
    ///
    /// # Errors
    /// [`JsonError`] when neither comes.
    #[inline(always)]
    pub fn next_element(&mut self) -> Result<bool, JsonError> {
        let next = grammar::next_element(self.json, self.at)?;
        Ok(self.go(next))
    }

    #[inline(always)]
    fn go(&mut self, next: Next) -> bool {
        match next {
            Next::More(at) => {
                self.at = at;
                true
            }
            Next::Closed(at) => {
                self.at = at;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_gone_through_in_order() {
        let json = br#" {"a" : "x\n", "b":[ 1 , -2.5e3,[] ], "c":{"d":null} , "e":{ }} "#;
        let mut cursor = Cursor::new(json);
        assert_eq!(cursor.peek(), b'{');
        assert!(cursor.enter().unwrap());
        assert_eq!(cursor.name().unwrap().inner, b"a");
        assert_eq!(cursor.peek(), b'"');
        let text = cursor.string().unwrap();
        assert!(text.escaped && text.inner == br"x\n");
        assert!(cursor.next_member().unwrap());
        assert_eq!(cursor.name().unwrap().inner, b"b");
        assert_eq!(cursor.peek(), b'[');
        assert!(cursor.enter().unwrap());
        assert_eq!(cursor.peek(), b'1');
        assert_eq!(cursor.number().unwrap(), b"1");
        assert!(cursor.next_element().unwrap());
        assert_eq!(cursor.skip().unwrap(), b"-2.5e3");
        assert!(cursor.next_element().unwrap());
        assert_eq!(cursor.peek(), b'[');
        assert!(!cursor.enter().unwrap());
        assert!(!cursor.next_element().unwrap());
        assert!(cursor.next_member().unwrap());
        assert_eq!(cursor.name().unwrap().inner, b"c");
        assert_eq!(cursor.skip().unwrap(), br#"{"d":null}"#);
        assert!(cursor.next_member().unwrap());
        assert_eq!(cursor.name().unwrap().inner, b"e");
        assert_eq!(cursor.peek(), b'{');
        assert!(!cursor.enter().unwrap());
        assert!(!cursor.next_member().unwrap());
        assert_eq!(cursor.peek(), 0);
    }
}
