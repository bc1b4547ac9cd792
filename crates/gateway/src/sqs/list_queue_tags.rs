//! ListQueueTags: the tags of a queue.

use serde::Deserialize;

use super::call::{Answered, Call};
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
}

/// Answers ListQueueTags.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let tags = call.queue(given.queue_url.as_ref())?.tags();
    let mut out = Out::with_capacity(64);
    if tags.is_empty() {
        out.raw("{}");
    } else {
        out.raw("{\"Tags\":{").map(&tags).raw("}}");
    }
    Ok(out)
}
