//! Carrying out a switch, at once or after a crash; and removing what a crash left.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use journal::{Disk, SyncPoint};

use super::CompactError;
use super::place::{self, Place};
use super::state::{State, Switch};

/// Makes a switch that is recorded come true. May be done again.
pub(super) fn carry_out(
    disk: &dyn Disk,
    place: &Place,
    switch: &Switch,
    progress: &dyn super::Progress,
) -> Result<(), CompactError> {
    progress.begin(super::Phase::Switch, (switch.outputs.len() + switch.inputs.len()) as u64);
    let mut folders: BTreeSet<PathBuf> = BTreeSet::new();
    for made in &switch.outputs {
        let (from, to) = (place.unfinished(&made.name), place.file(&made.name));
        publish(disk, &from, &to, made.bytes)?;
        folders.extend(to.parent().map(Path::to_path_buf));
        progress.advance(1);
    }
    sync_all(disk, &folders, SyncPoint("compact.published"))?;
    for taken in &switch.inputs {
        remove(disk, &place.root.join(&taken.rows))?;
        remove(disk, &place.root.join(&taken.keys))?;
        progress.advance(1);
    }
    let folders =
        State::input_folders(switch).iter().map(|folder| place.root.join(folder)).collect();
    sync_all(disk, &folders, SyncPoint("compact.removed"))
}

fn sync_all(
    disk: &dyn Disk,
    folders: &BTreeSet<PathBuf>,
    point: SyncPoint,
) -> Result<(), CompactError> {
    folders.iter().try_for_each(|folder| {
        disk.sync_dir(folder, point).map_err(CompactError::io("sync", folder))
    })
}

fn publish(disk: &dyn Disk, from: &Path, to: &Path, bytes: u64) -> Result<(), CompactError> {
    let stat = |path: &Path| disk.stat(path).map_err(CompactError::io("look at", path));
    let unfinished = stat(from)?;
    let found = match unfinished {
        Some(found) => Some(found),
        None => stat(to)?,
    };
    match found {
        Some(found) if found.bytes == bytes => {}
        found => {
            let what = match found {
                Some(found) => {
                    format!("it has {} bytes, the lake's journal says {bytes}", found.bytes)
                }
                None => format!("it is gone; the lake's journal says that it has {bytes} bytes"),
            };
            return Err(CompactError::Damaged { file: to.into(), what });
        }
    }
    if unfinished.is_some() {
        disk.rename(from, to).map_err(CompactError::io("rename", from))?;
    }
    Ok(())
}

/// Removes a file that may be gone.
pub(super) fn remove(disk: &dyn Disk, path: &Path) -> Result<(), CompactError> {
    match disk.unlink(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CompactError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes what was spilled by a compaction that didn't end.
pub(super) fn remove_spilled(disk: &dyn Disk, place: &Place) -> Result<(), CompactError> {
    match disk.list(&place.spill) {
        Ok(entries) => entries
            .iter()
            .filter(|entry| !entry.is_dir)
            .try_for_each(|entry| remove(disk, &place.spill.join(&entry.name))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(CompactError::io("list", &place.spill)(error)),
    }
}

/// Removes unfinished files from the table's folders: of a compaction that didn't come to its
/// switch.
pub(super) fn remove_unfinished(disk: &dyn Disk, folder: &Path) -> Result<(), CompactError> {
    let entries = match disk.list(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(CompactError::io("list", folder)(error)),
    };
    for entry in entries {
        let path = folder.join(&entry.name);
        if entry.is_dir {
            remove_unfinished(disk, &path)?;
        } else if place::is_unfinished(&entry.name) {
            remove(disk, &path)?;
        }
    }
    Ok(())
}
