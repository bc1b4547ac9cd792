//! UntagQueue: removes tags from a queue.

use serde::Deserialize;

use super::call::{Answered, Call, nothing};
use super::error::SqsError;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    tag_keys: Option<Vec<Text<'a>>>,
}

/// Answers UntagQueue.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let keys = given.tag_keys.ok_or_else(|| SqsError::missing("TagKeys"))?;
    let _one_at_a_time = call.state.settings.lock().await;
    let mut tags = queue.tags();
    for key in &keys {
        tags.remove(&**key);
    }
    queue.set_tags(tags).await?;
    nothing()
}
