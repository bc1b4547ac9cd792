//! A dead letter: everything that is known of an event that could not be delivered (P5).

use bytes::Bytes;
use event::batch::{Attribute, NO_TIME};
use event::death::Attempt;
use event::replay::Origin;
use event::{Batch, Event, Extent, LedgerId, Marks, Offset};

use super::id::letter_id;

/// A dead event, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// [`letter_id`].
    pub id: u128,
    /// The pipe that could not deliver it.
    pub pipe: String,
    /// [`event::source::Source::name`] of its source.
    pub source: String,
    /// The part of the source.
    pub shard: String,
    /// Where it started there …
    pub start: Offset,
    /// … and ended, exclusive.
    pub end: Offset,
    /// What its broker keeps in order.
    pub partition_key: Option<Vec<u8>>,
    /// The envelope's type; empty where none was found.
    pub event_type: String,
    /// What makes two events the same; 0: the event died before its key was known, or has none.
    pub key: u128,
    /// Hash of the payload as decoded; 0 with no key.
    pub body_hash: u64,
    /// The time that the dedup clock gave it; ms since the Unix epoch. A replay keeps it.
    pub recorded_ms: i64,
    /// For how long its key is remembered; ms. Negative: it has no key.
    pub window_ms: i64,
    /// When it was received first; ms since the Unix epoch.
    pub received_ms: i64,
    /// The broker's own time of it.
    pub broker_ms: Option<i64>,
    /// The envelope's time.
    pub event_ms: Option<i64>,
    /// When it died: the time of the last attempt; without an attempt, that of its receipt.
    pub died_ms: i64,
    /// Why it was let through, where a strict reading would not.
    pub marks: Marks,
    /// The sinks that its batch delivered it to in spite of all.
    pub routes: Vec<String>,
    /// The sinks that an earlier attempt delivered it to.
    pub held_by: Vec<String>,
    /// The stage that it died in.
    pub stage: String,
    /// Stable name of the error's kind.
    pub class: String,
    /// What was said, for a person.
    pub message: String,
    /// Whether it would die again under the same config.
    pub deterministic: bool,
    /// The sink that it died at; empty where it was none.
    pub sink: String,
    /// Fingerprint of the pipe's config.
    pub config: u64,
    /// What was tried, oldest first.
    pub attempts: Vec<Attempt>,
    /// How often it was replayed by then.
    pub replay_count: u32,
    /// The request that replayed it last; empty: it wasn't replayed.
    pub replay: String,
    /// What its broker said of it beside the payload.
    pub attributes: Vec<Attribute>,
    /// The payload as received.
    pub body: Bytes,
}

/// What a pipe knows and a batch doesn't say.
#[derive(Clone)]
pub struct LetterContext {
    /// [`event::source::Source::name`] of the pipe's source.
    pub source: String,
    /// Fingerprint of the pipe's config.
    pub config: u64,
    /// The pipe's sinks: that of route bit `n` at `n`.
    pub sinks: Vec<String>,
    /// The name of an event type, by [`Event::type_id`].
    pub types: std::sync::Arc<dyn Fn(u32) -> std::sync::Arc<str> + Send + Sync>,
}

impl std::fmt::Debug for LetterContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LetterContext")
            .field("source", &self.source)
            .field("config", &self.config)
            .field("sinks", &self.sinks)
            .finish_non_exhaustive()
    }
}

/// Where a dead event stands in its batch.
#[derive(Clone, Debug)]
pub(super) struct Place<'a> {
    pub(super) batch: &'a Batch,
    pub(super) extent: &'a Extent,
    pub(super) range: &'a std::ops::Range<usize>,
    pub(super) index: usize,
}

impl Place<'_> {
    fn broker_ms(&self) -> Option<i64> {
        let within = self.index.checked_sub(self.range.start)?;
        self.extent.broker_ms.get(within).copied().filter(|ms| *ms != NO_TIME)
    }

    /// Where it came from at first.
    fn origin(&self, context: &LetterContext) -> Origin {
        let replayed = self.batch.replay.as_ref().and_then(|all| all.events.get(self.index));
        if let Some(origin) = replayed.and_then(|replayed| replayed.origin.as_deref()) {
            return origin.clone();
        }
        let (start, end) = self.batch.position(self.extent, self.range, self.index);
        Origin {
            source: context.source.clone(),
            shard: self.extent.shard_of(self.index).clone(),
            start,
            end,
            received_ms: self.extent.received_ms,
            broker_ms: self.broker_ms().unwrap_or(NO_TIME),
        }
    }
}

impl Letter {
    /// The letter of a dead event of a batch; `None` while it isn't dead.
    pub(super) fn of(
        place: &Place<'_>,
        event: &Event,
        pipe: &str,
        ledger_id: LedgerId,
        context: &LetterContext,
    ) -> Option<Self> {
        let Place { batch, extent, range, index } = *place;
        let death = batch.death(event)?;
        let replay = batch.replay.as_deref();
        let replay_count = replay.and_then(|all| all.events.get(index)).map_or(0, |one| one.count);
        let origin = place.origin(context);
        let (here, _) = batch.position(extent, range, index);
        let broker_ms = Some(origin.broker_ms).filter(|ms| *ms != NO_TIME);
        // One that died before the clock of dedup was read has the time that it most likely says.
        let recorded_ms = match event.recorded_ms {
            0 => broker_ms.unwrap_or(origin.received_ms),
            recorded_ms => recorded_ms,
        };
        let died_ms = death.attempts.last().map_or(extent.received_ms, |last| last.at_ms);
        let routes = context.sinks.iter().enumerate().take(64);
        let routes = routes.filter(|(bit, _)| event.routes & (1 << bit) != 0);
        let mut held_by: Vec<String> = Vec::new();
        for attempt in death.attempts.iter().filter(|attempt| attempt.error.is_empty()) {
            if !held_by.contains(&attempt.sink) {
                held_by.push(attempt.sink.clone());
            }
        }
        Some(Self {
            id: letter_id(ledger_id, pipe, extent.shard_of(index), here, replay_count),
            pipe: pipe.to_owned(),
            source: origin.source,
            shard: origin.shard.to_string(),
            start: origin.start,
            end: origin.end,
            partition_key: batch.partition_keys.get(index).map(<[u8]>::to_vec),
            event_type: (context.types)(event.type_id).to_string(),
            key: event.key,
            body_hash: event.body_hash,
            recorded_ms,
            window_ms: event.window_ms,
            received_ms: origin.received_ms,
            broker_ms,
            event_ms: Some(event.event_ms).filter(|ms| *ms != NO_TIME),
            died_ms,
            marks: event.marks,
            routes: routes.map(|(_, name)| name.clone()).collect(),
            held_by,
            stage: death.stage.to_owned(),
            class: death.class.clone(),
            message: death.message.clone(),
            deterministic: death.deterministic,
            sink: death.sink.clone(),
            config: context.config,
            attempts: death.attempts.clone(),
            replay_count,
            replay: replay.map_or_else(String::new, |replay| replay.id.clone()),
            attributes: batch.attributes(index).to_vec(),
            body: batch.buffer.slice_ref(batch.raw(event)),
        })
    }
}

/// The letters of those of `events` that are dead and go to the dead-letter store `letters`.
pub(super) fn letters_of<'a>(
    rows: &event::sink::Rows<'a>,
    letters: u8,
    pipe: &'a str,
    ledger_id: LedgerId,
    context: &'a LetterContext,
) -> impl Iterator<Item = Letter> + use<'a> {
    let batch = rows.batch;
    let mut extents = batch.extent_ranges();
    let mut current = extents.next();
    rows.iter().filter_map(move |(index, event)| {
        while current.as_ref().is_some_and(|(_, range)| index >= range.end) {
            current = extents.next();
        }
        let (extent, range) = current.as_ref()?;
        if batch.death(event)?.letters != letters {
            return None;
        }
        let place = Place { batch, extent, range, index };
        Letter::of(&place, event, pipe, ledger_id, context)
    })
}
