//! DecreaseStreamRetentionPeriod: down to 24 h.

use super::call::{Answered, Call};
use super::retention::change;

/// Answers DecreaseStreamRetentionPeriod.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    change(call, |existing, asked| asked <= existing, "longer").await
}
