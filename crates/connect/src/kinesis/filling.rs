//! A batch of a stream while it fills: records of several shards, in one order.

use std::time::Instant;

use bytes::Bytes;
use event::batch::{Mixed, MixedShard, Offsets, PartitionKeys};
use event::source::BatchLimits;
use event::{Batch, Event, Extent, Offset, ShardId, Span};

use crate::pool::{BufferPool, PooledBuffer};

/// Room for a partition key, where the batch before this one doesn't say more.
const KEY_BYTES_LIKELY: usize = 16;

/// How far a shard is read.
#[derive(Debug)]
pub(super) struct ShardCursor {
    pub(super) id: ShardId,
    /// Everything below was handed over, by this run or an earlier one.
    pub(super) next: Offset,
    /// The filling that it last took part in, and its place there.
    slot: (u64, u16),
}

impl ShardCursor {
    pub(super) const fn new(id: ShardId, next: Offset) -> Self {
        Self { id, next, slot: (0, 0) }
    }
}

/// A batch while it fills. Payloads lie one after another with a newline in between, so that sinks
/// write neighbours in one piece.
pub(super) struct Filling {
    number: u64,
    limits: BatchLimits,
    buffer: Option<PooledBuffer>,
    used: usize,
    events: Vec<Event>,
    broker_ms: Vec<i64>,
    mixed: Mixed,
    keys: PartitionKeys,
    /// When the first record came.
    pub(super) began: Option<Instant>,
    /// What the retention took, see [`Batch::expired`].
    pub(super) expired: u64,
}

impl Filling {
    /// `number` is another one for each filling of a source, from 1.
    pub(super) fn new(number: u64, limits: BatchLimits, events_likely: usize) -> Self {
        Self {
            number,
            limits,
            buffer: None,
            used: 0,
            events: Vec::with_capacity(events_likely),
            broker_ms: Vec::with_capacity(events_likely),
            mixed: Mixed {
                shards: Vec::new(),
                of: Vec::with_capacity(events_likely),
                offsets: Vec::with_capacity(events_likely),
            },
            keys: PartitionKeys {
                bytes: Vec::with_capacity(events_likely * KEY_BYTES_LIKELY),
                spans: Vec::with_capacity(events_likely),
            },
            began: None,
            expired: 0,
        }
    }

    pub(super) fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Whether a payload of `bytes` has room. The first one always has.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.events.is_empty()
            || (self.events.len() < self.limits.events_max
                && self.used + bytes <= self.limits.bytes_max)
    }

    /// The place of a shard in this batch.
    fn slot(&mut self, cursor: &mut ShardCursor) -> u16 {
        if cursor.slot.0 != self.number {
            let place = u16::try_from(self.mixed.shards.len()).unwrap_or(u16::MAX);
            cursor.slot = (self.number, place);
            self.mixed.shards.push(MixedShard {
                shard: ShardId::clone(&cursor.id),
                start: cursor.next,
                end: cursor.next,
                mark: None,
            });
        }
        cursor.slot.1
    }

    /// Everything of the shard below `end` is done with, whatever was there.
    pub(super) fn pass(&mut self, cursor: &mut ShardCursor, end: Offset) {
        let slot = self.slot(cursor);
        if let Some(shard) = self.mixed.shards.get_mut(usize::from(slot)) {
            shard.end = end;
        }
        cursor.next = end;
    }

    /// What the source wants back once the shard is settled up to here.
    pub(super) fn mark(&mut self, cursor: &mut ShardCursor, mark: Vec<u8>) {
        let slot = self.slot(cursor);
        if let Some(shard) = self.mixed.shards.get_mut(usize::from(slot)) {
            shard.mark = Some(mark);
        }
    }

    /// Adds a record.
    pub(super) fn push(
        &mut self,
        pool: &BufferPool,
        cursor: &mut ShardCursor,
        offset: Offset,
        arrived_ms: i64,
        key: &[u8],
        data: &[u8],
    ) {
        let end = self.used + data.len();
        let bytes_max = self.limits.bytes_max.max(data.len()) + 1;
        let buffer = self.buffer.get_or_insert_with(|| pool.take(bytes_max));
        let (Some(payload), Ok(start), Ok(len)) =
            (buffer.get_mut(self.used..end), u32::try_from(self.used), u32::try_from(data.len()))
        else {
            return;
        };
        payload.copy_from_slice(data);
        if let Some(newline) = buffer.get_mut(end) {
            *newline = b'\n';
            self.used = end + 1;
        } else {
            self.used = end;
        }
        let slot = self.slot(cursor);
        if let Some(shard) = self.mixed.shards.get_mut(usize::from(slot)) {
            shard.end = offset.next();
        }
        cursor.next = offset.next();
        self.began.get_or_insert_with(Instant::now);
        self.events.push(Event { raw: Span { start, len }, ..Event::default() });
        self.broker_ms.push(arrived_ms);
        self.keys.push(key);
        self.mixed.of.push(slot);
        self.mixed.offsets.push(offset);
    }

    /// The batch; `None` when there is nothing to hand over.
    pub(super) fn close(self, received_ms: i64) -> Option<Batch> {
        let shard = self.mixed.shards.first()?.shard.clone();
        let buffer = self
            .buffer
            .map_or_else(Bytes::new, |buffer| Bytes::from_owner(buffer).slice(..self.used));
        let extent = Extent {
            shard,
            first_event: 0,
            events_received: u32::try_from(self.events.len()).unwrap_or(u32::MAX),
            received_ms,
            broker_ms: self.broker_ms,
            offsets: Offsets::Mixed(self.mixed),
            start: Offset::ZERO,
            end: Offset::ZERO,
            mark: None,
        };
        Some(Batch {
            buffer,
            events: self.events,
            extents: vec![extent],
            partition_keys: self.keys,
            expired: self.expired,
            ..Batch::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BatchLimits = BatchLimits {
        bytes_max: 10,
        events_max: 3,
        interval_max: std::time::Duration::from_millis(1),
    };

    #[test]
    fn shards_keep_their_ranges_and_payloads_lie_side_by_side() {
        let pool = BufferPool::default();
        let mut one = ShardCursor::new("s/1".into(), 5.into());
        let mut two = ShardCursor::new("s/2".into(), 1.into());
        let mut filling = Filling::new(1, LIMITS, 0);
        filling.push(&pool, &mut one, 5.into(), 100, b"k1", b"a");
        filling.push(&pool, &mut two, 1.into(), 101, b"", b"b\nb");
        assert!(filling.has_room(4) && !filling.has_room(5));
        // Numbers 6 to 8 are gone.
        filling.push(&pool, &mut one, 9.into(), 102, b"k3", b"");
        assert!(!filling.has_room(0), "three events");
        let batch = filling.close(7).unwrap();
        assert_eq!(&batch.buffer[..], b"a\nb\nb\n\n");
        let keys: Vec<_> = (0..3).map(|index| batch.partition_keys.get(index)).collect();
        assert_eq!(keys, [Some(&b"k1"[..]), None, Some(b"k3")]);
        let (extent, range) = batch.extent_ranges().next().unwrap();
        assert_eq!(&**extent.shard_of(1), "s/2");
        assert_eq!(batch.position(extent, &range, 2), (9.into(), 10.into()));
        let Offsets::Mixed(mixed) = &extent.offsets else { panic!("{extent:?}") };
        let ranges: Vec<_> = mixed.shards.iter().map(|shard| (shard.start, shard.end)).collect();
        assert_eq!(ranges, [(5.into(), 10.into()), (1.into(), 2.into())]);
    }

    #[test]
    fn an_oversized_record_goes_alone_and_a_range_needs_no_event() {
        let pool = BufferPool::default();
        let mut one = ShardCursor::new("s/1".into(), 1.into());
        let mut filling = Filling::new(1, LIMITS, 0);
        assert!(filling.has_room(1000));
        filling.push(&pool, &mut one, 1.into(), 100, b"k", &[b'x'; 1000]);
        assert!(!filling.has_room(1));
        assert_eq!(filling.close(7).unwrap().buffer.len(), 1001);
        let mut filling = Filling::new(2, LIMITS, 0);
        filling.pass(&mut one, 50.into());
        let batch = filling.close(7).unwrap();
        assert_eq!((batch.events.len(), batch.extents.len()), (0, 1));
        assert!(Filling::new(3, LIMITS, 0).close(7).is_none());
    }
}
