//! SQS over its JSON 1.0 protocol, standard queues. One file per action.

mod attribute_names;
mod attribute_values;
mod batch;
mod call;
mod change_message_visibility;
mod change_message_visibility_batch;
mod create_queue;
mod delete_message;
mod delete_message_batch;
mod delete_queue;
mod error;
mod get_queue_attributes;
mod get_queue_url;
mod list_dead_letter_source_queues;
mod list_queue_tags;
mod list_queues;
mod md5_lanes;
mod md5_sums;
mod message;
mod message_attributes;
mod names;
mod page;
mod purge_queue;
mod receipt;
mod receive_message;
mod redrive;
mod send_message;
mod send_message_batch;
mod set_queue_attributes;
mod tag_queue;
mod tags;
mod untag_queue;

use bytes::Bytes;
use hyper::StatusCode;

use crate::http::Answer;
use crate::state::State;
use call::Call;
use error::{Kind, SqsError};

const JSON: &str = "application/x-amz-json-1.0";

/// Actions of the service that are not built.
const NOT_BUILT: [&str; 5] = [
    "AddPermission",
    "CancelMessageMoveTask",
    "ListMessageMoveTasks",
    "RemovePermission",
    "StartMessageMoveTask",
];

/// Answers an action. The registry: one line each.
pub(crate) async fn answer(state: &State, host: &str, action: &str, body: &Bytes) -> Answer {
    let call = Call { state, host, body };
    let answered = match action {
        "ChangeMessageVisibility" => change_message_visibility::answer(&call),
        "ChangeMessageVisibilityBatch" => change_message_visibility_batch::answer(&call),
        "CreateQueue" => create_queue::answer(&call).await,
        "DeleteMessage" => delete_message::answer(&call).await,
        "DeleteMessageBatch" => delete_message_batch::answer(&call).await,
        "DeleteQueue" => delete_queue::answer(&call).await,
        "GetQueueAttributes" => get_queue_attributes::answer(&call),
        "GetQueueUrl" => get_queue_url::answer(&call),
        "ListDeadLetterSourceQueues" => list_dead_letter_source_queues::answer(&call),
        "ListQueueTags" => list_queue_tags::answer(&call),
        "ListQueues" => list_queues::answer(&call),
        "PurgeQueue" => purge_queue::answer(&call).await,
        "ReceiveMessage" => receive_message::answer(&call).await,
        "SendMessage" => send_message::answer(&call).await,
        "SendMessageBatch" => send_message_batch::answer(&call).await,
        "SetQueueAttributes" => set_queue_attributes::answer(&call).await,
        "TagQueue" => tag_queue::answer(&call).await,
        "UntagQueue" => untag_queue::answer(&call).await,
        other => Err(unknown(other)),
    };
    match answered {
        Ok(out) => Answer::new(StatusCode::OK, JSON, out.into()),
        Err(error) => error.into_answer(),
    }
}

fn unknown(action: &str) -> SqsError {
    if NOT_BUILT.contains(&action) {
        let message = format!("The action {action} is not built.");
        return SqsError::new(Kind::UnsupportedOperation, message);
    }
    let shown: String = action.chars().take(80).collect();
    SqsError::new(Kind::UnknownOperation, format!("The action {shown} is not valid for SQS."))
}
