//! One file per command.

pub(crate) mod archive;
pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod dead;
mod dead_replay;
pub(crate) mod generate;
pub(crate) mod prove;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod test;

use std::path::PathBuf;

use pipe::config::PipeConfig;

use crate::exit::Failure;

/// Loads and checks config files.
pub(crate) fn load(pipes: &[PathBuf]) -> Result<Vec<PipeConfig>, Failure> {
    pipe::config::load(pipes, &|name| std::env::var(name).ok()).map_err(Failure::usage)
}
