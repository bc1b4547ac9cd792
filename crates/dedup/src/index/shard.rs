//! One part of the index: open addressing, with a tag byte for each slot.
//!
//! Tags come in groups of eight, so that one word tells which of eight slots may hold a key. A key
//! starts at the group that its hash names and goes on to the next while a group has no slot that
//! was never used. The group grows with the hash, so rebuilding walks both tables from front to
//! back, and a table may have any number of groups, not just a power of two.

use super::entry::{Entry, Words};
use super::prefetch::prefetch;
use super::slots::{Slots, even_length};
use super::spot::{SHARDS, Spot};

/// Slots a group.
const LANES: usize = 8;
/// The smallest table that holds anything; slots.
const SLOTS_MIN: usize = 64;
const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
/// Never used since the table was built; a search ends here.
const EMPTY: u8 = 0;
/// Used once, free now; a search goes on.
const REMOVED: u8 = 1;

/// A part of the index.
#[derive(Debug)]
pub(super) struct Shard {
    /// Eight tags a word: [`EMPTY`], [`REMOVED`], or 0x80 and seven bits of the key's hash.
    tags: Vec<u64>,
    slots: Slots,
    /// Slots that are not [`EMPTY`].
    used: usize,
    /// Slots with an entry.
    live: usize,
    /// Which shard it is.
    number: usize,
    /// The size, as a step of [`slots_at`].
    step: u32,
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

/// The slots of a table at a step of growth: half as many more each. Shards differ by up to half,
/// so that they fill one after another and not all at the same time.
fn slots_at(step: u32, shard: usize) -> usize {
    let first = SLOTS_MIN * (2 * SHARDS + shard);
    let grown = (0..step).fold(first, |slots, _| slots.saturating_add(slots / 2));
    even_length((grown / (2 * SHARDS)).next_multiple_of(LANES))
}

impl Shard {
    pub(super) fn new(number: usize) -> Self {
        Self { tags: Vec::new(), slots: Slots::default(), used: 0, live: 0, number, step: 0 }
    }

    #[inline]
    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.tags.capacity() * size_of::<u64>() + self.slots.memory_bytes()
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
            // Half of all slots lie across two lines.
            let [first, .., last] = words;
            prefetch(first);
            if (core::ptr::from_ref(first) as usize ^ core::ptr::from_ref(last) as usize) & 64 != 0
            {
                prefetch(last);
            }
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

    /// Shows every entry to `see`, from front to back.
    #[inline]
    fn each(&self, mut see: impl FnMut(&Words)) {
        for (tags, slots) in self.tags.iter().zip(self.slots.chunks(LANES)) {
            let mut marks = tags & HIGH_BITS;
            while marks != 0 {
                if let Some(words) = slots.get(lane(marks)) {
                    see(words);
                }
                marks &= marks - 1;
            }
        }
    }

    /// Builds the table anew with what `keep` lets through, as it says. Grows a step if less than
    /// a third is free then, shrinks one if it is nearly empty, so that a key is moved about twice
    /// on average, whatever comes and goes. `spare` is room to work in.
    pub(super) fn rebuild(
        &mut self,
        spare: &mut Vec<Words>,
        keep: impl Fn(&Words) -> Option<Words>,
    ) {
        spare.clear();
        self.each(|words| spare.extend(keep(words)));
        let used_max = used_max(self.slots.len());
        let step = if used_max > 0 && spare.len() * 3 > used_max * 2 {
            self.step + 1
        } else if spare.len() * 5 < used_max {
            self.step.saturating_sub(1)
        } else {
            self.step
        };
        self.rebuild_from(spare, step);
    }

    /// See [`super::Index::shed`]. Leaves the smallest table with a third to spare.
    pub(super) fn shed(
        &mut self,
        spare: &mut Vec<Words>,
        keep: impl Fn(&Words) -> Option<Words>,
        may_go: impl Fn(&Words) -> bool,
    ) -> usize {
        spare.clear();
        let (mut going, before) = (Vec::new(), self.live);
        self.each(|words| {
            if let Some(words) = keep(words) {
                if may_go(&words) { going.push(words) } else { spare.push(words) }
            }
        });
        let mut step = 0;
        while used_max(slots_at(step, self.number)) * 2 < spare.len() * 3 {
            step += 1;
        }
        self.rebuild_from(spare, step);
        // Which keys they share with those that stay shows only now.
        for words in going {
            let key = Entry::key_of(&words);
            let spot = Spot::of(key);
            let mut shared = false;
            let free = self.visit(spot, key, |_, _| shared = true);
            if let Some(place) = free.filter(|_| shared && !self.is_full()) {
                self.put(place, spot, words);
            } else if shared {
                spare.clear();
                self.each(|words| spare.push(*words));
                self.rebuild_from(spare, self.step + 1);
                if let Some(place) = self.first_free(spot) {
                    self.put(place, spot, words);
                }
            }
        }
        before - self.live
    }

    /// Makes room for `entries` entries without another rebuild.
    pub(super) fn make_room(&mut self, spare: &mut Vec<Words>, entries: usize) {
        let mut step = self.step;
        while used_max(slots_at(step, self.number)) < entries {
            step += 1;
        }
        if step > self.step || self.slots.len() == 0 {
            spare.clear();
            self.each(|words| spare.push(*words));
            self.rebuild_from(spare, step);
        }
    }

    /// Makes a table of that step out of nothing but `entries`.
    fn rebuild_from(&mut self, entries: &[Words], step: u32) {
        let slots = slots_at(step, self.number);
        self.step = step;
        (self.used, self.live) = (0, 0);
        if slots == self.slots.len() {
            self.tags.fill(0);
        } else {
            self.tags = vec![0; slots / LANES];
            self.slots.resize(slots);
        }
        // In the order of the old table, which is that of the hash: nearly that of the new one.
        for words in entries {
            let spot = Spot::of(Entry::key_of(words));
            if let Some(place) = self.first_free(spot) {
                self.put(place, spot, *words);
            }
        }
    }

    /// Where an entry can go, in a table that isn't full.
    #[inline]
    pub(super) fn first_free(&self, spot: Spot) -> Option<usize> {
        let mut group = self.home(spot);
        loop {
            let marks = !self.tags.get(group)? & HIGH_BITS;
            if marks != 0 {
                return Some(group * LANES + lane(marks));
            }
            group = if group + 1 == self.tags.len() { 0 } else { group + 1 };
        }
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
