//! MD5 of several texts side by side.
//!
//! Each step of MD5 waits for the one before, so one text leaves most of a core idle; four at a
//! time take hardly longer than one. The answers to a batch need an MD5 for each message.

use std::ops::{Add, BitAnd, BitOr, BitXor, Not};

/// Texts at one time: what a vector register holds.
const LANES: usize = 4;
const BLOCK_BYTES: usize = 64;
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// A word of each text.
#[derive(Clone, Copy)]
struct Lanes([u32; LANES]);

impl Lanes {
    fn all(word: u32) -> Self {
        Self([word; LANES])
    }

    #[inline(always)]
    fn with(mut self, other: Self, work: impl Fn(u32, u32) -> u32) -> Self {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word = work(*word, other);
        }
        self
    }

    #[inline(always)]
    fn rotate(self, bits: u32) -> Self {
        Self(self.0.map(|word| word.rotate_left(bits)))
    }
}

impl Add for Lanes {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, u32::wrapping_add)
    }
}

impl BitAnd for Lanes {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        self.with(other, |a, b| a & b)
    }
}

impl BitOr for Lanes {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        self.with(other, |a, b| a | b)
    }
}

impl BitXor for Lanes {
    type Output = Self;

    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        self.with(other, |a, b| a ^ b)
    }
}

impl Not for Lanes {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self(self.0.map(|word| !word))
    }
}

/// A text, and what MD5 puts behind it.
struct Text<'a> {
    whole: &'a [[u8; BLOCK_BYTES]],
    end: [[u8; BLOCK_BYTES]; 2],
    blocks: usize,
}

impl<'a> Text<'a> {
    fn new(text: &'a [u8]) -> Self {
        let (whole, rest) = text.as_chunks();
        let mut end = [0; 2 * BLOCK_BYTES];
        let end_blocks = if rest.len() < BLOCK_BYTES - 8 { 1 } else { 2 };
        let bits = (text.len() as u64).wrapping_mul(8).to_le_bytes();
        let zeros = end_blocks * BLOCK_BYTES - 8 - rest.len() - 1;
        let padding = std::iter::once(0x80).chain(std::iter::repeat_n(0, zeros)).chain(bits);
        for (to, from) in end.iter_mut().zip(rest.iter().copied().chain(padding)) {
            *to = from;
        }
        let (halves, _) = end.as_chunks();
        let end = halves.first_chunk().copied().unwrap_or([[0; BLOCK_BYTES]; 2]);
        Self { whole, end, blocks: whole.len() + end_blocks }
    }

    /// The block of that number; the last one again after the end.
    fn block(&self, number: usize) -> &[u8; BLOCK_BYTES] {
        let [first, last] = &self.end;
        match number.checked_sub(self.whole.len()) {
            None => self.whole.get(number).unwrap_or(first),
            Some(0) => first,
            Some(_) => last,
        }
    }
}

/// The MD5 of each text.
pub(super) fn of_all(texts: &[&[u8]]) -> Vec<[u8; 16]> {
    let mut sums = Vec::with_capacity(texts.len());
    for some in texts.chunks(LANES) {
        let mut lanes = some.iter().map(|text| Text::new(text));
        let lanes: [Text<'_>; LANES] =
            std::array::from_fn(|_| lanes.next().unwrap_or_else(|| Text::new(b"")));
        sums.extend(of_lanes(&lanes).into_iter().take(some.len()));
    }
    sums
}

fn of_lanes(texts: &[Text<'_>; LANES]) -> [[u8; 16]; LANES] {
    let mut state = START.map(Lanes::all);
    let blocks = texts.iter().map(|text| text.blocks).max().unwrap_or(0);
    for number in 0..blocks {
        let mut words = [Lanes::all(0); 16];
        let mut lives = Lanes::all(0);
        for (lane, text) in texts.iter().enumerate() {
            let (bytes, _) = text.block(number).as_chunks();
            for (word, bytes) in words.iter_mut().zip(bytes) {
                if let Some(word) = word.0.get_mut(lane) {
                    *word = u32::from_le_bytes(*bytes);
                }
            }
            if let Some(lives) = lives.0.get_mut(lane) {
                *lives = if number < text.blocks { u32::MAX } else { 0 };
            }
        }
        let added = compress(state, &words);
        for (word, added) in state.iter_mut().zip(added) {
            *word = *word + (added & lives);
        }
    }
    std::array::from_fn(|lane| {
        let mut sum = [0; 16];
        let words = state.iter().filter_map(|word| word.0.get(lane));
        for (to, from) in sum.iter_mut().zip(words.flat_map(|word| word.to_le_bytes())) {
            *to = from;
        }
        sum
    })
}

#[inline(always)]
fn step(mixed: Lanes, a: Lanes, b: Lanes, word: Lanes, number: u32, bits: u32) -> Lanes {
    b + (a + mixed + word + Lanes::all(number)).rotate(bits)
}

#[inline(always)]
fn mix_f(b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    d ^ (b & (c ^ d))
}

#[inline(always)]
fn mix_g(b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    c ^ (d & (b ^ c))
}

#[inline(always)]
fn mix_h(b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    b ^ c ^ d
}

#[inline(always)]
fn mix_i(b: Lanes, c: Lanes, d: Lanes) -> Lanes {
    c ^ (b | !d)
}

/// What a block adds to the state: the 64 steps of RFC 1321.
#[rustfmt::skip]
fn compress([mut a, mut b, mut c, mut d]: [Lanes; 4], word: &[Lanes; 16]) -> [Lanes; 4] {
    a = step(mix_f(b, c, d), a, b, word[0], 0xd76a_a478, 7);
    d = step(mix_f(a, b, c), d, a, word[1], 0xe8c7_b756, 12);
    c = step(mix_f(d, a, b), c, d, word[2], 0x2420_70db, 17);
    b = step(mix_f(c, d, a), b, c, word[3], 0xc1bd_ceee, 22);
    a = step(mix_f(b, c, d), a, b, word[4], 0xf57c_0faf, 7);
    d = step(mix_f(a, b, c), d, a, word[5], 0x4787_c62a, 12);
    c = step(mix_f(d, a, b), c, d, word[6], 0xa830_4613, 17);
    b = step(mix_f(c, d, a), b, c, word[7], 0xfd46_9501, 22);
    a = step(mix_f(b, c, d), a, b, word[8], 0x6980_98d8, 7);
    d = step(mix_f(a, b, c), d, a, word[9], 0x8b44_f7af, 12);
    c = step(mix_f(d, a, b), c, d, word[10], 0xffff_5bb1, 17);
    b = step(mix_f(c, d, a), b, c, word[11], 0x895c_d7be, 22);
    a = step(mix_f(b, c, d), a, b, word[12], 0x6b90_1122, 7);
    d = step(mix_f(a, b, c), d, a, word[13], 0xfd98_7193, 12);
    c = step(mix_f(d, a, b), c, d, word[14], 0xa679_438e, 17);
    b = step(mix_f(c, d, a), b, c, word[15], 0x49b4_0821, 22);
    a = step(mix_g(b, c, d), a, b, word[1], 0xf61e_2562, 5);
    d = step(mix_g(a, b, c), d, a, word[6], 0xc040_b340, 9);
    c = step(mix_g(d, a, b), c, d, word[11], 0x265e_5a51, 14);
    b = step(mix_g(c, d, a), b, c, word[0], 0xe9b6_c7aa, 20);
    a = step(mix_g(b, c, d), a, b, word[5], 0xd62f_105d, 5);
    d = step(mix_g(a, b, c), d, a, word[10], 0x0244_1453, 9);
    c = step(mix_g(d, a, b), c, d, word[15], 0xd8a1_e681, 14);
    b = step(mix_g(c, d, a), b, c, word[4], 0xe7d3_fbc8, 20);
    a = step(mix_g(b, c, d), a, b, word[9], 0x21e1_cde6, 5);
    d = step(mix_g(a, b, c), d, a, word[14], 0xc337_07d6, 9);
    c = step(mix_g(d, a, b), c, d, word[3], 0xf4d5_0d87, 14);
    b = step(mix_g(c, d, a), b, c, word[8], 0x455a_14ed, 20);
    a = step(mix_g(b, c, d), a, b, word[13], 0xa9e3_e905, 5);
    d = step(mix_g(a, b, c), d, a, word[2], 0xfcef_a3f8, 9);
    c = step(mix_g(d, a, b), c, d, word[7], 0x676f_02d9, 14);
    b = step(mix_g(c, d, a), b, c, word[12], 0x8d2a_4c8a, 20);
    a = step(mix_h(b, c, d), a, b, word[5], 0xfffa_3942, 4);
    d = step(mix_h(a, b, c), d, a, word[8], 0x8771_f681, 11);
    c = step(mix_h(d, a, b), c, d, word[11], 0x6d9d_6122, 16);
    b = step(mix_h(c, d, a), b, c, word[14], 0xfde5_380c, 23);
    a = step(mix_h(b, c, d), a, b, word[1], 0xa4be_ea44, 4);
    d = step(mix_h(a, b, c), d, a, word[4], 0x4bde_cfa9, 11);
    c = step(mix_h(d, a, b), c, d, word[7], 0xf6bb_4b60, 16);
    b = step(mix_h(c, d, a), b, c, word[10], 0xbebf_bc70, 23);
    a = step(mix_h(b, c, d), a, b, word[13], 0x289b_7ec6, 4);
    d = step(mix_h(a, b, c), d, a, word[0], 0xeaa1_27fa, 11);
    c = step(mix_h(d, a, b), c, d, word[3], 0xd4ef_3085, 16);
    b = step(mix_h(c, d, a), b, c, word[6], 0x0488_1d05, 23);
    a = step(mix_h(b, c, d), a, b, word[9], 0xd9d4_d039, 4);
    d = step(mix_h(a, b, c), d, a, word[12], 0xe6db_99e5, 11);
    c = step(mix_h(d, a, b), c, d, word[15], 0x1fa2_7cf8, 16);
    b = step(mix_h(c, d, a), b, c, word[2], 0xc4ac_5665, 23);
    a = step(mix_i(b, c, d), a, b, word[0], 0xf429_2244, 6);
    d = step(mix_i(a, b, c), d, a, word[7], 0x432a_ff97, 10);
    c = step(mix_i(d, a, b), c, d, word[14], 0xab94_23a7, 15);
    b = step(mix_i(c, d, a), b, c, word[5], 0xfc93_a039, 21);
    a = step(mix_i(b, c, d), a, b, word[12], 0x655b_59c3, 6);
    d = step(mix_i(a, b, c), d, a, word[3], 0x8f0c_cc92, 10);
    c = step(mix_i(d, a, b), c, d, word[10], 0xffef_f47d, 15);
    b = step(mix_i(c, d, a), b, c, word[1], 0x8584_5dd1, 21);
    a = step(mix_i(b, c, d), a, b, word[8], 0x6fa8_7e4f, 6);
    d = step(mix_i(a, b, c), d, a, word[15], 0xfe2c_e6e0, 10);
    c = step(mix_i(d, a, b), c, d, word[6], 0xa301_4314, 15);
    b = step(mix_i(c, d, a), b, c, word[13], 0x4e08_11a1, 21);
    a = step(mix_i(b, c, d), a, b, word[4], 0xf753_7e82, 6);
    d = step(mix_i(a, b, c), d, a, word[11], 0xbd3a_f235, 10);
    c = step(mix_i(d, a, b), c, d, word[2], 0x2ad7_d2bb, 15);
    b = step(mix_i(c, d, a), b, c, word[9], 0xeb86_d391, 21);
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use md5::{Digest, Md5};

    use super::of_all;

    #[test]
    fn as_one_by_one_whatever_the_lengths() {
        let bytes: Vec<u8> = (0..5_000u32).map(|i| (i * 7 + i / 251).to_le_bytes()[0]).collect();
        let lengths = (0..300).chain([447, 448, 511, 512, 1_024, 4_999]);
        let texts: Vec<&[u8]> = lengths.map(|length| &bytes[length % 17..length]).collect();
        for texts in [&texts[17..], &texts[100..103], &texts[20..21], &[]] {
            let sums = of_all(texts);
            assert_eq!(sums.len(), texts.len());
            for (text, sum) in texts.iter().zip(sums) {
                assert_eq!(sum[..], Md5::digest(text)[..], "{} bytes", text.len());
            }
        }
    }
}
