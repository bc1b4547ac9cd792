//! The text that a JSON string stands for.

use std::borrow::Cow;

use super::grammar::hex4;

/// The text between the quotes, unescaped. `None` if an escape is half a surrogate pair.
pub(super) fn unescape(inner: &[u8]) -> Option<Cow<'_, str>> {
    if !inner.contains(&b'\\') {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    let mut text = String::with_capacity(inner.len());
    for piece in (Pieces { rest: inner }) {
        match piece {
            Piece::Plain(bytes) => text.push_str(std::str::from_utf8(bytes).ok()?),
            Piece::Escaped(c) => text.push(c),
            Piece::Broken => return None,
        }
    }
    Some(Cow::Owned(text))
}

/// Whether the bytes between the quotes stand for `text`. Allocates nothing.
pub(super) fn stands_for(inner: &[u8], text: &[u8]) -> bool {
    let mut left = text;
    for piece in (Pieces { rest: inner }) {
        let rest = match piece {
            Piece::Plain(bytes) => left.strip_prefix(bytes),
            Piece::Escaped(c) => left.strip_prefix(c.encode_utf8(&mut [0; 4]).as_bytes()),
            Piece::Broken => None,
        };
        match rest {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    left.is_empty()
}

enum Piece<'a> {
    Plain(&'a [u8]),
    Escaped(char),
    /// Half a surrogate pair, or (never after a scan) no escape at all.
    Broken,
}

struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let plain = self.rest.iter().take_while(|b| **b != b'\\').count();
        if plain > 0 {
            let (piece, rest) = self.rest.split_at(plain);
            self.rest = rest;
            return Some(Piece::Plain(piece));
        }
        let after = self.rest.get(1..)?;
        let Some((escape, rest)) = after.split_first() else {
            self.rest = after;
            return Some(Piece::Broken);
        };
        self.rest = rest;
        Some(match escape {
            b'"' | b'\\' | b'/' => Piece::Escaped(char::from(*escape)),
            b'b' => Piece::Escaped('\u{8}'),
            b'f' => Piece::Escaped('\u{c}'),
            b'n' => Piece::Escaped('\n'),
            b'r' => Piece::Escaped('\r'),
            b't' => Piece::Escaped('\t'),
            b'u' => self.code_point().map_or(Piece::Broken, Piece::Escaped),
            _ => Piece::Broken,
        })
    }
}

impl Pieces<'_> {
    /// What follows `\u`, with its second half if it is a surrogate pair.
    fn code_point(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.rest = self.rest.strip_prefix(b"\\u")?;
        let second = self.hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return None;
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    fn hex(&mut self) -> Option<u32> {
        let (digits, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        hex4(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_text() {
        for (inner, text) in [
            ("", ""),
            ("plain ü", "plain ü"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"a\u0041\u00e9\u20aCb", "aAé€b"),
            (r"\ud83d\uDE00!", "😀!"),
            (r"\u0000", "\0"),
        ] {
            assert_eq!(unescape(inner.as_bytes()).as_deref(), Some(text), "{inner}");
            assert!(stands_for(inner.as_bytes(), text.as_bytes()), "{inner}");
            assert!(!stands_for(inner.as_bytes(), format!("{text}x").as_bytes()), "{inner}");
        }
        assert!(matches!(unescape(b"plain"), Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        for inner in [
            r"\ud800",
            r"\udc00",
            r"\ud800x",
            r"\ud800\n",
            r"\ud800\ud800",
            r"a\udfff",
            r"\ud800\u0041",
        ] {
            assert_eq!(unescape(inner.as_bytes()), None, "{inner}");
            assert!(!stands_for(inner.as_bytes(), b"a"), "{inner}");
        }
    }

    #[test]
    fn what_was_never_scanned_is_no_text_either() {
        for inner in [&b"\\"[..], b"\\x", b"\\u12", b"\\u12g4", b"\xff", b"\\n\xff"] {
            assert_eq!(unescape(inner), None, "{inner:?}");
        }
    }
}
