//! Running pipes: open the data folder, run every pipe on threads of its own, close.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dedup::ledger::{Ledger, LedgerError, LedgerOptions};
use event::Clock;
use event::source::Stop;
use journal::{Disk, JournalConfig};

use crate::config::PipeConfig;
use crate::engine::threads::{self, Ended};
use crate::engine::{Parts, PipeError, Totals};
use crate::plan::{Shared, build};
use crate::tap::TapHub;

/// What a run needs beside the pipes.
#[derive(Clone)]
pub struct RunOptions {
    /// Where state lives; created when missing.
    pub data_dir: PathBuf,
    /// Read files again from their start.
    pub reread: bool,
    /// Asked to drain.
    pub stop: Stop,
    /// Everything durable goes through it.
    pub disk: Arc<dyn Disk>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who watches.
    pub taps: TapHub,
    /// Goes into the ledger.
    pub onceflow_version: String,
}

/// What one pipe of a run did.
#[derive(Debug)]
pub struct PipeSummary {
    /// The pipe's name.
    pub name: String,
    /// What it did.
    pub totals: Totals,
    /// What its source says of what it did not read.
    pub remarks: Vec<String>,
    /// Why it stopped early.
    pub failure: Option<PipeError>,
    /// From start to end.
    pub elapsed: Duration,
}

/// What a run did.
#[derive(Debug)]
pub struct RunSummary {
    /// One per pipe, in the order of the configs.
    pub pipes: Vec<PipeSummary>,
}

/// A run could not start, or could not end in order.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The data folder can't be opened or closed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// A pipe can't start; nothing was read.
    #[error("pipe `{pipe}`: {error}")]
    Pipe {
        /// Which.
        pipe: String,
        /// Why.
        #[source]
        error: PipeError,
    },
}

/// Runs `configs` until their sources end or `stop` is asked. A pipe that fails doesn't end the
/// others; its summary says why.
///
/// # Errors
/// [`RunError`] when the data folder can't be opened, or a pipe can't start.
pub fn run(configs: &[PipeConfig], options: &RunOptions) -> Result<RunSummary, RunError> {
    let ledger = Ledger::open(
        Arc::clone(&options.disk),
        &options.data_dir,
        ledger_options(configs, options),
        Arc::clone(&options.clock),
    )?;
    options.taps.progress().open();
    let shared = Shared {
        data_dir: &options.data_dir,
        ledger: &ledger,
        disk: &options.disk,
        clock: &options.clock,
        taps: &options.taps,
        reread: options.reread,
    };
    let mut parts = Vec::with_capacity(configs.len());
    for config in configs {
        let built = build(config, &shared)
            .map_err(|error| RunError::Pipe { pipe: config.pipe.clone(), error })?;
        parts.push(built);
    }
    let pipes = run_parts(parts, &options.stop);
    ledger.close()?;
    Ok(RunSummary { pipes })
}

fn ledger_options(configs: &[PipeConfig], options: &RunOptions) -> LedgerOptions {
    let minutes = configs.iter().map(|config| config.limits.counter_minutes_max).max();
    let types = configs.iter().map(|config| config.limits.types_max).max();
    let defaults = LedgerOptions::default();
    LedgerOptions {
        counter_minutes_max: bounded(minutes, defaults.counter_minutes_max),
        types_max: bounded(types, defaults.types_max),
        journal: JournalConfig::default(),
        onceflow_version: options.onceflow_version.clone(),
        ..defaults
    }
}

fn bounded(value: Option<u64>, default: u32) -> u32 {
    value.map_or(default, |value| u32::try_from(value).unwrap_or(u32::MAX))
}

fn run_parts(parts: Vec<Parts>, stop: &Stop) -> Vec<PipeSummary> {
    std::thread::scope(|scope| {
        let running: Vec<_> = parts
            .into_iter()
            .map(|parts| {
                let name = parts.name.to_string();
                (name, scope.spawn(move || run_one(parts, stop)))
            })
            .collect();
        running
            .into_iter()
            .map(|(name, pipe)| match pipe.join() {
                Ok(summary) => summary,
                Err(_) => PipeSummary {
                    name,
                    totals: Totals::default(),
                    remarks: Vec::new(),
                    failure: Some(PipeError::Panicked("start")),
                    elapsed: Duration::ZERO,
                },
            })
            .collect()
    })
}

fn run_one(parts: Parts, stop: &Stop) -> PipeSummary {
    let name = parts.name.to_string();
    let began = Instant::now();
    let ended = threads::run(parts, stop).unwrap_or_else(|error| Ended {
        totals: Totals::default(),
        remarks: Vec::new(),
        failure: Some(error),
    });
    if let Some(failure) = &ended.failure {
        tracing::error!(pipe = name, %failure, "the pipe stopped");
    }
    PipeSummary {
        name,
        totals: ended.totals,
        remarks: ended.remarks,
        failure: ended.failure,
        elapsed: began.elapsed(),
    }
}
