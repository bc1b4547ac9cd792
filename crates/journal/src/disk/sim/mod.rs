//! A simulated disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{DirEntry, Disk, DiskFile, FileStat, SyncPoint};

/// What a failing operation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `EIO`: the device failed.
    Io,
    /// `ENOSPC`: there is no room.
    NoSpace,
}

/// A simulated disk. Clones are handles of the same disk.
#[derive(Clone)]
pub struct SimDisk {}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl SimDisk {
    /// An empty disk: only the root folder `/` is there.
    #[must_use]
    pub fn new(_seed: u64) -> Self {
        Self {}
    }
    /// Operations so far that change or sync.
    #[must_use]
    pub fn ops(&self) -> u64 {
        0
    }
    /// From operation `op` on (the first is 0) every call fails; that one is done in part.
    pub fn crash_at(&self, _op: u64) {}
    /// Whether an error is that of a crashed disk.
    #[must_use]
    pub fn is_crash(_error: &io::Error) -> bool {
        false
    }
    /// Operation `op` fails, once.
    pub fn fail_at(&self, _op: u64, _fault: Fault) {}
    /// Room for files, in bytes; `u64::MAX` (the default) is no limit.
    pub fn set_capacity(&self, _bytes: u64) {}
    /// The disk after a loss of power.
    #[must_use]
    pub fn after_power_loss(&self, _seed: u64) -> Self {
        Self {}
    }
    /// The disk after the process was killed.
    #[must_use]
    pub fn after_process_kill(&self) -> Self {
        Self {}
    }
    /// From now on this sync does nothing and says `Ok`.
    pub fn skip_sync(&self, _point: SyncPoint) {}
    /// The syncs that were called so far.
    #[must_use]
    pub fn sync_points_seen(&self) -> BTreeSet<SyncPoint> {
        BTreeSet::new()
    }
    /// How often each sync was called so far.
    #[must_use]
    pub fn sync_counts(&self) -> BTreeMap<SyncPoint, u64> {
        BTreeMap::new()
    }
    /// Content of a file as a reader sees it now.
    #[must_use]
    pub fn read_file(&self, _path: &Path) -> Option<Vec<u8>> {
        None
    }
    /// Every file that is there now, with its length.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        Vec::new()
    }
    /// Flips the lowest bit of a byte, durably and behind everyone's back.
    pub fn flip_bit(&self, _path: &Path, _offset: u64) {}
}

impl Disk for SimDisk {
    fn create_new(&self, _path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        unsupported()
    }
    fn open(&self, _path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        unsupported()
    }
    fn open_read(&self, _path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        unsupported()
    }
    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        unsupported()
    }
    fn unlink(&self, _path: &Path) -> io::Result<()> {
        unsupported()
    }
    fn mkdir(&self, _path: &Path) -> io::Result<()> {
        unsupported()
    }
    fn list(&self, _dir: &Path) -> io::Result<Vec<DirEntry>> {
        unsupported()
    }
    fn stat(&self, _path: &Path) -> io::Result<Option<FileStat>> {
        unsupported()
    }
    fn sync_dir(&self, _dir: &Path, _point: SyncPoint) -> io::Result<()> {
        unsupported()
    }
}
