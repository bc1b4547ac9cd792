//! Attributes of a queue as GetQueueAttributes gives them.

use broker::queues::{Queue, QueueAttributes, QueueStatistics};

use super::error::{Kind, SqsError};
use super::{names, redrive};
use crate::options::GatewayOptions;

/// What the values come from, looked up once.
struct Facts<'a> {
    options: &'a GatewayOptions,
    queue: &'a Queue,
    attributes: QueueAttributes,
    statistics: QueueStatistics,
}

type Value = fn(&Facts<'_>) -> Option<String>;

/// The attributes of a standard queue. `None` where one isn't set.
const ATTRIBUTES: [(&str, Value); 14] = [
    ("VisibilityTimeout", |of| Some(of.attributes.visibility_timeout_s.to_string())),
    ("MaximumMessageSize", |of| Some(of.attributes.message_bytes_max.to_string())),
    ("MessageRetentionPeriod", |of| Some(of.attributes.retention_s.to_string())),
    ("DelaySeconds", |of| Some(of.attributes.delay_s.to_string())),
    ("ReceiveMessageWaitTimeSeconds", |of| Some(of.attributes.receive_wait_s.to_string())),
    ("ApproximateNumberOfMessages", |of| Some(of.statistics.visible.to_string())),
    ("ApproximateNumberOfMessagesNotVisible", |of| Some(of.statistics.in_flight.to_string())),
    ("ApproximateNumberOfMessagesDelayed", |of| Some(of.statistics.delayed.to_string())),
    ("CreatedTimestamp", |of| Some((of.queue.created_and_modified_ms().0 / 1_000).to_string())),
    ("LastModifiedTimestamp", |of| {
        Some((of.queue.created_and_modified_ms().1 / 1_000).to_string())
    }),
    ("QueueArn", |of| Some(names::arn(of.options, of.queue.name()))),
    ("SqsManagedSseEnabled", |_| Some("false".into())),
    ("RedrivePolicy", |of| {
        of.attributes.redrive.as_ref().map(|policy| redrive::show(of.options, policy))
    }),
    ("RedriveAllowPolicy", |_| None),
];

/// Attributes that a standard queue of this broker never has.
const NEVER_SET: [&str; 3] = ["Policy", "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"];

/// The attributes of `queue` with these names; `All` for all.
pub(super) fn values(
    options: &GatewayOptions,
    queue: &Queue,
    wanted: &[impl AsRef<str>],
) -> Result<Vec<(&'static str, String)>, SqsError> {
    for name in wanted.iter().map(AsRef::as_ref) {
        let known = ATTRIBUTES.iter().any(|(known, _)| *known == name);
        if !known && name != "All" && !NEVER_SET.contains(&name) {
            let message = format!("Unknown Attribute {name}.");
            return Err(SqsError::new(Kind::InvalidAttributeName, message));
        }
    }
    let all = wanted.iter().any(|name| name.as_ref() == "All");
    let facts =
        Facts { options, queue, attributes: queue.attributes(), statistics: queue.statistics() };
    let is_wanted = |name: &str| all || wanted.iter().any(|wanted| wanted.as_ref() == name);
    Ok(ATTRIBUTES
        .iter()
        .filter(|(name, _)| is_wanted(name))
        .filter_map(|(name, value)| Some((*name, value(&facts)?)))
        .collect())
}
