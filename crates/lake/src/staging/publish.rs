//! Giving finished files their final names.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::BatchNumber;
use event::sink::{Publisher, SinkError, StagedOutput};
use journal::{Disk, SyncPoint};

use super::names::{FileName, Place};

pub(super) struct StagingPublisher {
    disk: Arc<dyn Disk>,
    place: Place,
}

impl StagingPublisher {
    pub(super) fn new(disk: Arc<dyn Disk>, place: Place) -> Self {
        Self { disk, place }
    }

    /// Publishes files by name, with the length that each must have. May be done again.
    pub(super) fn publish_all<'a>(
        &self,
        files: impl Iterator<Item = (&'a str, u64)>,
    ) -> Result<(), SinkError> {
        let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
        let mut markers: BTreeSet<FileName> = BTreeSet::new();
        for (name, len) in files {
            self.rename(name, len)?;
            folders.extend(self.place.path(name).parent().map(Path::to_path_buf));
            markers.extend(FileName::of_staged(name).map(|(file, _)| file));
        }
        for folder in folders {
            self.disk
                .sync_dir(&folder, SyncPoint("staging.published"))
                .map_err(|error| io("sync", &folder, error))?;
        }
        // A marker that comes back after a loss of power is removed at the next start.
        for file in markers {
            let marker = self.place.markers().join(file.marker());
            remove(self.disk.as_ref(), &marker)?;
        }
        Ok(())
    }

    fn rename(&self, name: &str, len: u64) -> Result<(), SinkError> {
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
            None => return Err(missing(&to, len)),
        }
        if unfinished.is_some() {
            self.disk.rename(&from, &to).map_err(|error| io("rename", &from, error))?;
        }
        Ok(())
    }
}

impl Publisher for StagingPublisher {
    fn publish(&mut self, _: BatchNumber, output: &StagedOutput) -> Result<(), SinkError> {
        let finished = output.files.iter().filter(|file| file.finished);
        self.publish_all(finished.map(|file| (file.name.as_str(), file.len)))
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

pub(crate) fn io(action: &'static str, path: &Path, error: std::io::Error) -> SinkError {
    SinkError::Io { action, what: path.display().to_string(), error }
}

const HELP: &str = "Somebody else changed the lake, or it is an older copy: put the file back, or \
                    start with a new data folder and a new lake folder";

pub(super) fn missing(path: &Path, len: u64) -> SinkError {
    let what = format!("{} is gone; the ledger says that it holds {len} bytes", path.display());
    SinkError::Foreign { what, help: HELP.into() }
}

pub(super) fn other_length(path: &Path, found: u64, len: u64) -> SinkError {
    let path = path.display();
    let what = format!("{path} holds {found} bytes; the ledger says that it holds {len}");
    SinkError::Foreign { what, help: HELP.into() }
}
