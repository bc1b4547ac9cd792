//! An unfinished file.

use std::io::{ErrorKind, IoSlice};
use std::path::Path;
use std::sync::Arc;

use event::sink::{Pending, SinkError, StagedFile};
use journal::{DiskFile, SyncPoint};

use super::names::FileName;

pub(super) struct OpenFile {
    pub(super) name: FileName,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) len: u64,
    /// What its head says that each of its blocks carries.
    pub(super) mark: u64,
    /// When its first event came, or when this run took it up; ms since the Unix epoch.
    pub(super) opened_ms: i64,
    /// The count of uses at its last event.
    pub(super) used: u64,
    /// It was cut, and nothing was synced since.
    pub(super) cut: bool,
}

impl OpenFile {
    /// Appends slices that are `bytes` long together.
    pub(super) fn append(&mut self, parts: &[IoSlice<'_>], bytes: u64) -> Result<(), SinkError> {
        let refused = |error| write_error("write", self.name.staged(), error);
        self.file.write_vectored_at(self.len, parts).map_err(refused)?;
        self.len += bytes;
        Ok(())
    }

    /// Begins to sync what was appended.
    pub(super) fn sync_start(&mut self) -> Pending {
        self.cut = false;
        self.pending(SyncPoint("archive.blocks"))
    }

    /// Cuts it back.
    pub(super) fn cut_to(&mut self, len: u64) -> Result<(), SinkError> {
        let refused = |error| SinkError::Io { action: "cut", what: self.name.staged(), error };
        self.file.set_len(len).map_err(refused)?;
        self.len = len;
        self.cut = true;
        Ok(())
    }

    /// The sync that a cut file needs before it is finished: nothing is written to it any more, so
    /// nothing else would keep what was cut off from coming back.
    pub(super) fn sync_cut(&mut self) -> Option<Pending> {
        std::mem::take(&mut self.cut).then(|| self.pending(SyncPoint("archive.withdrawn")))
    }

    fn pending(&self, point: SyncPoint) -> Pending {
        let (sync, what) = (self.file.sync_start(point), self.name.staged());
        Box::new(move || sync.wait().map_err(|error| SinkError::Io { action: "sync", what, error }))
    }

    /// Its entry for the ledger's record.
    pub(super) fn staged(&self, base_len: u64, finished: bool) -> StagedFile {
        StagedFile { name: self.name.staged(), base_len, len: self.len, finished }
    }
}

/// What a failed operation means: a full disk can be waited for, nothing else can.
pub(super) fn write_error(action: &'static str, what: String, error: std::io::Error) -> SinkError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => SinkError::NoSpace { what },
        _ => SinkError::Io { action, what, error },
    }
}

/// The same where waiting for room doesn't help.
pub(super) fn io(action: &'static str, path: &Path, error: std::io::Error) -> SinkError {
    SinkError::Io { action, what: path.display().to_string(), error }
}
