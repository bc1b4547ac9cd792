//! Numbers, bytes and text in a record: written to a `Vec`, read back through a [`Cursor`].

use std::fmt;

/// Bytes that are no record of ours, although their checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// What was expected.
    pub(crate) what: &'static str,
    /// Bytes that were left when it wasn't there.
    pub(crate) left: usize,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {} {} bytes before the end of a record", self.what, self.left)
    }
}

impl std::error::Error for Malformed {}

pub(crate) type Decoded<T> = Result<T, Malformed>;

/// Appends a number, 7 bits a byte, lowest first.
pub(crate) fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number, small ones of either sign short.
pub(crate) fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a length.
pub(crate) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_u64(out, len as u64);
}

/// Appends bytes with their length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_len(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends text with its length.
pub(crate) fn put_str(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends a value that may be missing.
pub(crate) fn put_option<T>(
    out: &mut Vec<u8>,
    value: Option<T>,
    put: impl FnOnce(&mut Vec<u8>, T),
) {
    match value {
        None => out.push(0),
        Some(value) => {
            out.push(1);
            put(out, value);
        }
    }
}

/// Appends several values with their number.
pub(crate) fn put_list<T>(
    out: &mut Vec<u8>,
    values: impl ExactSizeIterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T),
) {
    put_len(out, values.len());
    values.for_each(|value| put(out, value));
}

/// Reads a record from front to back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { left: bytes }
    }

    /// The error for something that isn't there.
    pub(crate) const fn missing(&self, what: &'static str) -> Malformed {
        Malformed { what, left: self.left.len() }
    }

    /// Nothing may be left.
    pub(crate) const fn end(&self) -> Decoded<()> {
        if self.left.is_empty() { Ok(()) } else { Err(self.missing("end")) }
    }

    /// Whether nothing is left.
    pub(crate) const fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    pub(crate) fn raw(&mut self, bytes: usize) -> Decoded<&'a [u8]> {
        let (head, left) =
            self.left.split_at_checked(bytes).ok_or_else(|| self.missing("bytes"))?;
        self.left = left;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (head, left) = self.left.split_first_chunk().ok_or_else(|| self.missing("bytes"))?;
        self.left = left;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn bool(&mut self) -> Decoded<bool> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.missing("yes or no")),
        }
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.missing("number of 64 bits"))
    }

    pub(crate) fn i64(&mut self) -> Decoded<i64> {
        let value = self.u64()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    pub(crate) fn u16(&mut self) -> Decoded<u16> {
        let value = self.u64()?;
        u16::try_from(value).map_err(|_| self.missing("number of 16 bits"))
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        let value = self.u64()?;
        u32::try_from(value).map_err(|_| self.missing("number of 32 bits"))
    }

    pub(crate) fn u128(&mut self) -> Decoded<u128> {
        self.array().map(u128::from_le_bytes)
    }

    /// A length of something of which each takes at least `bytes_min` bytes, so that a wrong
    /// length allocates nothing big.
    pub(crate) fn len(&mut self, bytes_min: usize) -> Decoded<usize> {
        let len = self.u64()?;
        let len = usize::try_from(len).map_err(|_| self.missing("length"))?;
        let fits = len.checked_mul(bytes_min).is_some_and(|bytes| bytes <= self.left.len());
        if fits { Ok(len) } else { Err(self.missing("room for the length")) }
    }

    pub(crate) fn bytes(&mut self) -> Decoded<&'a [u8]> {
        let len = self.len(1)?;
        self.raw(len)
    }

    pub(crate) fn str(&mut self) -> Decoded<&'a str> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.missing("text"))
    }

    pub(crate) fn string(&mut self) -> Decoded<String> {
        self.str().map(Into::into)
    }

    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Ok(None) }
    }

    /// Several values into any collection.
    pub(crate) fn list<T, C: FromIterator<T>>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Decoded<T>,
    ) -> Decoded<C> {
        let len = self.len(1)?;
        (0..len).map(|_| read(self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip(unsigned: u64, signed: i64, small in -70_i64..70) {
            let mut out = Vec::new();
            put_u64(&mut out, unsigned);
            put_i64(&mut out, signed);
            let before = out.len();
            put_i64(&mut out, small);
            prop_assert!(out.len() - before <= 2);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.u64(), Ok(unsigned));
            prop_assert_eq!(cursor.i64(), Ok(signed));
            prop_assert_eq!(cursor.i64(), Ok(small));
            prop_assert_eq!(cursor.end(), Ok(()));
        }

        #[test]
        fn bytes_and_options_round_trip(bytes: Vec<u8>, text: String, option: Option<u64>) {
            let mut out = Vec::new();
            put_bytes(&mut out, &bytes);
            put_str(&mut out, &text);
            put_option(&mut out, option, put_u64);
            let mut cursor = Cursor::new(&out);
            prop_assert_eq!(cursor.bytes(), Ok(bytes.as_slice()));
            prop_assert_eq!(cursor.str(), Ok(text.as_str()));
            prop_assert_eq!(cursor.option(Cursor::u64), Ok(option));
            prop_assert_eq!(cursor.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let mut cursor = Cursor::new(&bytes);
            let _ = cursor.list::<_, Vec<_>>(Cursor::string);
            let _ = cursor.u64();
            let _ = cursor.u128();
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_refused_before_anything_is_allocated() {
        let mut out = Vec::new();
        put_u64(&mut out, u64::MAX);
        assert!(Cursor::new(&out).bytes().is_err());
        assert!(Cursor::new(&out).list::<u8, Vec<_>>(Cursor::u8).is_err());
    }
}
