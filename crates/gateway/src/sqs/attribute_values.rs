//! Attributes of a queue as given to CreateQueue and SetQueueAttributes.

use std::collections::BTreeMap;

use broker::queues::QueueAttributes;

use super::call::Call;
use super::error::{Kind, SqsError};
use super::redrive;
use crate::wire::Text;

/// Attributes as given: everything is a string.
pub(super) type Given<'a> = BTreeMap<Text<'a>, Text<'a>>;

/// Puts what is given over `attributes`. What would silently not work is refused by name.
pub(super) fn apply(
    call: &Call<'_>,
    given: &Given<'_>,
    attributes: &mut QueueAttributes,
) -> Result<(), SqsError> {
    for (name, value) in given {
        let number = |min, max| bounded(name, value, min, max);
        match &**name {
            "VisibilityTimeout" => attributes.visibility_timeout_s = number(0, 43_200)?,
            "DelaySeconds" => attributes.delay_s = number(0, 900)?,
            "ReceiveMessageWaitTimeSeconds" => attributes.receive_wait_s = number(0, 20)?,
            "MessageRetentionPeriod" => attributes.retention_s = number(60, 1_209_600)?,
            "MaximumMessageSize" => attributes.message_bytes_max = number(1_024, 1_048_576)?,
            "RedrivePolicy" => attributes.redrive = redrive::parse(call, value)?,
            _ => harmless(name, value)?,
        }
    }
    Ok(())
}

/// What says no more than what is so anyway is taken; everything else is refused.
fn harmless(name: &str, value: &str) -> Result<(), SqsError> {
    let unset = value.is_empty();
    let so_anyway = match name {
        "Policy" | "KmsMasterKeyId" => unset,
        "SqsManagedSseEnabled" => unset || value == "false",
        "RedriveAllowPolicy" => unset || redrive::allows_all(value),
        "FifoQueue" | "ContentBasedDeduplication" => value == "false",
        "KmsDataKeyReusePeriodSeconds" | "DeduplicationScope" | "FifoThroughputLimit" => false,
        _ => {
            let message = format!("Unknown Attribute {name}.");
            return Err(SqsError::new(Kind::InvalidAttributeName, message));
        }
    };
    if so_anyway {
        return Ok(());
    }
    let what = match name {
        "Policy" => "access policies",
        "RedriveAllowPolicy" => "restrictions of who may redrive",
        "SqsManagedSseEnabled" | "KmsMasterKeyId" | "KmsDataKeyReusePeriodSeconds" => "encryption",
        _ => "FIFO queues",
    };
    let message = format!("The attribute {name} is refused: {what} are not built.");
    Err(SqsError::new(
        Kind::UnsupportedOperation,
        message.replace("encryption are", "encryption is"),
    ))
}

fn bounded(name: &str, value: &str, min: u32, max: u32) -> Result<u32, SqsError> {
    let number = value.parse().ok().filter(|number| (min..=max).contains(number));
    number.ok_or_else(|| {
        let message = format!(
            "Invalid value for the parameter {name}: it must be a number from {min} to {max}."
        );
        SqsError::new(Kind::InvalidAttributeValue, message)
    })
}
