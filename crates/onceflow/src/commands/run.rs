//! `run`: pipes until their sources end, or until somebody asks to stop.

use std::path::PathBuf;
use std::sync::Arc;

use event::source::Stop;
use journal::{Disk, RealDisk};
use pipe::config::{PipeConfig, SinkKind};
use pipe::tap::TapHub;
use pipe::{RunOptions, RunSummary};

use super::load;
use crate::exit::{self, Exit, Failure};
use crate::logs::Noted;
use crate::note::Note;
use crate::print::out;
use crate::progress::{self, MovingLine};
use crate::signals;
use crate::summary;
use crate::tap;
use crate::test_clock::OffsetClock;

/// What `run` was asked to do.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) pipes: Vec<PathBuf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) reread: bool,
    pub(crate) json: bool,
    pub(crate) progress_lines: bool,
}

pub(crate) fn run(
    asked: &Asked,
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
    let stop = Stop::default();
    signals::listen(stop.clone())?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let taps = TapHub::default();
    let options = RunOptions {
        data_dir: asked.data_dir.clone(),
        reread: asked.reread,
        stop,
        disk: Arc::clone(&disk),
        clock: Arc::new(clock.clone()),
        taps: taps.clone(),
        onceflow_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let note = Note::new(&asked.data_dir, Arc::clone(&disk), clock.clone(), &configs);
    let companion = {
        let (note, data_dir) = (note.clone(), asked.data_dir.clone());
        progress::start(taps.clone(), asked.progress_lines, moving, move || {
            note.started();
            tap::serve(&data_dir, &disk, &taps)
        })
    };
    for config in &configs {
        tracing::info!(pipe = config.pipe, data_dir = %asked.data_dir.display(), "starts");
    }
    let result = pipe::run(&configs, &options);
    if let Some(server) = companion.end() {
        server.close();
    }
    let summary = result?;
    log_end(&summary);
    note.ended(&summary, &noted.notes());
    finish(&summary, asked.json)
}

fn log_end(summary: &RunSummary) {
    for pipe in &summary.pipes {
        let totals = &pipe.totals;
        tracing::info!(
            pipe = pipe.name,
            received = totals.received,
            batches = totals.batches,
            reread = totals.reread,
            elapsed_ms = u64::try_from(pipe.elapsed.as_millis()).unwrap_or(u64::MAX),
            "ended"
        );
    }
}

fn writes_to_stdout(config: &PipeConfig) -> bool {
    config.sinks.iter().any(|sink| matches!(sink.kind, SinkKind::Stdout))
}

fn finish(summary: &RunSummary, json: bool) -> Result<Exit, Failure> {
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
