//! How many bytes of living messages each segment of the journal holds.

use std::collections::VecDeque;

/// Living bytes by segment.
#[derive(Default)]
pub(super) struct Segments {
    /// Where it begins, and its living bytes; oldest first.
    list: VecDeque<(u64, u64)>,
    living: u64,
}

impl Segments {
    /// The segment that begins at `begin` holds what was written last.
    pub(super) fn reach(&mut self, begin: u64) {
        if self.list.back().is_none_or(|(last, _)| *last < begin) {
            self.list.push_back((begin, 0));
        }
    }

    fn of(&mut self, at: u64) -> Option<&mut (u64, u64)> {
        let after = self.list.partition_point(|(begin, _)| *begin <= at);
        self.list.get_mut(after.checked_sub(1)?)
    }

    pub(super) fn add(&mut self, at: u64, bytes: u32) {
        if let Some((_, living)) = self.of(at) {
            *living += u64::from(bytes);
            self.living += u64::from(bytes);
        }
    }

    pub(super) fn remove(&mut self, at: u64, bytes: u32) {
        if let Some((_, living)) = self.of(at) {
            debug_assert!(*living >= u64::from(bytes), "more dies than lived");
            *living = living.saturating_sub(u64::from(bytes));
            self.living = self.living.saturating_sub(u64::from(bytes));
        }
    }

    /// Living bytes of all segments.
    pub(super) fn living(&self) -> u64 {
        self.living
    }

    /// Living bytes below `position`, which is where a segment begins.
    pub(super) fn living_below(&self, position: u64) -> u64 {
        self.list.iter().take_while(|(begin, _)| *begin < position).map(|(_, living)| living).sum()
    }

    /// The segments below `position` are gone.
    pub(super) fn drop_below(&mut self, position: u64) {
        while self.list.front().is_some_and(|(begin, _)| *begin < position) {
            self.list.pop_front();
        }
    }
}
