//! demo
use crate::exit::{Exit, Failure};
use crate::test_clock::OffsetClock;
use std::path::PathBuf;
pub(crate) fn demo(_: Option<PathBuf>, _: u64, _: &OffsetClock) -> Result<Exit, Failure> {
    Ok(Exit::Ok)
}
