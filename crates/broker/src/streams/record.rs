//! What goes into a stream and what comes out.

use bytes::Bytes;

/// Place of a record in its shard. Dense: 1 for the first record of a shard, then 2, and so on
/// (0 stands before all). The gateway shows it in Kinesis' long form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceNumber(pub u64);

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
    /// How far the read is behind the shard's end: the age of the last record that it gave, as the
    /// service counts it; 0 where no later one is there.
    pub behind_ms: i64,
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
