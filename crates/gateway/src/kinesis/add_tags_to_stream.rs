//! AddTagsToStream: adds tags; those with a key that is there are replaced.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::KinesisError;
use super::tags;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    tags: Option<BTreeMap<Text<'a>, Text<'a>>>,
}

/// Answers AddTagsToStream.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let added = given.tags.ok_or_else(|| KinesisError::missing("tags"))?;
    tags::change(call, &stream, |tags| tags::add(tags, added)).await
}
