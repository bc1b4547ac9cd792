//! The file sink: one NDJSON file, appended in place. Readers may see uncommitted rows at its end
//! until the next start cuts them off.

use std::path::PathBuf;
use std::sync::Arc;

use event::sink::{
    Guarantee, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedOutput,
};
use journal::{Disk, SyncPoint};
use lake::rows::RowParts;

use super::in_place::{InPlaceFile, Points};

const POINTS: Points = Points {
    created: SyncPoint("file_sink.created"),
    base: SyncPoint("file_sink.base"),
    cut: SyncPoint("file_sink.cut"),
    rows: SyncPoint("file_sink.rows"),
};

/// What a file sink needs to know.
#[derive(Clone, Debug)]
pub struct FileSinkOptions {
    /// The file. Folders above it that are missing are created.
    pub path: PathBuf,
    /// Append to a file that the ledger doesn't know.
    pub append: bool,
}

/// Appends rows to one file, exactly once.
pub struct FileSink {
    identity: SinkIdentity,
    file: InPlaceFile,
}

impl FileSink {
    /// A sink that has touched nothing yet.
    #[must_use]
    pub fn new(options: FileSinkOptions, identity: SinkIdentity, disk: Arc<dyn Disk>) -> Self {
        let file = InPlaceFile::new(options.path, options.append, disk, POINTS);
        Self { identity, file }
    }
}

/// A payload that is too long for a batch's buffer can only be rejected.
pub(crate) fn refuse_spilled(rows: &Rows<'_>) -> Result<(), SinkError> {
    if rows.batch.spilled.is_empty() {
        return Ok(());
    }
    match rows.events.iter().find(|event| rows.batch.spilled(**event as usize).is_some()) {
        None => Ok(()),
        Some(event) => Err(SinkError::Foreign {
            what: format!("event {event} of batch {} is over event_bytes_max", rows.number),
            help: "It can only go to the rejected file; raise event_bytes_max to deliver it".into(),
        }),
    }
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        self.file.open(state)
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        refuse_spilled(rows)?;
        let mut parts = RowParts::new(rows.batch);
        rows.iter().for_each(|(_, event)| parts.push(event));
        if parts.rows() == 0 {
            return Ok(Staged::nothing());
        }
        let (base, bytes) = (self.file.len(), parts.bytes());
        self.file.append(parts.parts(), bytes, base)?;
        Ok(self.file.staged(base))
    }

    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        self.file.withdraw(output)
    }
}
