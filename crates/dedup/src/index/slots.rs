//! The slots of a shard, in pieces of one size: a table that grows keeps the pieces that it has,
//! copies nothing, and leaves no holes of odd sizes to the allocator.

use super::entry::Words;

/// Slots of a piece; all but the last one are full. 20 KiB.
const PIECE: usize = 1 << 9;

/// The least length from `len` on that leaves no piece of an odd size; `len` itself where such
/// pieces are small.
pub(super) const fn even_length(len: usize) -> usize {
    if len < 4 * PIECE { len } else { len.next_multiple_of(PIECE) }
}

/// A list of slots. What stands in a new one doesn't matter.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pieces: Vec<Box<[Words]>>,
    len: usize,
}

impl Slots {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.len * size_of::<Words>() + self.pieces.capacity() * size_of::<Box<[Words]>>()
    }

    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<&Words> {
        self.pieces.get(place / PIECE)?.get(place % PIECE)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Words> {
        self.pieces.get_mut(place / PIECE)?.get_mut(place % PIECE)
    }

    /// The slots from front to back, `count` at a time; `count` divides the length of a piece.
    #[inline]
    pub(super) fn chunks(&self, count: usize) -> impl Iterator<Item = &[Words]> {
        self.pieces.iter().flat_map(move |piece| piece.chunks(count))
    }

    /// Makes it `len` slots long. The contents of a last piece that isn't full are lost.
    pub(super) fn resize(&mut self, len: usize) {
        self.pieces.truncate(len / PIECE);
        if self.pieces.last().is_some_and(|last| last.len() < PIECE) {
            self.pieces.pop();
        }
        while self.pieces.len() < len / PIECE {
            self.pieces.push(vec![[0; 5]; PIECE].into_boxed_slice());
        }
        if !len.is_multiple_of(PIECE) {
            self.pieces.push(vec![[0; 5]; len % PIECE].into_boxed_slice());
        }
        self.len = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_every_slot() {
        let mut slots = Slots::default();
        for len in [0, 64, PIECE - 8, PIECE, PIECE + 8, 5 * PIECE - 8, 2 * PIECE, 72, 3 * PIECE, 0]
        {
            slots.resize(len);
            assert_eq!(slots.len(), len);
            for place in 0..len {
                *slots.get_mut(place).unwrap() = [place as u64; 5];
            }
            assert!(slots.get_mut(len).is_none());
            let all: Vec<u64> = slots.chunks(8).flatten().map(|words| words[0]).collect();
            assert_eq!(all, (0..len as u64).collect::<Vec<_>>());
        }
    }
}
