//! One event on its way from one batch to a later one, whole: copied out of its read buffer.

use bytes::Bytes;
use event::batch::{Attributes, Messages, NO_TIME, Offsets};
use event::{Batch, Event, Extent, Fate, Offset, Replay, Replayed, ShardId, Span};

/// What an event's position is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A range of a shard whose payloads are lines.
    Line,
    /// One number of a shard; the payload may hold anything.
    Number,
    /// The id of a message, which is its start.
    Message {
        /// As [`Messages::until_ms`].
        until_ms: i64,
    },
    /// Settled before, or never anywhere.
    Nowhere,
}

/// An event, whole.
#[derive(Clone, Debug)]
pub(crate) struct Carried {
    pub(crate) event: Event,
    pub(crate) raw: Box<[u8]>,
    pub(crate) rewritten: Option<Box<[u8]>>,
    pub(crate) attributes: Option<Attributes>,
    pub(crate) partition_key: Option<Box<[u8]>>,
    pub(crate) place: Place,
    pub(crate) shard: ShardId,
    pub(crate) start: Offset,
    pub(crate) end: Offset,
    pub(crate) received_ms: i64,
    pub(crate) broker_ms: i64,
    /// The replay that it belongs to.
    pub(crate) replay: Option<(String, Replayed)>,
}

impl Carried {
    /// Copies event `index` out of its batch.
    pub(crate) fn copy(
        batch: &Batch,
        extent: &Extent,
        range: &std::ops::Range<usize>,
        index: usize,
    ) -> Option<Self> {
        let event = batch.events.get(index)?;
        let (start, end) = batch.position(extent, range, index);
        let within = index - range.start;
        Some(Self {
            event: *event,
            raw: batch.raw(event).into(),
            rewritten: event.rewritten.map(|span| span.of(&batch.rewritten).into()),
            attributes: attributes(batch, index),
            partition_key: batch.partition_keys.get(index).map(Into::into),
            place: match &extent.offsets {
                Offsets::Contiguous { .. } => Place::Line,
                Offsets::Listed(_) | Offsets::Mixed(_) => Place::Number,
                Offsets::Messages(messages) => Place::Message { until_ms: messages.until_ms },
                Offsets::Nowhere(_) => Place::Nowhere,
            },
            shard: ShardId::clone(extent.shard_of(index)),
            start,
            end,
            received_ms: extent.received_ms,
            broker_ms: extent.broker_ms.get(within).copied().unwrap_or(NO_TIME),
            replay: batch
                .replay
                .as_ref()
                .and_then(|replay| Some((replay.id.clone(), replay.events.get(index)?.clone()))),
        })
    }

    /// What it takes in memory apart from its own fields.
    pub(crate) fn bytes(&self) -> usize {
        self.raw.len() + self.rewritten.as_ref().map_or(0, |bytes| bytes.len())
    }

    pub(crate) fn replay_id(&self) -> Option<&str> {
        self.replay.as_ref().map(|(id, _)| id.as_str())
    }
}

/// A batch of carried events in the making.
#[derive(Debug, Default)]
pub(crate) struct Refill {
    batch: Batch,
    buffer: Vec<u8>,
}

impl Refill {
    pub(crate) fn new() -> Self {
        Self { batch: Batch { carried: true, ..Batch::default() }, buffer: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.batch.events.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Adds an event with this fate, as a range of its own.
    pub(crate) fn push(&mut self, carried: &Carried, fate: Fate) {
        let batch = &mut self.batch;
        let index = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
        batch.extents.push(Extent {
            shard: carried.shard.clone(),
            first_event: index,
            events_received: 0,
            received_ms: carried.received_ms,
            broker_ms: if carried.broker_ms == NO_TIME { vec![] } else { vec![carried.broker_ms] },
            offsets: match carried.place {
                Place::Line => Offsets::Contiguous { base: 0 },
                Place::Number => Offsets::Listed(vec![carried.start]),
                Place::Message { until_ms } => {
                    let ids = vec![carried.start.parts().1];
                    Offsets::Messages(Messages { ids, until_ms })
                }
                Place::Nowhere => Offsets::Nowhere(vec![carried.start]),
            },
            start: carried.start,
            end: carried.end,
            mark: None,
        });
        batch.attributes.extend(carried.attributes.clone().map(|all| (index, all)));
        if let Some(key) = &carried.partition_key {
            while batch.partition_keys.spans.len() < index as usize {
                batch.partition_keys.push(b"");
            }
            batch.partition_keys.push(key);
        }
        if let Some((id, replayed)) = &carried.replay {
            let replay = batch
                .replay
                .get_or_insert_with(|| Box::new(Replay { id: id.clone(), events: Vec::new() }));
            replay.events.push(replayed.clone());
        }
        let raw = append(&mut self.buffer, &carried.raw);
        let rewritten =
            carried.rewritten.as_deref().map(|bytes| append(&mut batch.rewritten, bytes));
        batch.events.push(Event { raw, rewritten, fate, ..carried.event });
    }

    pub(crate) fn finish(self) -> Batch {
        Batch { buffer: Bytes::from(self.buffer), ..self.batch }
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
