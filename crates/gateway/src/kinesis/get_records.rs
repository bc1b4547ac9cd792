//! GetRecords: reads a shard on, from where an iterator stands.

use std::sync::Arc;

use broker::streams::{Read, SequenceNumber, Stream};
use serde::Deserialize;

use super::call::{Answered, Call, blocking};
use super::error::{Kind, KinesisError};
use super::iterator::ShardIterator;
use super::put_records::rate_exceeded;
use super::sequence::LongSequenceNumber;
use crate::wire::{Out, Text};

const RECORDS_MAX: usize = 10_000;
/// Bytes of data in one answer; less when `in_flight_bytes_max` is near.
const BYTES_MAX: usize = 10 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    shard_iterator: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    limit: Option<i64>,
}

/// Answers GetRecords.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let text = given.shard_iterator.ok_or_else(|| KinesisError::missing("shardIterator"))?;
    let records_max = limit(given.limit)?;
    let now_ms = call.state.clock.now_ms();
    let life_ms = i64::try_from(call.options().iterator_life.as_millis()).unwrap_or(i64::MAX);
    let iterator = ShardIterator::decode(&text, now_ms, life_ms)?;
    let stream = match &given.stream_arn {
        Some(_) => call.stream(None, given.stream_arn.as_ref())?,
        None => call.named(&iterator.stream)?,
    };
    let id = stream.creation_id();
    // A stream of that name was made anew, or the ARN is of another stream.
    if id != iterator.creation_id {
        return Err(KinesisError::argument("Invalid ShardIterator."));
    }
    let shard = iterator.shard;
    if !call.state.rates.admit_read(id, shard, now_ms) {
        let message = rate_exceeded(call, stream.name(), shard);
        return Err(KinesisError::new(Kind::ProvisionedThroughputExceeded, message));
    }
    let bytes_max = BYTES_MAX.min(call.state.bytes.available_permits() / 2);
    let read = read(call, &stream, &iterator, records_max, bytes_max).await?;
    let bytes = read.records.iter().map(|record| record.data.len()).sum();
    call.state.rates.gave(id, shard, bytes, now_ms);
    Ok(write(
        &stream,
        &ShardIterator { from: read.next, issued_ms: now_ms, ..iterator },
        &read,
        bytes,
    ))
}

fn limit(limit: Option<i64>) -> Result<usize, KinesisError> {
    let Some(limit) = limit else { return Ok(RECORDS_MAX) };
    if limit < 1 {
        let what = "Member must have value greater than or equal to 1";
        return Err(KinesisError::constraint(limit, "limit", what));
    }
    let good = usize::try_from(limit).ok().filter(|limit| *limit <= RECORDS_MAX);
    good.ok_or_else(|| {
        let what = format!("Member must have value less than or equal to {RECORDS_MAX}");
        KinesisError::constraint(limit, "limit", what)
    })
}

async fn read(
    call: &Call<'_>,
    stream: &Arc<Stream>,
    iterator: &ShardIterator,
    records_max: usize,
    bytes_max: usize,
) -> Result<Read, KinesisError> {
    let (owned, shard, from) = (Arc::clone(stream), iterator.shard, iterator.from);
    let read = blocking(move || owned.read(shard, from, records_max, bytes_max)).await;
    read.map_err(|error| call.of_stream(stream.name(), error))
}

fn write(stream: &Stream, next: &ShardIterator, read: &Read, bytes: usize) -> Out {
    let mut out = Out::with_capacity(512 + read.records.len() * 256 + bytes / 3 * 4);
    let long = LongSequenceNumber::new(stream, next.shard, SequenceNumber(0));
    out.raw("{\"Records\":[").list(&read.records, |out, record| {
        out.raw("{\"SequenceNumber\":").quoted(long.at(record.sequence));
        out.raw(",\"ApproximateArrivalTimestamp\":").seconds(record.arrived_ms);
        out.raw(",\"Data\":").base64(&record.data);
        out.raw(",\"PartitionKey\":").text(&record.partition_key).raw("}");
    });
    out.raw("],\"NextShardIterator\":").quoted(next.encode());
    out.raw(",\"MillisBehindLatest\":").show(read.behind_ms.max(0)).raw("}");
    out
}
