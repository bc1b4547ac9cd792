//! SendMessage: stores a message; it is on disk when the answer says so.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::{Kind, SqsError};
use super::message::{Draft, Sums};
use super::message_attributes;
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    message_body: Option<Text<'a>>,
    delay_seconds: Option<i64>,
    message_attributes: Option<message_attributes::Given<'a>>,
    message_system_attributes: Option<message_attributes::Given<'a>>,
    message_group_id: Option<Text<'a>>,
    message_deduplication_id: Option<Text<'a>>,
}

/// Answers SendMessage.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let draft = Draft {
        body: given.message_body.as_ref(),
        delay_s: given.delay_seconds,
        attributes: given.message_attributes.as_ref(),
        system_attributes: given.message_system_attributes.as_ref(),
        group: given.message_group_id.as_ref(),
        deduplication: given.message_deduplication_id.as_ref(),
    };
    let message = draft.check(&queue.attributes(), call.body)?;
    let messages = vec![message];
    let sums = Sums::of_all(&messages);
    let ids = queue.send(messages).await?;
    let (Some(id), Some(sums)) = (ids.first(), sums.first()) else {
        return Err(SqsError::new(Kind::Internal, "no message id"));
    };
    let mut out = Out::with_capacity(256);
    out.raw("{");
    sums.write(&mut out);
    out.raw(",\"MessageId\":").quoted(uuid::Uuid::from_u128(id.0)).raw("}");
    Ok(out)
}
