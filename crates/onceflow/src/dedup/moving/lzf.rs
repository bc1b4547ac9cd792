//! LZF, as strings of a Redis dump are compressed.

/// The `len` bytes that `packed` stands for; `None` if it doesn't.
pub(super) fn unpack(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(len.min(1 << 20));
    let mut at = 0;
    while let Some(&control) = packed.get(at) {
        at += 1;
        let control = usize::from(control);
        if control < 32 {
            out.extend_from_slice(packed.get(at..at + control + 1)?);
            at += control + 1;
        } else {
            let mut count = control >> 5;
            if count == 7 {
                count += usize::from(*packed.get(at)?);
                at += 1;
            }
            let distance = (control & 31) << 8 | usize::from(*packed.get(at)?);
            at += 1;
            let from = out.len().checked_sub(distance + 1)?;
            for index in from..from + count + 2 {
                let byte = *out.get(index)?;
                out.push(byte);
            }
        }
        if out.len() > len {
            return None;
        }
    }
    (out.len() == len).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::unpack;

    #[test]
    fn repeats_are_copied() {
        assert_eq!(unpack(&[2, b'a', b'b', b'c'], 3).unwrap(), b"abc");
        // `a`, then 9 more from one back.
        assert_eq!(unpack(&[0, b'a', 7 << 5, 0, 0], 10).unwrap(), b"aaaaaaaaaa");
        assert_eq!(unpack(&[0, b'a', 7 << 5, 0, 9], 10), None);
        assert_eq!(unpack(&[5, b'a'], 6), None);
    }
}
