//! UntagResource: RemoveTagsFromStream, by ARN.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::KinesisError;
use super::tags;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow, rename = "ResourceARN")]
    resource_arn: Option<Text<'a>>,
    tag_keys: Option<Vec<Text<'a>>>,
}

/// Answers UntagResource.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let arn = given.resource_arn.ok_or_else(|| KinesisError::missing("resourceARN"))?;
    let stream = call.stream(None, Some(&arn))?;
    let keys = given.tag_keys.ok_or_else(|| KinesisError::missing("tagKeys"))?;
    tags::remove(call, &stream, &keys).await
}
