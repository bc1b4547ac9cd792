//! `run`: pipes until their sources end, or until somebody asks to stop.

use std::path::PathBuf;

use dedup::ledger::NewKey;
use pipe::RunSummary;
use pipe::config::{PipeConfig, SinkKind};

use super::load;
use crate::exit::{self, Exit, Failure};
use crate::logs::Noted;
use crate::print::out;
use crate::progress::MovingLine;
use crate::running::{self, Plan};
use crate::summary;
use crate::test_clock::OffsetClock;

/// What `run` was asked to do.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) pipes: Vec<PathBuf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) reread: bool,
    pub(crate) new_key: Option<NewKey>,
    pub(crate) json: bool,
    pub(crate) progress_lines: bool,
}

pub(crate) fn run(
    asked: Asked,
    clock: &OffsetClock,
    noted: &Noted,
    moving: MovingLine,
) -> Result<Exit, Failure> {
    let configs = load(&asked.pipes)?;
    if asked.json && configs.iter().any(writes_to_stdout) {
        return Err(Failure::usage(
            "--json prints the summary to standard output, where a sink of this run writes too",
        ));
    }
    let plan = Plan {
        configs,
        data_dir: asked.data_dir,
        reread: asked.reread,
        new_key: asked.new_key,
        progress_lines: asked.progress_lines,
        front: None,
    };
    let summary = running::run(plan, clock, noted, moving)?;
    finish(&summary, asked.json)
}

pub(super) fn writes_to_stdout(config: &PipeConfig) -> bool {
    config.sinks.iter().any(|sink| matches!(sink.kind, SinkKind::Stdout))
}

pub(super) fn finish(summary: &RunSummary, json: bool) -> Result<Exit, Failure> {
    if json {
        out(summary::json(summary))?;
    } else {
        eprint!("{}", summary::text(summary));
    }
    let failures = summary.pipes.iter().filter_map(|pipe| pipe.failure.as_ref());
    let worst = failures.map(exit::pipe).max_by_key(|exit| match exit {
        Exit::Storage => 3,
        Exit::DataDir => 2,
        Exit::Connector => 1,
        _ => 0,
    });
    Ok(worst.unwrap_or(Exit::Ok))
}
