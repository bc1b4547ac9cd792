//! The filter of a run: says of a key that it isn't in the run, or that it may be.
//!
//! A Bloom filter in blocks of one cache line. The block is chosen by the key's upper half, and
//! grows with it, so that a run's filter is built from its sorted keys in one sweep, and sorted
//! keys are looked up from front to back. In its block a key sets one bit in each of eight words,
//! six bits of its lower half each. Keys are hashes: nothing is hashed again.

use crate::index::prefetch;

/// Bits of filter a key.
const KEY_BITS: u64 = 12;
pub(super) const BLOCK_BYTES: usize = 64;
const WORDS: usize = 8;
const WORD_BITS_LOG: u32 = 6;

/// A cache line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
struct Block([u64; WORDS]);

/// A filter in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    blocks: Vec<Block>,
}

/// Blocks of a filter for so many keys.
pub(super) const fn blocks_for(keys: u64) -> u64 {
    let blocks = keys.saturating_mul(KEY_BITS).div_ceil(8 * BLOCK_BYTES as u64);
    if blocks == 0 { 1 } else { blocks }
}

/// The block of keys with this upper half, of `blocks`.
#[inline]
const fn block_of(upper: u64, blocks: u64) -> u64 {
    ((upper as u128 * blocks as u128) >> 64) as u64
}

/// The bit of word number `word` that a key sets.
#[inline]
const fn bit(lower: u64, word: usize) -> u32 {
    (lower >> (WORD_BITS_LOG * word as u32)) as u32 % u64::BITS
}

impl Block {
    #[inline]
    fn add(&mut self, lower: u64) {
        for (number, word) in self.0.iter_mut().enumerate() {
            *word |= 1 << bit(lower, number);
        }
    }

    /// Three words are looked at first: most keys that aren't there miss one of them.
    #[inline]
    fn may_hold(&self, lower: u64) -> bool {
        let [a, b, c, d, e, f, g, h] = self.0;
        let of = |word: u64, number| word >> bit(lower, number);
        of(a, 0) & of(b, 1) & of(c, 2) & 1 == 1
            && of(d, 3) & of(e, 4) & of(f, 5) & of(g, 6) & of(h, 7) & 1 == 1
    }
}

impl Filter {
    /// Reads a filter from what [`FilterWriter`] wrote, a whole number of blocks.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        let (blocks, _) = bytes.as_chunks::<BLOCK_BYTES>();
        self.blocks.extend(blocks.iter().map(|bytes| {
            let mut block = Block::default();
            let (words, _) = bytes.as_chunks::<8>();
            for (word, bytes) in block.0.iter_mut().zip(words) {
                *word = u64::from_le_bytes(*bytes);
            }
            block
        }));
    }

    /// Makes room for so many blocks.
    pub(super) fn with_capacity(blocks: usize) -> Self {
        Self { blocks: Vec::with_capacity(blocks) }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.capacity() * BLOCK_BYTES
    }

    /// Asks for the cache line of a key with this upper half.
    #[inline]
    pub(super) fn prefetch(&self, upper: u64) {
        if let Some(block) = self.blocks.get(block_of(upper, self.blocks.len() as u64) as usize) {
            prefetch(block);
        }
    }

    /// Whether the key may be in the run; `false` is certain.
    #[inline]
    pub(super) fn may_hold(&self, upper: u64, lower: u64) -> bool {
        let block = self.blocks.get(block_of(upper, self.blocks.len() as u64) as usize);
        block.is_some_and(|block| block.may_hold(lower))
    }
}

#[cfg(test)]
impl Filter {
    /// The filter without one of the bits that a key set.
    pub(super) fn without_bit_of(&self, upper: u64, lower: u64) -> Self {
        let mut filter = self.clone();
        let at = block_of(upper, filter.blocks.len() as u64) as usize;
        filter.blocks[at].0[4] &= !(1 << bit(lower, 4));
        filter
    }
}

/// Builds the filter of a run from its keys in order, and hands it out as bytes from front to back.
#[derive(Debug)]
pub(super) struct FilterWriter {
    blocks: u64,
    /// The block that keys are added to; those before it were handed out.
    at: u64,
    block: Block,
}

impl FilterWriter {
    /// A filter for at most `keys` keys.
    pub(super) const fn new(keys: u64) -> Self {
        Self { blocks: blocks_for(keys), at: 0, block: Block([0; WORDS]) }
    }

    /// Length of the whole filter.
    pub(super) const fn bytes(&self) -> u64 {
        self.blocks * BLOCK_BYTES as u64
    }

    /// Adds a key; appends to `out` what is complete.
    #[inline]
    pub(super) fn add(&mut self, upper: u64, lower: u64, out: &mut Vec<u8>) {
        let at = block_of(upper, self.blocks);
        if at != self.at {
            self.advance(at, out);
        }
        self.block.add(lower);
    }

    fn advance(&mut self, to: u64, out: &mut Vec<u8>) {
        while self.at < to {
            let block = std::mem::take(&mut self.block);
            block.0.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
            self.at += 1;
        }
    }

    /// Appends the rest.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.advance(self.blocks, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filter(keys: &[u128], keys_max: u64) -> Filter {
        let (mut writer, mut bytes) = (FilterWriter::new(keys_max), Vec::new());
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        for key in sorted {
            writer.add((key >> 64) as u64, key as u64, &mut bytes);
        }
        writer.finish(&mut bytes);
        assert_eq!(bytes.len() as u64, writer.bytes());
        let mut filter = Filter::default();
        filter.read(&bytes);
        filter
    }

    fn may_hold(filter: &Filter, key: u128) -> bool {
        filter.may_hold((key >> 64) as u64, key as u64)
    }

    fn hash(i: u64) -> u128 {
        xxhash_rust::xxh3::xxh3_128(&i.to_le_bytes())
    }

    proptest! {
        #[test]
        fn a_key_that_was_added_is_never_denied(
            keys in prop::collection::vec(any::<u128>(), 0..300),
            spread in 0_u32..128,
            keys_max in 0_u64..600,
        ) {
            // Also keys that are no hashes: small ones, all in one block.
            let keys: Vec<u128> = keys.iter().map(|key| key >> spread).collect();
            let filter = filter(&keys, keys_max);
            for key in keys {
                prop_assert!(may_hold(&filter, key), "{:x}", key);
            }
        }
    }

    #[test]
    fn at_most_6_of_1000_keys_that_are_not_there_pass() {
        for count in [1_000, 100_000] {
            let keys: Vec<u128> = (0..count).map(hash).collect();
            let filter = filter(&keys, count);
            let bits = filter.blocks.len() as f64 * 512.0 / count as f64;
            assert!(bits < 12.6, "{bits} bits a key");
            let absent = 1_000_000;
            let passed = (count..count + absent).filter(|&i| may_hold(&filter, hash(i))).count();
            let part = passed as f64 / absent as f64;
            assert!(part <= 0.006, "{part} of the keys that are not there pass");
        }
    }
}
