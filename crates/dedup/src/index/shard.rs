//! One part of the index: open addressing, with a tag byte for each slot.
//!
//! Tags come in groups of eight, so that one word tells which of eight slots may hold a key. A key
//! starts at the group that its hash names and goes on to the next while a group has no slot that
//! was never used. The group grows with the hash, so rebuilding walks both tables from front to
//! back, and a table may have any number of groups, not just a power of two.

use super::entry::{Entry, Words};
use super::prefetch::prefetch;
use super::spot::Spot;

/// Slots a group.
const LANES: usize = 8;
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
/// Never used since the table was built; a search ends here.
const EMPTY: u8 = 0;
/// Used once, free now; a search goes on.
const REMOVED: u8 = 1;

/// A part of the index.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// Eight tags a word: [`EMPTY`], [`REMOVED`], or 0x80 and seven bits of the key's hash.
    tags: Vec<u64>,
    slots: Vec<Words>,
    /// Slots that are not [`EMPTY`].
    used: usize,
    /// Slots with an entry.
    live: usize,
}

/// The highest bit of every byte of `tags` that equals `tag`. Exact.
#[inline]
const fn equal(tags: u64, tag: u8) -> u64 {
    let differ = tags ^ (LOW_BITS * tag as u64);
    !(((differ & !HIGH_BITS) + !HIGH_BITS) | differ | !HIGH_BITS)
}

/// The lane of the lowest mark that [`equal`] set.
#[inline]
const fn lane(marks: u64) -> usize {
    marks.trailing_zeros() as usize / LANES
}

/// How many slots may be used: an eighth stays empty, so that searches end soon.
#[inline]
const fn used_max(slots: usize) -> usize {
    slots - slots / 8
}

impl Shard {
    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.tags.capacity() * size_of::<u64>() + self.slots.capacity() * size_of::<Words>()
    }

    /// Whether one more entry needs [`Shard::rebuild`] first.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.used >= used_max(self.slots.len())
    }

    #[inline]
    fn home(&self, spot: Spot) -> usize {
        spot.within(self.tags.len())
    }

    #[inline]
    pub(super) fn prefetch_tags(&self, spot: Spot) {
        if let Some(tags) = self.tags.get(self.home(spot)) {
            prefetch(tags);
        }
    }

    /// Asks for the slot where the search for `spot` will probably end.
    #[inline]
    pub(super) fn prefetch_slot(&self, spot: Spot) {
        let group = self.home(spot);
        let Some(tags) = self.tags.get(group) else { return };
        let hits = equal(*tags, spot.tag());
        let marks = if hits == 0 { !tags & HIGH_BITS } else { hits };
        if marks == 0 {
            return;
        }
        if let Some(words) = self.slots.get(group * LANES + lane(marks)) {
            // A slot may lie across two lines.
            let [first, .., last] = words;
            prefetch(first);
            prefetch(last);
        }
    }

    /// Shows every entry of `key` to `see`, with its place. Says where one more can go, if
    /// [`Shard::is_full`] says no.
    #[inline]
    pub(super) fn visit(
        &self,
        spot: Spot,
        key: u128,
        mut see: impl FnMut(usize, &Words),
    ) -> Option<usize> {
        let mut group = self.home(spot);
        let mut free = None;
        for _ in 0..self.tags.len() {
            let tags = self.tags.get(group).copied().unwrap_or(0);
            let mut hits = equal(tags, spot.tag());
            while hits != 0 {
                let place = group * LANES + lane(hits);
                if let Some(words) = self.slots.get(place)
                    && Entry::key_of(words) == key
                {
                    see(place, words);
                }
                hits &= hits - 1;
            }
            if free.is_none() {
                let marks = !tags & HIGH_BITS;
                if marks != 0 {
                    free = Some(group * LANES + lane(marks));
                }
            }
            if equal(tags, EMPTY) != 0 {
                break;
            }
            group = if group + 1 == self.tags.len() { 0 } else { group + 1 };
        }
        free
    }

    /// Puts an entry into a free place.
    #[inline]
    pub(super) fn put(&mut self, place: usize, spot: Spot, words: Words) {
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = words;
            self.live += 1;
            if self.set_tag(place, spot.tag()) == EMPTY {
                self.used += 1;
            }
        }
    }

    /// Puts an entry into the place of another one of the same key.
    #[inline]
    pub(super) fn replace(&mut self, place: usize, words: Words) {
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = words;
        }
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, place: usize) {
        self.live -= 1;
        // No search ever went beyond a group with an empty slot: one more may become empty.
        let ends_here = self.tags.get(place / LANES).is_some_and(|tags| equal(*tags, EMPTY) != 0);
        if ends_here {
            self.used -= 1;
            self.set_tag(place, EMPTY);
        } else {
            self.set_tag(place, REMOVED);
        }
    }

    /// Sets a tag, and says what it was.
    #[inline]
    fn set_tag(&mut self, place: usize, tag: u8) -> u8 {
        let shift = place % LANES * 8;
        let Some(tags) = self.tags.get_mut(place / LANES) else { return tag };
        let before = (*tags >> shift) as u8;
        *tags = *tags & !(0xff << shift) | u64::from(tag) << shift;
        before
    }

    /// Every entry, from front to back.
    fn entries(&self) -> impl Iterator<Item = &Words> {
        let in_use = |place: &usize| {
            self.tags.get(place / LANES).is_some_and(|tags| tags >> (place % LANES * 8) & 0x80 != 0)
        };
        self.slots.iter().enumerate().filter(move |(place, _)| in_use(place)).map(|(_, slot)| slot)
    }

    /// Builds the table anew with what `keep` lets through, as it says. Grows by half if less than
    /// a third is free then, shrinks if it is nearly empty, so that a key is moved about twice on
    /// average, whatever comes and goes.
    pub(super) fn rebuild(&mut self, slots_min: usize, keep: impl Fn(&Words) -> Option<Words>) {
        let kept = self.entries().filter(|words| keep(words).is_some()).count();
        let slots = self.slots.len();
        let wanted = if kept * 3 > used_max(slots) * 2 {
            slots + slots / 2
        } else if kept * 5 < used_max(slots) {
            slots / 3 * 2
        } else {
            slots
        };
        self.rebuild_to(wanted.max(slots_min), keep);
    }

    /// Makes room for `entries` entries without another rebuild.
    pub(super) fn make_room(&mut self, entries: usize) {
        let slots = entries + entries / 7 + LANES;
        if slots > self.slots.len() {
            self.rebuild_to(slots, |words| Some(*words));
        }
    }

    fn rebuild_to(&mut self, slots: usize, keep: impl Fn(&Words) -> Option<Words>) {
        let groups = slots.div_ceil(LANES);
        let mut built =
            Self { tags: vec![0; groups], slots: vec![[0; 5]; groups * LANES], used: 0, live: 0 };
        for words in self.entries().filter_map(keep) {
            let spot = Spot::of(Entry::key_of(&words));
            if let Some(place) = built.first_free(spot) {
                built.put(place, spot, words);
            }
        }
        *self = built;
    }

    #[inline]
    fn first_free(&self, spot: Spot) -> Option<usize> {
        let home = self.home(spot);
        (home..self.tags.len()).chain(0..home).find_map(|group| {
            let marks = !self.tags.get(group)? & HIGH_BITS;
            (marks != 0).then(|| group * LANES + lane(marks))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_told_apart_exactly() {
        for a in 0..=255_u8 {
            for b in 0..=255_u8 {
                let tags = u64::from_le_bytes([b, a, b, 1, 0, a, 0x80, 0xff]);
                let marks = equal(tags, a);
                for (at, tag) in tags.to_le_bytes().into_iter().enumerate() {
                    assert_eq!(marks >> (at * 8 + 7) & 1 == 1, tag == a, "{a} {b} {at}");
                }
                assert_eq!(marks & !HIGH_BITS, 0);
            }
        }
    }
}
