//! PutRecords: up to 500 records, 10 MiB in all. Those that their shards' rates let in go in one
//! record of the journal, and are on disk when the answer says so; the others say why not.

use broker::streams::{NewRecord, Put, Stream};
use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::KinesisError;
use super::names::ShardId;
use super::record::{self, Draft};
use super::sequence::LongSequenceNumber;
use crate::wire::{Out, Text};

const RECORDS_MAX: usize = 500;
const BYTES_MAX: usize = 10 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    records: Option<Vec<GivenRecord<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GivenRecord<'a> {
    #[serde(borrow)]
    data: Option<Text<'a>>,
    partition_key: Option<Text<'a>>,
    explicit_hash_key: Option<Text<'a>>,
}

impl<'a> GivenRecord<'a> {
    fn draft(&self) -> Draft<'a, '_> {
        Draft {
            data: self.data.as_ref(),
            partition_key: self.partition_key.as_ref(),
            explicit_hash_key: self.explicit_hash_key.as_ref(),
        }
    }
}

/// Answers PutRecords.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let given = given.records.ok_or_else(|| KinesisError::missing("records"))?;
    if !(1..=RECORDS_MAX).contains(&given.len()) {
        let what = format!("Member must have length between 1 and {RECORDS_MAX}, inclusive");
        return Err(KinesisError::constraint(
            format_args!("{} records", given.len()),
            "records",
            what,
        ));
    }
    let drafts: Vec<Draft<'_, '_>> = given.iter().map(GivenRecord::draft).collect();
    let records = record::check(&drafts)?;
    drop(drafts);
    drop(given);
    if records.iter().map(record::size).sum::<usize>() > BYTES_MAX {
        return Err(KinesisError::argument("Records size exceeds 10 MB limit"));
    }
    let (records, refused) = admit(call, &stream, records);
    let puts = if records.is_empty() {
        Vec::new()
    } else {
        stream.put(records).await.map_err(|error| call.of_stream(stream.name(), error))?
    };
    Ok(write(call, &stream, &puts, &refused))
}

/// The records that their shards' rates let in; and for every record the shard that refused it.
fn admit(
    call: &Call<'_>,
    stream: &Stream,
    records: Vec<NewRecord>,
) -> (Vec<NewRecord>, Vec<Option<u32>>) {
    let rates = &call.state.rates;
    if !rates.are_on() {
        let refused = vec![None; records.len()];
        return (records, refused);
    }
    let shard =
        |record: &NewRecord| stream.shard_of(&record.partition_key, record.explicit_hash_key);
    let shards: Vec<u32> = records.iter().map(shard).collect();
    let wanted = shards.iter().copied().zip(records.iter().map(record::size));
    let goes = rates.admit(stream.creation_id(), wanted, call.state.clock.now_ms());
    let refused = goes.iter().zip(shards).map(|(goes, shard)| (!goes).then_some(shard)).collect();
    let admitted =
        records.into_iter().zip(goes).filter_map(|(record, goes)| goes.then_some(record)).collect();
    (admitted, refused)
}

fn write(call: &Call<'_>, stream: &Stream, puts: &[Put], refused: &[Option<u32>]) -> Out {
    let mut out = Out::with_capacity(64 + refused.len() * 144);
    out.raw("{\"FailedRecordCount\":").show(refused.iter().flatten().count());
    out.raw(",\"Records\":[");
    let mut puts = puts.iter();
    let mut long = LongSequenceNumber::new(stream, 0, broker::streams::SequenceNumber(0));
    out.list(refused, |out, refused| {
        if let Some(shard) = refused {
            out.raw("{\"ErrorCode\":\"ProvisionedThroughputExceededException\",\"ErrorMessage\":");
            out.text(&rate_exceeded(call, stream.name(), *shard)).raw("}");
        } else if let Some(put) = puts.next() {
            long = long.on(put.shard).at(put.sequence);
            out.raw("{\"SequenceNumber\":").quoted(long);
            out.raw(",\"ShardId\":").quoted(ShardId(put.shard)).raw("}");
        }
    });
    out.raw("]}");
    out
}

/// What a record that its shard's rate refuses is told.
pub(super) fn rate_exceeded(call: &Call<'_>, stream: &str, shard: u32) -> String {
    let account = &call.options().account;
    format!(
        "Rate exceeded for shard {} in stream {stream} under account {account}.",
        ShardId(shard)
    )
}
