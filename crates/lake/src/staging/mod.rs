//! The staging sink: rows go to the file of their minute, which gets its final name once all that
//! is in it is committed. On disk: docs/formats/staging.md.

mod folders;
mod group;
mod lake_file;
mod names;
mod open_file;
mod publish;
mod recovery;
mod stage;

use std::path::PathBuf;
use std::sync::Arc;

use event::BatchNumber;
use event::clock::Clock;
use event::sink::{
    Guarantee, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedFile,
    StagedOutput,
};
use journal::Disk;

use crate::sidecar::Columns;
use folders::Folders;
pub use lake_file::{LakeOwner, LakeScopeSecret};
pub(crate) use lake_file::{owner, take_over};
use names::Place;
use open_file::OpenFile;
pub(crate) use open_file::write_error;
use publish::StagingPublisher;
pub(crate) use publish::io;
use stage::Undo;

/// Which time decides over a row's minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// When the event was received.
    #[default]
    Arrival,
    /// The envelope's time. An event without one, or with one outside the years 1970 to 9998, goes
    /// by arrival.
    EventTime,
}

/// What a staging sink needs to know.
#[derive(Clone, Debug)]
pub struct StagingOptions {
    /// The lake's folder.
    pub root: PathBuf,
    /// Which time decides over a row's minute.
    pub by: By,
    /// Most unfinished files; the one that was longest without a row is finished to make room.
    pub staging_files_open_max: usize,
    /// A file of this many bytes or more is finished.
    pub staging_file_bytes_max: u64,
    /// By event time: a file is finished this many minutes after its first row at the latest.
    pub staging_open_minutes_max: u32,
}

impl StagingOptions {
    /// The defaults for a lake in `root`.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self {
            root,
            by: By::Arrival,
            staging_files_open_max: 64,
            staging_file_bytes_max: 256 << 20,
            staging_open_minutes_max: 5,
        }
    }
}

/// Stages rows into the lake, exactly once.
pub struct StagingSink {
    options: StagingOptions,
    identity: SinkIdentity,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    place: Place,
    folders: Folders,
    /// Unfinished files; at most one a minute.
    open: Vec<OpenFile>,
    /// The batch that was staged last, and how many files were begun in it.
    number: BatchNumber,
    begun: u32,
    /// Counts the files' uses, for "longest without a row".
    uses: u64,
    undo: Option<Undo>,
    columns: Columns,
    block: Vec<u8>,
}

impl StagingSink {
    /// A sink that has touched nothing yet.
    #[must_use]
    pub fn new(
        options: StagingOptions,
        identity: SinkIdentity,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let place = Place::new(&options.root, &identity);
        let folders = Folders::new(Arc::clone(&disk), options.root.clone());
        Self {
            options,
            identity,
            disk,
            clock,
            place,
            folders,
            open: Vec::new(),
            number: BatchNumber::default(),
            begun: 0,
            uses: 0,
            undo: None,
            columns: Columns::default(),
            block: Vec::new(),
        }
    }
}

impl Sink for StagingSink {
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
        let mut output = StagedOutput::default();
        let mut pending = Vec::new();
        let mut finished = Vec::new();
        for mut file in self.take_due(now_ms, all) {
            pending.extend(file.sync_cut());
            output.files.extend(file.staged(file.lens(), true));
            finished.push(file);
        }
        if self.number != number {
            (self.number, self.begun, self.undo) = (number, 0, None);
        }
        self.undo.get_or_insert_default().finished.extend(finished);
        Ok(Staged { output, pending })
    }

    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(StagingPublisher::new(Arc::clone(&self.disk), self.place.clone()))
    }
}

/// The entry of a file for the ledger's record.
fn staged_file(name: String, base_len: u64, len: u64, finished: bool) -> StagedFile {
    StagedFile { name, base_len, len, finished }
}
