//! TagQueue: adds tags to a queue; those with a key that is there are replaced.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::call::{Answered, Call, nothing};
use super::error::SqsError;
use super::tags;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    tags: Option<BTreeMap<Text<'a>, Text<'a>>>,
}

/// Answers TagQueue.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let given = given.tags.ok_or_else(|| SqsError::missing("Tags"))?;
    let _one_at_a_time = call.state.settings.lock().await;
    let mut queue_tags = queue.tags();
    tags::add(&mut queue_tags, given)?;
    queue.set_tags(queue_tags).await?;
    nothing()
}
