//! DeleteStream: removes a stream with its records.

use std::sync::Arc;

use serde::Deserialize;

use super::call::{Answered, Call, blocking, nothing};
use crate::wire::Text;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
}

/// Answers DeleteStream.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let (broker, owned) = (Arc::clone(&call.state.broker), Arc::clone(&stream));
    blocking(move || broker.streams().delete(owned.name()))
        .await
        .map_err(|error| call.of_stream(stream.name(), error))?;
    nothing()
}
