//! SetQueueAttributes: changes settings of a queue.

use serde::Deserialize;

use super::attribute_values;
use super::call::{Answered, Call, nothing};
use super::error::SqsError;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    attributes: Option<attribute_values::Given<'a>>,
}

/// Answers SetQueueAttributes.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let given = given.attributes.filter(|given| !given.is_empty());
    let given = given.ok_or_else(|| SqsError::missing("Attribute.Name"))?;
    let _one_at_a_time = call.state.settings.lock().await;
    let mut attributes = queue.attributes();
    attribute_values::apply(call, &given, &mut attributes)?;
    queue.set_attributes(attributes).await?;
    nothing()
}
