//! Sightings: a bounded journal of its own that says which duplicates came, of what, and from
//! where (docs/formats/sightings.md).
//!
//! It is for people who ask what became of an event. Nothing is ever decided by it: it is written
//! without a sync, nobody waits for it, its oldest rows go first, and when it fails no pipe stops.
//! It deliberately knows nothing of what a key is made of, or of bodies.
//!
//! Start reading at `rows.rs` (what a batch adds), then `writer.rs` and `reader.rs`.

mod reader;
mod rows;
mod segment;
mod writer;

use std::sync::Arc;

use event::{BatchNumber, Offset};

pub use self::reader::{Reader, Rows};
pub(crate) use self::rows::{Encoded, Of, TypeNames, encode};
pub(crate) use self::writer::Writer;

/// What a sighting was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SightingKind {
    /// An event whose key is remembered.
    Duplicate,
    /// A message that was settled before and came again; its key was not looked at.
    Redelivered,
}

/// A duplicate that was settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Its key; 0 for a redelivered message.
    pub key: u128,
    /// Hash of its body; 0 for a redelivered message.
    pub body_hash: u64,
    /// What it was.
    pub kind: SightingKind,
    /// Whether its body is known to be another one than the original's.
    pub other_body: bool,
    /// Whether it came by a replay or playback.
    pub replayed: bool,
    /// The pipe that settled it.
    pub pipe: Arc<str>,
    /// The scope of its key.
    pub scope: Option<Arc<str>>,
    /// The source that gave it.
    pub source: Arc<str>,
    /// The event's type; empty where it isn't known.
    pub event_type: Arc<str>,
    /// The batch that settled it.
    pub batch: BatchNumber,
    /// The shard of its source.
    pub shard: Arc<str>,
    /// Where it starts in the shard; a hash of the message id for messages of a queue.
    pub start: Offset,
    /// Whether `start` stands for a message id.
    pub message: bool,
    /// Its own recorded time; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// When it was received; ms since the Unix epoch.
    pub received_ms: i64,
    /// The recorded time of the event that it is a duplicate of, where that is known.
    pub original_ms: Option<i64>,
}

/// What is no longer there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Sightings that made room for newer ones.
    pub rows: u64,
    /// The newest time of receipt among them; ms since the Unix epoch, `i64::MIN` without any.
    pub through_ms: i64,
}
