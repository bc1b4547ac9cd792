//! Where a pipe reads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::batch::Batch;
use crate::position::{Offset, ShardId};

/// When a batch closes: at whichever bound comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Payload bytes as received.
    pub bytes_max: usize,
    /// Events.
    pub events_max: usize,
    /// Time since the batch's first event.
    pub interval_max: Duration,
}

/// Tells a source that waits that the pipe wants to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks to stop; can't be taken back.
    pub fn ask(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a call of [`Source::receive`] gave.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "one a batch: it is moved a few times, never kept in numbers"
)]
pub enum Received {
    /// Events, or ranges that are settled without any: where a pipe begins, and what its source's
    /// retention removed.
    Batch(Batch),
    /// Nothing just now; ask again.
    Idle,
    /// Nothing will come any more.
    End,
}

/// Where a pipe reads. One thread calls it.
pub trait Source: Send {
    /// The name that counters and reports use, e.g. `file:app.ndjson`.
    fn name(&self) -> &str;

    /// Waits for events, at most about 100 ms when there are none or when `stop` was asked, and
    /// gives them as a batch within `limits`. Sets [`crate::Extent::events_received`]: that is
    /// where `received` of P4 is counted.
    ///
    /// # Errors
    /// [`SourceError`]; the pipe stops and nothing of the failed read was handed over.
    fn receive(&mut self, limits: &BatchLimits, stop: &Stop) -> Result<Received, SourceError>;

    /// The handle that tells the source what is settled; the commit thread keeps it.
    fn acker(&self) -> Box<dyn Acker>;

    /// Lines for a person about what this source did not read and why, e.g. that a file was read
    /// to its end by an earlier run.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// How far the source is behind, for metrics and alarms; `None` where it doesn't know.
    fn status(&self) -> Option<Arc<SourceStatus>> {
        None
    }
}

/// How a source is, at any moment: written by its threads, read by metrics and alarms.
#[derive(Debug, Default)]
pub struct SourceStatus {
    /// Events that are there and not received yet.
    pub behind_events: AtomicU64,
    /// Age of the oldest of them, or of the oldest that is received and not acknowledged; ms.
    pub behind_ms: AtomicU64,
    /// How long the source keeps what isn't read; ms, 0 while it isn't known.
    pub retention_ms: AtomicU64,
    /// Events that the retention removed before this run read them.
    pub expired: AtomicU64,
    /// Message ids that are remembered.
    pub message_ids: AtomicU64,
    /// Calls that failed and are tried again.
    pub errors: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl SourceStatus {
    /// Notes a call that failed and is tried again.
    pub fn failed(&self, error: String) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// What the last call that failed said.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the oldest event that isn't settled has passed half of the retention (P1).
    #[must_use]
    pub fn is_half_expired(&self) -> bool {
        let retention_ms = self.retention_ms.load(Ordering::Relaxed);
        retention_ms > 0 && self.behind_ms.load(Ordering::Relaxed) >= retention_ms / 2
    }
}

/// How long the id of a settled message is remembered from now on (DESIGN §3 "Queues").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryChange {
    /// As in [`crate::batch::Messages::ids`].
    pub id: u128,
    /// Until when; ms since the Unix epoch. `None`: the message can't come again.
    pub until_ms: Option<i64>,
}

/// Tells a source which events are settled: after the commit, never before (P1).
pub trait Acker: Send {
    /// Everything of `batch` that has an outcome is committed.
    ///
    /// # Errors
    /// [`SourceError`]; what was committed stays committed, so the event comes again and is
    /// recognised.
    fn settled(&mut self, batch: &Batch) -> Result<(), SourceError>;

    /// What became known of settled messages since the last call; goes into the next record.
    fn memory_changes(&mut self) -> Vec<MemoryChange> {
        Vec::new()
    }
}

/// The acker of sources that need no telling: the ledger's positions are enough.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAck;

impl Acker for NoAck {
    fn settled(&mut self, _: &Batch) -> Result<(), SourceError> {
        Ok(())
    }
}

/// What the ledger knows of a shard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardState {
    /// Everything below is settled.
    pub settled_through: Offset,
    /// Ranges beyond that are settled too: start to end (exclusive), in order, apart.
    pub settled_beyond: Vec<(Offset, Offset)>,
    /// The newest [`crate::Extent::mark`] whose range is settled, with the end of that range.
    pub mark: Option<(Offset, Vec<u8>)>,
}

impl ShardState {
    /// Whether the event that starts at `start` was settled by an earlier run.
    #[must_use]
    pub fn is_settled(&self, start: Offset) -> bool {
        if start < self.settled_through {
            return true;
        }
        let after = self.settled_beyond.partition_point(|range| range.0 <= start);
        after
            .checked_sub(1)
            .and_then(|index| self.settled_beyond.get(index))
            .is_some_and(|range| start < range.1)
    }

    /// Settles `start..end`, joining ranges that touch.
    pub fn settle(&mut self, start: Offset, end: Offset) {
        if end <= start || end <= self.settled_through {
            return;
        }
        if start <= self.settled_through {
            self.settled_through = end;
        } else {
            let first = self.settled_beyond.partition_point(|range| range.1 < start);
            let last = self.settled_beyond.partition_point(|range| range.0 <= end);
            let mut joined = (start, end);
            for range in self.settled_beyond.get(first..last).unwrap_or(&[]) {
                joined = (joined.0.min(range.0), joined.1.max(range.1));
            }
            self.settled_beyond.splice(first..last, [joined]);
        }
        let mut swallowed = 0;
        for range in &self.settled_beyond {
            if range.0 > self.settled_through {
                break;
            }
            self.settled_through = self.settled_through.max(range.1);
            swallowed += 1;
        }
        self.settled_beyond.drain(..swallowed);
    }
}

/// What the ledger knows of a pipe's source: where to go on.
pub type SourceState = BTreeMap<ShardId, ShardState>;

/// A source can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file system or the network said no.
    #[error("cannot read {what}: {error}")]
    Io {
        /// What was read, and what to do where that is known.
        what: String,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// The source is not what the ledger remembers.
    #[error("{what}. {help}")]
    Changed {
        /// What is different.
        what: String,
        /// The way out.
        help: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(ranges: &[(u64, u64)]) -> Vec<(Offset, Offset)> {
        ranges.iter().map(|&(a, b)| (a.into(), b.into())).collect()
    }

    #[test]
    fn ranges_join_and_move_settled_through() {
        let mut shard = ShardState::default();
        shard.settle(10.into(), 20.into());
        shard.settle(30.into(), 40.into());
        assert_eq!(shard.settled_beyond, offsets(&[(10, 20), (30, 40)]));
        shard.settle(20.into(), 30.into());
        assert_eq!(shard.settled_beyond, offsets(&[(10, 40)]));
        assert!(shard.is_settled(39.into()) && !shard.is_settled(40.into()));
        assert!(!shard.is_settled(9.into()));
        shard.settle(0.into(), 10.into());
        assert_eq!(shard.settled_through, 40.into());
        assert!(shard.settled_beyond.is_empty());
        shard.settle(5.into(), 7.into());
        assert_eq!(shard.settled_through, 40.into());
    }

    #[test]
    fn settling_in_any_order_equals_a_set() {
        // A small linear congruential generator: every order of 40 unit ranges ends the same.
        let mut seed = 7_u64;
        for _ in 0..200 {
            let mut order: Vec<u64> = (0..40).collect();
            for i in (1..order.len()).rev() {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                order.swap(i, (seed >> 33) as usize % (i + 1));
            }
            let mut shard = ShardState::default();
            let mut set = std::collections::BTreeSet::new();
            for at in order {
                shard.settle(at.into(), (at + 1).into());
                set.insert(at);
                for probe in 0..41 {
                    assert_eq!(shard.is_settled(probe.into()), set.contains(&probe));
                }
            }
            assert_eq!(shard.settled_through, 40.into());
        }
    }
}
