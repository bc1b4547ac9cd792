//! An open file of the simulated disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::dir::Ino;
use super::state::{Node, Step, crashed};
use super::{Fault, SimDisk};
use crate::disk::{DiskFile, PendingSync, SyncPoint};

pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) ino: Ino,
    pub(super) writable: bool,
    /// A sync through this handle has failed.
    pub(super) failed: Arc<AtomicBool>,
}

impl SimFile {
    fn check_writable(&self) -> io::Result<()> {
        if self.writable { Ok(()) } else { Err(rustix::io::Errno::BADF.into()) }
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.state();
        let change = state.next_change();
        let step = state.step()?;
        let any_part = state.rng.up_to(bytes.len() as u64) as usize;
        let room = state.room();
        let file = state.file(self.ino)?;
        let free = file.allocated.saturating_add(room).saturating_sub(offset);
        let fits = bytes.len().min(usize::try_from(free).unwrap_or(usize::MAX));
        let (part, outcome) = match step {
            Step::Done if fits < bytes.len() => (fits, Err(Fault::NoSpace.error())),
            Step::Done => (fits, Ok(())),
            Step::Crash => (any_part.min(fits), Err(crashed())),
            Step::Fail(fault) => (any_part.min(fits), Err(fault.error())),
        };
        file.write(change, offset, bytes.get(..part).unwrap_or_default());
        if matches!(step, Step::Done) && outcome.is_err() {
            state.no_space_answers += 1;
        }
        outcome
    }
}

impl DiskFile for SimFile {
    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.state();
        let room = state.room();
        let allocated = state.file(self.ino)?.allocated;
        if bytes.saturating_sub(allocated) > room {
            state.step()?;
            state.no_space_answers += 1;
            return Err(Fault::NoSpace.error());
        }
        let change = state.next_change();
        let ino = self.ino;
        state.step_atomic(|state| {
            if let Ok(file) = state.file(ino) {
                file.preallocate(change, bytes);
            }
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write(offset, bytes)
    }

    fn write_vectored_at(&self, offset: u64, parts: &[io::IoSlice<'_>]) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        self.write(offset, &bytes)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        state.check_alive()?;
        match state.node(self.ino)? {
            Node::File(file) => Ok(file.live.read(offset, into)),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.check_writable()?;
        let mut state = self.disk.state();
        let change = state.next_change();
        let ino = self.ino;
        state.step_atomic(|state| {
            if let Ok(file) = state.file(ino) {
                file.set_len(change, bytes);
            }
        })
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.check_alive()?;
        Ok(state.file(self.ino)?.live.len)
    }

    /// What was written up to here becomes durable when the answer is waited for, and not before,
    /// so that code that doesn't wait loses.
    fn sync_start(&self, point: SyncPoint) -> PendingSync {
        let mut state = self.disk.state();
        *state.seen.entry(point).or_default() += 1;
        let change = state.change;
        drop(state);
        let (disk, ino, failed) = (self.disk.clone(), self.ino, Arc::clone(&self.failed));
        PendingSync::deferred(move || {
            let mut state = disk.state();
            let step = state.step()?;
            if failed.load(Ordering::Relaxed) {
                return Err(io::Error::other("an earlier sync of this file failed"));
            }
            if state.skipped.contains(&point) {
                return match step {
                    Step::Done => Ok(()),
                    Step::Crash => Err(crashed()),
                    Step::Fail(fault) => Err(fault.error()),
                };
            }
            let (coin, mut rng) = (state.rng.coin(), state.rng.clone());
            let file = state.file(ino)?;
            match step {
                Step::Done => file.sync(change),
                Step::Crash => {
                    if coin {
                        file.sync(change);
                    }
                    return Err(crashed());
                }
                Step::Fail(fault) => {
                    failed.store(true, Ordering::Relaxed);
                    if coin {
                        file.sync_lost(&mut rng);
                    }
                    return Err(fault.error());
                }
            }
            Ok(())
        })
    }
}
