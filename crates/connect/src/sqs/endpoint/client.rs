//! Finding the queue.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use event::ShardId;
use xxhash_rust::xxh3::xxh3_64;

use super::shared::Queue;
use crate::aws::{Refusal, refusal};

/// Names of queues that an error lists at most.
const LISTED_MAX: usize = 20;

/// The queue of that name.
pub(super) async fn find(client: &Client, name: &str) -> Result<Queue, Refusal> {
    let found = client.get_queue_url().queue_name(name).send().await;
    let found = found.map_err(|error| refusal(&error))?;
    let url = found.queue_url().unwrap_or_default().to_owned();
    let attributes = client
        .get_queue_attributes()
        .queue_url(&url)
        .attribute_names(QueueAttributeName::All)
        .send()
        .await
        .map_err(|error| refusal(&error))?;
    let text = |name: QueueAttributeName| {
        let all = attributes.attributes();
        all.and_then(|all| all.get(&name)).map_or("", String::as_str).to_owned()
    };
    let created = text(QueueAttributeName::CreatedTimestamp);
    let arn = text(QueueAttributeName::QueueArn);
    let retention_s: u64 =
        text(QueueAttributeName::MessageRetentionPeriod).parse().unwrap_or(14 * 86_400);
    let retention_ms = Duration::from_secs(retention_s).as_millis();
    Ok(Queue {
        shard: ShardId::from(format!("{arn}@{created}")),
        identity: xxh3_64(format!("{arn}@{created}").as_bytes()),
        retention_ms: i64::try_from(retention_ms).unwrap_or(i64::MAX),
        url,
    })
}

/// What a message says of the queues that exist.
pub(super) async fn existing(client: &Client) -> String {
    let listed = match client.list_queues().send().await {
        Ok(listed) => listed,
        Err(error) => return format!("Its queues can't be listed: {}", refusal(&error).text),
    };
    let names: Vec<&str> = listed
        .queue_urls()
        .iter()
        .take(LISTED_MAX)
        .map(|url| url.rsplit('/').next().unwrap_or(url))
        .collect();
    if names.is_empty() {
        "There are no queues at all".into()
    } else {
        format!("Queues that exist: {}", names.join(", "))
    }
}
