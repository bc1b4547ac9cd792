//! `dedup explain`.

use super::args::RawExplain;
use crate::exit::{Exit, Failure};
use crate::test_clock::OffsetClock;

/// Says that it can't be answered yet.
pub(super) fn explain(_raw: &RawExplain, _clock: &OffsetClock) -> Result<Exit, Failure> {
    Err(Failure::usage("`onceflow dedup explain` isn't built yet"))
}
