//! PurgeQueue: removes all messages of a queue; once in 60 s.

use serde::Deserialize;

use super::call::{Answered, Call, nothing};
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
}

/// Answers PurgeQueue.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    call.queue(given.queue_url.as_ref())?.purge().await?;
    nothing()
}
