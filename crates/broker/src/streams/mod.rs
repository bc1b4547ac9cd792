//! Streams: shards of records in order, kept for their retention.
#![allow(clippy::todo, unused_variables, reason = "skeleton")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use event::Clock;
use journal::Disk;

use crate::durable::Durable;
use crate::error::BrokerError;
use crate::producer::{Producer, Sequence};

/// Limits of all streams together.
#[derive(Clone, Debug)]
pub struct StreamsOptions {
    /// Shards of all streams at most.
    pub shards_max: usize,
    /// Length of a journal segment, bytes: space is given back in such pieces.
    pub segment_bytes: u64,
}

impl Default for StreamsOptions {
    fn default() -> Self {
        Self { shards_max: 1_000, segment_bytes: 64 << 20 }
    }
}

/// Place of a record in its shard. Dense: 1 for the first record of a shard, then 2, and so on
/// (0 stands before all). The gateway shows it in Kinesis' long form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceNumber(pub u64);

/// A shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number, from 0.
    pub number: u32,
    /// The hash keys that it takes: from here …
    pub hash_start: u128,
    /// … to here, inclusive.
    pub hash_end: u128,
    /// The oldest record that is kept, or the next one to come.
    pub trim_horizon: SequenceNumber,
    /// The next record to come.
    pub next: SequenceNumber,
}

/// A record to put.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// 1 to 256 characters; its MD5 is the hash key.
    pub partition_key: String,
    /// Wins over the partition key's hash.
    pub explicit_hash_key: Option<u128>,
    /// The payload.
    pub data: Bytes,
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// The shard's number.
    pub shard: u32,
    /// The place in the shard.
    pub sequence: SequenceNumber,
}

/// A record as read.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its place.
    pub sequence: SequenceNumber,
    /// When it was put; never runs backwards in a stream. Ms since the Unix epoch.
    pub arrived_ms: i64,
    /// As put.
    pub partition_key: String,
    /// As put.
    pub data: Bytes,
}

/// What a read gave.
#[derive(Clone, Debug)]
pub struct Read {
    /// In order.
    pub records: Vec<Record>,
    /// Where to go on.
    pub next: SequenceNumber,
    /// How old the newest record of the shard is that was not given; 0 at the end.
    pub behind_ms: i64,
}

/// One put's records of one stream as they lie in its journal: shards mixed, each shard in order.
/// For the reader in this process, that wants them all.
#[derive(Debug)]
pub struct Chunk<'a> {
    /// When they were put.
    pub arrived_ms: i64,
    /// The payloads, with shard and sequence number.
    pub records: &'a [ChunkRecord<'a>],
}

/// A record of a [`Chunk`].
#[derive(Clone, Copy, Debug)]
pub struct ChunkRecord<'a> {
    /// Its shard's number.
    pub shard: u32,
    /// Its place.
    pub sequence: SequenceNumber,
    /// As put.
    pub partition_key: &'a str,
    /// As put.
    pub data: &'a [u8],
}

/// Counts of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStatistics {
    /// Records that are kept.
    pub records: u64,
    /// When the oldest of them was put; ms since the Unix epoch.
    pub oldest_ms: Option<i64>,
    /// When the newest was put.
    pub newest_ms: Option<i64>,
    /// Records put since it was made.
    pub put: u64,
    /// Bytes on disk.
    pub bytes_on_disk: u64,
}

/// All streams of a broker.
pub struct Streams {}

/// One stream. Cheap to hold; answers [`BrokerError::NoSuchStream`] once it is deleted.
pub struct Stream {}

/// Reads a stream's journal from front to end, all shards.
pub struct StreamReader {}

impl Streams {
    /// Opens the streams in `dir`, which is created (one level) when missing.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: StreamsOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        todo!()
    }

    /// Makes a stream with `shards` shards of equal hash ranges. The name has 1 to 128 letters,
    /// digits, `-`, `_` and `.`.
    ///
    /// # Errors
    /// [`BrokerError::Exists`], [`BrokerError::Invalid`], [`BrokerError::OverLimit`].
    pub fn create(
        &self,
        name: &str,
        shards: u32,
        tags: BTreeMap<String, String>,
    ) -> Result<Arc<Stream>, BrokerError> {
        todo!()
    }

    /// The stream of that name.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchStream`].
    pub fn get(&self, name: &str) -> Result<Arc<Stream>, BrokerError> {
        todo!()
    }

    /// All streams, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Stream>> {
        todo!()
    }

    /// Removes a stream with its records; durable when it returns.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn delete(&self, name: &str) -> Result<(), BrokerError> {
        todo!()
    }

    /// Bytes on disk of all streams.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        todo!()
    }

    /// See [`crate::Broker::close`].
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn close(&self) -> Result<(), BrokerError> {
        todo!()
    }
}

impl Stream {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        todo!()
    }

    /// Another one for each stream that is made, also under a name that was used before.
    #[must_use]
    pub fn creation_id(&self) -> u128 {
        todo!()
    }

    /// When it was made; ms since the Unix epoch.
    #[must_use]
    pub fn created_ms(&self) -> i64 {
        todo!()
    }

    /// 24 to 8,760 h.
    #[must_use]
    pub fn retention_h(&self) -> u32 {
        todo!()
    }

    /// Changes the retention. What a longer one could have kept and is gone stays gone.
    pub fn set_retention_h(&self, retention_h: u32) -> Durable<()> {
        todo!()
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        todo!()
    }

    /// Replaces its tags.
    pub fn set_tags(&self, tags: BTreeMap<String, String>) -> Durable<()> {
        todo!()
    }

    /// Its shards, by number.
    #[must_use]
    pub fn shards(&self) -> Vec<Shard> {
        todo!()
    }

    /// The shard that takes a record: the explicit hash key, else the MD5 of the partition key.
    #[must_use]
    pub fn shard_of(&self, partition_key: &str, explicit_hash_key: Option<u128>) -> u32 {
        todo!()
    }

    /// Its counts.
    #[must_use]
    pub fn statistics(&self) -> StreamStatistics {
        todo!()
    }

    /// Puts records, all or none of them, in one record of the journal. Where each went, in order.
    pub fn put(&self, records: Vec<NewRecord>) -> Durable<Vec<Put>> {
        todo!()
    }

    /// [`Stream::put`], exactly once: those at or below the producer's highest sequence are
    /// skipped. `records` ascend.
    pub fn put_once(
        &self,
        producer: &Producer,
        records: Vec<(Sequence, NewRecord)>,
    ) -> Durable<()> {
        todo!()
    }

    /// The highest sequence that `producer` has stored here.
    #[must_use]
    pub fn published_through(&self, producer: &Producer) -> Option<Sequence> {
        todo!()
    }

    /// The first record of `shard` that arrived at or after `ms`; the next to come if there is none.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn at_timestamp(&self, shard: u32, ms: i64) -> Result<SequenceNumber, BrokerError> {
        todo!()
    }

    /// Reads records of `shard` from `from` on (from the trim horizon if that is later). Only
    /// durable ones.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn read(
        &self,
        shard: u32,
        from: SequenceNumber,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Read, BrokerError> {
        todo!()
    }

    /// Reads all shards, so that no record at or above `from` (by shard number; 0 where missing) is
    /// left out. May begin with older ones.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn reader(&self, from: &[SequenceNumber]) -> Result<StreamReader, BrokerError> {
        todo!()
    }

    /// Blocks until there is more than `seen` (a value of [`Stream::arrivals`]), or `until`.
    pub fn wait(&self, seen: u64, until: Instant) {
        todo!()
    }

    /// [`Stream::wait`] for tasks.
    pub async fn arrived(&self, seen: u64, at_most: Duration) {
        todo!()
    }

    /// Grows with every put that got durable, and when the stream is deleted.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        todo!()
    }
}

impl StreamReader {
    /// The next put's records; `None` at the end of what is durable (a later call may find more).
    ///
    /// # Errors
    /// [`BrokerError`]. After the retention took what it stood before, it goes on at what is left:
    /// whoever counts sees it by the sequence numbers.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, BrokerError> {
        todo!()
    }
}
