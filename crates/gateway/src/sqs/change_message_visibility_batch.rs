//! ChangeMessageVisibilityBatch: [`super::change_message_visibility`] for up to 10 messages, each
//! for itself.

use broker::queues::Receipt;
use serde::Deserialize;

use super::batch::{self, Entry};
use super::call::{Answered, Call};
use super::change_message_visibility::hidden_ms;
use super::error::SqsError;
use super::receipt;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    entries: Option<Vec<ChangeEntry<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeEntry<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    receipt_handle: Option<Text<'a>>,
    visibility_timeout: Option<i64>,
}

impl Entry for ChangeEntry<'_> {
    fn id(&self) -> &str {
        batch::id(self.id.as_ref())
    }
}

impl ChangeEntry<'_> {
    fn change(&self) -> Result<(Receipt, i64), SqsError> {
        let handle =
            self.receipt_handle.as_ref().ok_or_else(|| SqsError::missing("ReceiptHandle"))?;
        let seconds =
            self.visibility_timeout.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
        Ok((receipt::decode(handle)?, hidden_ms(seconds)?))
    }
}

/// Answers ChangeMessageVisibilityBatch.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let entries = batch::check(given.entries, "ChangeMessageVisibilityBatchRequestEntry")?;
    let decoded: Vec<_> = entries.iter().map(ChangeEntry::change).collect();
    let changes: Vec<_> = decoded.iter().flatten().copied().collect();
    let mut answers = if changes.is_empty() {
        Vec::new().into_iter()
    } else {
        queue.change_visibility(&changes)?.into_iter()
    };
    let fates: Vec<Result<(), SqsError>> = entries
        .iter()
        .zip(decoded)
        .map(|(entry, decoded)| match decoded.map(|_| answers.next()) {
            Err(error) => Err(error),
            Ok(Some(Err(problem))) => {
                let handle = entry.receipt_handle.as_deref().unwrap_or_default();
                Err(SqsError::receipt(problem, handle))
            }
            Ok(_) => Ok(()),
        })
        .collect();
    Ok(batch::answer(64 * entries.len(), &entries, &fates, |_, ()| {}))
}
