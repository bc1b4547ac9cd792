//! Deciding the events of a batch.

use event::batch::NO_TIME;
use event::{Batch, BatchNumber, Death, DuplicateOf, Event, Fate, Marks, Offset};

use crate::index::{Entry, Hold, Index, Spot, Windows};

use super::dead::{Copy, DeadKeys};
use super::flights::Flights;
use super::found::{Found, Sought};
use super::judge::Judge;
use super::reach::Reach;
use super::times::{MarkIndex, Stated, Timed, Times};
use super::waiters::{Turn, Waiter, Waiters};
use super::{
    DedupClock, LatePolicy, OnDuplicateOfDead, OnOtherBody, PipeId, Reserved, ScopeOptions,
    Superseding,
};

/// The class of a death by `on_other_body: dead_letter`.
pub(crate) const OTHER_BODY: &str = "other_body";

/// How many keys are decided between two rounds of asking memory: enough to hide the way there
/// behind, few enough that what arrived is still in the nearest cache when it is its turn.
const AHEAD: usize = 32;

/// What becomes of an event whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// Its key is free.
    Free,
    /// It is a duplicate, whatever is in flight elsewhere.
    Duplicate,
    /// All that reaches it has another body, and it goes on beside them.
    Update,
    /// All that reaches it has another body, and it dies of that.
    Dies,
}

/// Where an event stands in its batch.
#[derive(Clone, Copy, Debug)]
struct At {
    index: usize,
    extent: usize,
    extent_end: usize,
    received_ms: i64,
}

/// One batch at its reservation.
pub(super) struct Desk<'a> {
    pub(super) options: &'a ScopeOptions,
    pub(super) index: &'a mut Index,
    pub(super) windows: &'a mut Windows,
    pub(super) flights: &'a Flights,
    pub(super) times: &'a mut Times,
    pub(super) waiters: &'a mut Waiters,
    pub(super) dead: &'a DeadKeys,
    pub(super) superseding: &'a mut Vec<Superseding>,
    /// `None`: a replay.
    pub(super) source: Option<MarkIndex>,
    pub(super) pipe: PipeId,
    pub(super) number: BatchNumber,
    pub(super) now_ms: i64,
    pub(super) counts: Reserved,
    /// The oldest recorded time of an event that was decided as one with a key.
    pub(super) oldest_ms: i64,
}

impl Desk<'_> {
    /// Decides all events, in order. While it decides some, memory is on its way to the slots of
    /// the next ones and to the tags of those after.
    pub(super) fn decide_all(&mut self, batch: &mut Batch) {
        let mut at = At { index: 0, extent: 0, extent_end: 0, received_ms: self.now_ms };
        let mut next_extent = 0;
        let (total, replay) = (batch.events.len(), batch.replay.is_some());
        batch.duplicates.clear();
        let mut near = self.ask_for_tags(&batch.events, 0);
        let mut far = self.ask_for_tags(&batch.events, AHEAD);
        self.ask_for_slots(&near);
        while at.index < total {
            let farther = self.ask_for_tags(&batch.events, at.index + 2 * AHEAD);
            self.ask_for_slots(&far);
            for spot in near.into_iter().take(total - at.index) {
                while at.index >= at.extent_end && next_extent < batch.extents.len() {
                    let following = batch.extents.get(next_extent + 1);
                    at.extent_end = following.map_or(total, |e| e.first_event as usize);
                    at.extent = next_extent;
                    at.received_ms = batch.extents.get(next_extent).map_or(0, |e| e.received_ms);
                    next_extent += 1;
                }
                if replay {
                    self.decide_replayed(batch, at, spot);
                } else {
                    self.decide(batch, at, spot);
                }
                at.index += 1;
            }
            (near, far) = (far, farther);
        }
    }

    /// The spots of [`AHEAD`] events from `first` on.
    #[inline]
    fn ask_for_tags(&self, events: &[Event], first: usize) -> [Spot; AHEAD] {
        let mut spots = [Spot::default(); AHEAD];
        for (spot, event) in spots.iter_mut().zip(events.get(first..).unwrap_or(&[])) {
            *spot = Spot::of(event.key);
            self.index.prefetch_tags(*spot);
        }
        spots
    }

    #[inline]
    fn ask_for_slots(&self, spots: &[Spot; AHEAD]) {
        for spot in spots {
            self.index.prefetch_slot(*spot);
        }
    }

    #[inline]
    fn decide(&mut self, batch: &mut Batch, at: At, spot: Spot) {
        let Some(event) = batch.events.get(at.index) else { return };
        if event.fate != Fate::Undecided {
            return;
        }
        if event.window_ms < 0 {
            return self.pass_without_key(batch, at);
        }
        let (key, event_ms) = (event.key, event.event_ms);
        let (body_hash, window_ms) = (event.body_hash, event.window_ms);
        if !self.waiters.is_empty() && self.waiters.has(key) {
            return self.decide_among_waiters(batch, at, spot, key);
        }
        let Some((recorded_ms, late)) = self.time(batch, at, event_ms) else { return };
        let sought = Sought { recorded_ms, body_hash, window_ms };
        let mut found = self.look_up(spot, key, sought);
        if !batch.previous_keys.is_empty() {
            self.look_up_previous(batch, at, sought, &mut found);
        }
        if !self.dead.is_empty() {
            self.ask_the_dead(batch, at, recorded_ms, &mut found);
        }
        if found.elsewhere && self.call(&found) != Call::Duplicate {
            let rank = self.waiters.next_rank(self.pipe, at.received_ms);
            return self.wait(batch, at, spot, Turn { rank, recorded_ms, late });
        }
        self.settle(batch, at, spot, recorded_ms, &found);
    }

    /// As [`Desk::decide`], for an event whose key others wait for, or that waited itself.
    #[cold]
    fn decide_among_waiters(&mut self, batch: &mut Batch, at: At, spot: Spot, key: u128) {
        let event_ms = batch.events.get(at.index).map_or(NO_TIME, |event| event.event_ms);
        let known = self.waiter(batch, at, key);
        let turn = match known {
            Some(waiter) => waiter.turn(),
            None => {
                let Some((recorded_ms, late)) = self.time(batch, at, event_ms) else { return };
                let rank = self.waiters.next_rank(self.pipe, at.received_ms);
                Turn { rank, recorded_ms, late }
            }
        };
        self.take_turn(batch, at, spot, turn, known.is_some());
    }

    /// As [`Desk::decide`], for an event that comes again because somebody asked for it.
    #[cold]
    fn decide_replayed(&mut self, batch: &mut Batch, at: At, spot: Spot) {
        let replay = batch.replay.as_ref();
        let replayed = replay.and_then(|replay| replay.events.get(at.index));
        let recorded_ms = replayed.and_then(|replayed| replayed.recorded_ms);
        let Some(event) = batch.events.get_mut(at.index) else { return };
        if event.fate != Fate::Undecided {
            return;
        }
        let (Some(recorded_ms), 0..) = (recorded_ms, event.window_ms) else {
            event.window_ms = -1;
            return self.pass_without_key(batch, at);
        };
        let key = event.key;
        let known = self.waiter(batch, at, key);
        let rank = self.waiters.next_rank(self.pipe, at.received_ms);
        let turn = known.map_or(Turn { rank, recorded_ms, late: false }, |known| known.turn());
        self.take_turn(batch, at, spot, turn, known.is_some());
    }

    /// The event as it waited, if it did.
    fn waiter(&self, batch: &Batch, at: At, key: u128) -> Option<Waiter> {
        let shard = batch.extents.get(at.extent)?.shard_of(at.index);
        let waiter = self.waiters.get(self.pipe, shard, position(batch, at))?;
        // The same message received once more is another event: it waits for the first.
        (waiter.key == key && waiter.received_ms == at.received_ms).then_some(waiter)
    }

    /// The event is decided, unless another one goes before it. `known`: it is registered.
    fn take_turn(&mut self, batch: &mut Batch, at: At, spot: Spot, turn: Turn, known: bool) {
        self.remember_time(batch, at, turn.recorded_ms, turn.late);
        let Some(event) = batch.events.get(at.index) else { return };
        let (key, recorded_ms) = (event.key, turn.recorded_ms);
        let (body_hash, window_ms) = (event.body_hash, event.window_ms);
        let sought = Sought { recorded_ms, body_hash, window_ms };
        let mut found = self.look_up(spot, key, sought);
        if !batch.previous_keys.is_empty() {
            self.look_up_previous(batch, at, sought, &mut found);
        }
        if !self.dead.is_empty() {
            self.ask_the_dead(batch, at, turn.recorded_ms, &mut found);
        }
        let held_back = self.waiters.holds_back(key, turn.rank, turn.recorded_ms);
        let call = self.call(&found);
        if call != Call::Duplicate && (found.elsewhere || held_back) {
            return self.wait(batch, at, spot, turn);
        }
        if known && let Some(extent) = batch.extents.get(at.extent) {
            let (shard, start) = (extent.shard_of(at.index), position(batch, at));
            if matches!(call, Call::Duplicate | Call::Dies) {
                self.waiters.gone(self.pipe, shard, start);
            } else {
                self.waiters.reserved(self.pipe, shard, start, self.number);
            }
        }
        self.settle(batch, at, spot, turn.recorded_ms, &found);
    }

    /// What the dead events of its key make of an event.
    #[cold]
    fn ask_the_dead(&self, batch: &Batch, at: At, recorded_ms: i64, found: &mut Found) {
        for copy in self.copies(batch, at, recorded_ms) {
            let Some(said) = self.dead.judge(copy, self.policy()) else { continue };
            found.dead = true;
            if said.duplicate {
                found.of_dead(said.original_ms.unwrap_or(recorded_ms), said.same_body);
            }
        }
    }

    /// A copy of a dead event goes on: not to sinks that hold it.
    #[cold]
    fn admit_copy(&mut self, batch: &mut Batch, at: At, recorded_ms: i64) {
        for copy in self.copies(batch, at, recorded_ms) {
            let said = self.dead.judge(copy, self.policy());
            let (Some(said), Some(event)) = (said, batch.events.get_mut(at.index)) else {
                continue;
            };
            event.routes &= !said.held;
            if said.marked {
                event.marks = event.marks.with(Marks::COPY_OF_DEAD);
            }
            let event = at.index as u32;
            let all = said.supersedes.into_iter();
            self.superseding.extend(all.map(|(pipe, letter)| Superseding { event, pipe, letter }));
        }
    }

    fn policy(&self) -> OnDuplicateOfDead {
        self.options.on_duplicate_of_dead
    }

    /// What the dead are asked of an event: under its key, and those that it would have had before.
    fn copies(&self, batch: &Batch, at: At, recorded_ms: i64) -> Vec<Copy> {
        let Some(event) = batch.events.get(at.index) else { return Vec::new() };
        let replayed = batch.replay.as_ref().and_then(|replay| replay.events.get(at.index));
        let copy = |key| Copy {
            pipe: self.pipe,
            key,
            reach: Reach { recorded_ms, window_ms: event.window_ms },
            body_hash: event.body_hash,
            replay_of: replayed.and_then(|replayed| replayed.letter),
        };
        std::iter::once(event.key).chain(batch.previous_keys.of(at.index)).map(copy).collect()
    }

    /// Its recorded time, and whether it passes although late. `None` if it was rejected.
    #[inline]
    fn time(&mut self, batch: &mut Batch, at: At, event_ms: i64) -> Option<(i64, bool)> {
        let broker_ms = match self.options.clock {
            DedupClock::Broker => broker_ms(batch, at),
            _ => NO_TIME,
        };
        let stated = Stated { received_ms: at.received_ms, broker_ms, event_ms };
        let source = self.source?;
        match self.times.record(self.options, source, stated, self.now_ms) {
            Timed::InTime(recorded_ms) => {
                if let Some(event) = batch.events.get_mut(at.index) {
                    event.recorded_ms = recorded_ms;
                }
                Some((recorded_ms, false))
            }
            timed => self.time_amiss(batch, at, timed),
        }
    }

    #[cold]
    fn time_amiss(&mut self, batch: &mut Batch, at: At, timed: Timed) -> Option<(i64, bool)> {
        let (recorded_ms, reason, detail) = match timed {
            Timed::InTime(recorded_ms) => return Some((recorded_ms, false)),
            Timed::Missing => {
                let detail = "the event has none of the time that `dedup.clock` names";
                batch.reject(at.index, "time_missing", detail.to_owned());
                return None;
            }
            Timed::Late(recorded_ms) => {
                let through_ms = self.times.forgotten_through_ms();
                let detail = format!(
                    "its time {recorded_ms} ms is later than the watermark of its source less \
                     `lateness` ({} ms) allows, or before {through_ms} ms, through which keys are \
                     forgotten",
                    self.options.lateness_ms
                );
                (recorded_ms, "late", detail)
            }
            Timed::Ahead(recorded_ms) => {
                let (now_ms, max_ms) = (self.now_ms, self.options.clock_ahead_max_ms);
                let detail = format!(
                    "its time {recorded_ms} ms is more than `clock_ahead_max` ({max_ms} ms) beyond \
                     the wall clock ({now_ms} ms)"
                );
                (recorded_ms, "too_far_ahead", detail)
            }
        };
        self.counts.late += 1;
        let pass = self.options.late == LatePolicy::Pass;
        self.remember_time(batch, at, recorded_ms, pass);
        match self.options.late {
            LatePolicy::Pass => return Some((recorded_ms, true)),
            LatePolicy::Reject => batch.reject(at.index, reason, detail),
            LatePolicy::DeadLetter => {
                // It reserves no key, so its letter keeps none.
                if let Some(event) = batch.events.get_mut(at.index) {
                    event.window_ms = -1;
                }
                batch.kill(at.index, death(reason, detail));
            }
        }
        None
    }

    fn remember_time(&self, batch: &mut Batch, at: At, recorded_ms: i64, late: bool) {
        if let Some(event) = batch.events.get_mut(at.index) {
            event.recorded_ms = recorded_ms;
            if late {
                event.marks = event.marks.with(Marks::LATE);
            }
        }
    }

    /// An event of a pipe without dedup: it goes on, and moves nothing.
    #[cold]
    fn pass_without_key(&mut self, batch: &mut Batch, at: At) {
        let broker_ms = broker_ms(batch, at);
        if let Some(event) = batch.events.get_mut(at.index) {
            let stated =
                Stated { received_ms: at.received_ms, broker_ms, event_ms: event.event_ms };
            event.recorded_ms = self.times.peek(self.options, stated);
            event.fate = Fate::Deliver;
        }
    }

    #[inline]
    fn look_up(&self, spot: Spot, key: u128, sought: Sought) -> Found {
        let judge = self.judge();
        let (pipe, number) = (self.pipe.0, self.number.0 as u32);
        let mut found = Found::default();
        found.free = self.index.visit(spot, key, |place, entry| {
            let reach = judge.reach(entry);
            if judge.in_flight(entry) {
                if reach.covers(sought.recorded_ms) {
                    // Only what commits no later than this batch makes a duplicate of it at once.
                    let earlier = number.wrapping_sub(entry.number).cast_signed() >= 0;
                    if entry.pipe == pipe && earlier {
                        found.reached_by(reach, entry.body_hash, sought);
                    } else {
                        // What a duplicate refreshed is nothing to others before it is committed.
                        found.elsewhere |= !entry.refreshes;
                    }
                }
            } else if reach.is_over(judge.forgotten_through_ms) {
                found.over = Some(place);
            } else if reach.covers(sought.recorded_ms) {
                found.reached_by(reach, entry.body_hash, sought);
            }
        });
        found
    }

    /// What becomes of an event, unless it has to wait for one in flight or in front of it.
    #[inline]
    fn call(&self, found: &Found) -> Call {
        if !found.duplicate {
            return Call::Free;
        }
        // What would die as one of its key did is nothing new, whatever else is remembered.
        if found.same_body || found.dead_duplicate {
            return Call::Duplicate;
        }
        match self.options.on_other_body {
            OnOtherBody::Drop => Call::Duplicate,
            OnOtherBody::Pass => Call::Update,
            OnOtherBody::DeadLetter => Call::Dies,
        }
    }

    /// Whether the event is a duplicate under a key that it would have had before. Nothing is in
    /// flight under such a key, and none is ever inserted.
    #[cold]
    fn look_up_previous(&self, batch: &Batch, at: At, sought: Sought, found: &mut Found) {
        for key in batch.previous_keys.of(at.index) {
            found.also(&self.look_up(Spot::of(key), key, sought));
        }
    }

    #[inline]
    fn judge(&self) -> Judge<'_> {
        Judge {
            flights: self.flights,
            windows: self.windows,
            forgotten_through_ms: self.times.forgotten_through_ms(),
        }
    }

    /// The event is a duplicate, or the key is its own.
    #[inline]
    fn settle(&mut self, batch: &mut Batch, at: At, spot: Spot, recorded_ms: i64, found: &Found) {
        self.oldest_ms = self.oldest_ms.min(recorded_ms);
        let call = self.call(found);
        if found.duplicate {
            self.counts.other_body += u32::from(!found.same_body);
            match call {
                Call::Dies => return self.dies_of_its_body(batch, at, found),
                Call::Free | Call::Update => {}
                Call::Duplicate => return self.is_duplicate(batch, at, spot, recorded_ms, found),
            }
        }
        if found.dead {
            self.admit_copy(batch, at, recorded_ms);
        }
        let Some(event) = batch.events.get_mut(at.index) else { return };
        event.fate = Fate::Deliver;
        // One that comes again may have been an update of what left or died since.
        event.marks = event.marks.without(Marks::UPDATE);
        if call == Call::Update {
            event.marks = event.marks.with(Marks::UPDATE);
        }
        let event = *event;
        self.counts.reserved += 1;
        self.hold(&event, recorded_ms, spot, found, false);
    }

    #[inline]
    fn is_duplicate(
        &mut self,
        batch: &mut Batch,
        at: At,
        spot: Spot,
        recorded_ms: i64,
        found: &Found,
    ) {
        let Some(event) = batch.events.get_mut(at.index) else { return };
        event.fate = Fate::Duplicate;
        let event = *event;
        self.counts.duplicates += 1;
        let refreshes = self.options.refresh && found.may_refresh();
        batch.duplicates.push(DuplicateOf {
            event: at.index as u32,
            recorded_ms: found.original_ms,
            other_body: !found.same_body,
            refreshes,
        });
        if refreshes {
            self.hold(&event, recorded_ms, spot, found, true);
        }
    }

    /// It reserves no key, so its letter keeps none.
    #[cold]
    fn dies_of_its_body(&mut self, batch: &mut Batch, at: At, found: &Found) {
        if let Some(event) = batch.events.get_mut(at.index) {
            event.window_ms = -1;
        }
        let message = format!(
            "its key is remembered with another body, that of an event recorded at {} ms \
             (`on_other_body: dead_letter`)",
            found.original_ms
        );
        batch.kill(at.index, death(OTHER_BODY, message));
    }

    /// Puts an event's key into the index, in flight.
    #[inline]
    fn hold(
        &mut self,
        event: &Event,
        recorded_ms: i64,
        spot: Spot,
        found: &Found,
        refreshes: bool,
    ) {
        let entry = Entry {
            key: event.key,
            recorded_ms,
            body_hash: event.body_hash,
            window: self.windows.class(event.window_ms),
            hold: Hold::Batch,
            refreshes,
            pipe: self.pipe.0,
            number: self.number.0 as u32,
        };
        if let Some(place) = found.over {
            return self.index.replace(spot, place, &entry);
        }
        let judge = Judge {
            flights: self.flights,
            windows: self.windows,
            forgotten_through_ms: self.times.forgotten_through_ms(),
        };
        self.index.insert(spot, found.free, &entry, |words| judge.keep(words));
    }

    #[cold]
    fn wait(&mut self, batch: &mut Batch, at: At, spot: Spot, turn: Turn) {
        let Turn { rank, recorded_ms, late } = turn;
        let start = position(batch, at);
        let Some(event) = batch.events.get_mut(at.index) else { return };
        event.fate = Fate::Waits;
        let (key, window_ms) = (event.key, event.window_ms);
        self.counts.waiting += 1;
        let mut awaited = Vec::new();
        let judge = self.judge();
        self.index.visit(spot, key, |_, entry| {
            let in_flight = judge.in_flight(entry) && !entry.refreshes;
            if in_flight && judge.reach(entry).covers(recorded_ms) {
                awaited.push((PipeId(entry.pipe), entry.number));
            }
        });
        for (pipe, number) in awaited {
            let number = self.flights.whole_number(pipe.0, number);
            self.waiters.wait_for(pipe, number);
        }
        let Some(extent) = batch.extents.get(at.extent) else { return };
        let received_ms = at.received_ms;
        let waiter = Waiter { key, rank, received_ms, recorded_ms, window_ms, late };
        self.waiters.register(extent.shard_of(at.index), start, waiter);
    }
}

/// How an event dies of its time, or of its body.
fn death(class: &str, message: String) -> Death {
    let (class, deterministic) = (class.to_owned(), true);
    Death { stage: "dedup", class, message, deterministic, ..Death::default() }
}

/// The broker's own time of an event.
#[inline]
fn broker_ms(batch: &Batch, at: At) -> i64 {
    let Some(extent) = batch.extents.get(at.extent) else { return NO_TIME };
    let within = at.index.checked_sub(extent.first_event as usize);
    within.and_then(|within| extent.broker_ms.get(within)).copied().unwrap_or(NO_TIME)
}

/// Where an event starts in its shard.
fn position(batch: &Batch, at: At) -> Offset {
    let Some(extent) = batch.extents.get(at.extent) else { return Offset::ZERO };
    let events = extent.first_event as usize..at.extent_end;
    batch.position(extent, &events, at.index).0
}
