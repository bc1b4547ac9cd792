//! DeleteMessage: removes a message for good. An old receipt handle is accepted and does nothing.

use serde::Deserialize;

use super::call::{Answered, Call, nothing};
use super::error::SqsError;
use super::receipt;
use crate::wire::Text;
use broker::queues::ReceiptProblem;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    receipt_handle: Option<Text<'a>>,
}

/// Answers DeleteMessage.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let handle = given.receipt_handle.ok_or_else(|| SqsError::missing("ReceiptHandle"))?;
    let fates = queue.delete(&[receipt::decode(&handle)?]).await?;
    match fates.first() {
        Some(Err(ReceiptProblem::OtherQueue)) => Err(SqsError::bad_handle(&handle)),
        _ => nothing(),
    }
}
