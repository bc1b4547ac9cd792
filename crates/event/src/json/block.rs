//! A few bytes at once: what of a block of 32 bytes ends or breaks a string, and how many digits a
//! number begins with.
//!
//! SSE2 is part of every x86_64, so nothing is detected at run time. Other targets take the
//! portable way.

/// How many bytes [`string_marks`] looks at.
pub(super) const BLOCK: usize = 32;

/// What stands in a block, a bit for each byte, the first byte lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// Bytes that a string can't pass over: `"`, `\` and everything below 0x20.
    pub(super) stops: u32,
    /// Not zero if a byte isn't ASCII.
    pub(super) high: u32,
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use portable::{digits, string_marks};
#[cfg(target_arch = "x86_64")]
pub(super) use sse2::{digits, string_marks};

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::{BLOCK, Marks};

    #[inline(always)]
    pub(in super::super) fn string_marks(block: &[u8; BLOCK]) -> Marks {
        block.iter().rev().fold(Marks { stops: 0, high: 0 }, |marks, byte| Marks {
            stops: marks.stops << 1 | u32::from(matches!(byte, b'"' | b'\\' | 0..0x20)),
            high: marks.high | u32::from(byte & 0x80),
        })
    }

    /// How many of the bytes are digits, from the front.
    #[inline(always)]
    pub(in super::super) fn digits(bytes: &[u8; 16]) -> usize {
        bytes.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_loadu_si128, _mm_min_epu8,
        _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };

    use super::{BLOCK, Marks};

    #[inline(always)]
    fn stops(bytes: __m128i) -> u32 {
        // SAFETY: these are SSE2 instructions, which every x86_64 has, on values only.
        unsafe {
            let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
            let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
            let control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
            _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, backslash), control)) as u32
        }
    }

    #[inline(always)]
    pub(in super::super) fn string_marks(block: &[u8; BLOCK]) -> Marks {
        // SAFETY: SSE2 as above; the unaligned loads read bytes 0..16 and 16..32 of the block.
        unsafe {
            let low = _mm_loadu_si128(block.as_ptr().cast());
            let high = _mm_loadu_si128(block.as_ptr().add(16).cast());
            Marks {
                stops: stops(low) | stops(high) << 16,
                high: _mm_movemask_epi8(_mm_or_si128(low, high)) as u32,
            }
        }
    }

    /// How many of the bytes are digits, from the front.
    #[inline(always)]
    pub(in super::super) fn digits(bytes: &[u8; 16]) -> usize {
        // SAFETY: SSE2 as above; the unaligned load reads the 16 bytes.
        let digit = unsafe {
            // '0'..='9' become the ten smallest of the signed bytes.
            let shift = _mm_set1_epi8(i8::MIN.wrapping_sub(b'0' as i8));
            let shifted = _mm_add_epi8(_mm_loadu_si128(bytes.as_ptr().cast()), shift);
            _mm_movemask_epi8(_mm_cmplt_epi8(shifted, _mm_set1_epi8(i8::MIN + 10)))
        };
        (!digit).trailing_zeros() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(crate::json::tests::cases(500))]

        #[test]
        fn all_ways_see_the_same(
            block in prop::array::uniform32(any::<u8>()), text in "[ -~é\"\\\\\0\n]{32}"
        ) {
            let text = text.as_bytes().first_chunk().unwrap();
            for block in [&block, text] {
                let (own, other) = (string_marks(block), portable::string_marks(block));
                prop_assert_eq!(own.stops, other.stops);
                prop_assert_eq!(own.high != 0, other.high != 0);
            }
        }

        #[test]
        fn digits_are_counted(front in "[0-9]{0,16}", after in "[!-~]{16}") {
            let text = front + &after;
            let bytes = text.as_bytes().first_chunk().unwrap();
            prop_assert_eq!(digits(bytes), portable::digits(bytes));
        }
    }

    #[test]
    fn every_byte_is_a_stop_or_not_and_a_digit_or_not() {
        for byte in 0..=u8::MAX {
            let stop = byte == b'"' || byte == b'\\' || byte < 0x20;
            assert_eq!(string_marks(&[byte; BLOCK]).stops, if stop { u32::MAX } else { 0 });
            assert_eq!(digits(&[byte; 16]), if byte.is_ascii_digit() { 16 } else { 0 });
        }
    }
}
