//! The archive's sink.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use event::sink::{
    Guarantee, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedOutput,
};
use event::{BatchNumber, Clock};
use journal::Disk;

use super::names::Place;
use super::open_file::OpenFile;
use super::publish::ArchivePublisher;
use super::retention::Retention;
use super::stage::{Encoder, Undo};

/// What an archive's sink needs to know.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// The folder. Those above it that are missing are created.
    pub root: PathBuf,
    /// [`event::source::Source::name`] of the pipe's source; goes along with the events.
    pub source: String,
    /// Files of hours that ended longer ago are removed; `None`: never.
    pub retention: Option<Duration>,
    /// A file of this many bytes or more is finished.
    pub file_bytes_max: u64,
    /// A file is finished this long after its first event at the latest.
    pub file_age_max: Duration,
    /// zstd level; 1 to 19.
    pub level: u8,
}

/// What a sink did so far, for metrics.
#[derive(Debug, Default)]
pub struct ArchiveStats {
    /// Events that are in the archive, whether committed or not.
    pub events: AtomicU64,
    /// Bytes of blocks before compression.
    pub raw_bytes: AtomicU64,
    /// The same as they went to disk.
    pub bytes: AtomicU64,
    /// Events too long to be archived.
    pub left_out: AtomicU64,
    /// Files that the retention removed.
    pub removed_files: AtomicU64,
    /// Bytes in them.
    pub removed_bytes: AtomicU64,
}

/// Stages events into the archive. It skips those that come from a replay.
pub struct ArchiveSink {
    pub(super) options: ArchiveOptions,
    pub(super) identity: SinkIdentity,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) place: Place,
    /// Unfinished files; at most one an hour.
    pub(super) open: Vec<OpenFile>,
    /// The batch that was staged last, and how many files were begun in it.
    pub(super) number: BatchNumber,
    pub(super) begun: u32,
    /// Counts the files' uses, for "longest without an event".
    pub(super) uses: u64,
    pub(super) undo: Option<Undo>,
    pub(super) encoder: Encoder,
    pub(super) retention: Retention,
    pub(super) stats: Arc<ArchiveStats>,
}

impl ArchiveSink {
    /// A sink that has touched nothing yet.
    #[must_use]
    pub fn new(
        options: ArchiveOptions,
        identity: SinkIdentity,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let place = Place::new(&options.root, &identity);
        Self {
            options,
            identity,
            disk,
            clock,
            place,
            open: Vec::new(),
            number: BatchNumber::default(),
            begun: 0,
            uses: 0,
            undo: None,
            encoder: Encoder::default(),
            retention: Retention::default(),
            stats: Arc::default(),
        }
    }

    /// What it did so far.
    #[must_use]
    pub fn stats(&self) -> Arc<ArchiveStats> {
        Arc::clone(&self.stats)
    }
}

impl Sink for ArchiveSink {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        self.recover(state)?;
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        match self.stage_rows(rows) {
            Ok(staged) => Ok(staged),
            Err(SinkError::NoSpace { what }) => {
                self.take_back()?;
                Err(SinkError::NoSpace { what })
            }
            // The pipe stops; the next start takes back what no record names.
            Err(error) => Err(error),
        }
    }

    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        if output.is_empty() { Ok(()) } else { self.take_back() }
    }

    fn finish(&mut self, number: BatchNumber, now_ms: i64, all: bool) -> Result<Staged, SinkError> {
        let staged = self.finish_due(number, now_ms, all);
        self.remove_old(now_ms)?;
        Ok(staged)
    }

    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(ArchivePublisher::new(Arc::clone(&self.disk), self.place.clone()))
    }
}
