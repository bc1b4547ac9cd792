//! What a start does before the first row: publish, cut, remove. It may be killed at any point and
//! done again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use event::sink::{SinkError, SinkState};
use journal::{Disk, DiskFile, SyncPoint};

use super::StagingSink;
use super::lake_file::LakeFile;
use super::names::{FileName, Place};
use super::open_file::{Lens, OpenFile};
use super::publish::{StagingPublisher, io, missing, other_length, remove};

impl StagingSink {
    pub(super) fn recover(&mut self, state: &SinkState) -> Result<(), SinkError> {
        self.folders.ensure_root()?;
        for folder in ["_onceflow", "_onceflow/open"] {
            self.folders.ensure(Path::new(folder))?;
        }
        LakeFile::claim(self.disk.as_ref(), &self.place, &self.identity)?;
        self.publish_rest(state)?;
        let unfinished = unfinished(state)?;
        self.open.clear();
        self.undo = None;
        for (name, lens) in &unfinished {
            let file = self.take_up(name, *lens)?;
            self.open.push(file);
        }
        self.remove_strays(&unfinished)
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
        let publisher = StagingPublisher::new(Arc::clone(&self.disk), self.place.clone());
        publisher.publish_all(finished.into_iter())
    }

    /// Goes on with an unfinished file of an earlier run: what no record names is cut off.
    fn take_up(&self, name: &FileName, lens: Lens) -> Result<OpenFile, SinkError> {
        let open = |name: &str, len: u64| -> Result<Arc<dyn DiskFile>, SinkError> {
            let path = self.place.open_path(name);
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
            file.sync(SyncPoint("staging.cut")).map_err(|error| io("sync", &path, error))?;
            Ok(file)
        };
        let (rows, keys) = (open(&name.rows(), lens.rows)?, open(&name.keys(), lens.keys)?);
        let opened_ms = self.clock.now_ms();
        Ok(OpenFile { name: name.clone(), rows, keys, lens, opened_ms, used: 0, cut: false })
    }

    /// Removes the unfinished files of this sink that no record names. Files of other ledgers,
    /// pipes and sinks aren't touched, and neither is a finished one.
    fn remove_strays(&self, unfinished: &BTreeMap<FileName, Lens>) -> Result<(), SinkError> {
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
        let folder = place.path(&name.minute.folder());
        if disk.stat(&folder).map_err(|error| io("look at", &folder, error))?.is_none() {
            continue;
        }
        for file in [name.rows(), name.keys()] {
            remove(disk, &place.open_path(&file))?;
        }
        folders.insert(folder);
    }
    // A file goes for good before its marker does. One that is gone already may be gone only as
    // far as a killed run saw, so its folder is synced as well.
    for folder in folders {
        disk.sync_dir(&folder, SyncPoint("staging.removed"))
            .map_err(|error| io("sync", &folder, error))?;
    }
    for name in names {
        remove(disk, &place.markers().join(name.marker()))?;
    }
    Ok(())
}

/// The unfinished files that records name, each with both lengths.
fn unfinished(state: &SinkState) -> Result<BTreeMap<FileName, Lens>, SinkError> {
    let mut files: BTreeMap<FileName, (Option<u64>, Option<u64>)> = BTreeMap::new();
    let finished: BTreeSet<&str> = state
        .unpublished
        .iter()
        .flat_map(|(_, output)| &output.files)
        .filter(|file| file.finished)
        .map(|file| file.name.as_str())
        .collect();
    for (name, file) in &state.files {
        if file.finished || finished.contains(name.as_str()) {
            continue;
        }
        let Some((known, is_rows)) = FileName::of_staged(name) else {
            return Err(odd(name));
        };
        let lens = files.entry(known).or_default();
        *(if is_rows { &mut lens.0 } else { &mut lens.1 }) = Some(file.len);
    }
    let pair = |(name, lens): (FileName, (Option<u64>, Option<u64>))| match lens {
        (Some(rows), Some(keys)) => Ok((name, Lens { rows, keys })),
        _ => Err(odd(&name.rows())),
    };
    files.into_iter().map(pair).collect()
}

fn odd(name: &str) -> SinkError {
    SinkError::Foreign {
        what: format!("the ledger names {name:?}, which is no staging file with its sidecar"),
        help: "A newer version wrote it, or the sink's kind was changed: use that version, or \
               give the sink another name"
            .into(),
    }
}
