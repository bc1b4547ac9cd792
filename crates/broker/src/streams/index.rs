//! Where to begin to read: a sparse index over all puts, and a dense one of the newest.

use std::collections::VecDeque;

/// Bytes of journal between two entries, at least.
const SPACING_BYTES: u64 = 64 << 10;
/// Memory of an index at most, about: past it every second entry goes.
const INDEX_BYTES_MAX: usize = 4 << 20;
/// Newest puts of each shard that are known one by one.
const RECENT_MAX: usize = 64;

/// A place to begin to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Of a put's record in the journal.
    pub(super) position: u64,
    /// When that was put.
    pub(super) arrived_ms: i64,
    /// The next sequence number of each shard just before it.
    pub(super) nexts: Box<[u64]>,
}

/// Bounded: one entry per at least 64 KiB of journal, and twice as much each time when it has grown
/// to 4 MiB.
pub(super) struct Index {
    entries: VecDeque<Entry>,
    spacing_bytes: u64,
    entries_max: usize,
    recent: Vec<VecDeque<(u64, u64)>>,
}

impl Index {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            spacing_bytes: SPACING_BYTES,
            entries_max: (INDEX_BYTES_MAX / (size_of::<Entry>() + 8 * shards)).max(16),
            recent: vec![VecDeque::new(); shards],
        }
    }

    /// Notes a put that stands at `position`, before its records are numbered.
    pub(super) fn put_begins(&mut self, position: u64, arrived_ms: i64, nexts: &[u64]) {
        match self.entries.back() {
            Some(last) if position < last.position + self.spacing_bytes => return,
            _ => {}
        }
        if self.entries.len() >= self.entries_max {
            let mut index = 0;
            self.entries.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.spacing_bytes *= 2;
        }
        self.entries.push_back(Entry { position, arrived_ms, nexts: nexts.into() });
    }

    /// Notes that the put at `position` has a record of `shard`, and the number of that.
    pub(super) fn numbered(&mut self, shard: usize, number: u64, position: u64) {
        let Some(recent) = self.recent.get_mut(shard) else { return };
        if recent.back().is_some_and(|(_, last)| *last == position) {
            return;
        }
        if recent.len() == RECENT_MAX {
            recent.pop_front();
        }
        recent.push_back((number, position));
    }

    /// Adds to the numbers of each shard what came before the journal's begin.
    pub(super) fn shift(&mut self, by: &[u64]) {
        for entry in &mut self.entries {
            entry.nexts.iter_mut().zip(by).for_each(|(next, by)| *next += by);
        }
        for (recent, by) in self.recent.iter_mut().zip(by) {
            recent.iter_mut().for_each(|(number, _)| *number += by);
        }
    }

    /// Where to begin to read `shard` from `number` on: the number of its first record there or
    /// after, and the position of a put.
    pub(super) fn find(&self, shard: usize, number: u64) -> Option<(u64, u64)> {
        if let Some(recent) = self.recent.get(shard) {
            let after = recent.partition_point(|(first, _)| *first <= number);
            if let Some(found) = after.checked_sub(1).and_then(|at| recent.get(at)) {
                return Some(*found);
            }
        }
        let next = |entry: &Entry| entry.nexts.get(shard).copied().unwrap_or(0);
        let after = self.entries.partition_point(|entry| next(entry) <= number);
        let entry = self.entries.get(after.saturating_sub(1))?;
        Some((next(entry), entry.position))
    }

    /// The last entry before which no shard has a record at or above its number in `from`; the
    /// first one where there is none.
    pub(super) fn find_all(&self, from: impl Fn(usize) -> u64) -> Option<&Entry> {
        let before = |entry: &Entry| {
            entry.nexts.iter().enumerate().all(|(shard, next)| *next <= from(shard).max(1))
        };
        self.entries.get(self.entries.partition_point(before).saturating_sub(1))
    }

    /// The last entry that arrived before `ms`; the first one where there is none.
    pub(super) fn find_time(&self, ms: i64) -> Option<&Entry> {
        let after = self.entries.partition_point(|entry| entry.arrived_ms < ms);
        self.entries.get(after.saturating_sub(1))
    }

    /// Forgets what stands before `position`. `first` is a put at or behind it, before which
    /// nothing is wanted: from there on everything must be found.
    pub(super) fn drop_before(&mut self, position: u64, first: Entry) {
        while self.entries.front().is_some_and(|entry| entry.position < position) {
            self.entries.pop_front();
        }
        let wanted = |entry: &Entry| first.position < entry.position;
        if first.position >= position && self.entries.front().is_none_or(wanted) {
            self.entries.push_front(first);
        }
        for recent in &mut self.recent {
            while recent.front().is_some_and(|(_, at)| *at < position) {
                recent.pop_front();
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_bounded_and_finds_the_same_numbers() {
        let shards = 1000;
        let mut index = Index::new(shards);
        let mut nexts = vec![1; shards];
        for put in 0..4_000_u64 {
            let position = 40 + put * 100_000;
            index.put_begins(position, put as i64, &nexts);
            let shard = (put % 2) as usize;
            index.numbered(shard, nexts[shard], position);
            nexts[shard] += 1;
        }
        assert!(index.len() <= 520, "{}", index.len());
        for number in 1..=2_000 {
            let (first, position) = index.find(1, number).unwrap();
            assert!(first <= number);
            assert_eq!((position - 40) / 100_000 / 2 + 1, first, "put 2n + 1 has number n + 1");
            let all = index.find_all(|shard| if shard < 2 { number } else { 1 }).unwrap();
            assert!(all.nexts[0] <= number && all.nexts[1] <= number);
            let time = index.find_time(number as i64).unwrap();
            assert!(time.arrived_ms < number as i64 || time.position == 40);
        }
        assert_eq!(index.find(1, 2_000).unwrap().0, 2_000, "the newest are known exactly");
    }
}
