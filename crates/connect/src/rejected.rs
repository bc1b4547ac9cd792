//! The rejected file: every event that can't be used, whole, with the reason.

use std::path::PathBuf;
use std::sync::Arc;

use event::BatchNumber;
use event::sink::{
    Guarantee, NothingToPublish, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged,
    StagedOutput,
};
use journal::Disk;

/// What the rejected file's sink needs to know.
#[derive(Clone, Debug)]
pub struct RejectedOptions {
    /// The file.
    pub path: PathBuf,
    /// [`event::source::Source::name`] of the pipe's source; goes into each row.
    pub source: String,
}

/// Writes one JSON row per rejected event of the rows that it is given.
pub struct RejectedSink {
    identity: SinkIdentity,
}

impl RejectedSink {
    /// A sink that has touched nothing yet.
    #[must_use]
    pub fn new(_: RejectedOptions, identity: SinkIdentity, _: Arc<dyn Disk>) -> Self {
        Self { identity }
    }
}

fn nothing() -> Staged {
    Staged { output: StagedOutput::default(), pending: Vec::new() }
}

impl Sink for RejectedSink {
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
