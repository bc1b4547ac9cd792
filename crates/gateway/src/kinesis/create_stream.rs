//! CreateStream: makes a stream; it is active when the answer says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::call::{Answered, Call, blocking, nothing};
use super::error::KinesisError;
use super::{names, tags};
use crate::wire::Text;

/// Shards of a stream that was asked for "on demand": the service begins with as many.
const SHARDS_ON_DEMAND: u32 = 4;
const RECORD_KIB: u32 = 1_024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    shard_count: Option<i64>,
    stream_mode_details: Option<Mode<'a>>,
    tags: Option<BTreeMap<Text<'a>, Text<'a>>>,
    #[serde(rename = "MaxRecordSizeInKiB")]
    record_kib_max: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mode<'a> {
    #[serde(borrow)]
    stream_mode: Option<Text<'a>>,
}

/// Answers CreateStream.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let name = given.stream_name.ok_or_else(|| KinesisError::missing("streamName"))?;
    names::check(&name)?;
    let name = name.into_string();
    let mode = given.stream_mode_details.and_then(|mode| mode.stream_mode);
    let shards = shards(mode.as_deref(), given.shard_count)?;
    if given.record_kib_max.is_some_and(|kib| kib != RECORD_KIB) {
        let what = "MaxRecordSizeInKiB other than 1024 is not built.";
        return Err(KinesisError::argument(what));
    }
    let mut stream_tags = BTreeMap::new();
    tags::add(&mut stream_tags, given.tags.unwrap_or_default())?;
    let (broker, owned) = (Arc::clone(&call.state.broker), name.clone());
    blocking(move || broker.streams().create(&owned, shards, stream_tags))
        .await
        .map_err(|error| call.of_stream(&name, error))?;
    nothing()
}

fn shards(mode: Option<&str>, count: Option<i64>) -> Result<u32, KinesisError> {
    match (mode, count) {
        (Some("ON_DEMAND"), None) => Ok(SHARDS_ON_DEMAND),
        (Some("ON_DEMAND"), Some(_)) => {
            Err(KinesisError::argument("ShardCount cannot be set for streams in ON_DEMAND mode."))
        }
        (None | Some("PROVISIONED"), Some(count)) => {
            u32::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
                let what = "Member must have value greater than or equal to 1";
                KinesisError::constraint(count, "shardCount", what)
            })
        }
        (None | Some("PROVISIONED"), None) => Err(KinesisError::missing("shardCount")),
        (Some(other), _) => {
            let what = "Member must satisfy enum value set: [PROVISIONED, ON_DEMAND]";
            Err(KinesisError::constraint(other, "streamModeDetails.streamMode", what))
        }
    }
}
