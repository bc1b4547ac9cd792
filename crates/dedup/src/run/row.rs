//! A key on its way from the journal into a run, or from one run into another: little enough to be
//! sorted and copied by the million.

use crate::scope::{CommittedBy, CommittedKey, KeyState};

/// A key, with what it shares with many others left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    /// Upper half of the key.
    pub(crate) upper: u64,
    /// Lower half of the key.
    pub(crate) lower: u64,
    pub(crate) body_hash: u64,
    pub(crate) recorded_ms: i64,
    /// The batch that committed it.
    pub(crate) batch: u64,
    /// Its kind, by place in the list of kinds that goes along.
    pub(crate) kind: u32,
}

/// What many keys have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) window_ms: i64,
    /// The pipe that committed it.
    pub(crate) pipe: u16,
    pub(crate) state: KeyState,
}

impl Row {
    /// The key.
    pub(crate) const fn key(&self) -> u128 {
        (self.upper as u128) << 64 | self.lower as u128
    }

    /// The key as the rest of the crate knows it.
    pub(crate) const fn whole(&self, kind: &Kind) -> CommittedKey {
        CommittedKey {
            key: self.key(),
            recorded_ms: self.recorded_ms,
            window_ms: kind.window_ms,
            body_hash: self.body_hash,
            state: kind.state,
            by: CommittedBy { pipe: kind.pipe, batch: event::BatchNumber(self.batch) },
        }
    }

    /// The row of a key, whose kind is number `kind`.
    pub(crate) const fn of(key: &CommittedKey, kind: u32) -> Self {
        Self {
            upper: (key.key >> 64) as u64,
            lower: key.key as u64,
            body_hash: key.body_hash,
            recorded_ms: key.recorded_ms,
            batch: key.by.batch.0,
            kind,
        }
    }
}

impl Kind {
    pub(crate) const fn of(key: &CommittedKey) -> Self {
        Self { window_ms: key.window_ms, pipe: key.by.pipe, state: key.state }
    }
}
