//! ListTagsForStream: the tags of a stream, by key.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::KinesisError;
use super::tags;
use crate::wire::{Out, Text};

const TAGS_MAX: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    exclusive_start_tag_key: Option<Text<'a>>,
    limit: Option<i64>,
}

/// Answers ListTagsForStream.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let limit = match given.limit {
        None => TAGS_MAX,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=TAGS_MAX).contains(limit))
            .ok_or_else(|| {
            let what = "Member must have value between 1 and 50, inclusive";
            KinesisError::constraint(limit, "limit", what)
        })?,
    };
    let mut tags = stream.tags();
    if let Some(after) = given.exclusive_start_tag_key {
        tags.retain(|key, _| key.as_str() > &*after);
    }
    let mut out = Out::with_capacity(64 + tags.len() * 64);
    out.raw("{");
    tags::write(&mut out, tags.iter().take(limit));
    out.raw(",\"HasMoreTags\":").show(tags.len() > limit).raw("}");
    Ok(out)
}
