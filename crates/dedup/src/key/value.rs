//! One value of a key, and its encoding.

use event::json::{Kind, Raw, canonical_number};

use super::KeyProblem;

/// A value of a key: a field of the payload, or an attribute of the message.
#[derive(Clone, Copy, Debug)]
pub enum KeyValue<'a> {
    /// A field of the payload.
    Field(Raw<'a>),
    /// An attribute that is text. A field with the same text makes the same key.
    Text(&'a [u8]),
    /// An attribute that is called a number. A field with the same number makes the same key; what
    /// is no number in JSON is text.
    Number(&'a [u8]),
    /// An attribute of bytes, which no field has.
    Bytes(&'a [u8]),
}

impl<'a> From<Raw<'a>> for KeyValue<'a> {
    fn from(raw: Raw<'a>) -> Self {
        Self::Field(raw)
    }
}

/// Appends a tag, a length and the content.
#[inline]
pub(super) fn push(tag: u8, content: &[u8], out: &mut Vec<u8>) {
    // A payload holds less than 4 GiB.
    let [a, b, c, d] = (content.len() as u32).to_le_bytes();
    out.reserve(5 + content.len());
    out.extend_from_slice(&[tag, a, b, c, d]);
    out.extend_from_slice(content);
}

/// Appends a value; `field` is its index.
#[inline]
pub(super) fn encode(
    field: usize,
    value: KeyValue<'_>,
    out: &mut Vec<u8>,
) -> Result<(), KeyProblem> {
    match value {
        KeyValue::Field(raw) => encode_field(field, raw, out),
        KeyValue::Text(text) => {
            push(b's', text, out);
            Ok(())
        }
        KeyValue::Number(text) if is_number(text) => encode_number(field, text, out),
        KeyValue::Number(text) => {
            push(b's', text, out);
            Ok(())
        }
        KeyValue::Bytes(bytes) => {
            push(b'x', bytes, out);
            Ok(())
        }
    }
}

#[inline]
fn encode_field(field: usize, value: Raw<'_>, out: &mut Vec<u8>) -> Result<(), KeyProblem> {
    match value.kind() {
        Kind::String => {
            // Most strings hold no escape: then what stands between the quotes is the text.
            let bytes = value.bytes();
            let inner = bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or(&[]);
            if memchr::memchr(b'\\', inner).is_none() {
                push(b's', inner, out);
                return Ok(());
            }
            let text = value.as_str().ok_or(KeyProblem::NotText(field))?;
            push(b's', text.as_bytes(), out);
        }
        Kind::Number => encode_number(field, value.bytes(), out)?,
        Kind::Bool => out.push(if value.bytes() == b"true" { b't' } else { b'f' }),
        Kind::Null => return Err(KeyProblem::Null(field)),
        Kind::Object | Kind::Array => return Err(KeyProblem::NotScalar(field)),
    }
    Ok(())
}

fn encode_number(field: usize, raw: &[u8], out: &mut Vec<u8>) -> Result<(), KeyProblem> {
    out.extend_from_slice(&[b'n', 0, 0, 0, 0]);
    let start = out.len();
    canonical_number(raw, out).map_err(|_| KeyProblem::NumberTooBig(field))?;
    let len = (out.len() - start) as u32;
    if let Some(place) = out.get_mut(start - 4..start) {
        place.copy_from_slice(&len.to_le_bytes());
    }
    Ok(())
}

/// Whether a text is a number as JSON writes it.
fn is_number(text: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(unsigned);
    if whole == 0 || (whole > 1 && unsigned.starts_with(b"0")) {
        return false;
    }
    let mut rest = unsigned.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', digits @ ..] => digits,
            digits => digits,
        };
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_attributes_are_those_of_json() {
        for number in ["0", "-0", "1", "12.50", "-1e9", "1E+3", "0.1e-2"] {
            assert!(is_number(number.as_bytes()), "{number}");
        }
        for text in ["", "-", "01", "+1", "1.", ".5", "1e", "1e+", "1x", " 1", "NaN", "0x1", "1.e3"]
        {
            assert!(!is_number(text.as_bytes()), "{text}");
        }
    }
}
