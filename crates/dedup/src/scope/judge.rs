//! Whether an entry of the index still counts, and what becomes of it.

use crate::index::{Entry, Hold, Windows, Words};

use super::flights::Flights;
use super::reach::Reach;

/// Tells for an entry whether it still counts.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) flights: &'a Flights,
    pub(super) windows: &'a Windows,
    pub(super) forgotten_through_ms: i64,
}

impl Judge<'_> {
    #[inline]
    pub(super) fn in_flight(&self, entry: &Entry) -> bool {
        entry.hold == Hold::Batch && self.flights.in_flight(entry.pipe, entry.number)
    }

    #[inline]
    pub(super) fn reach(&self, entry: &Entry) -> Reach {
        Reach { recorded_ms: entry.recorded_ms, window_ms: self.windows.ms(entry.window) }
    }

    /// What becomes of an entry when its shard is rebuilt: what expired goes, and what is in a key
    /// run forgets its batch, so that batch numbers modulo 2^32 stay clear.
    pub(super) fn keep(&self, words: &Words) -> Option<Words> {
        let entry = Entry::unpack(words);
        if self.in_flight(&entry) {
            return Some(*words);
        }
        if self.reach(&entry).is_over(self.forgotten_through_ms) {
            return None;
        }
        if entry.hold == Hold::Batch && !self.flights.is_saved(entry.pipe, entry.number) {
            return Some(*words);
        }
        let hold = if entry.hold == Hold::Batch { Hold::Delivered } else { entry.hold };
        Some(Entry { hold, refreshes: false, pipe: 0, number: 0, ..entry }.pack())
    }

    /// Whether memory may forget an entry that [`Judge::keep`] keeps: it is in a key run, too.
    pub(super) fn may_go(words: &Words) -> bool {
        Entry::unpack(words).hold != Hold::Batch
    }
}
