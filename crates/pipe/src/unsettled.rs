//! Events that left their batch because their key is in flight in another pipe: copied out of
//! their read buffer, bounded, carried over into later batches (DESIGN §3 "Waiting").

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use dedup::state::MinuteBucket;
use event::batch::{Attributes, Messages, NO_TIME, Offsets};
use event::source::BatchLimits;
use event::{Batch, Event, Extent, Fate, Offset, ShardId, Span};

/// How much may wait before the pipe pauses its source (P6).
#[derive(Clone, Copy, Debug)]
pub struct UnsettledLimits {
    /// Events.
    pub events_max: usize,
    /// Their payload bytes.
    pub bytes_max: usize,
}

/// What an event's position is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// A range of a shard whose payloads are lines.
    Line,
    /// One number of a shard; the payload may hold anything.
    Number,
    /// The id of a message, which is its start.
    Message { until_ms: i64 },
}

#[derive(Debug)]
struct Waiter {
    event: Event,
    raw: Box<[u8]>,
    rewritten: Option<Box<[u8]>>,
    attributes: Option<Attributes>,
    place: Place,
    shard: ShardId,
    start: Offset,
    end: Offset,
    received_ms: i64,
    broker_ms: i64,
}

impl Waiter {
    fn bytes(&self) -> usize {
        self.raw.len() + self.rewritten.as_ref().map_or(0, |bytes| bytes.len())
    }
}

/// The waiting events of one pipe, by time of receipt.
#[derive(Debug)]
pub struct Unsettled {
    limits: UnsettledLimits,
    /// To be asked for again once something changes, by time of receipt.
    waiting: VecDeque<Waiter>,
    /// Being asked for at this moment; all older than what is in `waiting`.
    retrying: VecDeque<Waiter>,
    bytes: usize,
}

impl Unsettled {
    /// Nothing waits.
    #[must_use]
    pub fn new(limits: UnsettledLimits) -> Self {
        Self { limits, waiting: VecDeque::new(), retrying: VecDeque::new(), bytes: 0 }
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.retrying.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the source has to pause.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.limits.events_max || self.bytes >= self.limits.bytes_max
    }

    /// Copies out the events of `batch` that wait. What is carried over is asked for in order and
    /// before anything new, so order is kept.
    pub fn keep_waiting(&mut self, batch: &Batch) {
        if !batch.events.iter().any(|event| event.fate == Fate::Waits) {
            return;
        }
        for (extent, range) in batch.extent_ranges() {
            for index in range.clone() {
                let Some(event) = batch.events.get(index) else { continue };
                if event.fate != Fate::Waits {
                    continue;
                }
                let (start, end) = batch.position(extent, &range, index);
                let waiter = Waiter {
                    event: *event,
                    raw: batch.raw(event).into(),
                    rewritten: event.rewritten.map(|span| span.of(&batch.rewritten).into()),
                    attributes: attributes(batch, index),
                    place: match &extent.offsets {
                        Offsets::Contiguous { .. } => Place::Line,
                        Offsets::Listed(_) | Offsets::Mixed(_) | Offsets::Nowhere(_) => {
                            Place::Number
                        }
                        Offsets::Messages(messages) => {
                            Place::Message { until_ms: messages.until_ms }
                        }
                    },
                    shard: ShardId::clone(extent.shard_of(index)),
                    start,
                    end,
                    received_ms: extent.received_ms,
                    broker_ms: extent
                        .broker_ms
                        .get(index - range.start)
                        .copied()
                        .unwrap_or(NO_TIME),
                };
                self.bytes += waiter.bytes();
                self.waiting.push_back(waiter);
            }
        }
    }

    /// Something changed: all that wait are asked for again.
    pub fn wake(&mut self) {
        self.retrying.append(&mut self.waiting);
    }

    /// Takes the woken waiters that fit into one batch, oldest first, to ask for their keys again.
    pub fn carry_over(&mut self, limits: &BatchLimits) -> Option<Batch> {
        if self.retrying.is_empty() {
            return None;
        }
        let mut buffer = Vec::new();
        let mut batch = Batch { carried: true, ..Batch::default() };
        while let Some(waiter) = self.retrying.pop_front() {
            self.bytes -= waiter.bytes();
            let index = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
            batch.extents.push(Extent {
                shard: waiter.shard.clone(),
                first_event: index,
                events_received: 0,
                received_ms: waiter.received_ms,
                broker_ms: if waiter.broker_ms == NO_TIME {
                    vec![]
                } else {
                    vec![waiter.broker_ms]
                },
                offsets: match waiter.place {
                    Place::Line => Offsets::Contiguous { base: 0 },
                    Place::Number => Offsets::Listed(vec![waiter.start]),
                    Place::Message { until_ms } => {
                        let ids = vec![waiter.start.parts().1];
                        Offsets::Messages(Messages { ids, until_ms })
                    }
                },
                start: waiter.start,
                end: waiter.end,
                mark: None,
            });
            batch.attributes.extend(waiter.attributes.clone().map(|all| (index, all)));
            let raw = append(&mut buffer, &waiter.raw);
            let rewritten =
                waiter.rewritten.as_deref().map(|bytes| append(&mut batch.rewritten, bytes));
            batch.events.push(Event { raw, rewritten, fate: Fate::Undecided, ..waiter.event });
            if batch.events.len() >= limits.events_max || buffer.len() >= limits.bytes_max {
                break;
            }
        }
        batch.buffer = Bytes::from(buffer);
        Some(batch)
    }

    /// How many wait, by minute of receipt. Counted anew from what is held, for the balance (P4).
    #[must_use]
    pub fn by_minute(&self) -> Vec<(MinuteBucket, u64)> {
        let mut minutes = BTreeMap::new();
        for waiter in self.retrying.iter().chain(&self.waiting) {
            *minutes.entry(MinuteBucket::of(waiter.received_ms)).or_insert(0) += 1;
        }
        minutes.into_iter().collect()
    }

    /// Takes all waiters, to give them back to their source: how many of each minute of receipt.
    pub fn give_back(&mut self) -> Vec<(MinuteBucket, u64)> {
        let minutes = self.by_minute();
        self.retrying.clear();
        self.waiting.clear();
        self.bytes = 0;
        minutes
    }
}

fn attributes(batch: &Batch, index: usize) -> Option<Attributes> {
    let found = batch.attributes.binary_search_by_key(&index, |(event, _)| *event as usize);
    found.ok().and_then(|at| batch.attributes.get(at)).map(|(_, all)| Attributes::clone(all))
}

fn append(buffer: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let start = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(bytes);
    buffer.push(b'\n');
    Span { start, len: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        bytes_max: 1 << 20,
        events_max: 3,
        interval_max: std::time::Duration::from_millis(1),
    };

    fn batch(fates: &[Fate]) -> Batch {
        let mut buffer = Vec::new();
        let mut batch = Batch::default();
        for (index, fate) in fates.iter().enumerate() {
            let raw = append(&mut buffer, format!("e{index}").as_bytes());
            batch.events.push(Event { raw, fate: *fate, key: index as u128, ..Event::default() });
        }
        batch.extents.push(Extent {
            shard: "s".into(),
            first_event: 0,
            events_received: fates.len() as u32,
            received_ms: 60_000,
            broker_ms: vec![],
            offsets: Offsets::Contiguous { base: 100 },
            start: 100.into(),
            end: (100 + buffer.len() as u64).into(),
            mark: None,
        });
        batch.buffer = buffer.into();
        batch
    }

    #[test]
    fn waiters_keep_payload_position_and_order() {
        let limits = UnsettledLimits { events_max: 4, bytes_max: 1000 };
        let mut unsettled = Unsettled::new(limits);
        unsettled.keep_waiting(&batch(&[Fate::Waits, Fate::Deliver, Fate::Waits]));
        unsettled.keep_waiting(&batch(&[Fate::Deliver, Fate::Waits, Fate::Waits]));
        assert_eq!(unsettled.len(), 4);
        assert!(unsettled.is_full());
        assert!(unsettled.carry_over(&LIMITS).is_none(), "nothing has changed");
        unsettled.wake();
        let mut carried = unsettled.carry_over(&LIMITS).unwrap();
        assert_eq!(unsettled.len(), 1);
        let keys: Vec<u128> = carried.events.iter().map(|event| event.key).collect();
        assert_eq!(keys, [0, 2, 1]);
        assert_eq!(carried.raw(&carried.events[1]), b"e2");
        let (extent, range) = carried.extent_ranges().nth(1).unwrap();
        assert_eq!(carried.position(extent, &range, 1), (106.into(), 109.into()));
        assert_eq!(carried.extents.iter().map(|e| e.events_received).sum::<u32>(), 0);
        carried.events[0].fate = Fate::Duplicate;
        carried.events[1].fate = Fate::Waits;
        carried.events[2].fate = Fate::Waits;
        unsettled.keep_waiting(&carried);
        let mut last = unsettled.carry_over(&LIMITS).unwrap();
        assert_eq!(last.events.len(), 1, "all that woke are asked for, also past one batch");
        last.events[0].fate = Fate::Waits;
        unsettled.keep_waiting(&last);
        assert!(unsettled.carry_over(&LIMITS).is_none());
        unsettled.wake();
        let again = unsettled.carry_over(&LIMITS).unwrap();
        let keys: Vec<u128> = again.events.iter().map(|event| event.key).collect();
        assert_eq!(keys, [2, 1, 2], "the oldest stays first");
        assert!(unsettled.is_empty());
        unsettled.keep_waiting(&batch(&[Fate::Waits, Fate::Waits]));
        assert_eq!(unsettled.give_back(), [(MinuteBucket(1), 2)]);
        assert!(unsettled.is_empty() && !unsettled.is_full());
    }
}
