//! Events that come again because somebody asked for it: dead letters and archived events.

use std::sync::Arc;

use crate::position::{Offset, ShardId};

/// What a batch of replayed events is. Such batches are a source of their own in the counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Id of the request; consumers see it, so that they can tell.
    pub id: String,
    /// One entry per event of the batch.
    pub events: Vec<Replayed>,
}

/// One replayed event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The dead letter that it comes from; `None`: it comes from an archive.
    pub letter: Option<u128>,
    /// How often it was replayed with this time, from 1. Bounded by `replays_max`.
    pub count: u32,
    /// The recorded time that the original had; it is kept, and `late` doesn't hold for it.
    /// `None`: it goes without dedup.
    pub recorded_ms: Option<i64>,
    /// Sinks that it may go to, bit `n` for sink `n`; all ones for all that route to it.
    pub sinks: u64,
    /// Where it came from at first; a letter of an event that dies again keeps it.
    pub origin: Option<Arc<Origin>>,
}

/// Where a replayed event came from at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// [`crate::source::Source::name`] of its source.
    pub source: String,
    /// Its shard.
    pub shard: ShardId,
    /// Where it started …
    pub start: Offset,
    /// … and ended, exclusive.
    pub end: Offset,
    /// When it was received; ms since the Unix epoch.
    pub received_ms: i64,
    /// The broker's own time of it, or [`crate::batch::NO_TIME`].
    pub broker_ms: i64,
}
