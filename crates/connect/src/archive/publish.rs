//! Giving finished files their final names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::BatchNumber;
use event::sink::{Publisher, SinkError, StagedOutput};
use journal::{Disk, SyncPoint};

use super::names::{FileName, Hour, Place};
use super::open_file::io;

pub(super) struct ArchivePublisher {
    disk: Arc<dyn Disk>,
    place: Place,
}

impl ArchivePublisher {
    pub(super) fn new(disk: Arc<dyn Disk>, place: Place) -> Self {
        Self { disk, place }
    }

    /// Publishes files by name, with the length that each must have. May be done again: one that
    /// is gone is no loss if its hour is not after `removed`.
    pub(super) fn publish_all<'a>(
        &self,
        files: impl Iterator<Item = (&'a str, u64)>,
        removed: Option<Hour>,
    ) -> Result<(), SinkError> {
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        let mut markers: BTreeSet<FileName> = BTreeSet::new();
        for (name, len) in files {
            let Some(file) = FileName::of_staged(name) else { return Err(odd(name)) };
            let may_be_gone = removed.is_some_and(|removed| file.hour <= removed);
            if self.rename(name, len, may_be_gone)? {
                folders.extend(self.place.path(name).parent().map(Path::to_path_buf));
            }
            markers.insert(file);
        }
        for folder in folders {
            self.disk
                .sync_dir(&folder, SyncPoint("archive.published"))
                .map_err(|error| io("sync", &folder, error))?;
        }
        // A marker that comes back after a loss of power is removed at the next start.
        for file in markers {
            remove(self.disk.as_ref(), &self.place.markers().join(file.marker()))?;
        }
        Ok(())
    }

    /// Whether the file is there, under its final name.
    fn rename(&self, name: &str, len: u64, may_be_gone: bool) -> Result<bool, SinkError> {
        let (from, to) = (self.place.open_path(name), self.place.path(name));
        let stat = |path: &Path| self.disk.stat(path).map_err(|error| io("look at", path, error));
        let unfinished = stat(&from)?;
        let found = match unfinished {
            Some(found) => Some(found),
            None => stat(&to)?,
        };
        match found {
            Some(found) if found.bytes == len => {}
            Some(found) => return Err(other_length(&to, found.bytes, len)),
            None if may_be_gone => return Ok(false),
            None => return Err(missing(&to, len)),
        }
        if unfinished.is_some() {
            self.disk.rename(&from, &to).map_err(|error| io("rename", &from, error))?;
        }
        Ok(true)
    }
}

impl Publisher for ArchivePublisher {
    fn publish(&mut self, _: BatchNumber, output: &StagedOutput) -> Result<(), SinkError> {
        let finished = output.files.iter().filter(|file| file.finished);
        self.publish_all(finished.map(|file| (file.name.as_str(), file.len)), None)
    }
}

/// Removes a file that may be gone already.
pub(super) fn remove(disk: &dyn Disk, path: &Path) -> Result<bool, SinkError> {
    match disk.unlink(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io("remove", path, error)),
    }
}

const HELP: &str = "Somebody else changed the archive, or it is an older copy: put the file back, \
                    or give the archive another path";

pub(super) fn missing(path: &Path, len: u64) -> SinkError {
    let what = format!("{} is gone; the ledger says that it holds {len} bytes", path.display());
    SinkError::Foreign { what, help: HELP.into() }
}

pub(super) fn other_length(path: &Path, found: u64, len: u64) -> SinkError {
    let path = path.display();
    let what = format!("{path} holds {found} bytes; the ledger says that it holds {len}");
    SinkError::Foreign { what, help: HELP.into() }
}

pub(super) fn odd(name: &str) -> SinkError {
    SinkError::Foreign {
        what: format!("the ledger names {name:?}, which is no file of an archive"),
        help: "A newer version wrote it, or the archive's name was that of another sink: use that \
               version, or give the sink another name"
            .into(),
    }
}
