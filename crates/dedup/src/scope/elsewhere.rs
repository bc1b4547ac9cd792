//! What a store that workers share said of keys that the scope had reserved.

use std::collections::HashSet;

use event::{Batch, BatchNumber, DuplicateOf, Event, Fate, Marks};

use super::judge::Judge;
use super::waiters::Waiter;
use super::{CommittedKey, PipeId, Scope};
use crate::index::Spot;

/// What a store said of an event's key, where it isn't the event's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    /// This entry of it is committed, and reaches the event.
    Duplicate(CommittedKey),
    /// Another batch holds it.
    Busy,
}

impl Scope {
    /// Takes note of what a store said of events of the batch that was decided last, by index and
    /// ascending; all of them have the fate `Deliver`. They become duplicates, or wait, and so do
    /// those that were decided as duplicates of them. `asked` tells of each event whether it was
    /// decided just now.
    pub(crate) fn said_elsewhere(
        &mut self,
        pipe: PipeId,
        number: BatchNumber,
        batch: &mut Batch,
        asked: impl Fn(usize) -> bool,
        said: &[(u32, Elsewhere)],
    ) {
        let mut keys = HashSet::with_capacity(said.len());
        for (index, what) in said {
            let at = *index as usize;
            let Some(event) = batch.events.get(at).copied() else { continue };
            if event.window_ms >= 0 {
                keys.insert(event.key);
                self.let_go(pipe, number, &event);
            }
            match what {
                Elsewhere::Busy => self.wait_elsewhere(pipe, batch, at),
                Elsewhere::Duplicate(entry) => {
                    if event.window_ms >= 0 {
                        self.load(entry);
                    }
                    turn_duplicate(batch, at, &event, entry);
                }
            }
        }
        if keys.is_empty() {
            return;
        }
        let of_these = |event: &Event| {
            event.fate == Fate::Duplicate && event.window_ms >= 0 && keys.contains(&event.key)
        };
        let copies: Vec<usize> = batch
            .events
            .iter()
            .enumerate()
            .filter(|(at, event)| of_these(event) && asked(*at))
            .map(|(at, _)| at)
            .collect();
        for at in copies {
            let Some(event) = batch.events.get(at).copied() else { continue };
            if !self.is_still_duplicate(pipe, number, &event) {
                self.wait_elsewhere(pipe, batch, at);
                batch.duplicates.retain(|of| of.event as usize != at);
            }
        }
        batch.duplicates.sort_by_key(|of| of.event);
    }

    /// An event waits, in its turn by time of receipt.
    fn wait_elsewhere(&mut self, pipe: PipeId, batch: &mut Batch, at: usize) {
        let Some((extent, range)) = batch.extent_of(at) else { return };
        let (start, received_ms) = (batch.position(extent, &range, at).0, extent.received_ms);
        let shard = extent.shard_of(at).clone();
        let Some(event) = batch.events.get_mut(at) else { return };
        event.fate = Fate::Waits;
        if event.window_ms < 0 {
            return;
        }
        // Whoever came first meanwhile may go on.
        if self.waiters.has(event.key) {
            self.waiters.wake();
        }
        let waiter = Waiter {
            key: event.key,
            rank: self.waiters.next_rank(pipe, received_ms),
            received_ms,
            recorded_ms: event.recorded_ms,
            window_ms: event.window_ms,
            late: event.marks.has(Marks::LATE),
        };
        self.waiters.register(&shard, start, waiter);
    }

    /// Whether something other than what was let go makes an event a duplicate.
    fn is_still_duplicate(&self, pipe: PipeId, number: BatchNumber, event: &Event) -> bool {
        let judge = Judge {
            flights: &self.flights,
            windows: &self.windows,
            forgotten_through_ms: self.times.forgotten_through_ms(),
        };
        let number = number.0 as u32;
        let mut duplicate = false;
        self.index.visit(Spot::of(event.key), event.key, |_, entry| {
            let reach = judge.reach(entry);
            if !reach.covers(event.recorded_ms) {
                return;
            }
            duplicate |= if judge.in_flight(entry) {
                entry.pipe == pipe.0 && number.wrapping_sub(entry.number).cast_signed() >= 0
            } else {
                !reach.is_over(judge.forgotten_through_ms)
            };
        });
        duplicate
    }
}

fn turn_duplicate(batch: &mut Batch, at: usize, event: &Event, of: &CommittedKey) {
    if let Some(event) = batch.events.get_mut(at) {
        event.fate = Fate::Duplicate;
    }
    batch.duplicates.push(DuplicateOf {
        event: u32::try_from(at).unwrap_or(u32::MAX),
        recorded_ms: of.recorded_ms,
        other_body: of.body_hash != event.body_hash,
        refreshes: false,
    });
}
