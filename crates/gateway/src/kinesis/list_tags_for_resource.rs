//! ListTagsForResource: the tags of a stream, by ARN.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::KinesisError;
use super::tags;
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow, rename = "ResourceARN")]
    resource_arn: Option<Text<'a>>,
}

/// Answers ListTagsForResource.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let arn = given.resource_arn.ok_or_else(|| KinesisError::missing("resourceARN"))?;
    let tags = call.stream(None, Some(&arn))?.tags();
    let mut out = Out::with_capacity(64 + tags.len() * 64);
    out.raw("{");
    tags::write(&mut out, tags.iter());
    out.raw("}");
    Ok(out)
}
