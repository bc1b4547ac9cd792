//! SendMessageBatch: up to 10 messages, 1 MiB in all. Those that are good go in one record, and
//! are on disk when the answer says so; the others say what is wrong with them.

use broker::queues::NewMessage;
use serde::Deserialize;

use super::batch::{self, Entry};
use super::call::{Answered, Call};
use super::error::{Kind, SqsError};
use super::message::{self, Draft, Sums};
use super::message_attributes;
use crate::wire::Text;

const BATCH_BYTES_MAX: usize = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    entries: Option<Vec<SendEntry<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEntry<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    message_body: Option<Text<'a>>,
    delay_seconds: Option<i64>,
    message_attributes: Option<message_attributes::Given<'a>>,
    message_system_attributes: Option<message_attributes::Given<'a>>,
    message_group_id: Option<Text<'a>>,
    message_deduplication_id: Option<Text<'a>>,
}

impl Entry for SendEntry<'_> {
    fn id(&self) -> &str {
        batch::id(self.id.as_ref())
    }
}

impl<'a> SendEntry<'a> {
    fn draft(&self) -> Draft<'a, '_> {
        Draft {
            body: self.message_body.as_ref(),
            delay_s: self.delay_seconds,
            attributes: self.message_attributes.as_ref(),
            system_attributes: self.message_system_attributes.as_ref(),
            group: self.message_group_id.as_ref(),
            deduplication: self.message_deduplication_id.as_ref(),
        }
    }
}

/// Answers SendMessageBatch.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let entries = batch::check(given.entries, "SendMessageBatchRequestEntry")?;
    let attributes = queue.attributes();
    let mut messages: Vec<NewMessage> = Vec::with_capacity(entries.len());
    let mut fates = Vec::with_capacity(entries.len());
    for entry in &entries {
        fates.push(entry.draft().check(&attributes, call.body).map(|message| {
            messages.push(message);
            messages.len() - 1
        }));
    }
    let bytes: usize = messages.iter().map(message::size).sum();
    if bytes > BATCH_BYTES_MAX {
        let message = format!(
            "Batch requests cannot be longer than {BATCH_BYTES_MAX} bytes. You have sent {bytes} bytes."
        );
        return Err(SqsError::new(Kind::BatchRequestTooLong, message));
    }
    let sums = Sums::of_all(&messages);
    let ids = if messages.is_empty() { Vec::new() } else { queue.send(messages).await? };
    Ok(batch::answer(256 * entries.len(), &entries, &fates, |out, index: &usize| {
        if let (Some(sums), Some(id)) = (sums.get(*index), ids.get(*index)) {
            out.raw(",");
            sums.write(out);
            out.raw(",\"MessageId\":").quoted(uuid::Uuid::from_u128(id.0));
        }
    }))
}
