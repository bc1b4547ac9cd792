//! Events of generated batches leave them, and come again.

use dedup::ledger::Left;
use dedup::scope::PipeId;
use event::{BatchNumber, Event, Fate, Marks};

use crate::scope_generated::{InFlight, World};

impl World {
    /// Some events of a batch in flight leave it, all to be tried again or all to let others go
    /// first; and what was called a duplicate of one of them leaves, too.
    pub(crate) fn leave(&mut self, pipe: usize) {
        let in_flight = self.pipes[pipe].in_flight.len() as u64;
        if in_flight == 0 {
            return;
        }
        let id = PipeId(pipe as u16);
        let at = self.dice.below(in_flight) as usize;
        let wakeups = self.scope.wakeups();
        let (holds, part) = (self.dice.one_in(2), 1 + self.dice.below(8));
        let mut batches = std::mem::take(&mut self.pipes[pipe].in_flight);
        let batch = &batches[at];
        let awaited = self.scope.awaited(id, &batch.batch);
        let leaves = |index: usize| {
            let event = &batch.batch.events[index];
            event.fate == Fate::Deliver && event.window_ms >= 0
        };
        for (index, event) in batch.events.iter().enumerate() {
            let recorded_ms = batch.batch.events[index].recorded_ms;
            let expected = leaves(index) && self.model.is_awaited(id, event, recorded_ms);
            assert_eq!(awaited.contains(&(index as u32)), expected, "{event:?}");
        }
        let go: Vec<usize> = (0..batch.events.len())
            .filter(|&index| leaves(index))
            .filter(|index| match holds {
                true => self.dice.one_in(part),
                false => awaited.contains(&(*index as u32)) || self.dice.one_in(20),
            })
            .collect();
        let gone: Vec<Event> = go.iter().map(|&index| batch.batch.events[index]).collect();
        self.send_off(pipe, &mut batches[at], &go, holds);
        for later in batches.iter_mut().skip(at) {
            let of_gone = |event: &Event| {
                let reached = |gone: &Event| {
                    gone.key == event.key
                        && gone.recorded_ms.abs_diff(event.recorded_ms)
                            < gone.window_ms.unsigned_abs()
                };
                // What another duplicate refreshed may have made it one, and that leaves, too.
                let of_key = |gone: &Event| self.options.refresh && gone.key == event.key;
                event.fate == Fate::Duplicate
                    && gone.iter().any(|gone| reached(gone) || of_key(gone))
            };
            let events = later.batch.events.iter().enumerate();
            let duplicates: Vec<usize> =
                events.filter(|(_, event)| of_gone(event)).map(|(index, _)| index).collect();
            self.send_off(pipe, later, &duplicates, false);
        }
        let own = &mut self.pipes[pipe];
        own.in_flight = batches;
        if own.wakeups_seen.is_none() {
            own.wakeups_seen = Some(wakeups);
        }
    }

    fn send_off(&mut self, pipe: usize, batch: &mut InFlight, indices: &[usize], holds: bool) {
        let id = PipeId(pipe as u16);
        let left: Vec<Left> = indices
            .iter()
            .map(|&index| {
                let event = &batch.events[index];
                Left {
                    event: batch.batch.events[index],
                    shard: event.shard.into(),
                    start: event.start.into(),
                    received_ms: event.received_ms,
                    holds,
                }
            })
            .collect();
        self.scope.leave(id, BatchNumber(batch.number), &left);
        for (&index, left) in indices.iter().zip(&left) {
            let (event, held) = (&batch.events[index], left.event.fate == Fate::Deliver);
            let times = (left.event.recorded_ms, left.event.marks.has(Marks::LATE));
            self.model.leave(id, batch.number, event, times, (held, holds));
            batch.batch.events[index].fate = Fate::Waits;
            let own = &mut self.pipes[pipe];
            if holds { &mut own.retrying } else { &mut own.waiting }.push(event.clone());
            let word = match (held, holds) {
                (true, true) => "left to retry",
                (true, false) => "left for others",
                _ => "left behind its original",
            };
            *self.fates.entry(word).or_default() += 1;
        }
    }

    /// Some of what left to be tried again comes again.
    pub(crate) fn retry(&mut self, pipe: usize) {
        let retrying = std::mem::take(&mut self.pipes[pipe].retrying);
        let all = self.dice.one_in(2);
        let (now, later): (Vec<_>, Vec<_>) =
            retrying.into_iter().partition(|_| all || self.dice.one_in(2));
        self.pipes[pipe].retrying = later;
        if !now.is_empty() {
            self.reserve(pipe, now);
        }
    }
}
