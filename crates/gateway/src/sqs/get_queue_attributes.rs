//! GetQueueAttributes: settings and counts of a queue.

use serde::Deserialize;

use super::attribute_names;
use super::call::{Answered, Call};
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    attribute_names: Option<Vec<Text<'a>>>,
}

/// Answers GetQueueAttributes.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let wanted: Vec<&str> =
        given.attribute_names.iter().flatten().map(|name| -> &str { name }).collect();
    let values = attribute_names::values(call.options(), &queue, &wanted)?;
    let mut out = Out::with_capacity(512);
    if values.is_empty() {
        out.raw("{}");
    } else {
        out.raw("{\"Attributes\":{").map(values).raw("}}");
    }
    Ok(out)
}
