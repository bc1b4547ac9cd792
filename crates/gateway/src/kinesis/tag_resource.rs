//! TagResource: AddTagsToStream, by ARN.

use std::collections::BTreeMap;

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
    tags: Option<BTreeMap<Text<'a>, Text<'a>>>,
}

/// Answers TagResource.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let arn = given.resource_arn.ok_or_else(|| KinesisError::missing("resourceARN"))?;
    let stream = call.stream(None, Some(&arn))?;
    let added = given.tags.ok_or_else(|| KinesisError::missing("tags"))?;
    tags::change(call, &stream, |tags| tags::add(tags, added)).await
}
