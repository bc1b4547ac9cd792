//! CreateQueue: makes a standard queue; one that exists with what is given is answered as it is.

use std::collections::BTreeMap;

use broker::queues::QueueAttributes;
use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::{Kind, SqsError};
use super::{attribute_values, names, tags};
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_name: Option<Text<'a>>,
    attributes: Option<attribute_values::Given<'a>>,
    /// The model has it in lower case, some clients don't.
    #[serde(rename = "tags", alias = "Tags")]
    tags: Option<BTreeMap<Text<'a>, Text<'a>>>,
}

/// Answers CreateQueue.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let name = given.queue_name.ok_or_else(|| SqsError::missing("QueueName"))?;
    names::check(&name)?;
    let attributes = given.attributes.unwrap_or_default();
    let _one_at_a_time = call.state.settings.lock().await;
    if let Ok(queue) = call.queues().get(&name) {
        let existing = queue.attributes();
        let mut asked = existing.clone();
        attribute_values::apply(call, &attributes, &mut asked)?;
        if asked != existing {
            let message = "A queue already exists with the same name and a different value for an \
                           attribute.";
            return Err(SqsError::new(Kind::QueueNameExists, message));
        }
    } else {
        let mut asked = QueueAttributes::default();
        attribute_values::apply(call, &attributes, &mut asked)?;
        let mut queue_tags = BTreeMap::new();
        tags::add(&mut queue_tags, given.tags.unwrap_or_default())?;
        call.queues().create(&name, asked, queue_tags).await?;
    }
    let mut out = Out::with_capacity(128);
    out.raw("{\"QueueUrl\":").text(&names::url(call.options(), call.host, &name)).raw("}");
    Ok(out)
}
