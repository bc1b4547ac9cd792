//! `serve`: pipes, and the broker's front door, until somebody asks to stop.

use std::path::PathBuf;

use dedup::ledger::NewKey;
use gateway::GatewayOptions;

use super::load;
use super::run::{finish, writes_to_stdout};
use crate::exit::{Exit, Failure};
use crate::logs::Noted;
use crate::progress::MovingLine;
use crate::running::{self, Plan};
use crate::test_clock::OffsetClock;

/// What `serve` was asked to do.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) pipes: Vec<PathBuf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) new_key: Option<NewKey>,
    pub(crate) front: GatewayOptions,
    pub(crate) json: bool,
}

pub(crate) fn serve(
    asked: Asked,
    clock: &OffsetClock,
    noted: &Noted,
    moving: MovingLine,
) -> Result<Exit, Failure> {
    let configs = if asked.pipes.is_empty() { Vec::new() } else { load(&asked.pipes)? };
    if asked.json && configs.iter().any(writes_to_stdout) {
        return Err(Failure::usage(
            "--json prints the summary to standard output, where a sink writes too",
        ));
    }
    let plan = Plan {
        configs,
        data_dir: asked.data_dir,
        reread: false,
        new_key: asked.new_key,
        progress_lines: false,
        front: Some(asked.front),
    };
    let summary = running::run(plan, clock, noted, moving)?;
    finish(&summary, asked.json)
}
