//! The lake's folders: created level by level, each durable before anything is put into it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::sink::SinkError;
use journal::{Disk, FileStat, SyncPoint};

use super::publish::io;
use crate::folders;

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
        folders::ensure(self.disk.as_ref(), &self.root, SyncPoint("staging.root"))
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
                    None => folders::make(self.disk.as_ref(), &folder).map(|()| false)?,
                };
                if !durable {
                    folders::sync_name(self.disk.as_ref(), &folder, SyncPoint("staging.folder"))?;
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
}
