//! GetQueueUrl: the URL of a queue, with the host that was asked.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::SqsError;
use super::names;
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_name: Option<Text<'a>>,
}

/// Answers GetQueueUrl.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let name = given.queue_name.ok_or_else(|| SqsError::missing("QueueName"))?;
    let queue = call.queues().get(&name)?;
    let mut out = Out::with_capacity(128);
    out.raw("{\"QueueUrl\":").text(&names::url(call.options(), call.host, queue.name())).raw("}");
    Ok(out)
}
