//! Standard output as a sink.

use std::io::{self, Write};

use event::BatchNumber;
use event::sink::{
    Guarantee, NothingToPublish, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged,
    StagedOutput,
};

/// Writes rows to standard output, at least once: what was written before a crash comes again.
pub struct StdoutSink {
    identity: SinkIdentity,
    out: Box<dyn Write + Send>,
}

impl StdoutSink {
    /// A sink for this process's standard output.
    #[must_use]
    pub fn new(identity: SinkIdentity) -> Self {
        Self::to(identity, Box::new(io::stdout()))
    }

    /// A sink for anything else that takes bytes.
    #[must_use]
    pub fn to(identity: SinkIdentity, out: Box<dyn Write + Send>) -> Self {
        Self { identity, out }
    }
}

fn nothing() -> Staged {
    Staged { output: StagedOutput::default(), pending: Vec::new() }
}

impl Sink for StdoutSink {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce
    }

    fn open(&mut self, _: &SinkState) -> Result<StagedOutput, SinkError> {
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        let mut out = Vec::new();
        for (_, event) in rows.iter() {
            out.extend_from_slice(rows.batch.body(event));
            out.push(b'\n');
        }
        let what = || "standard output".to_owned();
        self.out
            .write_all(&out)
            .and_then(|()| self.out.flush())
            .map_err(|error| SinkError::Io { action: "write", what: what(), error })?;
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
