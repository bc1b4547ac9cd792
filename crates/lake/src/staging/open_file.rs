//! An unfinished file: its rows and its sidecar.

use std::io::IoSlice;
use std::sync::Arc;

use event::sink::{Pending, SinkError, StagedFile};
use journal::{DiskFile, PendingSync, SyncPoint};

use super::names::FileName;
use super::staged_file;

/// Length of rows and sidecar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lens {
    pub(super) rows: u64,
    pub(super) keys: u64,
}

pub(super) struct OpenFile {
    pub(super) name: FileName,
    pub(super) rows: Arc<dyn DiskFile>,
    pub(super) keys: Arc<dyn DiskFile>,
    pub(super) lens: Lens,
    /// When its first row came, or when this run took it up; ms since the Unix epoch.
    pub(super) opened_ms: i64,
    /// The count of uses at its last row.
    pub(super) used: u64,
    /// It was cut, and nothing was synced since.
    pub(super) cut: bool,
}

impl OpenFile {
    pub(super) const fn lens(&self) -> Lens {
        self.lens
    }

    /// Appends rows and the sidecar's bytes that belong to them.
    pub(super) fn append(
        &mut self,
        rows: &[IoSlice<'_>],
        bytes: u64,
        keys: &[u8],
    ) -> Result<(), SinkError> {
        let refused = |what: String| move |error| write_error("write", what, error);
        self.rows.write_vectored_at(self.lens.rows, rows).map_err(refused(self.name.rows()))?;
        self.lens.rows += bytes;
        self.keys.write_at(self.lens.keys, keys).map_err(refused(self.name.keys()))?;
        self.lens.keys += keys.len() as u64;
        Ok(())
    }

    /// Begins to sync rows and sidecar.
    pub(super) fn sync_start(&mut self) -> [PendingSync; 2] {
        self.cut = false;
        [
            self.rows.sync_start(SyncPoint("staging.rows")),
            self.keys.sync_start(SyncPoint("staging.keys")),
        ]
    }

    /// Cuts both back.
    pub(super) fn cut_to(&mut self, lens: Lens) -> Result<(), SinkError> {
        let refused = |what: String| move |error| SinkError::Io { action: "cut", what, error };
        self.rows.set_len(lens.rows).map_err(refused(self.name.rows()))?;
        self.keys.set_len(lens.keys).map_err(refused(self.name.keys()))?;
        self.lens = lens;
        self.cut = true;
        Ok(())
    }

    /// The syncs that a cut file needs before it is finished: nothing is written to it any more,
    /// so nothing else would keep what was cut off from coming back.
    pub(super) fn sync_cut(&mut self) -> Vec<Pending> {
        if !std::mem::take(&mut self.cut) {
            return Vec::new();
        }
        let point = SyncPoint("staging.withdrawn");
        let rows = (self.rows.sync_start(point), self.name.rows());
        let keys = (self.keys.sync_start(point), self.name.keys());
        [rows, keys].into_iter().map(|(sync, name)| pending(sync, name)).collect()
    }

    /// Its entries for the ledger's record.
    pub(super) fn staged(&self, base: Lens, finished: bool) -> [StagedFile; 2] {
        [
            staged_file(self.name.rows(), base.rows, self.lens.rows, finished),
            staged_file(self.name.keys(), base.keys, self.lens.keys, finished),
        ]
    }
}

/// A sync under way, for the pipe to wait for.
pub(super) fn pending(sync: PendingSync, what: String) -> Pending {
    Box::new(move || sync.wait().map_err(|error| SinkError::Io { action: "sync", what, error }))
}

/// What a failed operation means: a full disk can be waited for, nothing else can.
pub(crate) fn write_error(action: &'static str, what: String, error: std::io::Error) -> SinkError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            SinkError::NoSpace { what }
        }
        _ => SinkError::Io { action, what, error },
    }
}
