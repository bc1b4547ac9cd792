//! What both changes of retention share.

use serde::Deserialize;

use super::call::{Answered, Call, nothing};
use super::error::KinesisError;
use crate::wire::Text;

const MIN_H: u32 = 24;
const MAX_H: u32 = 8_760;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<Text<'a>>,
    retention_period_hours: Option<i64>,
}

/// Sets the retention; `goes` says whether it may change from the first to the second, in hours,
/// `not` what it must not be.
pub(super) async fn change(call: &Call<'_>, goes: fn(u32, u32) -> bool, not: &str) -> Answered {
    let given: Parameters<'_> = call.parameters()?;
    let stream = call.stream(given.stream_name.as_ref(), given.stream_arn.as_ref())?;
    let hours = given
        .retention_period_hours
        .ok_or_else(|| KinesisError::missing("retentionPeriodHours"))?;
    let good = u32::try_from(hours).ok().filter(|hours| (MIN_H..=MAX_H).contains(hours));
    let asked = good.ok_or_else(|| {
        KinesisError::argument(format!(
            "Retention period must be from {MIN_H} to {MAX_H} hours; {hours} was requested."
        ))
    })?;
    let _one_at_a_time = call.state.settings.lock().await;
    let existing = stream.retention_h();
    if !goes(existing, asked) {
        return Err(KinesisError::argument(format!(
            "Requested retention period ({asked} hours) for stream {} can not be {not} than \
             existing retention period ({existing} hours).",
            stream.name()
        )));
    }
    stream.set_retention_h(asked).await.map_err(|error| call.of_stream(stream.name(), error))?;
    nothing()
}
