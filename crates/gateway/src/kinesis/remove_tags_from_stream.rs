//! RemoveTagsFromStream: removes tags of a stream.

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
    tag_keys: Option<Vec<Text<'a>>>,
}

/// Answers RemoveTagsFromStream.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let keys = given.tag_keys.ok_or_else(|| KinesisError::missing("tagKeys"))?;
    tags::remove(call, &stream, &keys).await
}
