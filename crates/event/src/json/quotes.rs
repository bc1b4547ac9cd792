//! The quotes of a payload, all found before the walk.
//!
//! Most payloads hold no backslash and no control character. Every quote then begins or ends a
//! string, and all of them are found 64 bytes at once, without a branch that depends on the data:
//! the walk afterwards never has to search, and a string costs the same whatever its length.

use super::lanes::{BLOCK, Lanes, Widest};
use super::strings::Indexed;

/// The most quotes that are found beforehand; a payload with more is searched as the walk goes.
const QUOTES_MAX: usize = 4096;
/// How many quotes of a block are written down without asking whether there are as many: the
/// answer would be as hard to predict as the data. More are unusual.
const USUAL: usize = 12;

/// Where the quotes of one payload stand; used again for the next.
#[derive(Debug, Clone)]
pub(super) struct Quotes {
    at: Box<[u32]>,
    widest: Widest,
}

impl Default for Quotes {
    fn default() -> Quotes {
        Quotes { at: vec![0; QUOTES_MAX].into(), widest: Widest::detect() }
    }
}

impl Quotes {
    /// Finds the quotes. `None` if a backslash or a control character makes it less simple, or if
    /// there are too many.
    #[inline]
    pub(super) fn find(&mut self, json: &[u8]) -> Option<Indexed<'_>> {
        let (count, high) = self.widest.collect(json, &mut self.at)?;
        let (pairs, _) = self.at.get(..count)?.as_chunks();
        Some(Indexed { pairs: pairs.iter(), high })
    }
}

/// Writes down in `at` where the quotes stand. Answers how many there are, and whether something
/// isn't ASCII.
#[inline(always)]
pub(super) fn collect<L: Lanes>(
    mut lanes: L,
    json: &[u8],
    at: &mut [u32],
) -> Option<(usize, bool)> {
    u32::try_from(json.len()).ok()?;
    let mut count = 0;
    let mut base = 0;
    let (blocks, rest) = json.as_chunks::<BLOCK>();
    for block in blocks {
        write_down(lanes.quotes(block), base, at, &mut count)?;
        base += BLOCK as u32;
    }
    if !rest.is_empty() {
        let quotes = match json.last_chunk() {
            // The last block again, without what was already seen of it.
            Some(block) => lanes.quotes(block) >> (BLOCK - rest.len()),
            None => {
                let mut block = [b' '; BLOCK];
                block.get_mut(..rest.len())?.copy_from_slice(rest);
                lanes.quotes(&block)
            }
        };
        write_down(quotes, base, at, &mut count)?;
    }
    if lanes.any_special() { None } else { Some((count, lanes.any_high())) }
}

/// Writes the quotes of one block behind the `count` that are there.
#[inline(always)]
fn write_down(mut quotes: u64, base: u32, at: &mut [u32], count: &mut usize) -> Option<()> {
    let slots = at.get_mut(*count..)?.first_chunk_mut::<BLOCK>()?;
    *count += quotes.count_ones() as usize;
    let (usual, more) = slots.split_first_chunk_mut::<USUAL>()?;
    for slot in usual {
        *slot = base.wrapping_add(quotes.trailing_zeros());
        quotes &= quotes.wrapping_sub(1);
    }
    for slot in more {
        if quotes == 0 {
            break;
        }
        *slot = base.wrapping_add(quotes.trailing_zeros());
        quotes &= quotes.wrapping_sub(1);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::lanes;
    use proptest::prelude::*;

    /// As it should be, byte by byte.
    fn plainly(json: &[u8]) -> Option<(Vec<u32>, bool)> {
        if json.iter().any(|byte| *byte == b'\\' || *byte < 0x20) {
            return None;
        }
        let quotes = (0..).zip(json).filter(|(_, byte)| **byte == b'"').map(|(at, _)| at);
        Some((quotes.collect(), !json.is_ascii()))
    }

    fn check(json: &[u8]) -> Result<(), TestCaseError> {
        for way in lanes::all() {
            let mut at = vec![0; 1024];
            let found = way(json, &mut at).map(|(count, high)| (at[..count].to_vec(), high));
            prop_assert_eq!(found, plainly(json));
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(crate::json::tests::cases(500))]

        #[test]
        fn every_way_finds_the_same(
            json in prop_oneof!["[\" a-z]{0,300}", "[\"a-zé ]{0,300}", "[ -~]{0,100}[\n\\\\]?[ -~]{0,99}"],
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            check(json.as_bytes())?;
            check(&bytes)?;
        }
    }

    #[test]
    fn every_length_and_place_is_covered() {
        for len in 0..200 {
            check(&vec![b'"'; len]).unwrap();
            for at in 0..len {
                for byte in [b'"', b'\\', 0x1f, 0x80] {
                    let mut json = vec![b' '; len];
                    json[at] = byte;
                    check(&json).unwrap();
                }
            }
        }
    }

    #[test]
    fn too_many_quotes_are_left_to_the_walk() {
        let mut quotes = Quotes::default();
        assert!(quotes.find(&[b'"'; QUOTES_MAX]).is_some());
        assert!(quotes.find(&[b'"'; QUOTES_MAX + 1]).is_none());
        assert_eq!(quotes.find(b"{\"a\":\"b\"}").unwrap().pairs.len(), 2);
    }
}
