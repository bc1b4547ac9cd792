//! IncreaseStreamRetentionPeriod: up to 8,760 h.

use super::call::{Answered, Call};
use super::retention::change;

/// Answers IncreaseStreamRetentionPeriod.
pub(super) async fn answer(call: &Call<'_>) -> Answered {
    change(call, |existing, asked| asked >= existing, "shorter").await
}
