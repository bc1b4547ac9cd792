//! Writes `last-run.json` (see [`console::last_run`]) at the start and at the end of a run.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use console::last_run::{DeadLettersRun, FILE, LastRun, PipeRun, SinkRun, VERSION};
use console::now::Now;
use event::Clock as _;
use journal::Disk;
use pipe::RunSummary;
use pipe::config::{PipeConfig, SinkKind};

use crate::logs::Notes;
use crate::test_clock::OffsetClock;

/// How often what is seen of a running program is written; ms.
const EVERY_MS: i64 = 5_000;

/// The note of the run that is under way.
#[derive(Clone)]
pub(crate) struct Note {
    data_dir: PathBuf,
    disk: Arc<dyn Disk>,
    clock: OffsetClock,
    run: LastRun,
    /// What was written last of a running program, and when.
    seen: Arc<Mutex<Option<(i64, LastRun)>>>,
}

impl Note {
    pub(crate) fn new(
        data_dir: &Path,
        disk: Arc<dyn Disk>,
        clock: OffsetClock,
        configs: &[PipeConfig],
    ) -> Note {
        let run = LastRun {
            version: VERSION,
            onceflow_version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_ms: clock.now_ms(),
            pipes: configs.iter().map(|config| pipe_run(config, data_dir)).collect(),
            ..LastRun::default()
        };
        Note { data_dir: data_dir.to_owned(), disk, clock, run, seen: Arc::default() }
    }

    /// Notes how broker and deliveries stand, every few seconds, where there are any.
    pub(crate) fn look(&self, now: &Now) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.as_ref().is_some_and(|(at_ms, _)| (now.at_ms - at_ms).abs() < EVERY_MS) {
            return;
        }
        let mut run = self.run.clone();
        run.saw(now);
        if run != self.run {
            self.write(&run);
            *seen = Some((now.at_ms, run));
        }
    }

    /// How they stood when the run ended.
    pub(crate) fn last_look(&self, now: &Now) {
        let mut run = self.run.clone();
        run.saw(now);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((now.at_ms, run));
    }

    /// Where the pipes write.
    pub(crate) fn pipes(&self) -> &[PipeRun] {
        &self.run.pipes
    }

    /// The data folder is ours.
    pub(crate) fn started(&self) {
        self.write(&self.run);
    }

    /// The run ended in order.
    pub(crate) fn ended(&self, summary: &RunSummary, notes: &Notes) {
        // The lock is free by now: a run that started meanwhile has a note of its own.
        let ours = LastRun::read(&self.data_dir).ok().flatten();
        if ours.is_some_and(|note| note.pid != self.run.pid) {
            return;
        }
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut run = seen.map_or_else(|| self.run.clone(), |(_, run)| run);
        run.ended_ms = Some(self.clock.now_ms());
        run.warnings = notes.warnings;
        run.errors = notes.errors;
        run.messages = notes.messages.clone();
        for (pipe, did) in run.pipes.iter_mut().zip(&summary.pipes) {
            pipe.failure = did.failure.as_ref().map(ToString::to_string);
            pipe.remarks = did.remarks.clone();
            let reasons = did.totals.reasons.iter();
            pipe.reasons = reasons.map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        }
        self.write(&run);
    }

    fn write(&self, run: &LastRun) {
        if let Err(error) = self.try_write(run) {
            tracing::warn!(%error, "cannot write {FILE}; the report will know less");
        }
    }

    /// Nothing is decided by the note, so it is replaced in one step but never synced.
    fn try_write(&self, run: &LastRun) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(run)?;
        let fresh = self.data_dir.join(format!("{FILE}.tmp"));
        match self.disk.unlink(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.disk.create_new(&fresh)?.write_at(0, &text)?;
        self.disk.rename(&fresh, &self.data_dir.join(FILE))
    }
}

fn pipe_run(config: &PipeConfig, data_dir: &Path) -> PipeRun {
    let sinks = config.sinks.iter().map(|sink| {
        let (kind, path) = match &sink.kind {
            SinkKind::File(file) => ("file", Some(absolute(&file.path))),
            SinkKind::Stdout => ("stdout", None),
            SinkKind::Lake(lake) => ("lake", Some(absolute(&lake.path))),
            SinkKind::Kinesis(_) => ("kinesis", None),
            SinkKind::Sqs(_) => ("sqs", None),
            SinkKind::Http(_) => ("http", None),
        };
        SinkRun { name: sink.name.clone(), kind: kind.to_owned(), path }
    });
    let in_data_dir = data_dir.join("rejected").join(format!("{}.ndjson", config.pipe));
    PipeRun {
        pipe: config.pipe.clone(),
        sinks: sinks.collect(),
        rejected: absolute(config.rejected.path.as_ref().unwrap_or(&in_data_dir)),
        storage_bytes_max: config.limits.storage_bytes_max,
        dead_letters: config
            .dead_letter_folders(data_dir)
            .into_iter()
            .map(|(path, bytes_max)| DeadLettersRun { path: absolute(&path), bytes_max })
            .collect(),
        archive: config.archive_folder(data_dir).map(|path| absolute(&path)),
        ..PipeRun::default()
    }
}

/// A report may be asked for from another folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
