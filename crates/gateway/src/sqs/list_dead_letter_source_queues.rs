//! ListDeadLetterSourceQueues: the queues that move their dead messages to this one.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::list_queues::urls;
use super::page::page;
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    max_results: Option<i64>,
    next_token: Option<Text<'a>>,
}

/// Answers ListDeadLetterSourceQueues.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let mut sources = queue.dead_letter_sources();
    sources.sort();
    let (names, next) = page(sources.into_iter(), given.max_results, given.next_token.as_ref())?;
    // The model has it in lower case, unlike that of ListQueues.
    Ok(urls(call, "queueUrls", &names, next.as_deref()))
}
