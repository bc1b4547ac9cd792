//! Events that leave their batch after their key was reserved, and those that must leave with them.
//!
//! A duplicate settles in its batch only as long as its original does (DESIGN §3 "Waiting"): when
//! an original leaves, or dies, its duplicates in batches that are decided already leave too, and
//! are decided anew.

use std::collections::HashMap;
use std::sync::Arc;

use dedup::ledger::{Left, PipeLedger};
use event::{BatchNumber, Clock, Fate};

use super::Decided;
use crate::unsettled::{Carried, Due, History, Unsettled};

/// How long what was decided about duplicates of a key may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    /// In batches up to this one: later ones were decided knowing that the original left.
    Decided(BatchNumber),
    /// In batches that were decided before this one's record: that says that the original died.
    Committed(BatchNumber),
}

/// How an event leaves.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "few, and short-lived")]
pub(super) enum Leave {
    /// It is tried again at this time, or goes behind one of its lane; nobody else gets its key.
    Retry(i64, History),
    /// Its key is free for others.
    Yield,
}

/// Keeps track of events that leave.
pub(super) struct Leaving {
    ledger: Arc<PipeLedger>,
    unsettled: Arc<Unsettled>,
    clock: Arc<dyn Clock>,
    keys: HashMap<u128, Until>,
}

impl Leaving {
    pub(super) fn new(
        ledger: Arc<PipeLedger>,
        unsettled: Arc<Unsettled>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { ledger, unsettled, clock, keys: HashMap::new() }
    }

    /// Events of `decided` leave it, in order.
    pub(super) fn leave(&mut self, decided: &mut Decided, events: Vec<(u32, Leave)>) {
        if events.is_empty() {
            return;
        }
        let mut told = Vec::with_capacity(events.len());
        for (index, how) in &events {
            told.extend(left(decided, *index, matches!(how, Leave::Retry(..))));
        }
        let through = self.ledger.leave(decided.number, &told);
        for left in &told {
            if left.event.window_ms >= 0 && left.event.fate == Fate::Deliver {
                self.keys.insert(left.event.key, Until::Decided(through));
            }
        }
        for (index, how) in events {
            let (due, history) = match how {
                Leave::Retry(at_ms, history) => (Due::At(at_ms), Some(history)),
                Leave::Yield => (Due::Key, None),
            };
            self.keep(decided, index, due, history);
        }
    }

    /// An event of `decided` died: what was decided about its duplicates before its record isn't
    /// right any more.
    pub(super) fn died(&mut self, decided: &Decided, index: u32) {
        if let Some(event) = decided.batch.events.get(index as usize)
            && event.window_ms >= 0
        {
            self.keys.insert(event.key, Until::Committed(decided.number));
        }
    }

    /// Lets the duplicates in `decided` of events that left or died leave, too.
    pub(super) fn duplicates_leave(&mut self, decided: &mut Decided) {
        if self.keys.is_empty() {
            return;
        }
        let (number, seen) = (decided.number, decided.committed_seen);
        let holds = |until: &Until| match until {
            Until::Decided(through) => number <= *through,
            Until::Committed(of) => seen < *of,
        };
        let leave: Vec<(u32, Leave)> = (0_u32..)
            .zip(&decided.batch.events)
            .filter(|(_, event)| {
                event.fate == Fate::Duplicate && self.keys.get(&event.key).is_some_and(holds)
            })
            .map(|(index, _)| (index, Leave::Yield))
            .collect();
        self.leave(decided, leave);
    }

    /// Batch `decided` is through: what only held for batches before the next is forgotten.
    pub(super) fn passed(&mut self, decided: &Decided) {
        let (number, seen) = (decided.number, decided.committed_seen);
        self.keys.retain(|_, until| match until {
            Until::Decided(through) => number < *through,
            Until::Committed(of) => seen < *of,
        });
    }

    /// Gives up keys of `decided` that another pipe waits for.
    pub(super) fn yield_awaited(&mut self, decided: &mut Decided) {
        let awaited = self.ledger.awaited(&decided.batch);
        if awaited.is_empty() {
            return;
        }
        self.leave(decided, awaited.into_iter().map(|index| (index, Leave::Yield)).collect());
        self.duplicates_leave(decided);
    }

    fn keep(&self, decided: &mut Decided, index: u32, due: Due, history: Option<History>) {
        let at = index as usize;
        if let Some(&id) = decided.ids.get(at) {
            self.unsettled.leave_again(id, due, history);
        } else {
            let batch = &decided.batch;
            let copy = batch
                .extent_of(at)
                .and_then(|(extent, range)| Carried::copy(batch, extent, &range, at));
            if let Some(copy) = copy {
                let now_ms = self.clock.now_ms();
                let history = history.unwrap_or_default();
                self.unsettled.leave(copy, decided.number, due, history, now_ms);
            }
        }
        if let Some(event) = decided.batch.events.get_mut(at) {
            event.fate = Fate::Waits;
        }
    }
}

fn left(decided: &Decided, index: u32, holds: bool) -> Option<Left> {
    let at = index as usize;
    let event = decided.batch.events.get(at)?;
    let (extent, range) = decided.batch.extent_of(at)?;
    Some(Left {
        event: *event,
        shard: extent.shard_of(at).clone(),
        start: decided.batch.position(extent, &range, at).0,
        received_ms: extent.received_ms,
        holds,
    })
}
