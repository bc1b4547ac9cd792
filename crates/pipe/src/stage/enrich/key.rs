//! What an event is looked up by: one of its fields, in a form in which equal values are equal
//! bytes.

use event::json::{JsonErrorKind, Kind, Raw};
use event::path::FieldPath;

/// What a field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// A text, number or bool: its form was appended.
    Key,
    /// It is missing, `null`, an object or an array: nothing can be known of it.
    Nothing,
    /// It, or a field on the way to it, stands twice.
    Ambiguous,
}

/// How texts are told from other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `1`, `1.0` and `"1"` are the same, `"1.0"` is another: the other side has texts only (CSV),
    /// and a number is written in plain digits.
    Untyped,
    /// They aren't.
    Typed,
}

/// Appends the form of a payload's field.
pub(super) fn ask(payload: &[u8], path: &FieldPath, form: Form, out: &mut Vec<u8>) -> Asked {
    match path.get(payload) {
        Ok(Some(value)) => push(value, form, out),
        Ok(None) => Asked::Nothing,
        Err(error) if matches!(error.what, JsonErrorKind::AmbiguousField(_)) => Asked::Ambiguous,
        Err(_) => Asked::Nothing,
    }
}

/// Appends the form of a value.
pub(super) fn push(value: Raw<'_>, form: Form, out: &mut Vec<u8>) -> Asked {
    let start = out.len();
    let tag = |tag: u8, out: &mut Vec<u8>| {
        if form == Form::Typed {
            out.push(tag);
        }
    };
    match value.kind() {
        Kind::String => {
            let Some(text) = value.as_str() else { return Asked::Nothing };
            tag(b's', out);
            out.extend_from_slice(text.as_bytes());
        }
        Kind::Number => {
            tag(b'n', out);
            if value.canonical_number(out).is_err() {
                out.truncate(start);
                return Asked::Nothing;
            }
            if form == Form::Untyped {
                write_plainly(start, out);
            }
        }
        Kind::Bool => {
            tag(b'b', out);
            out.extend_from_slice(value.bytes());
        }
        Kind::Null | Kind::Object | Kind::Array => return Asked::Nothing,
    }
    Asked::Key
}

/// A number in plain digits has this many zeros for its power of ten at most.
const ZEROS_MAX: usize = 40;

/// Rewrites a canonical number (`-15e-1`, from `start` on) in plain digits (`-1.5`), unless it
/// would be long.
fn write_plainly(start: usize, out: &mut Vec<u8>) {
    let canonical = out.get(start..).unwrap_or_default();
    let Some(e) = canonical.iter().position(|byte| *byte == b'e') else { return };
    let (mantissa, power) = canonical.split_at(e);
    let power = std::str::from_utf8(power.get(1..).unwrap_or_default());
    let Some(power) = power.ok().and_then(|power| power.parse::<i64>().ok()) else { return };
    let Some(zeros) = usize::try_from(power.unsigned_abs()).ok().filter(|n| *n <= ZEROS_MAX) else {
        return;
    };
    let (sign, digits) = match mantissa.split_first() {
        Some((b'-', digits)) => (true, digits.to_vec()),
        _ => (false, mantissa.to_vec()),
    };
    out.truncate(start);
    if sign {
        out.push(b'-');
    }
    if power >= 0 {
        out.extend_from_slice(&digits);
        out.extend(std::iter::repeat_n(b'0', zeros));
        return;
    }
    let whole = digits.len().saturating_sub(zeros);
    let (before, after) = digits.split_at(whole);
    out.extend_from_slice(if before.is_empty() { b"0" } else { before });
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', zeros.saturating_sub(digits.len())));
    out.extend_from_slice(after);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_one_form() {
        let form = |json: &str, form| {
            let mut out = b"before".to_vec();
            let asked = push(Raw::new(json.as_bytes()), form, &mut out);
            assert!(asked == Asked::Key || out == b"before");
            String::from_utf8(out.split_off(6)).unwrap()
        };
        for (json, plain) in [
            ("7", "7"),
            ("7.0", "7"),
            ("-1.50", "-1.5"),
            ("1e3", "1000"),
            ("0.001", "0.001"),
            ("12e-1", "1.2"),
            ("-0", "0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
            ("\"1.0\"", "1.0"),
            ("\"\\u0041\"", "A"),
            ("true", "true"),
            ("1e99", "1e99"),
        ] {
            assert_eq!(form(json, Form::Untyped), plain, "{json}");
        }
        assert_eq!(form("1.0", Form::Typed), form("1", Form::Typed));
        assert_ne!(form("1", Form::Typed), form("\"1\"", Form::Typed));
        assert_ne!(form("true", Form::Typed), form("\"true\"", Form::Typed));
        for nothing in ["null", "{}", "[1]", "\"\\ud800\"", "1e9999999"] {
            assert_eq!(form(nothing, Form::Typed), "", "{nothing}");
        }
    }
}
