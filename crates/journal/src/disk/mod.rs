//! The trait through which everything durable goes, and what its two implementations share.

pub mod fault;
mod pending;
pub mod real;
pub mod sim;
mod sync_pool;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use pending::PendingSync;
pub(crate) use pending::block_on;

/// Name of a sync in the code, as in `SyncPoint("journal.group")`.
///
/// Every sync call carries one, so that a test can list them and take one away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SyncPoint(pub &'static str);

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The entry's name, without its folder.
    pub name: String,
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Length of the file; 0 for a folder.
    pub bytes: u64,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// Whether it is a folder.
    pub is_dir: bool,
    /// Length of the file; 0 for a folder.
    pub bytes: u64,
}

/// The file system, as far as durable state needs it.
///
/// What a crash may take, and so what a caller has to sync:
/// - a file's data and length are durable after [`DiskFile::sync`]; its name is not;
/// - a create, mkdir, rmdir, rename or unlink is durable after [`Disk::sync_dir`] of its folder, a rename
///   from one folder to another after both;
/// - of everything else any part may survive, in any order.
pub trait Disk: Send + Sync + 'static {
    /// Creates a file that must not exist, for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, else what the system says.
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that exists, for reading and writing.
    ///
    /// # Errors
    /// `NotFound` when there is none, else what the system says.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that exists, for reading.
    ///
    /// # Errors
    /// `NotFound` when there is none, else what the system says.
    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Gives a file another name; a file of that name is replaced in one step.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file. Whoever has it open can go on reading it.
    ///
    /// # Errors
    /// `NotFound` when there is none, else what the system says.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Creates one folder in one that exists.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken, else what the system says.
    fn mkdir(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    ///
    /// # Errors
    /// `NotFound` when there is none, `DirectoryNotEmpty` when there is something in it, else what
    /// the system says.
    fn rmdir(&self, path: &Path) -> io::Result<()>;
    /// The entries of a folder, sorted by name. One whose name isn't UTF-8 is left out: nothing of
    /// ours has such a name.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>>;
    /// What a path leads to; `None` when there is nothing.
    ///
    /// # Errors
    /// What the system says, other than that there is nothing.
    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>>;
    /// Makes the creates, renames and unlinks in a folder durable.
    ///
    /// # Errors
    /// What the system says. It must not be tried again as if nothing had happened.
    fn sync_dir(&self, dir: &Path, point: SyncPoint) -> io::Result<()>;
}

/// An open file of a [`Disk`].
pub trait DiskFile: Send + Sync {
    /// Makes the file `bytes` long, new bytes being zero, and really reserves the space.
    ///
    /// # Errors
    /// `StorageFull` when there is no room, else what the system says.
    fn preallocate(&self, bytes: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`; the file grows if it has to.
    ///
    /// # Errors
    /// What the system says; a part may have been written then.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Writes all of `parts`, one after the other, at `offset`. Any number of parts.
    ///
    /// # Errors
    /// What the system says; a part may have been written then.
    fn write_vectored_at(&self, offset: u64, parts: &[io::IoSlice<'_>]) -> io::Result<()>;
    /// Reads at most `into.len()` bytes; 0 at the end of the file.
    ///
    /// # Errors
    /// What the system says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Cuts the file or lengthens it with zeros, for which no space is reserved.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self) -> io::Result<u64>;
    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the system says.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Begins to make the file's data and length durable, as far as they were written before this
    /// call; on the real disk on a thread of its own. Dropping the answer promises nothing.
    ///
    /// A file whose sync failed once answers every later one with an error: the system reports a
    /// lost write only once, so a second sync that succeeds would say nothing.
    fn sync_start(&self, point: SyncPoint) -> PendingSync;
    /// [`DiskFile::sync_start`], waited for.
    ///
    /// # Errors
    /// What the system says; from then on the file's durable content is unknown.
    fn sync(&self, point: SyncPoint) -> io::Result<()> {
        self.sync_start(point).wait()
    }
}

/// Reads until `into` is full or the file ends; how many bytes were read.
///
/// # Errors
/// What [`DiskFile::read_at`] says.
pub fn read_full_at(file: &dyn DiskFile, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(offset + done as u64, rest)? {
            0 => break,
            n => done += n,
        }
    }
    Ok(done)
}

/// Creates the levels of `dir` below `base` (which exists) that are missing, and syncs each folder
/// that gained an entry.
///
/// A level that exists may be one whose creator was killed before its sync, so the parent of an
/// existing level below `base` is synced as well when the level is empty.
///
/// # Errors
/// `InvalidInput` when `dir` isn't below `base`, else what the disk says.
pub fn mkdir_all_synced(
    disk: &dyn Disk,
    base: &Path,
    dir: &Path,
    point: SyncPoint,
) -> io::Result<()> {
    let below = dir.strip_prefix(base).map_err(|_| {
        let what = format!("{} is not below {}", dir.display(), base.display());
        io::Error::new(io::ErrorKind::InvalidInput, what)
    })?;
    let mut parent: PathBuf = base.to_path_buf();
    for level in below.components() {
        let path = parent.join(level);
        let fresh = match disk.stat(&path)? {
            Some(stat) if stat.is_dir => disk.list(&path)?.is_empty(),
            Some(_) => return Err(io::ErrorKind::NotADirectory.into()),
            None => {
                match disk.mkdir(&path) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    other => other?,
                }
                true
            }
        };
        if fresh {
            disk.sync_dir(&parent, point)?;
        }
        parent = path;
    }
    Ok(())
}
