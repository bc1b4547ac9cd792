//! A command on its way to a server, and what came back.

use redis::Value;

use super::script::Script;

/// A command, encoded, with the hash slot that it belongs to.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) slot: u16,
    pub(super) bytes: Vec<u8>,
    /// To be loaded if the server doesn't know it.
    pub(super) script: Option<&'static Script>,
}

impl Call {
    /// Begins a command of `parts` parts, its name included.
    pub(super) fn new(slot: u16, parts: usize) -> Self {
        let mut call = Self { slot, bytes: Vec::with_capacity(256), script: None };
        call.head(b'*', parts);
        call
    }

    /// A whole command.
    pub(super) fn of(slot: u16, parts: &[&str]) -> Self {
        let mut call = Self::new(slot, parts.len());
        for part in parts {
            call.arg(part);
        }
        call
    }

    /// Adds a part.
    pub(super) fn arg(&mut self, part: impl AsRef<[u8]>) -> &mut Self {
        let part = part.as_ref();
        self.head(b'$', part.len());
        self.bytes.extend(part);
        self.bytes.extend(b"\r\n");
        self
    }

    fn head(&mut self, kind: u8, number: usize) {
        let mut digits = [0; 20];
        let mut rest = number;
        let mut count = 0;
        for digit in digits.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
            count += 1;
            if rest == 0 {
                break;
            }
        }
        self.bytes.push(kind);
        self.bytes.extend(digits.iter().skip(digits.len() - count));
        self.bytes.extend(b"\r\n");
    }
}

/// The bytes of a string in an answer.
pub(super) fn bytes(value: &Value) -> Option<&[u8]> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.as_bytes()),
        Value::Okay => Some(b"OK"),
        _ => None,
    }
}

/// A string in an answer.
pub(super) fn text(value: &Value) -> Option<&str> {
    bytes(value).and_then(|bytes| std::str::from_utf8(bytes).ok())
}

/// A number in an answer.
pub(super) fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        _ => text(value)?.parse().ok(),
    }
}

/// The parts of an answer.
pub(super) fn parts(value: &Value) -> &[Value] {
    match value {
        Value::Array(parts) => parts,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_encoded_as_the_protocol_wants() {
        let call = Call::of(0, &["GET", "0123456789x"]);
        assert_eq!(call.bytes, b"*2\r\n$3\r\nGET\r\n$11\r\n0123456789x\r\n");
        let mut empty = Call::new(0, 1);
        empty.arg("");
        assert_eq!(empty.bytes, b"*1\r\n$0\r\n\r\n");
    }
}
