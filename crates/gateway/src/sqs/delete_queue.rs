//! DeleteQueue: removes a queue with its messages.

use serde::Deserialize;

use super::call::{Answered, Call, nothing};
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
}

/// Answers DeleteQueue.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let _one_at_a_time = call.state.settings.lock().await;
    call.queues().delete(queue.name()).await?;
    nothing()
}
