//! A walk over JSON that the scanner has accepted, and that therefore checks nothing: it only looks
//! for where values end. About four times as fast as checking again.
//!
//! On bytes that were never scanned the walk is wrong, but it ends, and nothing panics.

use std::ops::Range;

use event::json::Raw;

/// A place in a payload.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    json: &'a [u8],
    at: usize,
}

/// What a byte means outside of strings.
const OTHER: u8 = 0;
const QUOTE: u8 = 1;
const OPEN: u8 = 2;
const CLOSE: u8 = 3;
const BETWEEN: u8 = 4;

const MEANING: [u8; 256] = {
    let mut meaning = [OTHER; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, reason = "in bounds, and evaluated when compiled")]
        {
            meaning[byte] = match byte as u8 {
                b'"' => QUOTE,
                b'{' | b'[' => OPEN,
                b'}' | b']' => CLOSE,
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => BETWEEN,
                _ => OTHER,
            };
        }
        byte += 1;
    }
    meaning
};

fn meaning(byte: u8) -> u8 {
    MEANING.get(usize::from(byte)).copied().unwrap_or(OTHER)
}

impl<'a> Cursor<'a> {
    /// At the first byte of a payload, or of one value of it.
    pub(crate) fn new(json: &'a [u8]) -> Cursor<'a> {
        Cursor { json, at: 0 }
    }

    /// At a place in a payload.
    pub(crate) fn at(json: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { json, at }
    }

    /// The next byte that isn't between values.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.json.get(self.at)?;
            if meaning(byte) != BETWEEN {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// Goes into the object or array that begins here, if `open` begins it.
    #[inline]
    pub(crate) fn enter(&mut self, open: u8) -> bool {
        let here = self.peek() == Some(open);
        self.at += usize::from(here);
        here
    }

    /// In an object: the next name, quotes included; the cursor stands at its value then. `None`
    /// at the end of the object, which is left then.
    #[inline]
    pub(crate) fn name(&mut self) -> Option<Range<usize>> {
        match self.peek()? {
            b'"' => self.string(),
            _ => {
                self.at += 1;
                None
            }
        }
    }

    /// In an array: the first byte of the next element. `None` at the end of the array, which is
    /// left then.
    #[inline]
    pub(crate) fn element(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        if meaning(byte) == CLOSE {
            self.at += 1;
            return None;
        }
        Some(byte)
    }

    /// Passes over the value that begins here.
    #[inline]
    pub(crate) fn skip(&mut self) -> Option<Range<usize>> {
        let byte = self.peek()?;
        match meaning(byte) {
            QUOTE => self.string(),
            OPEN => self.container(),
            _ => Some(self.word()),
        }
    }

    /// Passes over the value that begins here, and gives its bytes.
    #[inline]
    pub(crate) fn value(&mut self) -> Option<Raw<'a>> {
        let span = self.skip()?;
        self.json.get(span).map(Raw::new)
    }

    /// The bytes of a span.
    #[inline]
    pub(crate) fn bytes(&self, span: Range<usize>) -> &'a [u8] {
        self.json.get(span).unwrap_or_default()
    }

    /// A number or a literal.
    #[inline]
    fn word(&mut self) -> Range<usize> {
        let start = self.at;
        let rest = self.json.get(start..).unwrap_or_default();
        let len = rest.iter().position(|byte| meaning(*byte) != OTHER).unwrap_or(rest.len());
        // What can't begin a value is passed over, too: the walk has to end.
        self.at = start + len.max(1).min(rest.len());
        start..self.at
    }

    /// A string, quotes included.
    #[inline]
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut at = start + 1;
        loop {
            at += quote_or_backslash(self.json.get(at..)?)?;
            if self.json.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Some(start..self.at);
            }
            at += 2;
        }
    }

    fn container(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match meaning(*self.json.get(self.at)?) {
                QUOTE => {
                    self.string()?;
                    continue;
                }
                OPEN => depth += 1,
                CLOSE => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(start..self.at);
            }
        }
    }
}

/// How many bytes come before the first quote or backslash, eight at a time: strings are short, a
/// call to memchr takes longer than most of them.
#[inline]
fn quote_or_backslash(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    // The high bit of each byte that is zero; wrong only above the lowest such byte.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut before = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if found != 0 {
            return Some(before + found.trailing_zeros() as usize / 8);
        }
        before += 8;
    }
    rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|at| before + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The value as the cursor sees it, put together again.
    fn rebuilt(cursor: &mut Cursor<'_>) -> Option<Value> {
        Some(match cursor.peek()? {
            b'{' => {
                assert!(cursor.enter(b'{'));
                let mut object = serde_json::Map::new();
                while let Some(name) = cursor.name() {
                    let name = serde_json::from_slice(cursor.bytes(name)).unwrap();
                    object.insert(name, rebuilt(cursor)?);
                }
                Value::Object(object)
            }
            b'[' => {
                assert!(cursor.enter(b'['));
                let mut array = Vec::new();
                while cursor.element().is_some() {
                    array.push(rebuilt(cursor)?);
                }
                Value::Array(array)
            }
            _ => serde_json::from_slice(cursor.value()?.bytes()).unwrap(),
        })
    }

    fn json() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
            "[\\\\\"{}\\[\\],:]{0,12}".prop_map(Value::from),
        ];
        scalar.prop_recursive(5, 60, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((".{0,9}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_are_found_whole(value in json(), pretty in any::<bool>(), after in "[,}\\] ]{0,3}") {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            prop_assert_eq!(rebuilt(&mut Cursor::new(text.as_bytes())), Some(value));
            let followed = format!(" {text}{after}");
            prop_assert_eq!(Cursor::new(followed.as_bytes()).skip(), Some(1..text.len() + 1));
        }

        #[test]
        fn any_bytes_come_to_an_end(bytes in "[{}\\[\\]\",: a1\\\\\\x00]{0,40}") {
            let mut cursor = Cursor::new(bytes.as_bytes());
            while cursor.peek().is_some() {
                let before = cursor.at;
                if cursor.name().is_none() && cursor.element().is_some() && cursor.skip().is_none() {
                    break;
                }
                prop_assert!(cursor.at > before || cursor.peek().is_none());
            }
        }

        #[test]
        fn quotes_are_found_among_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let naive = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            prop_assert_eq!(quote_or_backslash(&bytes), naive);
        }
    }
}
