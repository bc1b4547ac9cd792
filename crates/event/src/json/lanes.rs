//! A block of 64 bytes compared at once: AVX2 if the machine has it, else SSE2, which every x86_64
//! has; other targets do without.

use super::quotes::collect;

/// How many bytes are looked at at once.
pub(super) const BLOCK: usize = 64;

/// What was seen of a payload so far, kept in the lanes of vector registers.
pub(super) trait Lanes {
    /// The quotes of the next block, a bit for each byte, the first byte lowest.
    fn quotes(&mut self, block: &[u8; BLOCK]) -> u64;

    /// Whether some block held a backslash or a byte below 0x20.
    fn any_special(&self) -> bool;

    /// Whether some block held a byte that isn't ASCII.
    fn any_high(&self) -> bool;
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::Widest;

#[cfg(not(target_arch = "x86_64"))]
pub(super) use portable::Widest;

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::{BLOCK, Lanes};

    /// Nothing to choose from.
    #[cfg(not(target_arch = "x86_64"))]
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Widest;

    #[cfg(not(target_arch = "x86_64"))]
    impl Widest {
        pub(in super::super) fn detect() -> Widest {
            Widest
        }

        /// See [`collect`].
        pub(in super::super) fn collect(
            self,
            json: &[u8],
            at: &mut [u32],
        ) -> Option<(usize, bool)> {
            super::collect(Bytes::default(), json, at)
        }
    }

    #[derive(Default)]
    pub(super) struct Bytes {
        special: bool,
        high: u8,
    }

    impl Lanes for Bytes {
        fn quotes(&mut self, block: &[u8; BLOCK]) -> u64 {
            block.iter().rev().fold(0, |quotes, byte| {
                self.special |= *byte == b'\\' || *byte < 0x20;
                self.high |= byte & 0x80;
                quotes << 1 | u64::from(*byte == b'"')
            })
        }

        fn any_special(&self) -> bool {
            self.special
        }

        fn any_high(&self) -> bool {
            self.high != 0
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK, Lanes, collect};

    /// The widest registers of this machine.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Widest {
        /// Set by `detect` alone: the machine has AVX2, BMI1 and POPCNT.
        avx2: bool,
    }

    impl Widest {
        /// Asks the machine.
        pub(in super::super) fn detect() -> Widest {
            let avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("popcnt");
            Widest { avx2 }
        }

        /// See [`collect`].
        #[inline]
        pub(in super::super) fn collect(
            self,
            json: &[u8],
            at: &mut [u32],
        ) -> Option<(usize, bool)> {
            if self.avx2 {
                // SAFETY: `avx2` says that the machine has these features.
                unsafe { with_avx2(json, at) }
            } else {
                with_sse2(json, at)
            }
        }

        /// As on a machine without AVX2.
        #[cfg(test)]
        pub(super) fn narrow() -> Widest {
            Widest { avx2: false }
        }
    }

    #[target_feature(enable = "avx2,bmi1,popcnt")]
    fn with_avx2(json: &[u8], at: &mut [u32]) -> Option<(usize, bool)> {
        let lanes = Avx2 { special: _mm256_setzero_si256(), high: _mm256_setzero_si256() };
        collect(lanes, json, at)
    }

    fn with_sse2(json: &[u8], at: &mut [u32]) -> Option<(usize, bool)> {
        // SAFETY: SSE2 is part of x86_64.
        let zero = unsafe { _mm_setzero_si128() };
        collect(Sse2 { special: zero, high: zero }, json, at)
    }

    /// Made by `with_avx2` alone, so that whoever has one may use AVX2.
    struct Avx2 {
        special: __m256i,
        high: __m256i,
    }

    impl Lanes for Avx2 {
        #[inline(always)]
        fn quotes(&mut self, block: &[u8; BLOCK]) -> u64 {
            // SAFETY: there is an `Avx2`, so there is AVX2; the unaligned loads read bytes 0..32 and
            // 32..64 of the block.
            unsafe {
                let low = _mm256_loadu_si256(block.as_ptr().cast());
                let high = _mm256_loadu_si256(block.as_ptr().add(32).cast());
                let quote = _mm256_set1_epi8(b'"' as i8);
                let low_quotes = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, quote)) as u32;
                let high_quotes = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, quote)) as u32;
                let backslash = _mm256_set1_epi8(b'\\' as i8);
                let backslash = _mm256_or_si256(
                    _mm256_cmpeq_epi8(low, backslash),
                    _mm256_cmpeq_epi8(high, backslash),
                );
                let least = _mm256_min_epu8(low, high);
                let control = _mm256_min_epu8(least, _mm256_set1_epi8(0x1f));
                let control = _mm256_cmpeq_epi8(control, least);
                let special = _mm256_or_si256(backslash, control);
                self.special = _mm256_or_si256(self.special, special);
                self.high = _mm256_or_si256(self.high, _mm256_or_si256(low, high));
                u64::from(low_quotes) | u64::from(high_quotes) << 32
            }
        }

        #[inline(always)]
        fn any_special(&self) -> bool {
            // SAFETY: there is an `Avx2`, so there is AVX2.
            unsafe { _mm256_movemask_epi8(self.special) != 0 }
        }

        #[inline(always)]
        fn any_high(&self) -> bool {
            // SAFETY: there is an `Avx2`, so there is AVX2.
            unsafe { _mm256_movemask_epi8(self.high) != 0 }
        }
    }

    struct Sse2 {
        special: __m128i,
        high: __m128i,
    }

    impl Lanes for Sse2 {
        #[inline(always)]
        fn quotes(&mut self, block: &[u8; BLOCK]) -> u64 {
            let mut quotes = 0;
            for (at, bytes) in block.as_chunks::<16>().0.iter().enumerate() {
                // SAFETY: SSE2 is part of x86_64; the unaligned load reads the 16 bytes.
                unsafe {
                    let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
                    let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'"' as i8));
                    quotes |= u64::from(_mm_movemask_epi8(quote) as u32) << (16 * at);
                    let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(b'\\' as i8));
                    let control = _mm_min_epu8(bytes, _mm_set1_epi8(0x1f));
                    let control = _mm_cmpeq_epi8(control, bytes);
                    self.special = _mm_or_si128(self.special, _mm_or_si128(backslash, control));
                    self.high = _mm_or_si128(self.high, bytes);
                }
            }
            quotes
        }

        #[inline(always)]
        fn any_special(&self) -> bool {
            // SAFETY: SSE2 is part of x86_64.
            unsafe { _mm_movemask_epi8(self.special) != 0 }
        }

        #[inline(always)]
        fn any_high(&self) -> bool {
            // SAFETY: SSE2 is part of x86_64.
            unsafe { _mm_movemask_epi8(self.high) != 0 }
        }
    }
}

/// Every way to [`collect`] that this machine has.
#[cfg(test)]
#[allow(clippy::type_complexity)]
pub(super) fn all() -> Vec<fn(&[u8], &mut [u32]) -> Option<(usize, bool)>> {
    vec![
        |json, at| Widest::detect().collect(json, at),
        #[cfg(target_arch = "x86_64")]
        |json, at| Widest::narrow().collect(json, at),
        |json, at| collect(portable::Bytes::default(), json, at),
    ]
}
