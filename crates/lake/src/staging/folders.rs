//! The lake's folders: created level by level, each durable before anything is put into it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::sink::SinkError;
use journal::{Disk, FileStat, SyncPoint};

use super::open_file::write_error;
use super::publish::io;

/// Most folders that are remembered as durable; past it all are forgotten and looked at anew.
const KNOWN_MAX: usize = 4096;

pub(super) struct Folders {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    known: HashSet<PathBuf>,
}

impl Folders {
    pub(super) fn new(disk: Arc<dyn Disk>, root: PathBuf) -> Self {
        Self { disk, root, known: HashSet::new() }
    }

    /// Creates the lake's root and those of the folders above it that are missing.
    pub(super) fn ensure_root(&self) -> Result<(), SinkError> {
        let mut missing = Vec::new();
        let mut existing = self.root.as_path();
        while self.stat(existing)?.is_none() {
            missing.push(existing);
            let Some(above) = existing.parent() else { break };
            existing = above;
        }
        // The lowest that exists may be the work of a run that was killed before its sync.
        let made = missing.into_iter().rev();
        for (folder, is_new) in std::iter::once((existing, false)).chain(made.map(|f| (f, true))) {
            if is_new {
                self.make(folder)?;
            }
            if let Some(above) = folder.parent() {
                self.sync(above, SyncPoint("staging.root"))?;
            }
        }
        Ok(())
    }

    /// Makes sure that the folder `relative` to the root exists, durably.
    pub(super) fn ensure(&mut self, relative: &Path) -> Result<(), SinkError> {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        let mut parent = self.root.clone();
        for level in relative.components() {
            let folder = parent.join(level);
            if !self.known.contains(&folder) {
                // An empty one may be the work of somebody who was killed before the sync.
                let durable = match self.stat(&folder)? {
                    Some(_) => !self.is_empty(&folder)?,
                    None => self.make(&folder).map(|()| false)?,
                };
                if !durable {
                    self.sync(&parent, SyncPoint("staging.folder"))?;
                }
                self.known.insert(folder.clone());
            }
            parent = folder;
        }
        Ok(())
    }

    fn stat(&self, folder: &Path) -> Result<Option<FileStat>, SinkError> {
        self.disk.stat(folder).map_err(|error| io("look at", folder, error))
    }

    fn is_empty(&self, folder: &Path) -> Result<bool, SinkError> {
        let listed = self.disk.list(folder).map_err(|error| io("list", folder, error))?;
        Ok(listed.is_empty())
    }

    fn sync(&self, folder: &Path, point: SyncPoint) -> Result<(), SinkError> {
        // The parent of a relative path of one level is "", which is the working folder.
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        self.disk.sync_dir(folder, point).map_err(|error| io("sync", folder, error))
    }

    fn make(&self, folder: &Path) -> Result<(), SinkError> {
        match self.disk.mkdir(folder) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(write_error("create", folder.display().to_string(), error))
            }
            _ => Ok(()),
        }
    }
}
