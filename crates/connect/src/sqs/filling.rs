//! A batch of a queue while it fills.

use bytes::Bytes;
use event::batch::{Attribute, Attributes, Messages, Offsets, PartitionKeys};
use event::source::BatchLimits;
use event::{Batch, Event, Extent, Fate, Offset, ShardId, Span};

/// A message on its way into a batch.
pub(super) struct Incoming<'a> {
    /// Hash of queue and message id.
    pub(super) id: u128,
    pub(super) body: &'a [u8],
    /// When it was sent; ms since the Unix epoch.
    pub(super) sent_ms: i64,
    pub(super) attributes: Vec<Attribute>,
    /// Its message group.
    pub(super) group: Option<&'a str>,
    /// An earlier batch settled it.
    pub(super) is_settled: bool,
}

/// A batch while it fills.
pub(super) struct Filling {
    limits: BatchLimits,
    buffer: Vec<u8>,
    events: Vec<Event>,
    ids: Vec<u128>,
    sent_ms: Vec<i64>,
    attributes: Vec<(u32, Attributes)>,
    /// Of the events up to the last one that is in a group.
    groups: PartitionKeys,
}

impl Filling {
    pub(super) const fn new(limits: BatchLimits) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            events: Vec::new(),
            ids: Vec::new(),
            sent_ms: Vec::new(),
            attributes: Vec::new(),
            groups: PartitionKeys { bytes: Vec::new(), spans: Vec::new() },
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Events and payload bytes that have room yet.
    pub(super) const fn room(&self) -> (usize, usize) {
        (
            self.limits.events_max.saturating_sub(self.events.len()),
            self.limits.bytes_max.saturating_sub(self.buffer.len()),
        )
    }

    pub(super) const fn is_full(&self) -> bool {
        let (events, bytes) = self.room();
        events == 0 || bytes == 0
    }

    /// Adds a message.
    pub(super) fn push(&mut self, message: Incoming<'_>) {
        let index = u32::try_from(self.events.len()).unwrap_or(u32::MAX);
        let span = Span {
            start: u32::try_from(self.buffer.len()).unwrap_or(u32::MAX),
            len: u32::try_from(message.body.len()).unwrap_or(u32::MAX),
        };
        self.buffer.extend_from_slice(message.body);
        self.buffer.push(b'\n');
        let fate = if message.is_settled { Fate::Redelivered } else { Fate::Undecided };
        self.events.push(Event { raw: span, fate, ..Event::default() });
        self.ids.push(message.id);
        self.sent_ms.push(message.sent_ms);
        if let Some(group) = message.group {
            // Most queues have none: those before this one get theirs when the first comes.
            self.groups.spans.resize(index as usize, Span::default());
            self.groups.push(group.as_bytes());
        }
        if !message.attributes.is_empty() {
            self.attributes.push((index, message.attributes.into()));
        }
    }

    /// The batch; `None` when nothing came.
    pub(super) fn close(
        mut self,
        shard: &ShardId,
        received_ms: i64,
        until_ms: i64,
    ) -> Option<Batch> {
        if self.events.is_empty() {
            return None;
        }
        if !self.groups.spans.is_empty() {
            self.groups.spans.resize(self.events.len(), Span::default());
        }
        let extent = Extent {
            shard: ShardId::clone(shard),
            first_event: 0,
            events_received: u32::try_from(self.events.len()).unwrap_or(u32::MAX),
            received_ms,
            broker_ms: self.sent_ms,
            offsets: Offsets::Messages(Messages { ids: self.ids, until_ms }),
            start: Offset::ZERO,
            end: Offset::ZERO,
            mark: None,
        };
        Some(Batch {
            buffer: Bytes::from(self.buffer),
            events: self.events,
            extents: vec![extent],
            attributes: self.attributes,
            partition_keys: self.groups,
            ..Batch::default()
        })
    }
}

/// The ids of the messages of `batch` that have an outcome.
pub(super) fn settled_ids(batch: &Batch) -> impl Iterator<Item = u128> + '_ {
    batch.extent_ranges().flat_map(move |(extent, range)| {
        let ids = match &extent.offsets {
            Offsets::Messages(messages) => messages.ids.as_slice(),
            _ => &[],
        };
        let events = batch.events.get(range).unwrap_or(&[]);
        let settled = ids.iter().zip(events).filter(|(_, event)| event.fate.leaves_source());
        settled.map(|(id, _)| *id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_groups_are_partition_keys_and_most_queues_have_none() {
        let limits =
            BatchLimits { bytes_max: 100, events_max: 10, interval_max: std::time::Duration::ZERO };
        let filled = |groups: &[Option<&str>]| {
            let mut filling = Filling::new(limits);
            for group in groups {
                filling.push(Incoming {
                    id: 1,
                    body: b"x",
                    sent_ms: 0,
                    attributes: Vec::new(),
                    group: *group,
                    is_settled: false,
                });
            }
            filling.close(&"q".into(), 0, 0).unwrap().partition_keys
        };
        assert!(filled(&[None, None]).spans.is_empty());
        let keys = filled(&[None, Some("a"), None, Some("bc"), None]);
        let shown: Vec<_> = (0..5).map(|index| keys.get(index)).collect();
        assert_eq!(shown, [None, Some(&b"a"[..]), None, Some(b"bc"), None]);
        assert_eq!(keys.spans.len(), 5, "as long as the batch");
    }
}
