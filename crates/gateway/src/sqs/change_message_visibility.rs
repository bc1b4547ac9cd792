//! ChangeMessageVisibility: hides a message that is in flight for longer, or shows it again.

use serde::Deserialize;

use super::call::{Answered, Call, nothing};
use super::error::SqsError;
use super::receipt;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    receipt_handle: Option<Text<'a>>,
    visibility_timeout: Option<i64>,
}

/// Answers ChangeMessageVisibility.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let handle = given.receipt_handle.ok_or_else(|| SqsError::missing("ReceiptHandle"))?;
    let seconds = given.visibility_timeout.ok_or_else(|| SqsError::missing("VisibilityTimeout"))?;
    let change = (receipt::decode(&handle)?, hidden_ms(seconds)?);
    match queue.change_visibility(&[change])?.first() {
        Some(Err(problem)) => Err(SqsError::receipt(*problem, &handle)),
        _ => nothing(),
    }
}

/// 0 to 43,200 s, in ms.
pub(super) fn hidden_ms(seconds: i64) -> Result<i64, SqsError> {
    if (0..=43_200).contains(&seconds) {
        return Ok(seconds * 1_000);
    }
    Err(SqsError::invalid("VisibilityTimeout", seconds, "Must be between 0 and 43200, if provided"))
}
