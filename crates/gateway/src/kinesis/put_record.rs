//! PutRecord: stores a record; it is on disk when the answer says so.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::{Kind, KinesisError};
use super::names::ShardId;
use super::put_records::rate_exceeded;
use super::record::{self, Draft};
use super::sequence::LongSequenceNumber;
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    data: Option<Text<'a>>,
    partition_key: Option<Text<'a>>,
    explicit_hash_key: Option<Text<'a>>,
}

/// Answers PutRecord. `SequenceNumberForOrdering` needs nothing done: records of a shard are
/// ordered anyway.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let records = record::check(&[Draft {
        data: given.data.as_ref(),
        partition_key: given.partition_key.as_ref(),
        explicit_hash_key: given.explicit_hash_key.as_ref(),
    }])?;
    let rates = &call.state.rates;
    if let Some(record) = records.first().filter(|_| rates.are_on()) {
        let shard = stream.shard_of(&record.partition_key, record.explicit_hash_key);
        let wanted = [(shard, record::size(record))].into_iter();
        let now_ms = call.state.clock.now_ms();
        if rates.admit(stream.creation_id(), wanted, now_ms) != [true] {
            let message = rate_exceeded(call, stream.name(), shard);
            return Err(KinesisError::new(Kind::ProvisionedThroughputExceeded, message));
        }
    }
    let puts = stream.put(records).await.map_err(|error| call.of_stream(stream.name(), error))?;
    let put = puts.first();
    let put = put.ok_or_else(|| KinesisError::new(Kind::InternalFailure, "no record was put"))?;
    let mut out = Out::with_capacity(160);
    out.raw("{\"ShardId\":").quoted(ShardId(put.shard)).raw(",\"SequenceNumber\":");
    out.quoted(LongSequenceNumber::new(&stream, put.shard, put.sequence)).raw("}");
    Ok(out)
}
