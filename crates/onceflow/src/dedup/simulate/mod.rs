//! `dedup simulate`.

use super::args::RawSimulate;
use crate::exit::{Exit, Failure};
use crate::progress::MovingLine;

/// Says that it can't be answered yet.
pub(super) fn simulate(_raw: &RawSimulate, _moving: &MovingLine) -> Result<Exit, Failure> {
    Err(Failure::usage("`onceflow dedup simulate` isn't built yet"))
}
