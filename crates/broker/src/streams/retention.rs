//! What retention hides and gives back.
//!
//! Hiding is exact, record by record, by the clock. Space comes back in whole segments, later.

use std::sync::atomic::Ordering;

use journal::Position;

use super::index::Entry;
use super::lock;
use super::scan::{Scan, Step};
use super::stream::Inner;
use crate::error::BrokerError;

/// How far retention has come. Only grows.
pub(super) struct Horizon {
    /// The first number of each shard that isn't.
    kept_from: Vec<u64>,
    /// A put from which to look on: the first one that is kept, or the last one that isn't where
    /// there is none.
    at: Option<Entry>,
    /// When the first one that is kept arrived.
    oldest_ms: Option<i64>,
    /// The journal's last record when it was looked at last.
    seen: Option<u64>,
}

impl Horizon {
    pub(super) fn new(kept_from: Vec<u64>) -> Self {
        Self { kept_from, at: None, oldest_ms: None, seen: None }
    }

    /// When the oldest record that is kept arrived; as [`Inner::trim_horizon`] found it.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.oldest_ms
    }
}

impl Inner {
    /// What arrived before this is hidden, now.
    pub(super) fn horizon_ms(&self) -> i64 {
        let (retention_h, gone_before_ms) = {
            let settings = self.settings();
            (settings.retention_h, settings.gone_before_ms)
        };
        let retention_ms = i64::from(retention_h) * 3_600_000;
        let before_ms = gone_before_ms.max(self.clock.now_ms().saturating_sub(retention_ms));
        self.hidden_before_ms.fetch_max(before_ms, Ordering::AcqRel).max(before_ms)
    }

    /// The first number of each shard that is kept.
    ///
    /// Where the journal can't be read it stays where it was: a read will say why.
    pub(super) fn trim_horizon(&self) -> Vec<u64> {
        let mut horizon = lock(&self.horizon);
        while let Ok(false) = self.advance(&mut horizon) {}
        horizon.kept_from.clone()
    }

    /// Moves the horizon; false when it is to be tried again.
    fn advance(&self, horizon: &mut Horizon) -> Result<bool, BrokerError> {
        let before_ms = self.horizon_ms();
        if horizon.oldest_ms.is_some_and(|oldest| oldest >= before_ms) {
            return Ok(true);
        }
        let (start, last, mut nexts) = {
            let shared = lock(&self.core.shared);
            let state = &shared.state;
            let last = state.position;
            if horizon.oldest_ms.is_none() && horizon.seen == Some(last) {
                return Ok(true);
            }
            let Some(entry) = state.index.find_time(before_ms) else {
                horizon.seen = Some(last);
                return Ok(true);
            };
            match &horizon.at {
                Some(at) if at.position > entry.position => (at.position, last, at.nexts.to_vec()),
                _ => (entry.position, last, entry.nexts.to_vec()),
            }
        };
        let mut scan = Scan::new(self, start, last)?;
        let mut at = None;
        loop {
            match scan.step(self)? {
                Step::Put(position, put) => {
                    let (arrived_ms, nexts_here) = (put.arrived_ms, nexts.as_slice().into());
                    at = Some(Entry { position, arrived_ms, nexts: nexts_here });
                    if put.arrived_ms >= before_ms {
                        horizon.oldest_ms = Some(put.arrived_ms);
                        break;
                    }
                    for shard in put.shards() {
                        nexts.get_mut(shard as usize).into_iter().for_each(|next| *next += 1);
                    }
                }
                Step::Other => {}
                Step::End => {
                    horizon.oldest_ms = None;
                    break;
                }
                // Dropped by another handle's trim: the index has moved on, too.
                Step::Gone => {
                    horizon.at = None;
                    return Ok(false);
                }
            }
        }
        (horizon.at, horizon.seen) = (at, Some(last));
        horizon.kept_from = nexts;
        Ok(true)
    }

    /// Gives the segments back that hold nothing that is kept. Writes nothing, so that it works on
    /// a full disk: see `write_state` in `put.rs`.
    pub(super) fn trim(&self) {
        if self.check_exists().is_err() || self.core.stopped.get().is_some() {
            return;
        }
        self.trim_horizon();
        let Some(first) = lock(&self.horizon).at.clone() else { return };
        // The last state record stays, whatever came before it.
        let position = first.position.min(lock(&self.core.shared).state.state_position);
        let dropped = self.with_journal(|journal| {
            let outcome = journal.drop_before(Position(position));
            Ok((outcome, journal.begin().0))
        });
        let Ok((outcome, begin)) = dropped else { return };
        lock(&self.core.shared).state.index.drop_before(begin, first);
        match outcome {
            Ok(()) => {}
            Err(journal::AppendError::Poisoned { cause }) => {
                self.core.stopped.get_or_init(|| cause.to_string());
            }
            Err(error) => tracing::warn!(stream = self.name, %error, "space was not given back"),
        }
    }
}
