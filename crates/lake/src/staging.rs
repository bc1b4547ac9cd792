//! The staging sink.

use std::path::PathBuf;
use std::sync::Arc;

use event::BatchNumber;
use event::clock::Clock;
use event::sink::{
    Guarantee, NothingToPublish, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged,
    StagedOutput,
};
use journal::Disk;

/// Which time decides over a row's minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// When the event was received.
    #[default]
    Arrival,
    /// The envelope's time; an event without one goes by arrival.
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

/// Stages rows into the lake.
pub struct StagingSink {
    identity: SinkIdentity,
}

impl StagingSink {
    /// A sink that has touched nothing yet.
    #[must_use]
    pub fn new(
        _: StagingOptions,
        identity: SinkIdentity,
        _: Arc<dyn Disk>,
        _: Arc<dyn Clock>,
    ) -> Self {
        Self { identity }
    }
}

fn nothing() -> Staged {
    Staged { output: StagedOutput::default(), pending: Vec::new() }
}

impl Sink for StagingSink {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, _: &SinkState) -> Result<StagedOutput, SinkError> {
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, _: &Rows<'_>) -> Result<Staged, SinkError> {
        Ok(nothing())
    }

    fn withdraw(&mut self, _: &StagedOutput) -> Result<(), SinkError> {
        Ok(())
    }

    fn finish(&mut self, _: BatchNumber, _: i64, _: bool) -> Result<Staged, SinkError> {
        Ok(nothing())
    }

    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(NothingToPublish)
    }
}
