//! An event that can't settle for a while, whole.

use event::{Attempt, Marks, Offset, ShardId};

use super::tally::MinuteBucket;

/// An event that can't settle for a while, kept whole in the ledger, its position settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedEvent {
    /// The pipe's number for it; never used again.
    pub id: u64,
    /// Where it came from.
    pub shard: ShardId,
    /// Where it stood: start and end (exclusive).
    pub position: (Offset, Offset),
    /// When it was received; ms since the Unix epoch.
    pub received_ms: i64,
    /// The broker's own time of it, or [`event::batch::NO_TIME`].
    pub broker_ms: i64,
    /// The payload as received.
    pub raw: Vec<u8>,
    /// What its broker said of it.
    pub attributes: Vec<(String, Vec<u8>)>,
    /// The envelope's type.
    pub event_type: String,
    /// The envelope's time, or [`event::batch::NO_TIME`].
    pub event_ms: i64,
    /// Its key; meaningless when `window_ms` is negative.
    pub key: u128,
    /// Hash of the payload as decoded.
    pub body_hash: u64,
    /// The time that the dedup clock gave it; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// For how long its key is remembered; ms.
    pub window_ms: i64,
    /// Why it was let through, where a strict reading would not.
    pub marks: Marks,
    /// What was tried.
    pub attempts: Vec<Attempt>,
}

impl ParkedEvent {
    /// The minute that it counts in.
    #[must_use]
    pub const fn minute(&self) -> MinuteBucket {
        MinuteBucket::of(self.received_ms)
    }
}
