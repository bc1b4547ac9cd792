//! The real file system.
#![allow(clippy::disallowed_methods)] // the one place where files are really touched

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::sync_pool::{FileSyncs, SyncPool};
use super::{DirEntry, Disk, DiskFile, FileStat, PendingSync, SyncPoint};

/// Most parts that Linux takes in one vectored write.
const IOV_MAX: usize = 1024;
/// Zeros written at a time where the file system can't reserve space.
const ZEROS_BYTES: usize = 1 << 20;

/// The real file system. Clones share the threads on which syncs run.
#[derive(Clone)]
pub struct RealDisk {
    pool: Arc<SyncPool>,
}

impl RealDisk {
    /// A disk whose syncs run on up to four threads, started when they are first needed.
    #[must_use]
    pub fn new() -> Self {
        Self { pool: Arc::new(SyncPool::new()) }
    }

    fn open_with(&self, path: &Path, options: &OpenOptions) -> io::Result<Arc<dyn DiskFile>> {
        let file = Arc::new(options.open(path)?);
        let synced = Arc::clone(&file);
        let syncs = FileSyncs::new(move || synced.sync_data(), Arc::clone(&self.pool));
        Ok(Arc::new(RealFile { file, syncs }))
    }
}

impl Default for RealDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl Disk for RealDisk {
    fn create_new(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_with(path, OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_with(path, OpenOptions::new().read(true).write(true))
    }

    fn open_read(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open_with(path, OpenOptions::new().read(true))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn mkdir(&self, path: &Path) -> io::Result<()> {
        std::fs::create_dir(path)
    }

    fn rmdir(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_dir(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            // A file that vanished since it was listed is not there.
            let Some(stat) = self.stat(&entry.path())? else { continue };
            entries.push(DirEntry { name, is_dir: stat.is_dir, bytes: stat.bytes });
        }
        entries.sort_unstable();
        Ok(entries)
    }

    fn stat(&self, path: &Path) -> io::Result<Option<FileStat>> {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => Ok(Some(FileStat { is_dir: true, bytes: 0 })),
            Ok(meta) => Ok(Some(FileStat { is_dir: false, bytes: meta.len() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn sync_dir(&self, dir: &Path, _point: SyncPoint) -> io::Result<()> {
        let dir = File::open(dir)?;
        self.pool.run(move || dir.sync_all()).wait()
    }
}

struct RealFile {
    file: Arc<File>,
    syncs: Arc<FileSyncs>,
}

impl DiskFile for RealFile {
    fn preallocate(&self, bytes: u64) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        if len > bytes {
            return self.file.set_len(bytes);
        }
        if bytes == 0 {
            return Ok(());
        }
        loop {
            match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => return write_zeros(&self.file, len, bytes),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn write_vectored_at(&self, offset: u64, parts: &[io::IoSlice<'_>]) -> io::Result<()> {
        let mut offset = offset;
        for chunk in parts.chunks(IOV_MAX) {
            let mut chunk = chunk.to_vec();
            let mut rest = chunk.as_mut_slice();
            io::IoSlice::advance_slices(&mut rest, 0); // drops empty parts at the front
            while !rest.is_empty() {
                match rustix::io::pwritev(&self.file, rest, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(n) => {
                        offset += n as u64;
                        io::IoSlice::advance_slices(&mut rest, n);
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.file.read_at(into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn sync_start(&self, _point: SyncPoint) -> PendingSync {
        self.syncs.start()
    }

    /// The caller waits anyway, so its own thread does the sync when none is running.
    fn sync(&self, _point: SyncPoint) -> io::Result<()> {
        self.syncs.sync()
    }
}

fn write_zeros(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    let mut at = from;
    while at < to {
        let bytes = (to - at).min(ZEROS_BYTES as u64);
        file.write_all_at(zeros.get(..bytes as usize).unwrap_or(&zeros), at)?;
        at += bytes;
    }
    Ok(())
}
