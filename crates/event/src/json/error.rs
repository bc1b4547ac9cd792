//! What can be wrong with a payload that should be a JSON object.

use std::fmt;

/// Why a payload isn't a JSON object that can be taken, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    /// Byte offset into the payload.
    pub at: usize,
    /// What is wrong there.
    pub what: JsonErrorKind,
}

impl JsonError {
    /// A stable snake_case name of the error, used as the reason of a rejection.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.what.name()
    }
}

/// The ways in which a payload can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Nothing but whitespace.
    Empty,
    /// JSON perhaps, but it doesn't begin with `{`.
    NotAnObject,
    /// Against the grammar of RFC 8259, or cut short.
    Broken(Expected),
    /// A string holds bytes that aren't UTF-8.
    InvalidUtf8,
    /// A string holds a byte below 0x20 (a NUL, a raw line break) that should be escaped.
    ControlCharacter,
    /// Nested more than [`DEPTH_MAX`](super::DEPTH_MAX) levels deep.
    TooDeep,
    /// A field on the way to the selected path of this index (its place in the slice given to
    /// [`Selection::new`](super::Selection::new)) stands twice in one object.
    AmbiguousField(usize),
    /// The object is whole, but more than whitespace follows it.
    TrailingBytes,
}

/// What should have stood where a document is [`Broken`](JsonErrorKind::Broken).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Any JSON value.
    Value,
    /// The quote before a member's name.
    Name,
    /// The colon after a member's name.
    Colon,
    /// A comma or the closing brace.
    CommaOrBrace,
    /// A comma or the closing bracket.
    CommaOrBracket,
    /// The quote that ends a string.
    ClosingQuote,
    /// One of the escapes that a backslash may begin.
    Escape,
    /// Four hexadecimal digits.
    HexDigits,
    /// A digit of a number.
    Digit,
    /// `true`, `false` or `null`.
    Literal,
}

impl JsonErrorKind {
    /// See [`JsonError::name`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            JsonErrorKind::Empty => "empty",
            JsonErrorKind::NotAnObject => "json_not_an_object",
            JsonErrorKind::Broken(_) => "json_broken",
            JsonErrorKind::InvalidUtf8 => "invalid_utf8",
            JsonErrorKind::ControlCharacter => "json_control_character",
            JsonErrorKind::TooDeep => "json_too_deep",
            JsonErrorKind::AmbiguousField(_) => "json_ambiguous_field",
            JsonErrorKind::TrailingBytes => "json_trailing_bytes",
        }
    }
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonErrorKind::Empty => f.write_str("the payload is empty"),
            JsonErrorKind::NotAnObject => f.write_str("the payload isn't a JSON object"),
            JsonErrorKind::Broken(expected) => write!(f, "the JSON is broken: expected {expected}"),
            JsonErrorKind::InvalidUtf8 => f.write_str("the payload isn't UTF-8"),
            JsonErrorKind::ControlCharacter => {
                f.write_str("a string holds a control character that should be escaped")
            }
            JsonErrorKind::TooDeep => {
                write!(f, "the JSON is nested deeper than {} levels", super::DEPTH_MAX)
            }
            JsonErrorKind::AmbiguousField(_) => {
                f.write_str("a selected field stands twice in its object")
            }
            JsonErrorKind::TrailingBytes => f.write_str("something follows the JSON object"),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Expected::Value => "a value",
            Expected::Name => "a name in quotes",
            Expected::Colon => "`:`",
            Expected::CommaOrBrace => "`,` or `}`",
            Expected::CommaOrBracket => "`,` or `]`",
            Expected::ClosingQuote => "a closing quote",
            Expected::Escape => "an escape after `\\`",
            Expected::HexDigits => "four hexadecimal digits",
            Expected::Digit => "a digit",
            Expected::Literal => "`true`, `false` or `null`",
        })
    }
}
