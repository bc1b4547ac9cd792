//! Kinesis over its JSON 1.1 protocol. One file per action.
//!
//! What others may use of it: sequence numbers in their long form.

mod add_tags_to_stream;
mod call;
mod create_stream;
mod decrease_stream_retention_period;
mod delete_stream;
mod describe;
mod describe_stream;
mod describe_stream_summary;
mod error;
mod get_records;
mod get_shard_iterator;
mod increase_stream_retention_period;
mod iterator;
mod list_shards;
mod list_streams;
mod list_tags_for_resource;
mod list_tags_for_stream;
mod names;
mod put_record;
mod put_records;
mod rates;
mod record;
mod remove_tags_from_stream;
mod retention;
mod sequence;
mod tag_resource;
mod tags;
mod untag_resource;

use bytes::Bytes;
use hyper::StatusCode;

use crate::http::Answer;
use crate::state::State;
use call::Call;
use error::{Kind, KinesisError};

pub(crate) use rates::Rates;
pub use sequence::{LongSequenceNumber, NotASequenceNumber};

const JSON: &str = "application/x-amz-json-1.1";

/// Answers an action. The registry: one line each.
pub(crate) async fn answer(state: &State, action: &str, body: &Bytes) -> Answer {
    let call = Call { state, body };
    let answered = match action {
        "AddTagsToStream" => add_tags_to_stream::answer(&call).await,
        "CreateStream" => create_stream::answer(&call).await,
        "DecreaseStreamRetentionPeriod" => decrease_stream_retention_period::answer(&call).await,
        "DeleteStream" => delete_stream::answer(&call).await,
        "DescribeStream" => describe_stream::answer(&call),
        "DescribeStreamSummary" => describe_stream_summary::answer(&call),
        "GetRecords" => get_records::answer(&call).await,
        "GetShardIterator" => get_shard_iterator::answer(&call).await,
        "IncreaseStreamRetentionPeriod" => increase_stream_retention_period::answer(&call).await,
        "ListShards" => list_shards::answer(&call),
        "ListStreams" => list_streams::answer(&call),
        "ListTagsForResource" => list_tags_for_resource::answer(&call),
        "ListTagsForStream" => list_tags_for_stream::answer(&call),
        "PutRecord" => put_record::answer(&call).await,
        "PutRecords" => put_records::answer(&call).await,
        "RemoveTagsFromStream" => remove_tags_from_stream::answer(&call).await,
        "TagResource" => tag_resource::answer(&call).await,
        "UntagResource" => untag_resource::answer(&call).await,
        other => Err(unknown(other)),
    };
    match answered {
        Ok(out) => Answer::new(StatusCode::OK, JSON, out.into()),
        Err(error) => error.into_answer(),
    }
}

fn unknown(action: &str) -> KinesisError {
    let shown: String = action.chars().take(80).collect();
    KinesisError::new(Kind::UnknownOperation, format!("The action {shown} is not built."))
}

/// The answer to the older, binary protocol.
pub(crate) fn cbor() -> Answer {
    let message = "CBOR is not built, only JSON 1.1: switch it off in the SDK \
                   (AWS_CBOR_DISABLE=true)";
    KinesisError::new(Kind::Serialization, message).into_answer()
}
