//! The tasks that poll.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName};
use bytes::Bytes;
use event::batch::{Attribute, NO_TIME};
use tokio::sync::mpsc::Sender;
use xxhash_rust::xxh3::xxh3_128;

use super::client;
use super::shared::{Arrived, POLL_MESSAGES_MAX, Queue, Shared};
use crate::aws::{Backoff, Refusal, refusal};

/// How long a poll waits for messages: so long may an end take, and no answer gets lost in it.
const POLL_S: i32 = 2;
/// How long a task rests while nothing comes, or no more ids may be remembered.
const REST: Duration = Duration::from_millis(250);

/// Polls until the end. Only the first task does so while nothing comes.
pub(super) async fn run(shared: Arc<Shared>, sender: Sender<Vec<Arrived>>, task: usize) {
    let mut backoff = Backoff::new();
    let mut paused = false;
    while !shared.is_stopping() && shared.fatal().is_none() {
        let Some(queue) = shared.queue.get() else {
            if task == 0 {
                find(&shared, &mut backoff).await;
            } else {
                rest(&shared, REST).await;
            }
            continue;
        };
        if task > 0 && !shared.is_busy.load(Ordering::Relaxed) {
            rest(&shared, REST).await;
            continue;
        }
        if !shared.begin_poll() {
            shared.forget();
            if task == 0 && !std::mem::replace(&mut paused, true) {
                tracing::warn!(
                    queue = shared.options.queue,
                    message_ids_max = shared.options.message_ids_max,
                    "paused: as many message ids as may be are remembered; they are forgotten \
                     `redelivery_memory` after their delete"
                );
            }
            rest(&shared, REST).await;
            continue;
        }
        paused = false;
        let polled = poll(&shared, queue).await;
        shared.polled();
        match polled {
            Ok(messages) => {
                backoff.reset();
                if !messages.is_empty() && sender.send(messages).await.is_err() {
                    return;
                }
            }
            Err(refused) => failed(&shared, &refused, &mut backoff).await,
        }
    }
}

/// Waits, unless the end comes.
async fn rest(shared: &Shared, wait: Duration) {
    let _ = tokio::time::timeout(wait, shared.stopped.notified()).await;
}

async fn find(shared: &Shared, backoff: &mut Backoff) {
    match client::find(&shared.client, &shared.options.queue).await {
        Ok(queue) => {
            let retention_ms = u64::try_from(queue.retention_ms).unwrap_or(0);
            shared.status.retention_ms.store(retention_ms, Ordering::Relaxed);
            let _ = shared.queue.set(queue);
            backoff.reset();
        }
        Err(refused) => failed(shared, &refused, backoff).await,
    }
}

async fn failed(shared: &Shared, refused: &Refusal, backoff: &mut Backoff) {
    let queue = shared.options.queue.as_str();
    if refused.is_missing() {
        let existing = client::existing(&shared.client).await;
        let known = shared.queue.get().is_some();
        let what = if known { "was deleted while the pipe read it" } else { "does not exist" };
        let endpoint = &shared.options.endpoint;
        let place = match endpoint {
            crate::aws::Endpoint::Aws { .. } => "there",
            crate::aws::Endpoint::Url { url, .. } => url.as_str(),
        };
        let help = format!("{existing}. Make the queue first, or correct its name");
        return shared.fail(format!("queue `{queue}` {what} (endpoint: {place})"), help);
    }
    shared.status.failed(refused.text.clone());
    let wait = backoff.failed();
    if backoff.is_worth_a_warning() {
        let throttled = refused.is_throttled();
        tracing::warn!(queue, error = refused.text, throttled, "can't receive; trying again");
    }
    rest(shared, wait).await;
}

async fn poll(shared: &Shared, queue: &Queue) -> Result<Vec<Arrived>, Refusal> {
    let visibility = shared.options.visibility_timeout.as_secs();
    let asked = Instant::now();
    let answer = shared
        .client
        .receive_message()
        .queue_url(&queue.url)
        .max_number_of_messages(POLL_MESSAGES_MAX as i32)
        .wait_time_seconds(POLL_S)
        .visibility_timeout(i32::try_from(visibility).unwrap_or(43_200))
        .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
        .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
        .message_attribute_names("All")
        .send()
        .await
        .map_err(|error| refusal(&error))?;
    let messages = answer.messages.unwrap_or_default();
    let full = messages.len() >= POLL_MESSAGES_MAX;
    shared.is_busy.store(full, Ordering::Relaxed);
    let arrived = messages.into_iter().map(|message| arrived(queue, message)).collect();
    // Hidden from some moment between question and answer on: the earliest counts.
    Ok(shared.arrived(asked, arrived))
}

fn arrived(queue: &Queue, message: Message) -> (Arrived, String) {
    let sent = message
        .attributes
        .as_ref()
        .and_then(|all| all.get(&MessageSystemAttributeName::SentTimestamp)?.parse::<i64>().ok());
    let group = message
        .attributes
        .as_ref()
        .and_then(|all| all.get(&MessageSystemAttributeName::MessageGroupId).cloned());
    let mut attributes: Vec<Attribute> = message
        .message_attributes
        .unwrap_or_default()
        .into_iter()
        .map(|(name, value)| Attribute {
            name,
            value: match (value.binary_value, value.string_value) {
                (Some(bytes), _) => Bytes::from(bytes.into_inner()),
                (None, text) => Bytes::from(text.unwrap_or_default()),
            },
            data_type: value.data_type,
        })
        .collect();
    attributes.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let message_id = message.message_id.unwrap_or_default();
    let mut identity = queue.identity.to_le_bytes().to_vec();
    identity.extend_from_slice(message_id.as_bytes());
    let arrived = Arrived {
        id: xxh3_128(&identity),
        body: message.body.unwrap_or_default(),
        sent_ms: sent.unwrap_or(NO_TIME),
        attributes,
        group,
        is_settled: false,
    };
    (arrived, message.receipt_handle.unwrap_or_default())
}
