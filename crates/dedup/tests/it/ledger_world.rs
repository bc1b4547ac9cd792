//! A little pipe from a known stream of events into files, over the simulated disk, and the naive
//! reference of what must be there after any crash.

use std::collections::{BTreeMap, VecDeque};

use dedup::ledger::{
    LedgerState, Left, LetterChange, MinuteBucket, ParkedChange, PipeLedger, Tally,
};
use dedup::scope::DedupClock;
use dedup::state::{ParkedEvent, PipeState};
use event::batch::{Extent, Offsets};
use event::sink::StagedOutput;
use event::{Batch, BatchNumber, Death, Event, Fate, Offset, Outcome, TestClock};
use journal::SimDisk;

use crate::ledger_kit::*;
use crate::ledger_records;
use crate::ledger_sink::Sink;

const BATCH_EVENTS: usize = 5;
const CHECKPOINT_EVERY: u64 = 3;
/// After this batch the ledger is closed in order, and opened again.
const CLOSE_AFTER: u64 = 7;
/// Before every such batch letters are purged, with nothing in flight.
const PURGE_EVERY: u64 = 4;
/// So many batches after it, a batch's record ends the letters of what died of something transient.
const ENDED_AFTER: u64 = 6;
/// So many batches after it was parked, an event is delivered.
const PARKED_FOR: u64 = 3;

pub(crate) type Failed = String;

/// A known stream, and what must become of it.
pub(crate) struct World {
    events: Vec<(u128, i64, i64)>,
    ends: Vec<End>,
}

/// What must become of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Delivered,
    Duplicate,
    /// Its letter has its index as id.
    Dies {
        deterministic: bool,
    },
    /// Parked with its index as id, and delivered [`PARKED_FOR`] batches later.
    Parked,
}

/// A batch that is decided.
pub(crate) struct Ahead {
    number: u64,
    pub(crate) batch: Batch,
    /// The index of each of its events in the stream.
    pub(crate) ids: Vec<u64>,
    counted: bool,
}

/// What the pipe was told is done, over all its lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledged {
    /// Batches whose commit was waited for.
    batches: u64,
    /// Batches whose commit was begun.
    begun: u64,
    /// Published, and followed by an acknowledged record.
    published: u64,
    /// Lives so far.
    starts: u64,
}

impl World {
    /// Events 20 s apart and not quite in order, a third of them duplicates; some windows end
    /// within the stream, so that key runs expire.
    pub(crate) fn new(events: usize) -> Self {
        let mut seed = 11_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let windows = [120_000, 600_000, i64::MAX];
        let events: Vec<(u128, i64, i64)> = (0..events)
            .map(|i| {
                let key = random(events as u64 * 2 / 3);
                let time = NOW_MS + i as i64 * 20_000 - random(15_000) as i64;
                (u128::from(key) << 64 | 5, time, windows[key as usize % 3])
            })
            .collect();
        let mut world = Self { ends: vec![End::Duplicate; events.len()], events };
        world.decide();
        world
    }

    /// The naive reference: a list of what was let through, looked at from front to back.
    fn decide(&mut self) {
        let mut through: Vec<(u128, i64, i64, u64)> = Vec::new();
        for at in 0..self.events.len() {
            let (key, time, window) = self.events[at];
            if at.is_multiple_of(BATCH_EVENTS) {
                let purged = self.purged_before(batch_of(at as u64));
                through.retain(|(.., id)| !purged.contains(id));
            }
            let reached =
                |&(k, t, w, _): &(u128, i64, i64, u64)| k == key && time.abs_diff(t) < w as u64;
            if through.iter().any(reached) {
                continue;
            }
            let near = |&other: &usize| {
                other != at
                    && self.events[other].0 == key
                    && batch_of(other as u64).abs_diff(batch_of(at as u64)) <= 1
            };
            let is_alone = !(0..self.events.len()).any(|other| near(&other));
            let of_key = self.events.iter().filter(|event| event.0 == key).count();
            self.ends[at] = match at % 12 {
                1 | 4 => End::Dies { deterministic: true },
                // Whether a copy that is decided before the death is one depends on timing.
                2 | 7 | 9 if is_alone => End::Dies { deterministic: false },
                _ if of_key == 1 => End::Parked,
                _ => End::Delivered,
            };
            if self.ends[at] != (End::Dies { deterministic: false }) {
                through.push((key, time, window, at as u64));
            }
        }
    }

    /// The letters that are purged before a batch is decided: of every fourth, those of what would
    /// die again and is two batches back.
    fn purged_before(&self, number: u64) -> Vec<u64> {
        let purges = number - number % PURGE_EVERY;
        let old = |id: &u64| batch_of(*id) + 2 <= purges;
        let dies = |id: &u64| self.ends[*id as usize] == (End::Dies { deterministic: true });
        (0..self.events.len() as u64).filter(|id| dies(id) && old(id)).collect()
    }

    /// The letters that the record of a batch ends: of things transient, [`ENDED_AFTER`] back.
    fn ended_by(&self, number: u64) -> Vec<u64> {
        let ended = |id: &u64| batch_of(*id) + ENDED_AFTER == number;
        let dies = |id: &u64| self.ends[*id as usize] == (End::Dies { deterministic: false });
        (0..self.events.len() as u64).filter(|id| dies(id) && ended(id)).collect()
    }

    /// The parked events that come again with a batch.
    fn unparked_with(&self, number: u64) -> Vec<u64> {
        let parked = |id: &u64| self.ends[*id as usize] == End::Parked;
        let with = |id: &u64| batch_of(*id) + PARKED_FOR == number;
        (0..self.events.len() as u64).filter(|id| parked(id) && with(id)).collect()
    }

    fn batches(&self) -> u64 {
        self.events.len().div_ceil(BATCH_EVENTS) as u64
    }

    /// How many events die for good, die of something transient, are parked, and are delivered as
    /// copies of one that died: of something transient, and of one whose letter was purged.
    pub(crate) fn crossings(&self) -> [u64; 5] {
        let all = self.batches();
        let copies = |of: End| {
            let is_copy = |&at: &usize| {
                let (key, time, window) = self.events[at];
                let original = (0..at).rev().find(|&other| {
                    let (k, t, _) = self.events[other];
                    k == key && time.abs_diff(t) < window as u64 && self.ends[other] == of
                });
                self.ends[at] == End::Delivered && original.is_some()
            };
            (0..self.events.len()).filter(is_copy).count() as u64
        };
        let (dies, fails) = (End::Dies { deterministic: true }, End::Dies { deterministic: false });
        let count = |of: End| self.count(all, |end| end == of);
        [count(dies), count(fails), count(End::Parked), copies(fails), copies(dies)]
    }

    /// How many events of the first batches end in a way.
    fn count(&self, batches: u64, end: impl Fn(End) -> bool) -> u64 {
        let events = (batches as usize * BATCH_EVENTS).min(self.events.len());
        self.ends[..events].iter().filter(|of| end(**of)).count() as u64
    }

    /// Rows that the first batches must have delivered.
    fn rows(&self, batches: u64) -> Vec<u64> {
        let of_batch = |number: u64| {
            let own = (number - 1) * BATCH_EVENTS as u64..number * BATCH_EVENTS as u64;
            let own = own.filter(|&id| self.ends.get(id as usize) == Some(&End::Delivered));
            own.chain(self.unparked_with(number)).collect::<Vec<u64>>()
        };
        (1..=batches).flat_map(of_batch).collect()
    }

    /// A batch as it is received, with the parked events that come again.
    fn batch(&self, number: u64, now_ms: i64, parked: &BTreeMap<u64, ParkedEvent>) -> Ahead {
        let first = (number as usize - 1) * BATCH_EVENTS;
        let events = &self.events[first..(first + BATCH_EVENTS).min(self.events.len())];
        let keys: Vec<u128> = events.iter().map(|event| event.0).collect();
        let mut batch = batch(&keys, first as u64, now_ms);
        for (event, &(_, time, window_ms)) in batch.events.iter_mut().zip(events) {
            event.event_ms = time;
            event.window_ms = window_ms;
        }
        let mut ids: Vec<u64> = (first as u64..).take(events.len()).collect();
        for id in self.unparked_with(number) {
            let parked = &parked[&id];
            let first_event = batch.events.len() as u32;
            batch.events.push(Event {
                key: parked.key,
                window_ms: parked.window_ms,
                event_ms: parked.event_ms,
                body_hash: parked.body_hash,
                ..Event::default()
            });
            batch.extents.push(Extent {
                shard: parked.shard.clone(),
                first_event,
                events_received: 0,
                received_ms: parked.received_ms,
                broker_ms: Vec::new(),
                offsets: Offsets::Nowhere(vec![parked.position.0]),
                start: Offset::ZERO,
                end: Offset::ZERO,
                mark: None,
            });
            ids.push(id);
        }
        Ahead { number, batch, ids, counted: false }
    }

    /// Some events die, and some are parked, after the batch was decided.
    fn fail(
        &self,
        pipe: &PipeLedger,
        ahead: &mut Ahead,
        parked: &mut BTreeMap<u64, ParkedEvent>,
    ) -> Result<(), Failed> {
        let extent = ahead.batch.extents[0].clone();
        for (index, &id) in ahead.ids.iter().enumerate() {
            let event = ahead.batch.events[index];
            let again = batch_of(id) != ahead.number;
            let expected = match self.ends[id as usize] {
                End::Duplicate => Fate::Duplicate,
                _ => Fate::Deliver,
            };
            if event.fate != expected {
                return Err(format!("event {id} came to {:?}, not {expected:?}", event.fate));
            }
            match self.ends[id as usize] {
                End::Dies { .. } => ahead.batch.kill(index, Death::default()),
                End::Parked if !again => {
                    let (shard, start) = (extent.shard.clone(), Offset::from(id));
                    let received_ms = extent.received_ms;
                    let left =
                        Left { event, shard: shard.clone(), start, received_ms, holds: true };
                    pipe.leave(BatchNumber(ahead.number), &[left]);
                    ahead.batch.events[index].fate = Fate::Parked;
                    let position = (start, start.next());
                    let whole = ledger_records::parked(id);
                    let (key, body_hash) = (event.key, event.body_hash);
                    let (recorded_ms, window_ms) = (event.recorded_ms, event.window_ms);
                    let event_ms = event.event_ms;
                    parked.insert(
                        id,
                        ParkedEvent {
                            shard,
                            position,
                            received_ms,
                            key,
                            body_hash,
                            recorded_ms,
                            window_ms,
                            event_ms,
                            ..whole
                        },
                    );
                }
                End::Parked => {
                    parked.remove(&id);
                }
                End::Delivered | End::Duplicate => {}
            }
        }
        Ok(())
    }

    /// Runs the pipe to its end, through an orderly restart, checking at each start that what is
    /// there is what was acknowledged.
    pub(crate) fn run(&self, disk: &SimDisk, done: &mut Acknowledged) -> Result<(), Failed> {
        while !self.live(disk, done)? {}
        Ok(())
    }

    /// One life of the pipe; whether it came to the end.
    fn live(&self, disk: &SimDisk, done: &mut Acknowledged) -> Result<bool, Failed> {
        done.starts += 1;
        let clock = TestClock::new(NOW_MS + done.starts as i64 * 45_000);
        let ledger = open_with(disk, &clock, options()).map_err(failed)?;
        self.check_state(&ledger.state(), done)?;
        let pipe = ledger.pipe(declaration("app", "app", DedupClock::Event)).map_err(failed)?;
        let mut sink = Sink::open(disk, &ledger, &pipe)?;
        let committed = pipe.next_batch().0 - 1;
        let rows = sink.rows(disk)?;
        if rows != self.rows(committed) {
            return Err(format!("rows of {committed} batches: {rows:?}"));
        }
        let mut parked: BTreeMap<u64, ParkedEvent> =
            pipe.restore_parked().into_iter().map(|event| (event.id, event)).collect();
        let mut ahead: VecDeque<Ahead> = VecDeque::new();
        let mut published = 0;
        for number in committed + 1..=self.batches() {
            let decided = ahead.back().map_or(number, |last| last.number + 1);
            for number in decided..=(number + 1).min(self.batches()) {
                if number.is_multiple_of(PURGE_EVERY) {
                    if !ahead.is_empty() {
                        break;
                    }
                    let purged = self.purged_before(number).into_iter().map(u128::from);
                    let purged: Vec<u128> = purged.collect();
                    ledger.remove_letters("app", &purged).map_err(failed)?;
                }
                let now_ms = event::Clock::now_ms(&clock);
                let mut next = self.batch(number, now_ms, &parked);
                pipe.reserve(BatchNumber(number), &mut next.batch).map_err(failed)?;
                ahead.push_back(next);
            }
            self.fail(&pipe, &mut ahead[0], &mut parked)?;
            let staged = sink.stage(&pipe, number, &ahead[0])?;
            done.begun = done.begun.max(number);
            self.commit(&pipe, &mut ahead, &parked, staged.clone())?;
            done.batches = done.batches.max(number);
            done.published = done.published.max(published);
            sink.publish(&staged)?;
            pipe.published("out", BatchNumber(number));
            published = number;
            if number.is_multiple_of(CHECKPOINT_EVERY) {
                ledger.checkpoint().map_err(failed)?;
            }
            if number == CLOSE_AFTER && committed < CLOSE_AFTER {
                ledger.close().map_err(failed)?;
                done.published = done.published.max(published);
                return Ok(false);
            }
        }
        ledger.close().map_err(failed)?;
        done.published = done.published.max(published);
        Ok(true)
    }

    /// Commits the first batch; what it says of counters includes batches that were received and
    /// are in flight, and parked events.
    fn commit(
        &self,
        pipe: &PipeLedger,
        ahead: &mut VecDeque<Ahead>,
        parked: &BTreeMap<u64, ParkedEvent>,
        staged: StagedOutput,
    ) -> Result<(), Failed> {
        let mut minutes: Vec<(MinuteBucket, Tally)> = Vec::new();
        for ahead in ahead.iter_mut().filter(|ahead| !ahead.counted) {
            let extent = &ahead.batch.extents[0];
            let received = u64::from(extent.events_received);
            let tally = Tally { received, ..Tally::default() };
            minutes.push((MinuteBucket::of(extent.received_ms), tally));
            ahead.counted = true;
        }
        let Ahead { number, batch, ids, .. } = ahead.pop_front().unwrap();
        let mut settlement = settlement(BatchNumber(number), &batch, vec![(0, staged)]);
        for (extent, range) in batch.extent_ranges() {
            let mut tally = Tally::default();
            for event in &batch.events[range] {
                match (event.fate.outcome(), event.fate) {
                    (Some(outcome), _) => tally.add_outcome(outcome, 1),
                    (None, Fate::Parked) => {}
                    (None, fate) => return Err(format!("an event is {fate:?}")),
                }
            }
            minutes.push((MinuteBucket::of(extent.received_ms), tally));
        }
        let mut in_flight: Vec<(MinuteBucket, u64)> =
            parked.values().map(|parked| (parked.minute(), 1)).collect();
        in_flight.extend(ahead.iter().map(|ahead| {
            let extent = &ahead.batch.extents[0];
            (MinuteBucket::of(extent.received_ms), u64::from(extent.events_received))
        }));
        settlement.counters.minutes = minutes;
        settlement.counters.in_flight = in_flight;
        let extent = &batch.extents[0];
        settlement.positions[0].ranges = vec![(extent.start, extent.end)];
        for (event, &id) in ids.iter().enumerate() {
            let event = event as u32;
            match (self.ends[id as usize], batch_of(id) == number) {
                (End::Dies { deterministic }, _) => settlement.letters.push(LetterChange::Add {
                    id: id.into(),
                    event,
                    deterministic,
                    sinks: 0b10,
                }),
                (End::Parked, true) => {
                    let whole = Box::new(parked[&id].clone());
                    settlement.parked.push(ParkedChange::Add(whole));
                }
                (End::Parked, false) => settlement.parked.push(ParkedChange::Remove { id }),
                _ => {}
            }
        }
        let ended = self.ended_by(number).into_iter();
        settlement.letters.extend(ended.map(|id| LetterChange::Remove { id: id.into() }));
        pipe.commit(&settlement).wait().map_err(failed)
    }

    /// Everything acknowledged is there, batches whole, nothing invented, and P4 holds.
    fn check_state(&self, state: &LedgerState, done: &Acknowledged) -> Result<(), Failed> {
        let unbalanced = state.imbalance();
        if !unbalanced.is_empty() {
            return Err(format!("P4: {unbalanced:?}"));
        }
        let Some((_, pipe)) = state.pipe("app") else {
            return if done.batches == 0 { Ok(()) } else { Err("the pipe is lost".into()) };
        };
        let committed = pipe.committed.0;
        if committed < done.batches || committed > done.begun {
            return Err(format!("{committed} batches are committed: {done:?}"));
        }
        let events = (committed as usize * BATCH_EVENTS).min(self.events.len()) as u64;
        let shard = pipe.positions.get("shard").cloned().unwrap_or_default();
        if shard.settled_through != events.into() || !shard.settled_beyond.is_empty() {
            return Err(format!("{committed} batches, settled: {shard:?}"));
        }
        let rows = self.rows(committed).len() as u64;
        let total = outcome(state, Outcome::Delivered);
        let duplicates = self.count(committed, |end| end == End::Duplicate);
        let dead = self.count(committed, |end| matches!(end, End::Dies { .. }));
        if total != rows
            || outcome(state, Outcome::Duplicate) != duplicates
            || outcome(state, Outcome::Dead) != dead
            || pipe.parked.len() as u64 != events - rows - duplicates - dead
        {
            return Err(format!("{total} delivered of {committed} batches, not {rows}"));
        }
        self.check_letters(pipe, committed)?;
        if state.scopes.iter().map(|scope| scope.keys_committed).sum::<u64>() != rows {
            return Err(format!("keys: {:?}", state.scopes));
        }
        let published = pipe.sinks.first().map_or(0, |sink| sink.published_through.0);
        if published < done.published || published > committed {
            return Err(format!("published through {published}: {done:?}"));
        }
        Ok(())
    }

    /// The letters that the committed batches leave open, apart from those that may be purged
    /// before the next batch.
    fn check_letters(&self, pipe: &PipeState, committed: u64) -> Result<(), Failed> {
        let gone = |number: u64| {
            let ended = (1..=committed).flat_map(|number| self.ended_by(number));
            ended.chain(self.purged_before(number)).collect::<Vec<u64>>()
        };
        let dead = |id: &u64| matches!(self.ends[*id as usize], End::Dies { .. });
        let events = (committed as usize * BATCH_EVENTS).min(self.events.len()) as u64;
        let all: Vec<u64> = (0..events).filter(dead).collect();
        let open: Vec<u64> = pipe.letters.keys().map(|id| *id as u64).collect();
        let without = |gone: Vec<u64>| -> Vec<u64> {
            all.iter().copied().filter(|id| !gone.contains(id)).collect()
        };
        // A purge is a record of its own, just before the batch.
        let least = without(gone(committed + 1));
        let most = without(gone(committed.max(1)));
        if open != least && open != most {
            return Err(format!("letters {open:?}, not {least:?} nor {most:?}"));
        }
        for (&id, letter) in &pipe.letters {
            let (key, time, _) = self.events[id as usize];
            let superseded = (0..events).any(|at| {
                let (other, at_ms, window) = self.events[at as usize];
                let end = self.ends[at as usize];
                let delivered = end == End::Delivered && other == key;
                let known = batch_of(id as u64) + 2 <= batch_of(at);
                delivered && known && at_ms.abs_diff(time) < window as u64
            });
            let transient = self.ends[id as usize] == (End::Dies { deterministic: false });
            if letter.superseded != (superseded && transient) {
                return Err(format!("letter {id}: {letter:?}"));
            }
        }
        Ok(())
    }
}

/// The batch that brings an event.
fn batch_of(id: u64) -> u64 {
    id / BATCH_EVENTS as u64 + 1
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Failed {
    error.to_string()
}
