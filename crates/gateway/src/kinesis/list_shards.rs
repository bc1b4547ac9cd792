//! ListShards: the shards of a stream, 1,000 at a time. All are open, so every filter but
//! `AFTER_SHARD_ID` lets all of them through.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::describe::{shards_after, write_shards};
use super::error::KinesisError;
use super::names::ShardId;
use crate::wire::{Out, Text};

const SHARDS_DEFAULT: usize = 1_000;
const FILTERS: [&str; 6] = [
    "AFTER_SHARD_ID",
    "AT_LATEST",
    "AT_TIMESTAMP",
    "AT_TRIM_HORIZON",
    "FROM_TIMESTAMP",
    "FROM_TRIM_HORIZON",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    exclusive_start_shard_id: Option<Text<'a>>,
    max_results: Option<i64>,
    next_token: Option<Text<'a>>,
    shard_filter: Option<Filter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter<'a> {
    #[serde(borrow, rename = "Type")]
    kind: Option<Text<'a>>,
    shard_id: Option<Text<'a>>,
}

/// What a token says: `stream/shard after which to go on`.
fn read_token(token: &str) -> Option<(String, String)> {
    let bytes = base64_simd::STANDARD.decode_to_vec(token).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    text.split_once('/').map(|(stream, shard)| (stream.to_owned(), shard.to_owned()))
}

/// Answers ListShards.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let filtered = filter(given.shard_filter.as_ref())?;
    let (stream, after) = match &given.next_token {
        Some(_) if given.stream_name.is_some() || given.stream_arn.is_some() => {
            let what = "NextToken and StreamName cannot be provided together.";
            return Err(KinesisError::argument(what));
        }
        Some(token) => {
            let (stream, shard) =
                read_token(token).ok_or_else(|| KinesisError::argument("Invalid NextToken."))?;
            (call.named(&stream)?, Some(Text::from(shard)))
        }
        None => {
            let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
            (stream, given.exclusive_start_shard_id.or(filtered))
        }
    };
    let (shards, more) =
        shards_after(&stream, after.as_ref(), given.max_results, "maxResults", SHARDS_DEFAULT)?;
    let mut out = Out::with_capacity(64 + shards.len() * 256);
    out.raw("{");
    write_shards(&mut out, &stream, &shards);
    if let Some(last) = shards.last().filter(|_| more) {
        let token = format!("{}/{}", stream.name(), ShardId(last.number));
        out.raw(",\"NextToken\":").quoted(base64_simd::STANDARD.encode_to_string(token));
    }
    out.raw("}");
    Ok(out)
}

/// The shard after which to begin.
fn filter<'a>(filter: Option<&Filter<'a>>) -> Result<Option<Text<'a>>, KinesisError> {
    let Some(filter) = filter else { return Ok(None) };
    let kind = filter.kind.as_deref().ok_or_else(|| KinesisError::missing("shardFilter.type"))?;
    if !FILTERS.contains(&kind) {
        let what = format!("Member must satisfy enum value set: [{}]", FILTERS.join(", "));
        return Err(KinesisError::constraint(kind, "shardFilter.type", what));
    }
    if kind == "AFTER_SHARD_ID" {
        let id = filter.shard_id.clone();
        return id.map(Some).ok_or_else(|| KinesisError::missing("shardFilter.shardId"));
    }
    Ok(None)
}
