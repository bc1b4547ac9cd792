//! Batches and scopes as the tests of a scope need them.

use dedup::scope::{DedupClock, LatePolicy, PipeId, Reserved, Scope, ScopeOptions, SourceId};
use event::batch::{Extent, NO_TIME, Offsets};
use event::{Batch, BatchNumber, Event, Fate, Marks, Offset, Replay, Replayed, ShardId};

/// An event before it is decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) key: u128,
    pub(crate) window_ms: i64,
    /// What the broker and the payload say of its time.
    pub(crate) stated_ms: i64,
    pub(crate) received_ms: i64,
    pub(crate) shard: &'static str,
    pub(crate) start: u64,
    /// Hash of its body.
    pub(crate) body: u64,
    /// The sinks that it goes to.
    pub(crate) routes: u64,
    /// The letter that it is the replay of, and the recorded time that it keeps.
    pub(crate) replay: Option<(u128, Option<i64>)>,
}

impl Incoming {
    pub(crate) fn new(key: u128, window_ms: i64) -> Self {
        let (stated_ms, received_ms) = (NO_TIME, 0);
        let (shard, start, body, routes, replay) = ("shard", 0, 0, 0b111, None);
        Self { key, window_ms, stated_ms, received_ms, shard, start, body, routes, replay }
    }

    pub(crate) fn at(self, received_ms: i64) -> Self {
        Self { received_ms, ..self }
    }

    pub(crate) fn stated(self, stated_ms: i64) -> Self {
        Self { stated_ms, ..self }
    }

    pub(crate) fn from(self, start: u64) -> Self {
        Self { start, ..self }
    }

    pub(crate) fn body(self, body: u64) -> Self {
        Self { body, ..self }
    }

    pub(crate) fn replay_of(self, letter: u128, recorded_ms: Option<i64>) -> Self {
        Self { replay: Some((letter, recorded_ms)), ..self }
    }
}

/// A batch of these events: one extent for each run of the same shard and time of receipt.
pub(crate) fn batch(events: &[Incoming]) -> Batch {
    let mut batch = Batch::default();
    let mut before: Option<&Incoming> = None;
    for incoming in events {
        let same = before.is_some_and(|before| {
            (before.shard, before.received_ms) == (incoming.shard, incoming.received_ms)
        });
        if !same {
            batch.extents.push(Extent {
                shard: ShardId::from(incoming.shard),
                first_event: batch.events.len() as u32,
                events_received: 0,
                received_ms: incoming.received_ms,
                broker_ms: Vec::new(),
                offsets: Offsets::Listed(Vec::new()),
                start: Offset::ZERO,
                end: Offset::ZERO,
                mark: None,
            });
        }
        before = Some(incoming);
        let extent = batch.extents.last_mut().unwrap();
        extent.events_received += 1;
        extent.broker_ms.push(incoming.stated_ms);
        if let Offsets::Listed(offsets) = &mut extent.offsets {
            offsets.push(Offset::from(incoming.start));
        }
        batch.events.push(Event {
            key: incoming.key,
            window_ms: incoming.window_ms,
            event_ms: incoming.stated_ms,
            body_hash: incoming.body,
            routes: incoming.routes,
            ..Event::default()
        });
    }
    if events.iter().any(|event| event.replay.is_some()) {
        let replayed = |event: &Incoming| Replayed {
            letter: event.replay.map(|(letter, _)| letter),
            recorded_ms: event.replay.and_then(|(_, recorded_ms)| recorded_ms),
            ..Replayed::default()
        };
        let events = events.iter().map(replayed).collect();
        batch.replay = Some(Box::new(Replay { id: String::new(), events }));
    }
    batch
}

/// What was decided, in words.
pub(crate) fn fates(batch: &Batch) -> Vec<&'static str> {
    let word = |event: &Event| match event.fate {
        Fate::Deliver if event.marks.has(Marks::LATE) => "deliver late",
        Fate::Deliver => "deliver",
        Fate::Duplicate => "duplicate",
        Fate::Waits => "waits",
        Fate::Rejected(_) => batch.rejection(event).unwrap().reason,
        Fate::Dead(_) => "dead",
        _ => "something else",
    };
    batch.events.iter().map(word).collect()
}

pub(crate) const A: PipeId = PipeId(1);
pub(crate) const B: PipeId = PipeId(2);
pub(crate) const C: PipeId = PipeId(3);

/// A scope with pipes that each have a source of the same number, and a wall clock.
pub(crate) struct Bench {
    pub(crate) scope: Scope,
    pub(crate) now_ms: i64,
}

impl Bench {
    pub(crate) fn new(options: ScopeOptions) -> Self {
        Self { scope: Scope::new(options), now_ms: 1_000_000 }
    }

    /// By time of receipt.
    pub(crate) fn received() -> Self {
        Self::new(ScopeOptions::default())
    }

    /// By the payload's time, with a lateness of 100 ms and 1,000 ms ahead at most.
    pub(crate) fn event_time(late: LatePolicy) -> Self {
        Self::new(ScopeOptions {
            clock: DedupClock::Event,
            lateness_ms: 100,
            late,
            clock_ahead_max_ms: 1_000,
            source_idle_max_ms: 60_000,
            ..ScopeOptions::default()
        })
    }

    /// Reserves a batch, and says what was decided, how often, and the batch.
    pub(crate) fn reserve(
        &mut self,
        pipe: PipeId,
        number: u64,
        events: &[Incoming],
    ) -> (Vec<&'static str>, Reserved, Batch) {
        let mut batch = batch(events);
        let (source, number) = (SourceId(pipe.0), BatchNumber(number));
        let counts = self.scope.reserve(pipe, source, number, &mut batch, self.now_ms);
        (fates(&batch), counts, batch)
    }

    /// As [`Bench::reserve`], fates only.
    pub(crate) fn fates(
        &mut self,
        pipe: PipeId,
        number: u64,
        events: &[Incoming],
    ) -> Vec<&'static str> {
        self.reserve(pipe, number, events).0
    }

    pub(crate) fn commit(&mut self, pipe: PipeId, number: u64) {
        self.scope.commit(pipe, BatchNumber(number));
    }

    pub(crate) fn release(&mut self, pipe: PipeId, number: u64, batch: &Batch) {
        self.scope.release(pipe, BatchNumber(number), batch);
    }
}

/// Numbers that look random and are the same for the same seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// Less than `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(crate) fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
