//! Archived events as batches that go through a pipe once more, at their original pace or another.

use std::time::Duration;

use bytes::Bytes;
use event::batch::{NO_TIME, Offsets, PartitionKeys};
use event::source::Stop;
use event::{Batch, Clock, Event, Extent, Marks, Offset, Replay, Replayed, ShardId, Span};

use super::read::{Archived, Damage, Reader};

/// Events wait for others so long, so that slow playbacks don't make a batch of each.
const GATHER_MS: i64 = 50;
/// How often a playback that waits looks at the clock and whether it should stop.
const LOOK: Duration = Duration::from_millis(20);

/// How fast events come again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times as fast as they came; more than 0.
    Times(f64),
    /// As fast as they are taken.
    Max,
}

/// How archived events come again.
#[derive(Clone, Debug)]
pub struct PlaybackOptions {
    /// Id of the request; consumers see it.
    pub id: String,
    /// Sinks that the events may go to, bit `n` for sink `n`; all ones for all that route to them.
    pub sinks: u64,
    /// How fast.
    pub speed: Speed,
    /// Events a second at most, whatever the speed.
    pub events_per_s_max: Option<u64>,
    /// They go through dedup, with the recorded time that they had; else around it.
    pub dedup: bool,
    /// Events of a batch at most.
    pub batch_events_max: usize,
    /// Payload bytes of a batch, past which it is closed.
    pub batch_bytes_max: usize,
}

impl PlaybackOptions {
    /// All sinks, as fast as they are taken, without dedup.
    #[must_use]
    pub fn new(id: String) -> Self {
        Self {
            id,
            sinks: u64::MAX,
            speed: Speed::Max,
            events_per_s_max: None,
            dedup: false,
            batch_events_max: 10_000,
            batch_bytes_max: 4 << 20,
        }
    }
}

/// What a playback has just now.
#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
pub enum Polled {
    /// Events whose time has come.
    Batch(Batch),
    /// Nothing before this time; ms since the Unix epoch.
    Wait(i64),
    /// Nothing more.
    End,
}

/// Which events come again.
pub type Accept = Box<dyn FnMut(&Archived) -> bool + Send>;

/// Makes batches out of what a [`Reader`] gives.
pub struct Playback {
    reader: Reader,
    accept: Accept,
    options: PlaybackOptions,
    /// When the first event came again, and when it was received at first.
    began: Option<(i64, i64)>,
    next: Option<Archived>,
    given: u64,
}

impl Playback {
    /// Events of `reader` that `accept` takes.
    #[must_use]
    pub fn new(reader: Reader, accept: Accept, options: PlaybackOptions) -> Self {
        Self { reader, accept, options, began: None, next: None, given: 0 }
    }

    /// Events that were given so far.
    #[must_use]
    pub const fn given(&self) -> u64 {
        self.given
    }

    /// What of the archive was found damaged so far.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        self.reader.damages()
    }

    /// The next batch, once its time has come; waits for that. `None`: there is nothing more, or
    /// `stop` was asked.
    pub fn next_batch(&mut self, clock: &dyn Clock, stop: &Stop) -> Option<Batch> {
        while !stop.asked() {
            match self.poll(clock.now_ms()) {
                Polled::Batch(batch) => return Some(batch),
                Polled::End => return None,
                Polled::Wait(_) => std::thread::park_timeout(LOOK),
            }
        }
        None
    }

    /// What is due at `now_ms`.
    pub fn poll(&mut self, now_ms: i64) -> Polled {
        let mut filling = Filling::default();
        while let Some(next) = self.peek() {
            let received_ms = next.origin.received_ms;
            let began = *self.began.get_or_insert((now_ms, received_ms));
            let due_ms = self.due_ms(began, received_ms);
            if due_ms > now_ms {
                if filling.is_empty() {
                    return Polled::Wait(due_ms.max(now_ms.saturating_add(GATHER_MS)));
                }
                break;
            }
            let Some(event) = self.next.take() else { break };
            filling.push(&event, &self.options);
            self.given += 1;
            if filling.is_full(&self.options) {
                break;
            }
        }
        if filling.is_empty() {
            return Polled::End;
        }
        let first = self.given - filling.events.len() as u64;
        Polled::Batch(filling.into_batch(&self.options.id, first, now_ms))
    }

    fn peek(&mut self) -> Option<&Archived> {
        while self.next.is_none() {
            let event = self.reader.next()?;
            if (self.accept)(&event) {
                self.next = Some(event);
            }
        }
        self.next.as_ref()
    }

    /// When the next event may come again.
    fn due_ms(&self, (began_ms, first_ms): (i64, i64), received_ms: i64) -> i64 {
        let after_ms = match self.options.speed {
            Speed::Max => 0,
            Speed::Times(times) => {
                (received_ms.saturating_sub(first_ms) as f64 / times.max(f64::MIN_POSITIVE)) as i64
            }
        };
        let by_rate_ms = self.options.events_per_s_max.map_or(0, |rate| {
            let ms = u128::from(self.given) * 1000 / u128::from(rate.max(1));
            i64::try_from(ms).unwrap_or(i64::MAX)
        });
        began_ms.saturating_add(after_ms.max(by_rate_ms))
    }
}

/// A batch that is being filled.
#[derive(Default)]
struct Filling {
    buffer: Vec<u8>,
    events: Vec<Event>,
    broker_ms: Vec<i64>,
    partition_keys: PartitionKeys,
    attributes: Vec<(u32, event::batch::Attributes)>,
    replayed: Vec<Replayed>,
}

impl Filling {
    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn is_full(&self, options: &PlaybackOptions) -> bool {
        self.events.len() >= options.batch_events_max
            || self.buffer.len() >= options.batch_bytes_max
    }

    fn push(&mut self, archived: &Archived, options: &PlaybackOptions) {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let raw = Span { start: size(self.buffer.len()), len: size(archived.payload.len()) };
        self.buffer.extend_from_slice(&archived.payload);
        let index = size(self.events.len());
        let marks = Marks::REPLAYED;
        self.events.push(Event { raw, event_ms: NO_TIME, marks, ..Event::default() });
        self.broker_ms.push(archived.origin.broker_ms);
        self.partition_keys.push(&archived.partition_key);
        if let Some(attributes) = &archived.attributes {
            self.attributes.push((index, attributes.clone()));
        }
        let times = [archived.recorded_ms, archived.origin.broker_ms, archived.origin.received_ms];
        let recorded_ms = times.into_iter().find(|ms| *ms != NO_TIME);
        self.replayed.push(Replayed {
            letter: None,
            count: 0,
            recorded_ms: recorded_ms.filter(|_| options.dedup),
            sinks: options.sinks,
            origin: Some(archived.origin.clone()),
        });
    }

    /// The batch; `first` is the number of its first event within the playback.
    fn into_batch(self, id: &str, first: u64, now_ms: i64) -> Batch {
        let count = self.events.len();
        let numbers = (first..).take(count);
        let has_broker_ms = self.broker_ms.iter().any(|ms| *ms != NO_TIME);
        let extent = Extent {
            shard: ShardId::from(format!("replay/{id}")),
            first_event: 0,
            events_received: u32::try_from(count).unwrap_or(u32::MAX),
            received_ms: now_ms,
            broker_ms: if has_broker_ms { self.broker_ms } else { Vec::new() },
            offsets: Offsets::Nowhere(numbers.map(Offset::from).collect()),
            start: Offset::from(first),
            end: Offset::from(first + count as u64),
            mark: None,
        };
        Batch {
            buffer: Bytes::from(self.buffer),
            events: self.events,
            extents: vec![extent],
            partition_keys: self.partition_keys,
            attributes: self.attributes,
            replay: Some(Box::new(Replay { id: id.to_owned(), events: self.replayed })),
            ..Batch::default()
        }
    }
}
