//! What became of keys, on the command line: `dedup explain|stats|simulate`.
//!
//! It is for looking: nothing here takes the data folder's lock or changes anything. What changes
//! a ledger stands elsewhere.
//!
//! Start reading at `args.rs`, then `explain.rs`, `stats.rs`, `simulate/mod.rs`.

pub(crate) mod args;
mod explain;
mod simulate;
mod stats;

use self::args::RawDedup;
use crate::exit::{Exit, Failure};
use crate::progress::MovingLine;
use crate::test_clock::OffsetClock;

/// Does what was asked.
pub(crate) fn run(
    raw: RawDedup,
    clock: &OffsetClock,
    moving: &MovingLine,
) -> Result<Exit, Failure> {
    match raw {
        RawDedup::Explain(raw) => explain::explain(&raw, clock),
        RawDedup::Stats(raw) => stats::stats(&raw, clock),
        RawDedup::Simulate(raw) => simulate::simulate(&raw, moving),
    }
}
