//! What a start does before the first event: publish, cut, remove. It may be killed at any point
//! and done again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event::sink::{SinkError, SinkState};
use journal::disk::read_full_at;
use journal::{Disk, SyncPoint, mkdir_all_synced};

use super::block::{FILE_HEAD_BYTES_MAX, FileHead};
use super::names::{FileName, Place};
use super::open_file::{OpenFile, io, write_error};
use super::publish::{ArchivePublisher, missing, odd, other_length, remove};
use super::retention::Retention;
use super::sink::ArchiveSink;

impl ArchiveSink {
    pub(super) fn recover(&mut self, state: &SinkState) -> Result<(), SinkError> {
        let root = self.place.root();
        lake::folders::ensure(self.disk.as_ref(), root, SyncPoint("archive.root"))?;
        for folder in [self.place.markers(), self.place.removed()] {
            self.ensure(&folder)?;
        }
        let begin = self.options.retention.is_some();
        self.retention = Retention::open(self.disk.as_ref(), &self.place, begin)?;
        self.publish_rest(state)?;
        let unfinished = unfinished(state)?;
        self.open.clear();
        self.undo = None;
        for (name, len) in &unfinished {
            let file = self.take_up(name, *len)?;
            self.open.push(file);
        }
        self.remove_strays(&unfinished)
    }

    /// Makes sure that a folder below the root is there for good.
    pub(super) fn ensure(&self, folder: &std::path::Path) -> Result<(), SinkError> {
        let point = SyncPoint("archive.folder");
        mkdir_all_synced(self.disk.as_ref(), self.place.root(), folder, point)
            .map_err(|error| write_error("create", folder.display().to_string(), error))
    }

    /// Publishes what is committed as finished.
    fn publish_rest(&self, state: &SinkState) -> Result<(), SinkError> {
        let mut finished: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, file) in state.files.iter().filter(|(_, file)| file.finished) {
            finished.insert(name, file.len);
        }
        for file in state.unpublished.iter().flat_map(|(_, output)| &output.files) {
            if file.finished {
                finished.insert(&file.name, file.len);
            }
        }
        let publisher = ArchivePublisher::new(Arc::clone(&self.disk), self.place.clone());
        publisher.publish_all(finished.into_iter(), self.retention.removed_through())
    }

    /// Goes on with an unfinished file of an earlier run: what no record names is cut off.
    fn take_up(&self, name: &FileName, len: u64) -> Result<OpenFile, SinkError> {
        let path = self.place.open_path(&name.staged());
        let file = match self.disk.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(missing(&path, len));
            }
            Err(error) => return Err(io("open", &path, error)),
        };
        let found = file.len().map_err(|error| io("look at", &path, error))?;
        if found < len {
            return Err(other_length(&path, found, len));
        }
        // A kill may have left a cut that isn't durable, so the sync is due in any case.
        if found > len {
            file.set_len(len).map_err(|error| io("cut", &path, error))?;
        }
        file.sync(SyncPoint("archive.cut")).map_err(|error| io("sync", &path, error))?;
        let mut head = vec![0; FILE_HEAD_BYTES_MAX.min(usize::try_from(len).unwrap_or(0))];
        let read = read_full_at(file.as_ref(), 0, &mut head);
        let read = read.map_err(|error| io("read", &path, error))?;
        let head = FileHead::read(head.get(..read).unwrap_or_default());
        let Ok((_, _, mark)) = head else {
            let what = format!("{} is damaged: its head can't be read", path.display());
            let help = "Put the file back as it was, or give the archive another path";
            return Err(SinkError::Foreign { what, help: help.into() });
        };
        let opened_ms = self.clock.now_ms();
        Ok(OpenFile { name: name.clone(), file, len, mark, opened_ms, used: 0, cut: false })
    }

    /// Removes the unfinished files of this sink that no record names. Files of other ledgers,
    /// pipes and sinks aren't touched, and neither is a finished one.
    fn remove_strays(&self, unfinished: &BTreeMap<FileName, u64>) -> Result<(), SinkError> {
        let markers = self.place.markers();
        let listed = self.disk.list(&markers).map_err(|error| io("list", &markers, error))?;
        let strays: Vec<FileName> = listed
            .iter()
            .filter_map(|entry| FileName::of_marker(&entry.name))
            .filter(|name| self.place.owns(&name.stem) && !unfinished.contains_key(name))
            .collect();
        remove_begun(self.disk.as_ref(), &self.place, &strays)
    }
}

/// Removes files that were begun and that no record names, and then their markers.
pub(super) fn remove_begun(
    disk: &dyn Disk,
    place: &Place,
    names: &[FileName],
) -> Result<(), SinkError> {
    let mut folders = BTreeSet::new();
    for name in names {
        let folder = place.path(&name.hour.folder());
        if disk.stat(&folder).map_err(|error| io("look at", &folder, error))?.is_none() {
            continue;
        }
        remove(disk, &place.open_path(&name.staged()))?;
        folders.insert(folder);
    }
    // A file goes for good before its marker does. One that is gone already may be gone only as
    // far as a killed run saw, so its folder is synced as well.
    for folder in folders {
        disk.sync_dir(&folder, SyncPoint("archive.removed"))
            .map_err(|error| io("sync", &folder, error))?;
    }
    for name in names {
        remove(disk, &place.markers().join(name.marker()))?;
    }
    Ok(())
}

/// The unfinished files that records name.
fn unfinished(state: &SinkState) -> Result<BTreeMap<FileName, u64>, SinkError> {
    let finished: BTreeSet<&str> = state
        .unpublished
        .iter()
        .flat_map(|(_, output)| &output.files)
        .filter(|file| file.finished)
        .map(|file| file.name.as_str())
        .collect();
    let known = state.files.iter();
    known
        .filter(|(name, file)| !file.finished && !finished.contains(name.as_str()))
        .map(|(name, file)| Ok((FileName::of_staged(name).ok_or_else(|| odd(name))?, file.len)))
        .collect()
}
