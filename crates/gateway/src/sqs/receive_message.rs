//! ReceiveMessage: takes up to 10 visible messages, and waits up to 20 s for them.

use std::time::{Duration, Instant};

use broker::queues::{Message, MessageAttribute, Queue, QueueAttributes, Receive};
use serde::Deserialize;

use super::call::{Answered, Call};
use super::error::SqsError;
use super::message::not_for_standard;
use super::{md5_sums, message_attributes, names, receipt};
use crate::wire::{Out, Text};

/// Bytes of bodies in one answer; less when `in_flight_bytes_max` is near.
const ANSWER_BYTES_MAX: usize = 10 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    queue_url: Option<Text<'a>>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    /// Its older name.
    attribute_names: Option<Vec<Text<'a>>>,
    message_system_attribute_names: Option<Vec<Text<'a>>>,
    message_attribute_names: Option<Vec<Text<'a>>>,
    receive_request_attempt_id: Option<Text<'a>>,
}

/// Answers ReceiveMessage.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let queue = call.queue(given.queue_url.as_ref())?;
    let attributes = queue.attributes();
    if given.receive_request_attempt_id.is_some() {
        return Err(not_for_standard("ReceiveRequestAttemptId"));
    }
    let visibility_s = bounded("VisibilityTimeout", given.visibility_timeout, 0, 43_200)?;
    let receive = Receive {
        messages_max: usize::try_from(
            bounded("MaxNumberOfMessages", given.max_number_of_messages, 1, 10)?.unwrap_or(1),
        )
        .unwrap_or(1),
        bytes_max: ANSWER_BYTES_MAX.min(call.state.bytes.available_permits() / 2),
        visibility_ms: visibility_s.map(|seconds| seconds * 1_000),
        remembered: true,
    };
    let messages = receive_waiting(call, &queue, receive, wait(&given, &attributes)?).await?;
    Ok(write(call, &given, &messages))
}

fn wait(given: &Parameters<'_>, attributes: &QueueAttributes) -> Result<Duration, SqsError> {
    let wait_s = bounded("WaitTimeSeconds", given.wait_time_seconds, 0, 20)?;
    let wait_s = wait_s.unwrap_or_else(|| i64::from(attributes.receive_wait_s));
    Ok(Duration::from_secs(u64::try_from(wait_s).unwrap_or(0)))
}

async fn receive_waiting(
    call: &Call<'_>,
    queue: &Queue,
    receive: Receive,
    wait: Duration,
) -> Result<Vec<Message>, SqsError> {
    let messages = queue.receive(receive)?;
    if !messages.is_empty() || wait.is_zero() {
        return Ok(messages);
    }
    let until = Instant::now() + wait;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let stopped = tokio::select! {
            () = queue.arrived(left) => false,
            () = call.state.stopped() => true,
        };
        let messages = queue.receive(receive)?;
        if !messages.is_empty() || stopped || Instant::now() >= until {
            return Ok(messages);
        }
    }
}

fn bounded(name: &str, value: Option<i64>, min: i64, max: i64) -> Result<Option<i64>, SqsError> {
    match value {
        Some(value) if !(min..=max).contains(&value) => Err(SqsError::invalid(
            name,
            value,
            format_args!("Must be between {min} and {max}, if provided"),
        )),
        value => Ok(value),
    }
}

fn write(call: &Call<'_>, given: &Parameters<'_>, messages: &[Message]) -> Out {
    let bytes: usize = messages.iter().map(|message| message.body.len() + 512).sum();
    let mut out = Out::with_capacity(bytes + bytes / 8 + 64);
    if messages.is_empty() {
        out.raw("{}");
        return out;
    }
    let sums = md5_sums::of_bodies(messages.iter().map(|message| &message.body[..]));
    out.raw("{\"Messages\":[").list(messages.iter().zip(sums), |out, (message, sum)| {
        out.raw("{\"MessageId\":").quoted(uuid::Uuid::from_u128(message.id.0));
        out.raw(",\"ReceiptHandle\":").quoted(receipt::encode(&message.receipt));
        out.raw(",\"MD5OfBody\":").quoted(sum);
        // What came through SQS is UTF-8; what a pipe put there may be anything.
        match std::str::from_utf8(&message.body) {
            Ok(body) => out.raw(",\"Body\":").text(body),
            Err(_) => out.raw(",\"Body\":").text(&String::from_utf8_lossy(&message.body)),
        };
        write_system_attributes(out, call, given, message);
        write_attributes(out, given, message);
        out.raw("}");
    });
    out.raw("]}");
    out
}

fn write_attributes(out: &mut Out, given: &Parameters<'_>, message: &Message) {
    let wanted = given.message_attribute_names.as_deref().unwrap_or_default();
    let shown: Vec<&MessageAttribute> = message
        .attributes
        .iter()
        .filter(|attribute| message_attributes::is_wanted(&attribute.name, wanted))
        .collect();
    if !shown.is_empty() {
        let sum = md5_sums::of_attributes(shown.iter().copied());
        out.raw(",\"MD5OfMessageAttributes\":").quoted(sum).raw(",\"MessageAttributes\":");
        message_attributes::write(out, shown);
    }
}

fn write_system_attributes(
    out: &mut Out,
    call: &Call<'_>,
    given: &Parameters<'_>,
    message: &Message,
) {
    let lists = [&given.attribute_names, &given.message_system_attribute_names];
    let is_wanted = |name: &str| {
        lists.iter().copied().flatten().flatten().any(|wanted| {
            let wanted: &str = wanted;
            wanted == "All" || wanted == name
        })
    };
    let values = [
        ("SenderId", Some(call.options().account.clone())),
        ("SentTimestamp", Some(message.sent_ms.to_string())),
        ("ApproximateReceiveCount", Some(message.receive_count.to_string())),
        ("ApproximateFirstReceiveTimestamp", Some(message.first_received_ms.to_string())),
        ("MessageGroupId", message.group.clone()),
        ("AWSTraceHeader", message.trace.clone()),
        (
            "DeadLetterQueueSourceArn",
            message.dead_letter_source.as_deref().map(|name| names::arn(call.options(), name)),
        ),
    ];
    let mut shown = values
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .filter(|(name, _)| is_wanted(name))
        .peekable();
    if shown.peek().is_some() {
        out.raw(",\"Attributes\":{").map(shown).raw("}");
    }
}
