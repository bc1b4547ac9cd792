//! Streams: shards of records in order, kept for their retention.
//!
//! The way of a record: `put.rs` (check, encode, submit) → the stream's journal → `core.rs` (it is
//! durable: number it, answer) → `read.rs` (one shard) or `reader.rs` (all shards). `state.rs` is
//! what a journal says of its stream, `index.rs` where to begin to read, `registry.rs` which streams
//! there are.

mod arrivals;
mod catalogue;
mod chunk;
mod core;
mod format;
mod index;
mod options;
mod put;
mod read;
mod reader;
mod record;
mod registry;
mod retention;
mod scan;
mod shard;
mod state;
mod stream;
#[expect(clippy::module_inception, reason = "all streams")]
mod streams;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use chunk::{Chunk, ChunkIter, ChunkRecord, ChunkRecords};
pub use options::StreamsOptions;
pub use reader::StreamReader;
pub use record::{NewRecord, Put, Read, Record, SequenceNumber, StreamStatistics};
pub use shard::Shard;
pub use stream::Stream;
pub use streams::Streams;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
