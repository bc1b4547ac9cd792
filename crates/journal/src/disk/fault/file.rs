//! An open file of a [`FaultDisk`](super::FaultDisk).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Shared, Turn};
use crate::disk::{DiskFile, PendingSync, SyncPoint};

pub(super) struct FaultFile {
    inner: Arc<dyn DiskFile>,
    path: PathBuf,
    shared: Arc<Shared>,
    /// A sync was made to fail: no later one may say otherwise.
    failed: AtomicBool,
}

impl FaultFile {
    pub(super) fn new(inner: Arc<dyn DiskFile>, path: &Path, shared: Arc<Shared>) -> Self {
        Self { inner, path: path.to_owned(), shared, failed: AtomicBool::new(false) }
    }

    fn name(&self, what: &str) -> String {
        format!("{what} {}", self.path.display())
    }

    /// An operation that may be done in part.
    fn step(
        &self,
        what: &str,
        grows: bool,
        whole: impl FnOnce() -> io::Result<()>,
        half: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        match self.shared.turn(grows, || self.name(what)) {
            Turn::Go => {
                let done = whole();
                self.shared.after();
                done
            }
            Turn::EndWithin => {
                let _ = half(); // the process ends, nobody hears of it
                self.shared.end(&self.name(what));
                Ok(())
            }
            Turn::EndAfter => {
                let _ = whole(); // likewise
                self.shared.end(&self.name(what));
                Ok(())
            }
            Turn::Fail(error) => {
                let _ = half(); // what fails may have been done in part
                Err(error)
            }
        }
    }

    fn grows_to(&self, end: u64) -> bool {
        self.inner.len().is_ok_and(|len| end > len)
    }
}

impl DiskFile for FaultFile {
    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        let len = self.inner.len().unwrap_or(0);
        if self.shared.plan.never_cut && bytes < len {
            return Ok(());
        }
        let grows = bytes > len;
        self.step("preallocate", grows, || self.inner.preallocate(bytes), || Ok(()))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let grows = self.grows_to(offset + bytes.len() as u64);
        let half = || {
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            self.inner.write_at(offset, half)
        };
        self.step("write", grows, || self.inner.write_at(offset, bytes), half)
    }

    fn write_vectored_at(&self, offset: u64, parts: &[io::IoSlice<'_>]) -> io::Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let grows = self.grows_to(offset + len as u64);
        let half = || {
            let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
            self.inner.write_at(offset, half)
        };
        self.step("write", grows, || self.inner.write_vectored_at(offset, parts), half)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(offset, into)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        if self.shared.plan.never_cut && self.inner.len().is_ok_and(|len| bytes < len) {
            return Ok(());
        }
        self.step("set_len", false, || self.inner.set_len(bytes), || Ok(()))
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn sync_start(&self, point: SyncPoint) -> PendingSync {
        let name = || format!("sync {} {}", point.0, self.path.display());
        let turn = self.shared.turn(false, name);
        if let Turn::Fail(error) = turn {
            self.failed.store(true, Ordering::SeqCst);
            return PendingSync::ready(Err(error));
        }
        if self.failed.load(Ordering::SeqCst) {
            let what = "an earlier sync of this file failed";
            return PendingSync::ready(Err(io::Error::other(what)));
        }
        if matches!(turn, Turn::EndWithin) {
            self.shared.end(&name());
        }
        let pending = self.inner.sync_start(point);
        let shared = Arc::clone(&self.shared);
        PendingSync::deferred(move || {
            let done = pending.wait();
            if matches!(turn, Turn::EndAfter) {
                shared.end(point.0);
            }
            shared.after();
            done
        })
    }
}
