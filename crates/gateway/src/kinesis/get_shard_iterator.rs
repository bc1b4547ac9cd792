//! GetShardIterator: where to begin reading a shard. Five types.

use std::sync::Arc;

use broker::streams::{SequenceNumber, Shard, Stream};
use serde::Deserialize;

use super::call::{Answered, Call, blocking};
use super::error::{Kind, KinesisError};
use super::iterator::ShardIterator;
use super::names::{self, ShardId};
use super::sequence::LongSequenceNumber;
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    shard_id: Option<Text<'a>>,
    shard_iterator_type: Option<Text<'a>>,
    starting_sequence_number: Option<Text<'a>>,
    /// Seconds, with a fraction.
    timestamp: Option<f64>,
}

/// Answers GetShardIterator.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let id = given.shard_id.as_ref().ok_or_else(|| KinesisError::missing("shardId"))?;
    let shard = shard(call, &stream, id)?;
    let from = from(call, &given, &stream, &shard).await?;
    let iterator = ShardIterator::new(&stream, shard.number, from, call.state.clock.now_ms());
    let mut out = Out::with_capacity(320);
    out.raw("{\"ShardIterator\":").quoted(iterator.encode()).raw("}");
    Ok(out)
}

/// The shard of that id.
fn shard(call: &Call<'_>, stream: &Stream, id: &str) -> Result<Shard, KinesisError> {
    let number = names::of_shard(id);
    let shard = stream.shards().into_iter().find(|shard| Some(shard.number) == number);
    shard.ok_or_else(|| {
        let message = format!(
            "Shard {id} in stream {} under account {} does not exist",
            stream.name(),
            call.options().account
        );
        KinesisError::new(Kind::ResourceNotFound, message)
    })
}

async fn from(
    call: &Call<'_>,
    given: &Parameters<'_>,
    stream: &Arc<Stream>,
    shard: &Shard,
) -> Result<SequenceNumber, KinesisError> {
    let kind = given.shard_iterator_type.as_deref();
    match kind.ok_or_else(|| KinesisError::missing("shardIteratorType"))? {
        // The broker begins at the horizon that is there when it is read.
        "TRIM_HORIZON" => Ok(SequenceNumber(0)),
        "LATEST" => Ok(shard.next),
        "AT_SEQUENCE_NUMBER" => given_sequence(call, given, stream, shard),
        "AFTER_SEQUENCE_NUMBER" => {
            let after = given_sequence(call, given, stream, shard)?;
            Ok(SequenceNumber(after.0.saturating_add(1)))
        }
        "AT_TIMESTAMP" => at_timestamp(call, given.timestamp, stream, shard.number).await,
        other => Err(KinesisError::constraint(
            other,
            "shardIteratorType",
            "Member must satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, \
             AT_SEQUENCE_NUMBER, TRIM_HORIZON]",
        )),
    }
}

fn given_sequence(
    call: &Call<'_>,
    given: &Parameters<'_>,
    stream: &Stream,
    shard: &Shard,
) -> Result<SequenceNumber, KinesisError> {
    let Some(text) = given.starting_sequence_number.as_deref() else {
        let what = "Must either specify (1) AT_SEQUENCE_NUMBER/AFTER_SEQUENCE_NUMBER and \
                    StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no \
                    StartingSequenceNumber.";
        return Err(KinesisError::argument(what));
    };
    let long = text.parse::<LongSequenceNumber>().ok();
    let ours = long.filter(|long| long.is_of(stream, shard.number) && long.sequence() < shard.next);
    ours.map(|long| long.sequence()).ok_or_else(|| {
        let shown: String = text.chars().take(80).collect();
        KinesisError::argument(format!(
            "StartingSequenceNumber {shown} used in GetShardIterator on shard {} in stream {} \
             under account {} is invalid.",
            ShardId(shard.number),
            stream.name(),
            call.options().account
        ))
    })
}

async fn at_timestamp(
    call: &Call<'_>,
    seconds: Option<f64>,
    stream: &Arc<Stream>,
    shard: u32,
) -> Result<SequenceNumber, KinesisError> {
    let seconds = seconds.ok_or_else(|| {
        KinesisError::argument(
            "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP.",
        )
    })?;
    let now_ms = call.state.clock.now_ms();
    #[allow(clippy::cast_possible_truncation, reason = "a float beyond i64 becomes its bound")]
    let ms = (seconds * 1_000.0).round() as i64;
    if ms > now_ms {
        return Err(KinesisError::argument(format!(
            "The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. \
             timestampInMillis: {ms}, currentTimestampInMillis: {now_ms}"
        )));
    }
    let owned = Arc::clone(stream);
    let at = blocking(move || owned.at_timestamp(shard, ms)).await;
    at.map_err(|error| call.of_stream(stream.name(), error))
}
