//! A line that is too long for memory, in a file without a name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use event::batch::Spilled;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// An over-long line, as far as it was read. Nothing of it is durable: it is read again after a
/// crash. The file loses its name as soon as it is open, so that it is gone with its last owner,
/// even when that is killed.
#[derive(Debug)]
pub(super) struct SpillFile {
    file: File,
    bytes: u64,
}

impl SpillFile {
    #[allow(clippy::disallowed_methods, reason = "scratch, which no crash needs to keep")]
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("line-{}-{number}.spill", std::process::id()));
        let file = match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            // Of a process that had the same number and was killed between two steps.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path)?;
                OpenOptions::new().read(true).write(true).create_new(true).open(&path)?
            }
            other => other?,
        };
        fs::remove_file(&path)?;
        Ok(Self { file, bytes: 0 })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

impl Spilled for SpillFile {
    fn len(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(into, offset)
    }
}
