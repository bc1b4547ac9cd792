//! What the tests of streams share.

use std::path::Path;
use std::sync::Arc;

use broker::streams::{NewRecord, Stream, StreamReader, Streams, StreamsOptions};
use broker::{BrokerError, Producer};
use bytes::Bytes;
use event::{Clock, LedgerId, TestClock};
use journal::{Disk, SimDisk};

/// 2027-01-15T08:00:00Z.
pub(crate) const NOW_MS: i64 = 1_800_000_000_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;

pub(crate) fn small() -> StreamsOptions {
    StreamsOptions { segment_bytes: 4096, ..StreamsOptions::default() }
}

pub(crate) fn open(disk: &SimDisk, clock: &TestClock) -> Result<Streams, BrokerError> {
    open_with(disk, clock, small())
}

pub(crate) fn open_with(
    disk: &SimDisk,
    clock: &TestClock,
    options: StreamsOptions,
) -> Result<Streams, BrokerError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    Streams::open(disk, Path::new("/streams"), options, clock)
}

pub(crate) fn record(key: &str, data: impl Into<Bytes>) -> NewRecord {
    NewRecord { partition_key: key.into(), explicit_hash_key: None, data: data.into() }
}

/// A record for one shard of `shards`.
pub(crate) fn record_for(shard: u32, shards: u32, data: impl Into<Bytes>) -> NewRecord {
    let hash =
        if shards == 1 { 0 } else { (u128::MAX / u128::from(shards) + 1) * u128::from(shard) };
    NewRecord { partition_key: "k".into(), explicit_hash_key: Some(hash), data: data.into() }
}

pub(crate) fn producer(number: u128) -> Producer {
    Producer { ledger_id: LedgerId(number), pipe: "pipe".into(), sink: "sink".into() }
}

/// Number and data of all records of a shard that are kept.
pub(crate) fn shard_records(stream: &Stream, shard: u32) -> Result<Vec<(u64, Bytes)>, BrokerError> {
    let mut all = Vec::new();
    let mut from = broker::streams::SequenceNumber(0);
    loop {
        let read = stream.read(shard, from, 3, usize::MAX)?;
        if read.records.is_empty() {
            return Ok(all);
        }
        all.extend(read.records.into_iter().map(|r| (r.sequence.0, r.data)));
        from = read.next;
    }
}

/// Shard, number and data of everything that a reader gives.
pub(crate) fn drain(reader: &mut StreamReader) -> Result<Vec<(u32, u64, Vec<u8>)>, BrokerError> {
    let mut all = Vec::new();
    while let Some(chunk) = reader.next_chunk()? {
        all.extend(chunk.records.iter().map(|r| (r.shard, r.sequence.0, r.data.to_vec())));
    }
    Ok(all)
}
