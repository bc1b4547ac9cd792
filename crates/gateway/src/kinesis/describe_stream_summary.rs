//! DescribeStreamSummary: settings of a stream, without its shards.

use serde::Deserialize;

use super::call::{Answered, Call};
use super::describe::{write_head, write_settings};
use crate::wire::{Out, Text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
}

/// Answers DescribeStreamSummary.
pub(super) fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let mut out = Out::with_capacity(512);
    out.raw("{\"StreamDescriptionSummary\":{");
    write_head(&mut out, call.options(), &stream);
    write_settings(&mut out, &stream);
    out.raw(",\"OpenShardCount\":").show(stream.shards().len());
    out.raw(",\"ConsumerCount\":0,\"MaxRecordSizeInKiB\":1024}}");
    Ok(out)
}
