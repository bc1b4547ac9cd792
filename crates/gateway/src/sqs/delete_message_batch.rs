//! DeleteMessageBatch: [`super::delete_message`] for up to 10 messages, each for itself.

use broker::queues::ReceiptProblem;
use serde::Deserialize;

use super::batch::{self, Entry};
use super::call::{Answered, Call};
use super::error::SqsError;
use super::receipt;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    entries: Option<Vec<DeleteEntry<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteEntry<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    receipt_handle: Option<Text<'a>>,
}

impl Entry for DeleteEntry<'_> {
    fn id(&self) -> &str {
        batch::id(self.id.as_ref())
    }
}

/// Answers DeleteMessageBatch.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let entries = batch::check(given.entries, "DeleteMessageBatchRequestEntry")?;
    let decoded: Vec<_> = entries
        .iter()
        .map(|entry| match &entry.receipt_handle {
            Some(handle) => receipt::decode(handle),
            None => Err(SqsError::missing("ReceiptHandle")),
        })
        .collect();
    let receipts: Vec<_> = decoded.iter().flatten().copied().collect();
    let mut answers = if receipts.is_empty() {
        Vec::new().into_iter()
    } else {
        queue.delete(&receipts).await?.into_iter()
    };
    let fates: Vec<Result<(), SqsError>> = entries
        .iter()
        .zip(decoded)
        .map(|(entry, decoded)| match decoded.map(|_| answers.next()) {
            Err(error) => Err(error),
            Ok(Some(Err(ReceiptProblem::OtherQueue))) => {
                Err(SqsError::bad_handle(entry.receipt_handle.as_deref().unwrap_or_default()))
            }
            Ok(_) => Ok(()),
        })
        .collect();
    Ok(batch::answer(64 * entries.len(), &entries, &fates, |_, ()| {}))
}
