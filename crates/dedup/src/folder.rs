//! The data folder: where the ledger's files lie, and its lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use journal::{Disk, mkdir_all_synced};

use crate::error::{FolderIo, LedgerError, Locked};
use crate::sync_points::FOLDER;

/// Where a data folder's ledger lies.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// The data folder.
    pub(crate) data: PathBuf,
    /// All that is the ledger's.
    pub(crate) ledger: PathBuf,
    /// Its journal.
    pub(crate) journal: PathBuf,
    /// Its key runs.
    pub(crate) runs: PathBuf,
    /// Its sightings.
    pub(crate) sightings: PathBuf,
}

impl Folder {
    pub(crate) fn new(dir: &Path) -> Self {
        let data = std::path::absolute(dir).unwrap_or_else(|_| dir.to_path_buf());
        let ledger = data.join("ledger");
        Self {
            journal: ledger.join("journal"),
            runs: ledger.join("runs"),
            sightings: ledger.join("sightings"),
            ledger,
            data,
        }
    }

    /// Makes the folders that are missing, durably. The journal makes its own.
    pub(crate) fn make(&self, disk: &dyn Disk, dir: &Path) -> Result<(), LedgerError> {
        let exists = |level: &&Path| disk.stat(level).is_ok_and(|stat| stat.is_some());
        let deepest = dir.ancestors().find(exists).unwrap_or(Path::new("/"));
        // Whoever made the deepest level may have been killed before its name was synced.
        let base = deepest.parent().unwrap_or(deepest);
        mkdir_all_synced(disk, base, dir, FOLDER)
            .map_err(|error| FolderIo::new("make the folder", dir, error).into())
    }
}

/// The lock of a data folder, held as long as this lives. The system lets go of it when the
/// process ends, however it ends.
#[derive(Debug)]
pub(crate) struct FolderLock(#[expect(dead_code, reason = "held open")] File);

impl FolderLock {
    /// Locks the data folder against other processes.
    ///
    /// # Errors
    /// [`LedgerError::Locked`] with the process that has it, [`LedgerError::Io`].
    pub(crate) fn take(data: &Path) -> Result<Self, LedgerError> {
        let path = data.join("lock");
        let io = |error| LedgerError::from(FolderIo::new("lock", &path, error));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Locked { dir: data.into(), pid: owner(&mut file) }.into());
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        // For the message of whoever comes second; the lock itself doesn't need it. A longer
        // number from before is overwritten with spaces.
        let pid = format!("{:<20}\n", std::process::id());
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        file.write_all(pid.as_bytes()).map_err(io)?;
        Ok(Self(file))
    }
}

fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_to_lock_hears_the_process_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let first = FolderLock::take(dir.path()).unwrap();
        let error = FolderLock::take(dir.path()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        assert!(text.contains("--data-dir"), "{text}");
        drop(first);
        FolderLock::take(dir.path()).unwrap();
    }
}
