//! DescribeStream: settings and shards of a stream, 100 shards at a time.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::describe::{shards_after, write_head, write_settings, write_shards};
use crate::wire::{Out, Text};

const SHARDS_DEFAULT: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    exclusive_start_shard_id: Option<Text<'a>>,
    limit: Option<i64>,
}

/// Answers DescribeStream.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let after = given.exclusive_start_shard_id.as_ref();
    let (shards, more) = shards_after(&stream, after, given.limit, "limit", SHARDS_DEFAULT)?;
    let mut out = Out::with_capacity(512 + shards.len() * 256);
    out.raw("{\"StreamDescription\":{");
    write_head(&mut out, call.options(), &stream);
    write_settings(&mut out, &stream);
    out.raw(",");
    write_shards(&mut out, &stream, &shards);
    out.raw(",\"HasMoreShards\":").show(more).raw("}}");
    Ok(out)
}
