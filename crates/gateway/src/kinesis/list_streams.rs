//! ListStreams: the streams, by name, 100 at a time.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::describe::write_head;
use super::error::KinesisError;
use crate::wire::{Out, Text};

const STREAMS_DEFAULT: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    exclusive_start_stream_name: Option<Text<'a>>,
    limit: Option<i64>,
    /// The name after which to go on; both ways of paging are the same here.
    next_token: Option<Text<'a>>,
}

/// Answers ListStreams.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let limit = match given.limit {
        None => STREAMS_DEFAULT,
        Some(limit) => usize::try_from(limit)
            .ok()
            .filter(|limit| (1..=10_000).contains(limit))
            .ok_or_else(|| {
                let what = "Member must have value between 1 and 10000, inclusive";
                KinesisError::constraint(limit, "limit", what)
            })?,
    };
    let after = given.next_token.or(given.exclusive_start_stream_name);
    let mut streams = call.streams().list();
    streams.retain(|stream| after.as_deref().is_none_or(|after| stream.name() > after));
    let more = streams.len() > limit;
    streams.truncate(limit);
    let mut out = Out::with_capacity(128 + streams.len() * 320);
    out.raw("{\"StreamNames\":[").list(&streams, |out, stream| {
        out.text(stream.name());
    });
    out.raw("],\"StreamSummaries\":[").list(&streams, |out, stream| {
        out.raw("{");
        write_head(out, call.options(), stream);
        out.raw("}");
    });
    out.raw("],\"HasMoreStreams\":").show(more);
    if let Some(last) = streams.last().filter(|_| more) {
        out.raw(",\"NextToken\":").text(last.name());
    }
    out.raw("}");
    Ok(out)
}
