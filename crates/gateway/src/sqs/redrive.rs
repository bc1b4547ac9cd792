//! RedrivePolicy and RedriveAllowPolicy: JSON in a string.

use broker::queues::Redrive;
use serde::Deserialize;

use super::call::Call;
use super::error::{Kind, SqsError};
use super::names;
use crate::options::GatewayOptions;
use crate::wire::{Out, Text, read};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy<'a> {
    #[serde(borrow)]
    dead_letter_target_arn: Option<Text<'a>>,
    max_receive_count: Option<Count<'a>>,
}

/// A number, or one in quotes: both are common.
#[derive(Deserialize)]
#[serde(untagged)]
enum Count<'a> {
    Number(u32),
    #[serde(borrow)]
    Text(std::borrow::Cow<'a, str>),
}

/// The policy in `text`; none when it is empty.
pub(super) fn parse(call: &Call<'_>, text: &str) -> Result<Option<Redrive>, SqsError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |reason: &str| SqsError::invalid("RedrivePolicy", text, reason);
    let policy: Policy<'_> = read(text.as_bytes()).map_err(|_| {
        let message = "Invalid value for the parameter RedrivePolicy: it must be a JSON object.";
        SqsError::new(Kind::InvalidAttributeValue, message)
    })?;
    let arn = policy.dead_letter_target_arn.ok_or_else(|| {
        bad("Redrive policy does not contain mandatory attribute: deadLetterTargetArn")
    })?;
    let count = match policy.max_receive_count {
        Some(Count::Number(count)) => Some(count),
        Some(Count::Text(count)) => count.parse().ok(),
        None => {
            return Err(bad(
                "Redrive policy does not contain mandatory attribute: maxReceiveCount",
            ));
        }
    };
    let receive_count_max = count
        .filter(|count| (1..=1_000).contains(count))
        .ok_or_else(|| bad("Invalid value for maxReceiveCount: it must be from 1 to 1000"))?;
    let dead_letter_queue = names::of_arn(call.options(), &arn)
        .filter(|name| call.queues().get(name).is_ok())
        .ok_or_else(|| bad("Dead letter target does not exist"))?;
    Ok(Some(Redrive { dead_letter_queue: dead_letter_queue.into(), receive_count_max }))
}

/// The policy as text.
pub(super) fn show(options: &GatewayOptions, redrive: &Redrive) -> String {
    let mut out = Out::with_capacity(128);
    out.raw("{\"deadLetterTargetArn\":").text(&names::arn(options, &redrive.dead_letter_queue));
    out.raw(",\"maxReceiveCount\":").show(redrive.receive_count_max).raw("}");
    String::from_utf8(out.into()).unwrap_or_default()
}

/// Whether a RedriveAllowPolicy restricts nothing.
pub(super) fn allows_all(text: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Allow<'a> {
        #[serde(borrow)]
        redrive_permission: Text<'a>,
    }
    read::<Allow<'_>>(text.as_bytes()).is_ok_and(|allow| &*allow.redrive_permission == "allowAll")
}
