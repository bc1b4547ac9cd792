//! Events that leave their batch after they were decided.

use event::{Batch, BatchNumber, Event, Fate, Marks};

use super::reach::Reach;
use super::waiters::Waiter;
use super::{PipeId, Scope};
use crate::index::{Hold, Spot};
use crate::ledger::Left;
use crate::state::ParkedEvent;

impl Scope {
    /// Events of batch `number` leave it: the keys that it reserved for them are free again, and
    /// they are registered as events that wait, with the recorded time that they have. See
    /// [`Left`] for the order in which they may come again.
    pub fn leave(&mut self, pipe: PipeId, number: BatchNumber, left: &[Left]) {
        let mut wake = false;
        for left in left.iter().filter(|left| left.event.window_ms >= 0) {
            let held = left.event.fate == Fate::Deliver;
            if held {
                self.let_go(pipe, number, &left.event);
            }
            self.drop_refreshed(pipe, number, left.event.key);
            let (key, received_ms) = (left.event.key, left.received_ms);
            let rank = match (held, left.holds) {
                (_, true) => self.waiters.holding_rank(pipe, received_ms),
                (true, false) => self.waiters.yielding_rank(key, pipe, received_ms),
                (false, false) => self.waiters.rank_behind_own(key, pipe, received_ms),
            };
            let waiter = Waiter {
                key,
                rank,
                received_ms,
                recorded_ms: left.event.recorded_ms,
                window_ms: left.event.window_ms,
                late: left.event.marks.has(Marks::LATE),
            };
            if held && !left.holds {
                self.waiters.register_yielded(&left.shard, left.start, waiter);
            } else {
                self.waiters.register(&left.shard, left.start, waiter);
            }
            // Others may go on where it let go; and one that never held anything may find its
            // original settled already, with nobody to say so.
            wake |= !left.holds;
        }
        if wake {
            self.waiters.wake();
        }
    }

    /// A parked event waits again after a restart, and holds its key, if it has one.
    pub fn restore_parked(&mut self, pipe: PipeId, event: &ParkedEvent) {
        if event.window_ms < 0 {
            return;
        }
        let waiter = Waiter {
            key: event.key,
            rank: self.waiters.holding_rank(pipe, event.received_ms),
            received_ms: event.received_ms,
            recorded_ms: event.recorded_ms,
            window_ms: event.window_ms,
            late: event.marks.has(Marks::LATE),
        };
        self.waiters.register(&event.shard, event.position.0, waiter);
    }

    /// The events of `batch`, which `pipe` reserved, whose key an event of another pipe waits for.
    #[must_use]
    pub fn awaited(&self, pipe: PipeId, batch: &Batch) -> Vec<u32> {
        if self.waiters.is_empty() {
            return Vec::new();
        }
        let awaited = |event: &Event| {
            let (recorded_ms, window_ms) = (event.recorded_ms, event.window_ms);
            event.fate == Fate::Deliver
                && window_ms >= 0
                && self.waiters.awaits(event.key, pipe, Reach { recorded_ms, window_ms })
        };
        (0..).zip(&batch.events).filter(|(_, event)| awaited(event)).map(|(at, _)| at).collect()
    }

    /// Takes out what duplicates of a key have put into the index in batches of `pipe` in flight,
    /// from `number` on: their original left or died, so they leave, too, and are decided anew.
    pub(super) fn drop_refreshed(&mut self, pipe: PipeId, number: BatchNumber, key: u128) {
        if !self.options.refresh {
            return;
        }
        let spot = Spot::of(key);
        let mut next = Some(());
        while next.take().is_some() {
            let mut place = None;
            self.index.visit(spot, key, |at, entry| {
                let later = entry.number.wrapping_sub(number.0 as u32).cast_signed() >= 0;
                let own = entry.refreshes && entry.hold == Hold::Batch && entry.pipe == pipe.0;
                if own && later && self.flights.in_flight(entry.pipe, entry.number) {
                    place = Some(at);
                }
            });
            next = place.map(|place| self.index.remove(spot, place));
        }
    }

    /// Takes the entry of an event in flight out of the index.
    pub(super) fn let_go(&mut self, pipe: PipeId, number: BatchNumber, event: &Event) {
        let spot = Spot::of(event.key);
        let mut held = None;
        self.index.visit(spot, event.key, |place, entry| {
            let own = entry.hold == Hold::Batch
                && !entry.refreshes
                && entry.pipe == pipe.0
                && entry.number == number.0 as u32
                && entry.recorded_ms == event.recorded_ms;
            // Windows of 0 ms let several events of a key and time into one batch.
            let same = entry.body_hash == event.body_hash
                && self.windows.ms(entry.window) == event.window_ms;
            let in_flight = || self.flights.in_flight(entry.pipe, entry.number);
            if own && (held.is_none() || same) && in_flight() {
                held = Some(place);
            }
        });
        if let Some(place) = held {
            self.index.remove(spot, place);
        }
    }
}
