//! A simulated disk, for tests of everything that must survive a crash.
//!
//! It keeps two views of every file and folder: the *live* one, which a reader sees and which
//! survives the process (the page cache), and the *durable* one, which survives a loss of power. A
//! crash at a chosen operation, followed by [`SimDisk::after_power_loss`], keeps what was synced
//! and any part of the rest, by seed: each 512-byte sector and the length of a file as of some
//! moment since its last sync, any subset of the changes of a folder. What stands in a folder that
//! isn't durable itself is gone with it.
//!
//! ```
//! use std::path::Path;
//! use journal::{Disk, SimDisk, SyncPoint};
//!
//! let disk = SimDisk::new(7);
//! let file = disk.create_new(Path::new("/a"))?;
//! file.write_at(0, b"once")?;
//! file.sync(SyncPoint("a.data"))?;
//! // The name was not synced, so some seed loses the file.
//! assert!((0..20).any(|seed| disk.after_power_loss(seed).read_file(Path::new("/a")).is_none()));
//! disk.sync_dir(Path::new("/"), SyncPoint("a.folder"))?;
//! assert!((0..20).all(|seed| disk.after_power_loss(seed).read_file(Path::new("/a")).is_some()));
//! # Ok::<(), std::io::Error>(())
//! ```

mod content;
mod dir;
mod file;
mod handle;
mod rng;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{DirEntry, Disk, DiskFile, FileStat, SyncPoint};
use dir::{DirNode, Ino};
use file::FileNode;
use handle::SimFile;
use state::{Crashed, Node, State, Step, crashed};

/// What a failing operation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `EIO`: the device failed.
    Io,
    /// `ENOSPC`: there is no room.
    NoSpace,
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Io => rustix::io::Errno::IO.into(),
            Self::NoSpace => rustix::io::Errno::NOSPC.into(),
        }
    }
}

/// A simulated disk, see the [module](self). Clones are handles of the same disk.
///
/// Operations that change or sync are counted from 0; a sync counts when it is waited for. Reads
/// don't count.
#[derive(Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk, with nothing but the root folder `/`. The seed decides what an operation
    /// that crashes or fails leaves done.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with(State::new(seed))
    }

    fn with(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many operations were done so far; so, the number of the next one.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.state().ops
    }

    /// The disk crashes in operation `op` (or in the next one, if that has passed), which may be
    /// done in part. It and every call from then on, also reads, answer with an error that
    /// [`SimDisk::is_crash`] knows.
    pub fn crash_at(&self, op: u64) {
        self.state().crash_at = Some(op);
    }

    /// Whether the disk has crashed.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Whether an error is that of a crashed disk.
    #[must_use]
    pub fn is_crash(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Crashed>())
    }

    /// Operation `op` fails, once. A failed write may have been done in part. A failed sync may
    /// have lost what it was to write, although readers go on seeing it and a later sync through
    /// another handle says `Ok`, as on Linux; that of a folder loses nothing.
    pub fn fail_at(&self, op: u64, fault: Fault) {
        self.state().faults.insert(op, fault);
    }

    /// Room for the bytes of all files; `u64::MAX` (the default) is no limit.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// How often something did not fit into the capacity.
    #[must_use]
    pub fn no_space_answers(&self) -> u64 {
        self.state().no_space_answers
    }

    /// The disk after a loss of power now (or at its crash): a new one, as it may be found. The
    /// seed decides what of the unsynced is kept. Skipped syncs stay skipped.
    #[must_use]
    pub fn after_power_loss(&self, seed: u64) -> Self {
        Self::with(self.state().after_power_loss(seed))
    }

    /// The disk after the process was killed now (or at its crash): a new one on which everything
    /// is seen that was seen, and is as unsynced as it was.
    #[must_use]
    pub fn after_process_kill(&self) -> Self {
        Self::with(self.state().after_process_kill())
    }

    /// From now on this sync does nothing and says `Ok`, also on the disks after a restart. A test
    /// that still passes shows that the sync is needless, or the test.
    pub fn skip_sync(&self, point: SyncPoint) {
        self.state().skipped.insert(point);
    }

    /// The syncs that were called so far, also before a restart.
    #[must_use]
    pub fn sync_points_seen(&self) -> BTreeSet<SyncPoint> {
        self.state().seen.keys().copied().collect()
    }

    /// How often each sync was called so far.
    #[must_use]
    pub fn sync_counts(&self) -> BTreeMap<SyncPoint, u64> {
        self.state().seen.clone()
    }

    /// Content of a file as a reader sees it; works on a crashed disk too.
    #[must_use]
    pub fn read_file(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let Ok(Node::File(file)) = state.node(state.find(path).ok()?) else { return None };
        let mut bytes = vec![0; usize::try_from(file.live.len).ok()?];
        file.live.read(0, &mut bytes);
        Some(bytes)
    }

    /// Every file that is seen, with its length, sorted; works on a crashed disk too.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.state().files().into_iter().map(|(path, file)| (path, file.live.len)).collect()
    }

    /// Flips the lowest bit of a byte, durably and behind everyone's back. False when there is no
    /// such byte.
    pub fn flip_bit(&self, path: &Path, offset: u64) -> bool {
        let mut state = self.state();
        let Ok(ino) = state.find(path) else { return false };
        state.file(ino).is_ok_and(|file| file.flip_bit(offset))
    }

    fn handle(&self, ino: Ino, writable: bool) -> Arc<dyn DiskFile> {
        let failed = Arc::new(AtomicBool::new(false));
        Arc::new(SimFile { disk: self.clone(), ino, writable, failed })
    }

    fn open_as(&self, path: &Path, writable: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.check_alive()?;
        let ino = state.find(path)?;
        state.file(ino)?;
        drop(state);
        Ok(self.handle(ino, writable))
    }

    fn create(&self, path: &Path, node: Node) -> io::Result<Ino> {
        let mut state = self.state();
        state.check_alive()?;
        let (parent, name) = state.find_parent(path)?;
        if state.dir(parent)?.live.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let ino = state.insert(node);
        state.step_atomic(|state| {
            if let Ok(dir) = state.dir(parent) {
                dir.add(name, ino);
            }
        })?;
        Ok(ino)
    }
}

impl Disk for SimDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let ino = self.create(path, Node::File(FileNode::default()))?;
        Ok(self.handle(ino, true))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_as(path, true)
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_as(path, false)
    }

    /// Inside one folder the old name goes and the new one comes together, or neither. From one
    /// folder to another the two are changes of their own: until both folders are synced, a loss
    /// of power may leave either name, both, or none.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_alive()?;
        let ino = state.find(from)?;
        let (from_dir, from_name) = state.find_parent(from)?;
        let (to_dir, to_name) = state.find_parent(to)?;
        if (from_dir, from_name) == (to_dir, to_name) {
            return Ok(());
        }
        if let Some(replaced) = state.dir(to_dir)?.live.get(to_name).copied() {
            let both_files = state.file(replaced).is_ok() && state.file(ino).is_ok();
            if !both_files {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
        }
        state.step_atomic(|state| {
            if from_dir == to_dir {
                if let Ok(dir) = state.dir(from_dir) {
                    dir.rename(from_name, to_name, ino);
                }
                return;
            }
            if let Ok(dir) = state.dir(to_dir) {
                dir.add(to_name, ino);
            }
            if let Ok(dir) = state.dir(from_dir) {
                dir.remove(from_name, ino);
            }
        })
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_alive()?;
        let ino = state.find(path)?;
        state.file(ino)?;
        let (parent, name) = state.find_parent(path)?;
        state.step_atomic(|state| {
            if let Ok(dir) = state.dir(parent) {
                dir.remove(name, ino);
            }
        })
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        self.create(path, Node::Dir(DirNode::default())).map(drop)
    }

    fn rmdir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.check_alive()?;
        let ino = state.find(path)?;
        if !state.dir(ino)?.live.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (parent, name) = state.find_parent(path)?;
        state.step_atomic(|state| {
            if let Ok(dir) = state.dir(parent) {
                dir.remove(name, ino);
            }
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state();
        state.check_alive()?;
        let Node::Dir(dir) = state.node(state.find(dir)?)? else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let entry = |(name, ino): (&String, &Ino)| {
            let stat = stat(state.node(*ino)?);
            Ok(DirEntry { name: name.clone(), is_dir: stat.is_dir, bytes: stat.bytes })
        };
        dir.live.iter().map(entry).collect()
    }

    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>> {
        let state = self.state();
        state.check_alive()?;
        match state.find(path) {
            Ok(ino) => Ok(Some(stat(state.node(ino)?))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn sync_dir(&self, dir: &Path, point: SyncPoint) -> io::Result<()> {
        let mut state = self.state();
        state.check_alive()?;
        let ino = state.find(dir)?;
        state.dir(ino)?;
        *state.seen.entry(point).or_default() += 1;
        let step = state.step()?;
        let skipped = state.skipped.contains(&point);
        let coin = state.rng.coin() && !skipped;
        let dir = state.dir(ino)?;
        match step {
            Step::Done => {
                if !skipped {
                    dir.sync();
                }
                Ok(())
            }
            Step::Crash => {
                if coin {
                    dir.sync();
                }
                Err(crashed())
            }
            // File systems don't forget a change of a folder as they forget a page that couldn't be
            // written: it stays unsynced.
            Step::Fail(fault) => Err(fault.error()),
        }
    }
}

fn stat(node: &Node) -> FileStat {
    match node {
        Node::File(file) => FileStat { is_dir: false, bytes: file.live.len },
        Node::Dir(_) => FileStat { is_dir: true, bytes: 0 },
    }
}
