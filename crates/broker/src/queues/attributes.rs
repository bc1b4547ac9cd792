//! What can be set of a queue, with its bounds.

use std::ops::RangeInclusive;

use crate::error::BrokerError;

/// Letters of a queue's name at most.
const NAME_BYTES_MAX: usize = 80;

/// What can be set of a queue. Bounds are SQS' own (shared limits of the service's API reference).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAttributes {
    /// 0 to 43,200 s.
    pub visibility_timeout_s: u32,
    /// 0 to 900 s.
    pub delay_s: u32,
    /// 0 to 20 s.
    pub receive_wait_s: u32,
    /// 60 to 1,209,600 s.
    pub retention_s: u32,
    /// 1,024 to 1,048,576 bytes, attributes included.
    pub message_bytes_max: u32,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
}

impl Default for QueueAttributes {
    fn default() -> Self {
        Self {
            visibility_timeout_s: 30,
            delay_s: 0,
            receive_wait_s: 0,
            retention_s: 345_600,
            message_bytes_max: 1_048_576,
            redrive: None,
        }
    }
}

/// Dead-letter redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// Name of the dead-letter queue; it must exist.
    pub dead_letter_queue: String,
    /// 1 to 1,000: a message that was received so often moves at the next receive.
    pub receive_count_max: u32,
}

fn bounded(name: &str, value: u32, bounds: RangeInclusive<u32>) -> Result<(), BrokerError> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    Err(BrokerError::Invalid { what: format!("{name} is {value}, it may be {least} to {most}") })
}

impl QueueAttributes {
    /// Checks the bounds. Whether the dead-letter queue exists is for the caller.
    pub(super) fn check(&self, name: &str) -> Result<(), BrokerError> {
        bounded("VisibilityTimeout", self.visibility_timeout_s, 0..=43_200)?;
        bounded("DelaySeconds", self.delay_s, 0..=900)?;
        bounded("ReceiveMessageWaitTimeSeconds", self.receive_wait_s, 0..=20)?;
        bounded("MessageRetentionPeriod", self.retention_s, 60..=1_209_600)?;
        bounded("MaximumMessageSize", self.message_bytes_max, 1_024..=1_048_576)?;
        if let Some(redrive) = &self.redrive {
            bounded("maxReceiveCount", redrive.receive_count_max, 1..=1_000)?;
            if redrive.dead_letter_queue == name {
                let what = format!("queue `{name}` can't be its own dead-letter queue");
                return Err(BrokerError::Invalid { what });
            }
        }
        Ok(())
    }

    /// What differs from `other`, for a message; `None` when nothing does.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let differs = [
            ("VisibilityTimeout", self.visibility_timeout_s != other.visibility_timeout_s),
            ("DelaySeconds", self.delay_s != other.delay_s),
            ("ReceiveMessageWaitTimeSeconds", self.receive_wait_s != other.receive_wait_s),
            ("MessageRetentionPeriod", self.retention_s != other.retention_s),
            ("MaximumMessageSize", self.message_bytes_max != other.message_bytes_max),
            ("RedrivePolicy", self.redrive != other.redrive),
        ];
        let (name, _) = differs.iter().find(|(_, differs)| *differs)?;
        Some(format!(" with another {name}"))
    }

    pub(super) fn retention_ms(&self) -> i64 {
        i64::from(self.retention_s) * 1000
    }
}

/// A queue's name has 1 to 80 letters, digits, `-` and `_`.
pub(super) fn check_name(name: &str) -> Result<(), BrokerError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(allowed) {
        return Ok(());
    }
    let what = format!(
        "a queue's name has 1 to {NAME_BYTES_MAX} letters, digits, `-` and `_`, which `{name}` has not"
    );
    Err(BrokerError::Invalid { what })
}
