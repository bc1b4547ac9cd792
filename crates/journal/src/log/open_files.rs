//! Segment files that are kept open for reading.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use super::queue::lock;
use crate::disk::DiskFile;

/// Files that are kept open; the one that was used last stays longest.
const OPEN_FILES_MAX: usize = 16;

/// Opening a file costs more than reading a record, so the last ones are kept.
#[derive(Default)]
pub(super) struct OpenFiles {
    /// By segment id, the last used in front.
    files: Mutex<VecDeque<(u64, Arc<dyn DiskFile>)>>,
}

impl OpenFiles {
    /// The file of segment `id`, opened with `open` unless it is kept.
    pub(super) fn get(
        &self,
        id: u64,
        open: impl FnOnce() -> io::Result<Arc<dyn DiskFile>>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.kept(id) {
            return Ok(file);
        }
        let file = open()?;
        let mut files = lock(&self.files);
        files.retain(|(kept, _)| *kept != id);
        files.push_front((id, Arc::clone(&file)));
        files.truncate(OPEN_FILES_MAX);
        Ok(file)
    }

    fn kept(&self, id: u64) -> Option<Arc<dyn DiskFile>> {
        let mut files = lock(&self.files);
        let at = files.iter().position(|(kept, _)| *kept == id)?;
        let entry = files.remove(at)?;
        let file = Arc::clone(&entry.1);
        files.push_front(entry);
        Some(file)
    }

    /// Closes the file of a segment that is dropped, so that its space comes free.
    pub(super) fn forget(&self, id: u64) {
        lock(&self.files).retain(|(kept, _)| *kept != id);
    }
}
