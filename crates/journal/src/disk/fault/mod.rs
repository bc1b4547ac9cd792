//! A disk that counts its operations, and goes wrong at a chosen one.
//!
//! Around the real disk it can end the process in the middle of operation N, let it fail, or have
//! no room for a while. Around a [`SimDisk`] it can lose power in operation N, after which whoever
//! watches saves what survived. It is for `onceflow prove`, which visits every N of a round.

mod file;
mod folder;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use folder::{load, save};

use super::sim::{Fault, SimDisk};
use super::{DirEntry, Disk, DiskFile, FileStat, SyncPoint};
use file::FaultFile;

/// Hears the number of an operation, and what it is.
pub type Tell = Box<dyn Fn(u64, &str) + Send + Sync>;

/// What goes wrong.
pub enum OpFault {
    /// The process ends before, within or after the operation: the function doesn't return.
    End(Box<dyn Fn(&str) + Send + Sync>),
    /// The simulated disk loses power in the operation.
    PowerLoss,
    /// The operation fails once with `EIO`; a file whose sync failed never syncs again.
    Io,
    /// From the operation on there is no room for anything new, for so many operations.
    NoSpace {
        /// How many operations long.
        ops: u64,
    },
}

/// What a [`FaultDisk`] does beside its work.
#[derive(Default)]
pub struct FaultPlan {
    /// The operation in which something goes wrong, and what.
    pub fault: Option<(u64, OpFault)>,
    /// Files are never cut: a breakage that must be noticed.
    pub never_cut: bool,
    /// Called after every operation.
    pub after: Option<Box<dyn Fn() + Send + Sync>>,
    /// Called with the operation that fails, when it does.
    pub tell: Option<Tell>,
    /// Where in an operation the process ends, and what else is left to chance.
    pub seed: u64,
}

/// How an operation goes.
pub(super) enum Turn {
    /// As always.
    Go,
    /// Half of it, then the process ends.
    EndWithin,
    /// All of it, then the process ends.
    EndAfter,
    /// Half of it, then an error.
    Fail(io::Error),
}

/// See the [module](self). Clones are handles of the same disk.
#[derive(Clone)]
pub struct FaultDisk {
    inner: Arc<dyn Disk>,
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    sim: Option<SimDisk>,
    pub(super) plan: FaultPlan,
    ops: AtomicU64,
    faulted: AtomicBool,
    /// What the operations were, in order, where that is asked for.
    names: Option<Mutex<Vec<String>>>,
}

impl FaultDisk {
    /// Around the real disk.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, plan: FaultPlan) -> Self {
        Self { inner, shared: Arc::new(Shared::new(None, plan, false)) }
    }

    /// Around a simulated one.
    #[must_use]
    pub fn simulated(sim: SimDisk, plan: FaultPlan) -> Self {
        let inner = Arc::new(sim.clone());
        Self { inner, shared: Arc::new(Shared::new(Some(sim), plan, false)) }
    }

    /// Around the real disk, with a list of what was done.
    #[must_use]
    pub fn recording(inner: Arc<dyn Disk>, plan: FaultPlan) -> Self {
        Self { inner, shared: Arc::new(Shared::new(None, plan, true)) }
    }

    /// Operations so far: those that change something, and syncs. Reads don't count.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.shared.ops.load(Ordering::Relaxed)
    }

    /// Whether something has gone wrong.
    #[must_use]
    pub fn has_faulted(&self) -> bool {
        self.shared.faulted.load(Ordering::Relaxed)
    }

    /// What the operations were, in order, on a recording disk.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let names = self.shared.names.as_ref();
        names.map(|n| n.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap_or_default()
    }

    fn wrap(&self, path: &Path, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(FaultFile::new(file, path, Arc::clone(&self.shared)))
    }

    fn step(&self, what: &'static str, path: &Path, grows: bool) -> io::Result<Turn> {
        match self.shared.turn(grows, || format!("{what} {}", path.display())) {
            Turn::Fail(error) => Err(error),
            other => Ok(other),
        }
    }

    /// An operation that is done whole or not at all.
    fn whole<T>(
        &self,
        (what, path, grows): (&'static str, &Path, bool),
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let turn = self.step(what, path, grows)?;
        if matches!(turn, Turn::EndWithin) {
            self.shared.end(what);
        }
        let done = work();
        if matches!(turn, Turn::EndAfter) {
            self.shared.end(what);
        }
        self.shared.after();
        done
    }
}

impl Shared {
    fn new(sim: Option<SimDisk>, plan: FaultPlan, records: bool) -> Self {
        Self {
            sim,
            plan,
            ops: AtomicU64::new(0),
            faulted: AtomicBool::new(false),
            names: records.then(Mutex::default),
        }
    }

    /// Counts an operation, and says how it goes. `grows`: it needs room.
    pub(super) fn turn(&self, grows: bool, name: impl Fn() -> String) -> Turn {
        let op = self.ops.fetch_add(1, Ordering::SeqCst);
        if let Some(names) = &self.names {
            names.lock().unwrap_or_else(PoisonError::into_inner).push(name());
        }
        let Some((at, fault)) = &self.plan.fault else { return Turn::Go };
        if let OpFault::NoSpace { ops } = fault {
            if !grows || op < *at || op >= at.saturating_add(*ops) {
                return Turn::Go;
            }
        } else if op != *at {
            return Turn::Go;
        }
        if !self.faulted.swap(true, Ordering::SeqCst)
            && let Some(tell) = &self.plan.tell
        {
            tell(op, &name());
        }
        match (fault, &self.sim) {
            (OpFault::End(end), _) => match self.chance(op) % 3 {
                0 => {
                    end(&name());
                    Turn::Go
                }
                1 => Turn::EndWithin,
                _ => Turn::EndAfter,
            },
            (OpFault::PowerLoss, Some(sim)) => {
                sim.crash_at(0);
                Turn::Go
            }
            (OpFault::PowerLoss, None) => Turn::Go,
            (OpFault::Io, Some(sim)) => {
                sim.fail_at(sim.ops(), Fault::Io);
                Turn::Go
            }
            (OpFault::Io, None) => Turn::Fail(rustix::io::Errno::IO.into()),
            (OpFault::NoSpace { .. }, _) => Turn::Fail(rustix::io::Errno::NOSPC.into()),
        }
    }

    fn chance(&self, op: u64) -> u64 {
        (self.plan.seed ^ op.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .wrapping_mul(0xbf58_476d_1ce4_e5b9)
            >> 33
    }

    pub(super) fn end(&self, what: &str) {
        if let Some((_, OpFault::End(end))) = &self.plan.fault {
            end(what);
        }
    }

    pub(super) fn after(&self) {
        if let Some(after) = &self.plan.after {
            after();
        }
    }
}

impl Disk for FaultDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.whole(("create", path, true), || self.inner.create_new(path))?;
        Ok(self.wrap(path, file))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(path, self.inner.open(path)?))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.open_read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.whole(("rename", from, false), || self.inner.rename(from, to))
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.whole(("unlink", path, false), || self.inner.unlink(path))
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        self.whole(("mkdir", path, true), || self.inner.mkdir(path))
    }

    fn rmdir(&self, path: &Path) -> io::Result<()> {
        self.whole(("rmdir", path, false), || self.inner.rmdir(path))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>> {
        self.inner.stat(path)
    }

    fn sync_dir(&self, dir: &Path, point: SyncPoint) -> io::Result<()> {
        self.whole((point.0, dir, false), || self.inner.sync_dir(dir, point))
    }
}
