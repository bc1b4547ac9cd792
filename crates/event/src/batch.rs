//! A batch: the events that one commit settles, in one read buffer.

use bytes::Bytes;

use crate::death::Death;
use crate::outcome::{Fate, Marks};
use crate::position::{Offset, ShardId};
use crate::replay::Replay;

/// No time: the source or the payload gave none.
pub const NO_TIME: i64 = i64::MIN;

/// A piece of a buffer that holds at most 4 GiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// The bytes of `buffer` that the span covers; empty when it doesn't lie inside.
    #[must_use]
    pub fn of(self, buffer: &[u8]) -> &[u8] {
        let start = self.start as usize;
        buffer.get(start..start + self.len as usize).unwrap_or(&[])
    }

    /// One past the last byte.
    #[must_use]
    pub const fn end(self) -> u32 {
        self.start + self.len
    }
}

/// One event of a batch: numbers that point into the batch's buffers. Kept small (96 bytes),
/// since a batch holds tens of thousands and every stage walks over them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Event {
    /// The payload as received, in [`Batch::buffer`]. Empty for a spilled one.
    pub raw: Span,
    /// The payload as a stage rewrote it, in [`Batch::rewritten`].
    pub rewritten: Option<Span>,
    /// What makes two events the same; meaningless until the key stage ran.
    pub key: u128,
    /// Hash of the payload as decoded.
    pub body_hash: u64,
    /// The time that the dedup clock gives this event; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// The envelope's time, or [`NO_TIME`].
    pub event_ms: i64,
    /// For how long the key is remembered; ms.
    pub window_ms: i64,
    /// Index into the pipe's table of event types.
    pub type_id: u32,
    /// The sinks that it goes to, bit `n` for the pipe's sink `n`; routing sets it. A sink that
    /// the event dies at, or that holds it since an earlier attempt, loses its bit.
    pub routes: u64,
    /// Where the event stands on its way.
    pub fate: Fate,
    /// Why it was let through, where a strict reading would not.
    pub marks: Marks,
}

/// How the events of an extent lie in their shard.
#[derive(Clone, Debug)]
pub enum Offsets {
    /// One after another: the event whose payload starts at buffer byte `b` starts at offset
    /// `base + b` (wrapping) of the shard; it ends where the next one starts. No payload of such an
    /// extent holds a newline: sinks write neighbours in one piece, newlines included.
    Contiguous {
        /// Shard offset of buffer byte 0, modulo 2^64.
        base: u64,
    },
    /// One offset an event; an event ends just before the next whole number.
    Listed(Vec<Offset>),
    /// Events of several shards in one order: that of a stream's journal, or of a merge by arrival.
    Mixed(Mixed),
    /// Messages of a queue: each has an id instead of a position, and is acknowledged by itself.
    Messages(Messages),
    /// Events without a place in a source: their positions were settled before (parked events), or
    /// they never had one (replays). Positions only tell them apart.
    Nowhere(Vec<Offset>),
}

/// The partition keys of a batch's events (of a Kinesis record, a message group), in one buffer.
/// Empty where the source gives none.
#[derive(Clone, Debug, Default)]
pub struct PartitionKeys {
    /// The keys, one after another.
    pub bytes: Vec<u8>,
    /// The key of each event; either empty or as long as the batch.
    pub spans: Vec<Span>,
}

impl PartitionKeys {
    /// Adds the key of the next event; every event before it has one, be it empty.
    pub fn push(&mut self, key: &[u8]) {
        let start = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(key);
        self.spans.push(Span { start, len: u32::try_from(key.len()).unwrap_or(u32::MAX) });
    }

    /// The key of event `index`; `None` where its source gives none.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let span = self.spans.get(index)?;
        (span.len > 0).then(|| span.of(&self.bytes))
    }
}

/// Where the events of a mixed extent stand: [`Extent::shard`], [`Extent::start`],
/// [`Extent::end`] and [`Extent::mark`] say nothing then.
#[derive(Clone, Debug, Default)]
pub struct Mixed {
    /// The shards.
    pub shards: Vec<MixedShard>,
    /// The shard of each event, as an index into `shards`.
    pub of: Vec<u16>,
    /// The offset of each event; it ends just before the next whole number.
    pub offsets: Vec<Offset>,
}

/// One shard of a mixed extent.
#[derive(Clone, Debug)]
pub struct MixedShard {
    /// The shard.
    pub shard: ShardId,
    /// Its range that is settled once all of its events are: from here …
    pub start: Offset,
    /// … to here, exclusive.
    pub end: Offset,
    /// As [`Extent::mark`].
    pub mark: Option<Vec<u8>>,
}

/// What the events of an extent of messages are known by. [`Batch::position`] gives the id as a
/// number, since positions there only tell events apart.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// Hash of queue and message id, of each event.
    pub ids: Vec<u128>,
    /// Until when a settled id is remembered at the latest; ms since the Unix epoch.
    pub until_ms: i64,
}

/// A run of a batch's events that one read of one shard gave.
#[derive(Clone, Debug)]
pub struct Extent {
    /// Where they come from.
    pub shard: ShardId,
    /// Index of the first of them in [`Batch::events`].
    pub first_event: u32,
    /// How many the source handed over. Counted by the source: `received` of P4.
    pub events_received: u32,
    /// When they were received; ms since the Unix epoch.
    pub received_ms: i64,
    /// The broker's own time of each, where it gives one; else empty.
    pub broker_ms: Vec<i64>,
    /// Where they stand.
    pub offsets: Offsets,
    /// The shard's range that is settled once all of them are: from here …
    pub start: Offset,
    /// … to here, exclusive.
    pub end: Offset,
    /// What the source wants back at the next start, once everything up to `end` is settled.
    pub mark: Option<Vec<u8>>,
}

/// What a broker said of an event beside its payload: name, type and value of each attribute.
pub type Attributes = std::sync::Arc<[Attribute]>;

/// An attribute of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its type, as its broker calls it: `String`, `Number.int`, `Binary`.
    pub data_type: String,
    /// The value; text but for binary ones.
    pub value: Bytes,
}

/// Why an event was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Stable name of the rule, e.g. `json_broken`; a metric label.
    pub reason: &'static str,
    /// For a person: what is wrong, and where.
    pub detail: String,
}

/// A payload over `event_bytes_max`: it went to a file of its own while it was read, so that
/// memory stays bounded. Removed when the last owner lets go.
pub trait Spilled: Send + Sync + std::fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> u64;
    /// Whether it holds nothing.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Reads at most `into.len()` bytes from byte `offset` on; 0 at the end.
    ///
    /// # Errors
    /// What the file system said.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize>;
}

/// What the keys of a batch's events would be under definitions that their scope had before
/// (`run --new-key`): they are looked up, and never remembered. Empty where there was none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousKeys {
    /// How many each event has.
    per_event: usize,
    /// Those of event 0, of event 1, …; 0 for none.
    keys: Vec<u128>,
}

impl PreviousKeys {
    /// Room for `events` events with `per_event` keys each; none of them has one yet.
    #[must_use]
    pub fn new(per_event: usize, events: usize) -> Self {
        Self { per_event, keys: vec![0; per_event.saturating_mul(events)] }
    }

    /// Whether nobody has one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Event `index` would have this key under definition `which`.
    pub fn set(&mut self, index: usize, which: usize, key: u128) {
        if which < self.per_event
            && let Some(place) = self.keys.get_mut(index * self.per_event + which)
        {
            *place = key;
        }
    }

    /// The keys of event `index`.
    pub fn of(&self, index: usize) -> impl Iterator<Item = u128> + use<'_> {
        let first = index.saturating_mul(self.per_event);
        let own = self.keys.get(first..first + self.per_event).unwrap_or_default();
        own.iter().copied().filter(|key| *key != 0)
    }

    /// The keys of all events.
    pub fn all(&self) -> impl Iterator<Item = u128> + use<'_> {
        self.keys.iter().copied().filter(|key| *key != 0)
    }
}

/// What an event is a duplicate of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DuplicateOf {
    /// Index of the duplicate in [`Batch::events`].
    pub event: u32,
    /// The recorded time of the original that is closest to it; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// Whether none of its originals has its body.
    pub other_body: bool,
    /// Whether it starts its key's window anew: the key goes into its batch's record once more,
    /// with the duplicate's own recorded time.
    pub refreshes: bool,
}

/// The events that one commit settles.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The payloads as received.
    pub buffer: Bytes,
    /// The payloads that a stage rewrote.
    pub rewritten: Vec<u8>,
    /// The events, in source order.
    pub events: Vec<Event>,
    /// Where they stood; covers all events, in order.
    pub extents: Vec<Extent>,
    /// Why some were rejected; [`Fate::Rejected`] points here.
    pub rejections: Vec<Rejection>,
    /// Why some died; [`Fate::Dead`] points here.
    pub deaths: Vec<Death>,
    /// What their source keeps in order.
    pub partition_keys: PartitionKeys,
    /// Somebody asked for these events to come again.
    pub replay: Option<Box<Replay>>,
    /// These events were unsettled and were received with an earlier batch: they are not counted
    /// as received again.
    pub carried: bool,
    /// Payloads too long for the buffer, by event index.
    pub spilled: Vec<(u32, std::sync::Arc<dyn Spilled>)>,
    /// Attributes of the events that have some, by event index, ascending.
    pub attributes: Vec<(u32, Attributes)>,
    /// What those that were decided as [`Fate::Duplicate`] are duplicates of; by event index,
    /// ascending. One that left the batch since has another fate now.
    pub duplicates: Vec<DuplicateOf>,
    /// What the keys would be under earlier definitions.
    pub previous_keys: PreviousKeys,
    /// Events that the source's retention removed before they were read (P1); their positions are
    /// within the ranges of the extents. Counted once, outside the balance.
    pub expired: u64,
}

impl Batch {
    /// The payload as received.
    #[must_use]
    pub fn raw(&self, event: &Event) -> &[u8] {
        event.raw.of(&self.buffer)
    }

    /// The payload as it stands after the stages so far.
    #[must_use]
    pub fn body(&self, event: &Event) -> &[u8] {
        match event.rewritten {
            Some(span) => span.of(&self.rewritten),
            None => event.raw.of(&self.buffer),
        }
    }

    /// Rejects event `index` for `reason`. An event keeps its first rejection.
    pub fn reject(&mut self, index: usize, reason: &'static str, detail: String) {
        let number = u32::try_from(self.rejections.len()).unwrap_or(u32::MAX);
        if let Some(event) = self.events.get_mut(index)
            && !matches!(event.fate, Fate::Rejected(_))
        {
            event.fate = Fate::Rejected(number);
            self.rejections.push(Rejection { reason, detail });
        }
    }

    /// Event `index` dies. One that died before keeps its first death.
    pub fn kill(&mut self, index: usize, death: Death) {
        let number = u32::try_from(self.deaths.len()).unwrap_or(u32::MAX);
        if let Some(event) = self.events.get_mut(index)
            && !matches!(event.fate, Fate::Dead(_))
        {
            event.fate = Fate::Dead(number);
            self.deaths.push(death);
        }
    }

    /// What `event` died of, if it did.
    #[must_use]
    pub fn death(&self, event: &Event) -> Option<&Death> {
        match event.fate {
            Fate::Dead(number) => self.deaths.get(number as usize),
            _ => None,
        }
    }

    /// The rejection of `event`, if it was rejected.
    #[must_use]
    pub fn rejection(&self, event: &Event) -> Option<&Rejection> {
        match event.fate {
            Fate::Rejected(number) => self.rejections.get(number as usize),
            _ => None,
        }
    }

    /// The spilled payload of event `index`, if it was too long for the buffer.
    #[must_use]
    pub fn spilled(&self, index: usize) -> Option<&std::sync::Arc<dyn Spilled>> {
        self.spilled.iter().find(|(event, _)| *event as usize == index).map(|(_, payload)| payload)
    }

    /// The extents with the range of events that each covers.
    pub fn extent_ranges(&self) -> impl Iterator<Item = (&Extent, std::ops::Range<usize>)> {
        let total = self.events.len();
        self.extents.iter().enumerate().map(move |(index, extent)| {
            let end = self.extents.get(index + 1).map_or(total, |next| next.first_event as usize);
            (extent, extent.first_event as usize..end)
        })
    }

    /// The extent of event `index`, with the range of events that it covers.
    #[must_use]
    pub fn extent_of(&self, index: usize) -> Option<(&Extent, std::ops::Range<usize>)> {
        let after = self.extents.partition_point(|extent| extent.first_event as usize <= index);
        let extent = self.extents.get(after.checked_sub(1)?)?;
        let end = self.extents.get(after).map_or(self.events.len(), |e| e.first_event as usize);
        (index < end).then_some((extent, extent.first_event as usize..end))
    }

    /// Where event `index` starts and ends (exclusive) in its shard.
    #[must_use]
    pub fn position(
        &self,
        extent: &Extent,
        events: &std::ops::Range<usize>,
        index: usize,
    ) -> (Offset, Offset) {
        match &extent.offsets {
            Offsets::Contiguous { base } => {
                let at = |i: usize| {
                    self.events
                        .get(i)
                        .map(|event| Offset::from(base.wrapping_add(u64::from(event.raw.start))))
                };
                let start = if index == events.start {
                    extent.start
                } else {
                    at(index).unwrap_or(extent.start)
                };
                let end = if index + 1 < events.end { at(index + 1) } else { None };
                (start, end.unwrap_or(extent.end))
            }
            Offsets::Listed(offsets) => {
                let start = offsets.get(index - events.start).copied().unwrap_or(extent.start);
                (start, start.next())
            }
            Offsets::Nowhere(offsets) => {
                let start = offsets.get(index - events.start).copied().unwrap_or_default();
                (start, start.next())
            }
            Offsets::Mixed(mixed) => {
                let start = mixed.offsets.get(index - events.start).copied().unwrap_or_default();
                (start, start.next())
            }
            Offsets::Messages(messages) => {
                let id = messages.ids.get(index - events.start).copied().unwrap_or_default();
                let start = Offset::from_parts(0, id);
                (start, start.next())
            }
        }
    }

    /// The attributes of event `index`; empty for most.
    #[must_use]
    pub fn attributes(&self, index: usize) -> &[Attribute] {
        let found = self.attributes.binary_search_by_key(&index, |(event, _)| *event as usize);
        found.ok().and_then(|at| self.attributes.get(at)).map_or(&[], |(_, all)| all)
    }
}

impl Extent {
    /// The shard of event `index` of the batch.
    #[must_use]
    pub fn shard_of(&self, index: usize) -> &ShardId {
        let Offsets::Mixed(mixed) = &self.offsets else { return &self.shard };
        let within = index.checked_sub(self.first_event as usize);
        let of = within.and_then(|within| mixed.of.get(within)).copied();
        let shard = of.and_then(|of| mixed.shards.get(usize::from(of)));
        shard.map_or(&self.shard, |mixed| &mixed.shard)
    }
}
