//! The index of a scope's keys in memory: key → entries, for many millions of keys.
//!
//! It knows nothing of time or pipes: whether an entry is still wanted, its owner says when a
//! shard is rebuilt. A key may have several entries, one for each time that it was let through.
//! Start reading at [`Index`], then `shard.rs`.

mod entry;
mod prefetch;
mod shard;
mod slots;
mod spot;
mod windows;

pub(crate) use entry::{Entry, Hold, Words};
pub(crate) use prefetch::prefetch;
pub(crate) use spot::Spot;
pub use windows::WINDOWS_MAX;
pub(crate) use windows::Windows;

use shard::Shard;
use spot::SHARDS;

/// Key → entries.
#[derive(Debug)]
pub(crate) struct Index {
    shards: Vec<Shard>,
    /// Room for the entries of the shard that is being rebuilt.
    spare: Vec<Words>,
    /// The shard that [`Index::shed`] goes on with.
    shed_next: usize,
}

impl Index {
    pub(crate) fn new() -> Self {
        let shards = (0..SHARDS).map(Shard::new).collect();
        Self { shards, spare: Vec::new(), shed_next: 0 }
    }

    /// Entries, unwanted ones included.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(Shard::live).sum()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let tables = self.shards.iter().map(Shard::memory_bytes).sum::<usize>();
        let spare = self.spare.capacity() * size_of::<Words>();
        tables + self.shards.capacity() * size_of::<Shard>() + spare
    }

    /// Makes room for `keys` more.
    pub(crate) fn reserve(&mut self, keys: usize) {
        // Keys don't fall evenly; a few deviations more, so that hardly a shard grows again.
        let share = keys / SHARDS;
        let room = share + 4 * share.isqrt() + 8;
        for shard in &mut self.shards {
            shard.make_room(&mut self.spare, shard.live() + room);
        }
    }

    /// Asks for the tags of `spot`, the first of two lines that a lookup touches.
    #[inline]
    pub(crate) fn prefetch_tags(&self, spot: Spot) {
        if let Some(shard) = self.shards.get(spot.shard()) {
            shard.prefetch_tags(spot);
        }
    }

    /// Asks for the slot of `spot`. Reads its tags, which should have arrived.
    #[inline]
    pub(crate) fn prefetch_slot(&self, spot: Spot) {
        if let Some(shard) = self.shards.get(spot.shard()) {
            shard.prefetch_slot(spot);
        }
    }

    /// Shows every entry of `key` with its place; says where one more can go, for
    /// [`Index::insert`].
    #[inline]
    pub(crate) fn visit(
        &self,
        spot: Spot,
        key: u128,
        mut see: impl FnMut(usize, &Entry),
    ) -> Option<usize> {
        let shard = self.shards.get(spot.shard())?;
        shard.visit(spot, key, |place, words| see(place, &Entry::unpack(words)))
    }

    /// Adds an entry. `free` is what [`Index::visit`] said for its key just now; `keep` says what
    /// becomes of the others if their shard is rebuilt on the way.
    #[inline]
    pub(crate) fn insert(
        &mut self,
        spot: Spot,
        free: Option<usize>,
        entry: &Entry,
        keep: impl Fn(&Words) -> Option<Words>,
    ) {
        let Some(shard) = self.shards.get_mut(spot.shard()) else { return };
        let place = match free {
            Some(place) if !shard.is_full() => Some(place),
            _ => Self::rebuild(shard, &mut self.spare, spot, keep),
        };
        if let Some(place) = place {
            shard.put(place, spot, entry.pack());
        }
    }

    #[cold]
    fn rebuild(
        shard: &mut Shard,
        spare: &mut Vec<Words>,
        spot: Spot,
        keep: impl Fn(&Words) -> Option<Words>,
    ) -> Option<usize> {
        shard.rebuild(spare, keep);
        shard.first_free(spot)
    }

    /// Takes out entries that may go, a shard after another, until the tables take at most
    /// `memory_bytes_max`, or every shard had its turn. An entry of a key that has another one
    /// which must stay stays, too: what the index has of a key is all or nothing. `keep` is that of
    /// [`Index::insert`]; `may_go` is asked about what it keeps. How many went.
    pub(crate) fn shed(
        &mut self,
        memory_bytes_max: usize,
        keep: impl Fn(&Words) -> Option<Words>,
        may_go: impl Fn(&Words) -> bool,
    ) -> usize {
        let mut memory_bytes = self.memory_bytes();
        let mut gone = 0;
        for _ in 0..SHARDS {
            if memory_bytes <= memory_bytes_max {
                break;
            }
            if let Some(shard) = self.shards.get_mut(self.shed_next) {
                let before = shard.memory_bytes();
                gone += shard.shed(&mut self.spare, &keep, &may_go);
                memory_bytes = (memory_bytes + shard.memory_bytes()).saturating_sub(before);
            }
            self.shed_next = (self.shed_next + 1) % SHARDS;
        }
        gone
    }

    /// Whether there is any entry of `key`.
    #[inline]
    pub(crate) fn has(&self, spot: Spot, key: u128) -> bool {
        let mut has = false;
        self.visit(spot, key, |_, _| has = true);
        has
    }

    /// Puts an entry in the place of another one of the same key.
    #[inline]
    pub(crate) fn replace(&mut self, spot: Spot, place: usize, entry: &Entry) {
        if let Some(shard) = self.shards.get_mut(spot.shard()) {
            shard.replace(place, entry.pack());
        }
    }

    /// Takes out the entry at `place`, as [`Index::visit`] named it just now.
    pub(crate) fn remove(&mut self, spot: Spot, place: usize) {
        if let Some(shard) = self.shards.get_mut(spot.shard()) {
            shard.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(key: u128, recorded_ms: i64) -> Entry {
        let window = Windows::new().class(i64::MAX);
        let (hold, refreshes, pipe, number) = (Hold::Delivered, false, 0, 0);
        Entry { key, recorded_ms, body_hash: 7, window, hold, refreshes, pipe, number }
    }

    fn times(index: &Index, key: u128) -> Vec<i64> {
        let mut times = Vec::new();
        index.visit(Spot::of(key), key, |_, entry| times.push(entry.recorded_ms));
        times.sort_unstable();
        times
    }

    /// Keys that all fall on one group: the worst that can come.
    fn colliding(count: usize) -> Vec<u128> {
        let home = |key| (Spot::of(key).shard(), Spot::of(key).within(8), Spot::of(key).tag());
        (0_u128..).filter(|key| home(*key) == home(0)).take(count).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn holds_what_a_list_would(
            steps in prop::collection::vec((0..40_usize, 0..6_i64, 0..10_u8), 0..2_000)
        ) {
            let keys: Vec<u128> = colliding(20).into_iter().chain(1_000..1_020).collect();
            let (mut index, mut list) = (Index::new(), Vec::<(u128, i64)>::new());
            for (key, time, what) in steps {
                let (key, spot) = (keys[key], Spot::of(keys[key]));
                if what < 6 {
                    let free = index.visit(spot, key, |_, _| {});
                    index.insert(spot, free, &entry(key, time), |words| Some(*words));
                    list.push((key, time));
                } else {
                    let mut found = None;
                    index.visit(spot, key, |place, entry| {
                        if entry.recorded_ms == time { found = Some(place); }
                    });
                    let listed = list.iter().position(|known| *known == (key, time));
                    prop_assert_eq!(found.is_some(), listed.is_some());
                    if let (Some(place), Some(at)) = (found, listed) {
                        index.remove(spot, place);
                        list.swap_remove(at);
                    }
                }
                prop_assert_eq!(index.len(), list.len());
            }
            for key in keys {
                let mut listed: Vec<i64> =
                    list.iter().filter(|(known, _)| *known == key).map(|(_, time)| *time).collect();
                listed.sort_unstable();
                prop_assert_eq!(times(&index, key), listed);
            }
        }
    }

    #[test]
    fn what_is_not_kept_makes_room_without_growth() {
        let mut index = Index::new();
        let mut peak = 0;
        for round in 0..300_000_u128 {
            let spot = Spot::of(round);
            let free = index.visit(spot, round, |_, _| {});
            let oldest = round as i64 - 1_000;
            index.insert(spot, free, &entry(round, round as i64), |words| {
                (Entry::unpack(words).recorded_ms > oldest).then_some(*words)
            });
            peak = peak.max(index.memory_bytes());
        }
        for key in 299_001..300_000 {
            assert_eq!(times(&index, key), [key as i64]);
        }
        assert!(peak < 1_500_000, "{peak} bytes");
    }

    #[test]
    fn room_made_is_room_enough() {
        let mut index = Index::new();
        index.reserve(200_000);
        let before = index.memory_bytes();
        for key in 0..200_000 {
            let free = index.visit(Spot::of(key), key, |_, _| {});
            index.insert(Spot::of(key), free, &entry(key, 1), |words| Some(*words));
        }
        assert_eq!(index.memory_bytes(), before);
        assert_eq!(index.len(), 200_000);
    }
}
