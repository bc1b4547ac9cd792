//! ListQueues: the URLs of the queues, by name.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::names;
use super::page::page;
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_name_prefix: Option<Text<'a>>,
    max_results: Option<i64>,
    next_token: Option<Text<'a>>,
}

/// Answers ListQueues.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let prefix = given.queue_name_prefix.as_deref().unwrap_or_default();
    let queues = call.queues().list();
    let found = queues.iter().map(|queue| queue.name()).filter(|name| name.starts_with(prefix));
    let (names, next) =
        page(found.map(String::from), given.max_results, given.next_token.as_ref())?;
    Ok(urls(call, "QueueUrls", &names, next.as_deref()))
}

/// A list of URLs and the next page's token, each left out when it is empty.
pub(super) fn urls(call: &Call<'_>, member: &str, names: &[String], next: Option<&str>) -> Out {
    let mut out = Out::with_capacity(16 + names.len() * 96);
    out.raw("{");
    if !names.is_empty() {
        out.quoted(member).raw(":[").list(names, |out, name| {
            out.text(&names::url(call.options(), call.host, name));
        });
        out.raw("]");
    }
    if let Some(next) = next {
        out.raw(",\"NextToken\":").quoted(next);
    }
    out.raw("}");
    out
}
