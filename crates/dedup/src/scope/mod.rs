//! A scope: the keys that its pipes share, in flight and remembered.
//!
//! [`Scope::reserve`] decides what becomes of the events of a batch; [`Scope::commit`] makes what
//! it reserved count as remembered, [`Scope::release`] lets it go. Nothing here is durable: the
//! ledger writes what is committed, and loads it again.
//!
//! What makes two events the same stands in `reach.rs`, what counts as time and what may be
//! forgotten in `times.rs`, who waits for whom in `waiters.rs`; `reserve.rs` puts them together.

mod committed;
mod dead;
mod elsewhere;
mod flights;
mod found;
mod ids;
mod judge;
mod leave;
mod options;
mod reach;
mod reserve;
mod times;
mod waiters;

pub use crate::index::WINDOWS_MAX;
pub use committed::{CommittedBy, CommittedKey, DeadState, FOREVER_MS, KeyState};
pub(crate) use dead::mask;
pub(crate) use elsewhere::Elsewhere;
pub(crate) use ids::IMPORTED;
pub use ids::{PipeId, SourceId};
pub use options::{DedupClock, LatePolicy, OnDuplicateOfDead, OnOtherBody, ScopeOptions};
#[cfg(feature = "dynamodb")]
pub(crate) use reach::Reach;

use std::collections::BTreeMap;

use event::{Batch, BatchNumber, Fate, Offset, ShardId};

use crate::index::{Entry, Hold, Index, Spot, Windows};
use crate::state::Letter;
use dead::DeadKeys;
use flights::Flights;
use judge::Judge;
use reserve::Desk;
pub(crate) use reserve::OTHER_BODY;
use times::Times;
use waiters::Waiters;

/// What [`Scope::reserve`] decided, in numbers of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Keys reserved.
    pub reserved: u32,
    /// Duplicates of something remembered, or in flight in the same pipe.
    pub duplicates: u32,
    /// Events that wait for one in flight.
    pub waiting: u32,
    /// Events that came too late or too far ahead, rejected or passed.
    pub late: u32,
    /// Events whose key is remembered, with another body each time: whatever
    /// [`OnOtherBody`] made of them, `Drop` a duplicate, `Pass` a reservation.
    pub other_body: u32,
}

/// The keys of the pipes that share them.
#[derive(Debug)]
pub struct Scope {
    options: ScopeOptions,
    index: Index,
    windows: Windows,
    flights: Flights,
    times: Times,
    waiters: Waiters,
    /// The oldest recorded time in each batch in flight: its events may yet leave it.
    oldest_in_flight: BTreeMap<(PipeId, BatchNumber), i64>,
    dead: DeadKeys,
    /// Of the batch that was decided last: events whose delivery supersedes letters.
    superseding: Vec<Superseding>,
    /// How often entries left memory that are in key runs.
    evictions: u64,
    /// Nothing more can leave memory before more keys are in key runs.
    is_shed: bool,
}

/// An event whose delivery supersedes an open letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superseding {
    /// Its index in its batch.
    pub event: u32,
    /// The letter's pipe.
    pub pipe: PipeId,
    /// The letter.
    pub letter: u128,
}

impl Scope {
    /// A scope without keys.
    #[must_use]
    pub fn new(options: ScopeOptions) -> Self {
        Self {
            options,
            index: Index::new(),
            windows: Windows::new(),
            flights: Flights::default(),
            times: Times::new(),
            waiters: Waiters::default(),
            oldest_in_flight: BTreeMap::new(),
            dead: DeadKeys::default(),
            superseding: Vec::new(),
            evictions: 0,
            is_shed: false,
        }
    }

    /// Its rules of time.
    #[must_use]
    pub fn options(&self) -> &ScopeOptions {
        &self.options
    }

    /// Makes room for `keys` more, so that loading them grows nothing.
    pub fn reserve_capacity(&mut self, keys: usize) {
        self.index.reserve(keys);
    }

    /// Remembers a key of a key run. It may leave memory again, see [`Scope::shed`]. Loading one
    /// twice is harmless: an entry of the same key, recorded time and body takes the later state and
    /// the longer window.
    pub fn load(&mut self, key: &CommittedKey) {
        let hold = match key.state {
            KeyState::Delivered => Hold::Delivered,
            KeyState::Filtered => Hold::Filtered,
            KeyState::Dead(_) => Hold::Dead,
        };
        self.is_shed = false;
        self.remember(key, hold, 0, 0);
    }

    /// Remembers a key that is in the ledger's journal alone, of the batch that it names: it stays
    /// in memory until [`Scope::saved`]. Otherwise as [`Scope::load`].
    pub fn load_unsaved(&mut self, key: &CommittedKey) {
        let (pipe, number) = (key.by.pipe, key.by.batch.0 as u32);
        self.remember(key, Hold::Batch, pipe, number);
    }

    /// Remembers imported keys that are in the ledger's journal alone: they stay in memory until
    /// [`Scope::saved`] says that those of import round `round` are in runs.
    pub(crate) fn load_imported(&mut self, keys: &[CommittedKey], round: u32) {
        // None of them is ever in flight.
        self.flights.commit(IMPORTED, BatchNumber(u64::from(u32::MAX >> 1)));
        self.each_near(keys, |scope, key| scope.remember(key, Hold::Batch, IMPORTED.0, round));
    }

    fn remember(&mut self, key: &CommittedKey, hold: Hold, pipe: u16, number: u32) {
        if self.options.clock == DedupClock::Received {
            self.times.restore_recorded_max(key.recorded_ms);
        }
        let mut entry = Entry {
            key: key.key,
            recorded_ms: key.recorded_ms,
            body_hash: key.body_hash,
            window: self.windows.class(key.window_ms),
            hold,
            refreshes: false,
            pipe,
            number,
        };
        let spot = Spot::of(key.key);
        let judge = Judge {
            flights: &self.flights,
            windows: &self.windows,
            forgotten_through_ms: self.times.forgotten_through_ms(),
        };
        let mut same = None;
        let free = self.index.visit(spot, key.key, |place, known| {
            let is_same =
                (known.recorded_ms, known.body_hash) == (entry.recorded_ms, entry.body_hash);
            if is_same && !judge.in_flight(known) {
                same = Some(place);
                if judge.windows.ms(known.window) > judge.windows.ms(entry.window) {
                    entry.window = known.window;
                }
            }
        });
        match same {
            Some(place) => self.index.replace(spot, place, &entry),
            None => self.index.insert(spot, free, &entry, |words| judge.keep(words)),
        }
    }

    /// [`Scope::load`] for many keys, several times as fast a key.
    pub fn load_all(&mut self, keys: &[CommittedKey]) {
        self.each_near(keys, Self::load);
    }

    /// [`Scope::load_unsaved`] for many keys, several times as fast a key.
    pub fn load_all_unsaved(&mut self, keys: &[CommittedKey]) {
        self.each_near(keys, Self::load_unsaved);
    }

    /// Does something with each key once memory has brought its place near.
    fn each_near(&mut self, keys: &[CommittedKey], each: impl Fn(&mut Self, &CommittedKey)) {
        for keys in keys.chunks(32) {
            for key in keys {
                self.index.prefetch_tags(Spot::of(key.key));
            }
            for key in keys {
                self.index.prefetch_slot(Spot::of(key.key));
            }
            for key in keys {
                each(self, key);
            }
        }
    }

    /// `pipe` has committed through `committed`: what the ledger knows of it before any pipe gives
    /// its first batch.
    pub fn restore_pipe(&mut self, pipe: PipeId, committed: BatchNumber) {
        self.flights.commit(pipe, committed);
    }

    /// The keys of a pipe are in key runs through batch `number`: from now on they may leave
    /// memory. Not before a look-up would find them there.
    pub fn saved(&mut self, pipe: PipeId, number: BatchNumber) {
        self.flights.saved(pipe, number);
        self.is_shed = false;
    }

    /// Lets go of keys that are in key runs, too, until what is left takes at most
    /// `memory_bytes_max`. Keys that are in no run stay, whatever that takes. What memory has of a
    /// key is all or nothing, so that one that it has need not be looked up.
    pub fn shed(&mut self, memory_bytes_max: u64) {
        let memory_bytes_max = usize::try_from(memory_bytes_max).unwrap_or(usize::MAX);
        if self.is_shed || self.index.memory_bytes() <= memory_bytes_max {
            return;
        }
        let judge = Judge {
            flights: &self.flights,
            windows: &self.windows,
            forgotten_through_ms: self.times.forgotten_through_ms(),
        };
        let gone = self.index.shed(memory_bytes_max, |words| judge.keep(words), Judge::may_go);
        self.evictions += u64::from(gone > 0);
        self.is_shed = self.index.memory_bytes() > memory_bytes_max;
    }

    /// Changes when keys left memory: whoever found one there before must look again.
    #[must_use]
    pub fn evictions(&self) -> u64 {
        self.evictions
    }

    /// Takes the keys out that memory has, and with them all of their entries, those in key runs
    /// included.
    pub(crate) fn take_out_known(&self, keys: &mut Vec<u128>) {
        let mut kept = 0;
        for first in (0..keys.len()).step_by(32) {
            let few = first..(first + 32).min(keys.len());
            for key in keys.get(few.clone()).unwrap_or_default() {
                self.index.prefetch_tags(Spot::of(*key));
            }
            for key in keys.get(few.clone()).unwrap_or_default() {
                self.index.prefetch_slot(Spot::of(*key));
            }
            for at in few {
                if let Some(key) = keys.get(at).copied().filter(|key| !self.has(*key))
                    && let Some(place) = keys.get_mut(kept)
                {
                    *place = key;
                    kept += 1;
                }
            }
        }
        keys.truncate(kept);
    }

    /// Whether memory has the key, and with it all of its entries, those in key runs included.
    #[must_use]
    pub fn has(&self, key: u128) -> bool {
        self.index.has(Spot::of(key), key)
    }

    /// Makes a source known before its first event, so that nothing that it may still give an
    /// event for is forgotten, until it is idle for `source_idle_max_ms`.
    pub fn declare_source(&mut self, source: SourceId) {
        self.times.index(source);
    }

    /// A pipe runs under the plan of this fingerprint from now on; `sinks` are the places of its
    /// sinks in the order of [`crate::state::PipeState::sinks`].
    pub fn declare_pipe(&mut self, pipe: PipeId, fingerprint: u64, sinks: &[u16]) {
        self.dead.declare(pipe, fingerprint, sinks);
    }

    /// A letter of `pipe` is open: its key, if it has one, is remembered until
    /// [`Scope::letter_removed`], whatever its window.
    pub fn letter_open(&mut self, pipe: PipeId, id: u128, letter: &Letter) {
        self.dead.add(pipe, id, letter);
    }

    /// An event of batch `number`, which is about to be committed, is dead: what it reserved is
    /// the letter's from now on.
    pub fn died(&mut self, pipe: PipeId, number: BatchNumber, id: u128, letter: &Letter) {
        if let Some(key) = letter.key {
            let event = event::Event {
                key: key.key,
                recorded_ms: letter.recorded_ms,
                window_ms: key.window_ms,
                body_hash: key.body_hash,
                ..event::Event::default()
            };
            self.let_go(pipe, number, &event);
            self.drop_refreshed(pipe, number, key.key);
        }
        self.letter_open(pipe, id, letter);
    }

    /// A letter was replayed or purged.
    pub fn letter_removed(&mut self, pipe: PipeId, id: u128) {
        self.dead.remove(pipe, id);
    }

    /// A copy of a letter's event was delivered: its replay is a duplicate.
    pub fn letter_superseded(&mut self, pipe: PipeId, id: u128) {
        self.dead.supersede(pipe, id);
    }

    /// Events of the batch that was decided last whose delivery supersedes letters: once they are
    /// committed as delivered, [`Scope::letter_superseded`] must be said.
    pub fn take_superseding(&mut self) -> Vec<Superseding> {
        std::mem::take(&mut self.superseding)
    }

    /// Decides every undecided event of `batch`, in order: sets `recorded_ms`, and as fate
    /// - `Deliver`: the key is reserved for this batch (or the event has no window, less than 0 ms,
    ///   and needs no key);
    /// - `Duplicate`: a remembered entry reaches it, or one in flight in the same pipe that commits
    ///   no later than this batch ([`Batch::duplicates`] says which); it may start its key's window
    ///   anew ([`ScopeOptions::refresh`]), for other pipes once its batch is committed;
    /// - `Waits`: an entry in flight elsewhere reaches it, or an event that waits and goes first;
    /// - `Rejected`: `late`, `too_far_ahead` or `time_missing`; or `Dead` for the first two.
    ///
    /// What would be a duplicate of entries that all have another body follows [`OnOtherBody`]: it
    /// is one, or is reserved and delivered beside them, or is `Dead`. A body hash of 0 is not
    /// known, and counts as the same.
    ///
    /// A copy of a dead event follows [`OnDuplicateOfDead`]: it is a duplicate, or goes on; with
    /// the same body only to those sinks (`routes`) that don't hold it.
    ///
    /// Events of a replay keep the recorded time that they say, which is never late and moves no
    /// watermark; without one they go on without dedup, their window negative. Their own letter
    /// makes them no duplicates, but a copy that was delivered since does.
    ///
    /// An event that waits is registered by pipe, shard and start offset. The pipe submits it
    /// again, undecided, in a batch of any number, with the same shard, start offset, key and
    /// `received_ms`; it keeps the recorded time that it got first, and is never late by then. It
    /// comes after waiters of its key that were received earlier. When to try again says
    /// [`Scope::wakeups`]; read it before `reserve`. If it won't come again, say so with
    /// [`Scope::forget_waiter`]: as long as it is registered it holds back others.
    ///
    /// Batches of a pipe have ascending numbers and commit in that order.
    pub fn reserve(
        &mut self,
        pipe: PipeId,
        source: SourceId,
        number: BatchNumber,
        batch: &mut Batch,
        now_ms: i64,
    ) -> Reserved {
        self.flights.begin(pipe, number);
        // Replays tell nothing of how far any source is.
        let source = batch.replay.is_none().then(|| self.times.index(source));
        if let Some(source) = source.filter(|_| !batch.events.is_empty()) {
            self.times.heard(source, now_ms);
        }
        self.superseding.clear();
        self.times.forget(&self.options, now_ms, self.oldest_unsettled_ms());
        let mut desk = Desk {
            options: &self.options,
            index: &mut self.index,
            windows: &mut self.windows,
            flights: &self.flights,
            times: &mut self.times,
            waiters: &mut self.waiters,
            dead: &self.dead,
            superseding: &mut self.superseding,
            source,
            pipe,
            number,
            now_ms,
            counts: Reserved::default(),
            oldest_ms: i64::MAX,
        };
        desk.decide_all(batch);
        let (counts, oldest_ms) = (desk.counts, desk.oldest_ms);
        if oldest_ms < i64::MAX {
            self.oldest_in_flight.insert((pipe, number), oldest_ms);
        }
        counts
    }

    /// The oldest recorded time of an event that isn't settled: it waits, or its batch is in flight
    /// and it may yet have to wait.
    fn oldest_unsettled_ms(&self) -> Option<i64> {
        let in_flight = self.oldest_in_flight.values().copied().min();
        in_flight.into_iter().chain(self.waiters.oldest_ms()).min()
    }

    /// Everything that `pipe` reserved up to batch `number` is remembered from now on. Touches no
    /// key.
    pub fn commit(&mut self, pipe: PipeId, number: BatchNumber) {
        self.flights.commit(pipe, number);
        let of_pipe = (pipe, BatchNumber(0))..=(pipe, number);
        while let Some(batch) = self.oldest_in_flight.range(of_pipe.clone()).next() {
            let batch = *batch.0;
            self.oldest_in_flight.remove(&batch);
        }
        self.waiters.committed(pipe, number);
    }

    /// Lets go of the keys that batch `number` of `pipe` reserved: those of its events with
    /// `Fate::Deliver`, of those that died since, and of duplicates. Later batches of the pipe may hold duplicates
    /// of them; they must be withdrawn, too.
    pub fn release(&mut self, pipe: PipeId, number: BatchNumber, batch: &Batch) {
        let held = |event: &&event::Event| {
            matches!(event.fate, Fate::Deliver | Fate::Dead(_)) && event.window_ms >= 0
        };
        for event in batch.events.iter().filter(held) {
            self.let_go(pipe, number, event);
        }
        for duplicate in batch.duplicates.iter().filter(|duplicate| duplicate.refreshes) {
            if let Some(event) = batch.events.get(duplicate.event as usize) {
                self.drop_refreshed(pipe, number, event.key);
            }
        }
        self.oldest_in_flight.remove(&(pipe, number));
        self.waiters.released(pipe, number);
    }

    /// The sinks of `pipe` that hold the body of `event` since an event of its key died: bit `n`
    /// for sink `n`.
    #[must_use]
    pub fn held_by_dead(&self, pipe: PipeId, event: &event::Event) -> u64 {
        if self.dead.is_empty() || event.window_ms < 0 {
            return 0;
        }
        let copy = dead::Copy {
            pipe,
            key: event.key,
            reach: reach::Reach { recorded_ms: event.recorded_ms, window_ms: event.window_ms },
            body_hash: event.body_hash,
            replay_of: None,
        };
        let said = self.dead.judge(copy, OnDuplicateOfDead::Admit);
        said.map_or(0, |said| said.held)
    }

    /// Takes one event out of the waiting; it won't come again, or not as the same.
    pub fn forget_waiter(&mut self, pipe: PipeId, shard: &ShardId, start: Offset) {
        self.waiters.gone(pipe, shard, start);
    }

    /// Takes all events of a pipe out of the waiting, as when it stops.
    pub fn forget_waiters(&mut self, pipe: PipeId) {
        self.waiters.all_gone(pipe);
    }

    /// A pipe is gone, with everything that it had in flight: it holds back nothing any more.
    pub fn pipe_gone(&mut self, pipe: PipeId) {
        self.forget_waiters(pipe);
        self.oldest_in_flight.retain(|(of, _), _| *of != pipe);
    }

    /// How many events wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Changes whenever something that an event waits for was settled or released. Until then there
    /// is no need to submit it again.
    #[must_use]
    pub fn wakeups(&self) -> u64 {
        self.waiters.wakeups()
    }

    /// The highest recorded time of the scope that is not too far ahead; `i64::MIN` without any.
    /// To be persisted with each commit.
    #[must_use]
    pub fn recorded_max_ms(&self) -> i64 {
        self.times.recorded_max_ms()
    }

    /// Restores [`Scope::recorded_max_ms`] at open.
    pub fn restore_recorded_max(&mut self, recorded_max_ms: i64) {
        self.times.restore_recorded_max(recorded_max_ms);
    }

    /// The watermark of every source that has one: its highest recorded time. To be persisted with
    /// each commit.
    pub fn watermarks(&self) -> impl Iterator<Item = (SourceId, i64)> + '_ {
        self.times.watermarks()
    }

    /// Restores a watermark at open; declares the source.
    pub fn restore_watermark(&mut self, source: SourceId, watermark_ms: i64) {
        self.times.restore_watermark(source, watermark_ms);
    }

    /// Keys that expire at or before this time are gone: the least watermark of the scope's
    /// sources (for one without events for `source_idle_max_ms` the wall clock less that), less
    /// `lateness_ms`, and never beyond an event that waits or is in flight. Never runs backwards, and from then on
    /// an event before it is late, whatever its source's own watermark. So it must be persisted no
    /// later than the first key run is deleted because of it.
    pub fn forgotten_through_ms(&mut self, now_ms: i64) -> i64 {
        self.times.forget(&self.options, now_ms, self.oldest_unsettled_ms())
    }

    /// What [`Scope::forgotten_through_ms`] answered last.
    #[must_use]
    pub const fn has_forgotten_through_ms(&self) -> i64 {
        self.times.forgotten_through_ms()
    }

    /// Restores [`Scope::forgotten_through_ms`] at open.
    pub fn restore_forgotten_through(&mut self, forgotten_through_ms: i64) {
        self.times.restore_forgotten_through(forgotten_through_ms);
    }

    /// Keys in memory: in flight, remembered, and forgotten ones whose place isn't reused yet.
    #[must_use]
    pub fn live_keys(&self) -> u64 {
        self.index.len() as u64
    }

    /// What the scope's keys take in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let waiting = self.waiters.len() * waiters::WAITER_BYTES;
        let dead = self.dead.len() * dead::DEAD_BYTES;
        (self.index.memory_bytes() + waiting + dead) as u64
    }
}
