//! Standard output as a sink.

use std::io::{self, Write};

use event::sink::{
    Guarantee, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedOutput,
};
use lake::rows::RowParts;

use crate::file::sink::refuse_spilled;

const BUFFER_BYTES: usize = 256 << 10;

/// Writes rows to standard output, at least once: what was written before a crash comes again.
pub struct StdoutSink {
    identity: SinkIdentity,
    out: Box<dyn Write + Send>,
}

impl StdoutSink {
    /// A sink for this process's standard output.
    #[must_use]
    pub fn new(identity: SinkIdentity) -> Self {
        // The buffer takes the many small parts; `stage` flushes it.
        Self::to(identity, Box::new(io::BufWriter::with_capacity(BUFFER_BYTES, io::stdout())))
    }

    /// A sink for anything else that takes bytes.
    #[must_use]
    pub fn to(identity: SinkIdentity, out: Box<dyn Write + Send>) -> Self {
        Self { identity, out }
    }
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
        refuse_spilled(rows)?;
        let mut parts = RowParts::new(rows.batch);
        rows.iter().for_each(|(_, event)| parts.push(event));
        let refused =
            |error| SinkError::Io { action: "write", what: "standard output".into(), error };
        let mut written = parts.parts().iter().try_for_each(|part| self.out.write_all(part));
        if parts.rows() > 0 {
            written = written.and_then(|()| self.out.flush());
        }
        written.map_err(refused)?;
        Ok(Staged::nothing())
    }

    fn withdraw(&mut self, _: &StagedOutput) -> Result<(), SinkError> {
        Ok(())
    }
}
