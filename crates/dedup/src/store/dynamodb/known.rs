//! What a store object keeps in memory: nothing that a restart would miss.

use std::collections::HashMap;
use std::time::Instant;

use super::expiry::Expiry;
use super::lease::Leases;
use crate::store::{BatchRef, BatchState};

/// Batches whose end is remembered at most, in two halves.
const FINALS_MAX: usize = 131_072;
/// Batches of this worker that are under way at most; a pipe has a handful.
const OPENED_MAX: usize = 65_536;

/// A batch that this worker opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened {
    /// Of the scope, when it was opened.
    pub(super) incarnation: u128,
    /// Its record's.
    pub(super) expiry: Expiry,
}

/// The scope that was joined.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) incarnation: u128,
}

/// What one store object knows.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) scope: Option<Scope>,
    pub(super) leases: Leases,
    opened: HashMap<BatchRef, Opened>,
    // The end of a batch never changes, so remembering it saves a read for each duplicate.
    finals: HashMap<BatchRef, (BatchState, Instant)>,
    finals_before: HashMap<BatchRef, (BatchState, Instant)>,
}

impl Known {
    /// The scope was joined.
    pub(super) fn joined(&mut self, scope: Scope) {
        if self.scope.as_ref().is_some_and(|old| old.incarnation != scope.incarnation) {
            self.finals.clear();
            self.finals_before.clear();
            self.leases = Leases::default();
        }
        self.scope = Some(scope);
    }

    /// How a batch ended, and since when that is known.
    pub(super) fn end_of(&self, batch: &BatchRef) -> Option<(BatchState, Instant)> {
        self.finals.get(batch).or_else(|| self.finals_before.get(batch)).copied()
    }

    /// A batch has this state now: the answer came before this call.
    pub(super) fn learned(&mut self, batch: BatchRef, state: BatchState) {
        if state != BatchState::Open {
            self.leases.forget(&batch);
        }
        if !matches!(state, BatchState::Committed | BatchState::Aborted)
            || self.end_of(&batch).is_some()
        {
            return;
        }
        if self.finals.len() >= FINALS_MAX / 2 {
            self.finals_before = std::mem::take(&mut self.finals);
        }
        self.finals.insert(batch, (state, Instant::now()));
    }

    pub(super) fn opened(&self, batch: &BatchRef) -> Option<Opened> {
        self.opened.get(batch).copied()
    }

    pub(super) fn open(&mut self, batch: BatchRef, opened: Opened) {
        if self.opened.len() >= OPENED_MAX
            && let Some(oldest) = self.opened.keys().min().copied()
        {
            self.opened.remove(&oldest);
        }
        self.opened.insert(batch, opened);
    }

    /// The batch has ended, as its worker was told.
    pub(super) fn close(&mut self, batch: &BatchRef) {
        self.opened.remove(batch);
    }
}

#[cfg(test)]
mod tests {
    use event::{BatchNumber, Epoch, LedgerId};

    use super::*;

    fn batch(number: u64) -> BatchRef {
        BatchRef { worker: LedgerId(1), pipe: 0, epoch: Epoch(1), number: BatchNumber(number) }
    }

    #[test]
    fn ends_are_remembered_and_bounded() {
        let mut known = Known::default();
        for number in 0..FINALS_MAX as u64 * 2 {
            known.learned(batch(number), BatchState::Committed);
        }
        assert!(known.finals.len() + known.finals_before.len() <= FINALS_MAX);
        let (state, _) = known.end_of(&batch(FINALS_MAX as u64 * 2 - 1)).unwrap();
        assert_eq!(state, BatchState::Committed);
        assert!(known.end_of(&batch(0)).is_none());
    }

    #[test]
    fn what_isnt_an_end_is_not_remembered() {
        let mut known = Known::default();
        known.learned(batch(1), BatchState::Open);
        known.learned(batch(2), BatchState::Absent);
        assert!(known.end_of(&batch(1)).is_none() && known.end_of(&batch(2)).is_none());
    }

    #[test]
    fn nothing_is_carried_over_into_another_incarnation() {
        let mut known = Known::default();
        known.joined(Scope { name: "s".into(), incarnation: 1 });
        known.learned(batch(1), BatchState::Committed);
        known.joined(Scope { name: "s".into(), incarnation: 1 });
        assert!(known.end_of(&batch(1)).is_some());
        known.joined(Scope { name: "s".into(), incarnation: 2 });
        assert!(known.end_of(&batch(1)).is_none());
    }
}
