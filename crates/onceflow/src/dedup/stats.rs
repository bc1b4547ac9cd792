//! `dedup stats`.

use super::args::RawStats;
use crate::exit::{Exit, Failure};
use crate::test_clock::OffsetClock;

/// Says that it can't be answered yet.
pub(super) fn stats(_raw: &RawStats, _clock: &OffsetClock) -> Result<Exit, Failure> {
    Err(Failure::usage("`onceflow dedup stats` isn't built yet"))
}
