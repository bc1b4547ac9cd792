//! Letters as batches that go through their pipe again.

use std::sync::Arc;

use bytes::Bytes;
use event::batch::{NO_TIME, Offsets, PartitionKeys, Span};
use event::replay::{Origin, Replay, Replayed};
use event::{Batch, Event, Extent, Marks, Offset};

use super::read::Found;

/// Why a letter isn't replayed. Its path goes with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It isn't what was written.
    #[error("{path} was edited since it was written; replay it with --edited if that is meant")]
    Edited {
        /// The letter's file, relative to the store.
        path: String,
    },
    /// The loop guard.
    #[error(
        "{path} was replayed {count} times and died each time; mend what it dies of, or raise \
         dead_letter.replays_max"
    )]
    TooOften {
        /// The letter's file, relative to the store.
        path: String,
        /// How often it was replayed.
        count: u32,
    },
    /// It was replayed.
    #[error("{path} was replayed and is marked as processed")]
    Done {
        /// The letter's file, relative to the store.
        path: String,
    },
}

/// What a replay asks of its letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayBatch<'a> {
    /// Id of the request.
    pub id: &'a str,
    /// Sinks that the events may go to, bit `n` for the pipe's sink `n`; all ones for all.
    pub sinks: u64,
    /// When; ms since the Unix epoch.
    pub now_ms: i64,
}

/// Whether a letter may be replayed.
///
/// # Errors
/// [`Refused`], by name.
pub fn admit(found: &Found, replays_max: u64, edited_too: bool) -> Result<(), Refused> {
    let path = || found.name.path();
    if found.name.done {
        return Err(Refused::Done { path: path() });
    }
    if found.edited && !edited_too {
        return Err(Refused::Edited { path: path() });
    }
    let count = found.letter.replay_count;
    if u64::from(count) >= replays_max {
        return Err(Refused::TooOften { path: path(), count });
    }
    Ok(())
}

/// A batch of these letters, in their order: the payloads as received, with attributes, partition
/// keys and the recorded times of the originals. The offset of each is its letter's id.
#[must_use]
pub fn batch_of(letters: &[Found], replay: &ReplayBatch<'_>) -> Batch {
    let mut buffer = Vec::with_capacity(letters.iter().map(|one| one.letter.body.len() + 1).sum());
    let mut batch = Batch::default();
    let mut keys = PartitionKeys::default();
    let mut offsets = Vec::with_capacity(letters.len());
    let mut broker_ms = Vec::with_capacity(letters.len());
    let mut replayed = Vec::with_capacity(letters.len());
    for (index, letter) in letters.iter().map(|found| &found.letter).enumerate() {
        let start = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(letter.body.len()).unwrap_or(u32::MAX);
        buffer.extend_from_slice(&letter.body);
        buffer.push(b'\n');
        let raw = Span { start, len };
        batch.events.push(Event { raw, marks: Marks::REPLAYED, ..Event::default() });
        keys.push(letter.partition_key.as_deref().unwrap_or_default());
        if !letter.attributes.is_empty() {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            batch.attributes.push((index, letter.attributes.clone().into()));
        }
        offsets.push(offset(letter.id));
        broker_ms.push(letter.broker_ms.unwrap_or(NO_TIME));
        replayed.push(Replayed {
            letter: Some(letter.id),
            count: letter.replay_count.saturating_add(1),
            recorded_ms: Some(letter.recorded_ms),
            sinks: replay.sinks,
            origin: Some(Arc::new(Origin {
                source: letter.source.clone(),
                shard: letter.shard.as_str().into(),
                start: letter.start,
                end: letter.end,
                received_ms: letter.received_ms,
                broker_ms: letter.broker_ms.unwrap_or(NO_TIME),
            })),
        });
    }
    if broker_ms.iter().all(|ms| *ms == NO_TIME) {
        broker_ms.clear();
    }
    if !keys.bytes.is_empty() {
        batch.partition_keys = keys;
    }
    batch.extents.push(Extent {
        shard: format!("replay/{}", replay.id).into(),
        first_event: 0,
        events_received: u32::try_from(letters.len()).unwrap_or(u32::MAX),
        received_ms: replay.now_ms,
        broker_ms,
        offsets: Offsets::Nowhere(offsets),
        start: Offset::ZERO,
        end: Offset::ZERO,
        mark: None,
    });
    batch.buffer = Bytes::from(buffer);
    batch.replay = Some(Box::new(Replay { id: replay.id.to_owned(), events: replayed }));
    batch
}

/// The offset of a letter in its batch.
#[must_use]
pub const fn offset(letter: u128) -> Offset {
    Offset::from_parts(0, letter)
}
