//! One compaction per lake at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::CompactError;

/// The lock of a lake's compaction, `_onceflow/compact.lock`, held as long as this lives. The
/// system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct CompactLock(#[expect(dead_code, reason = "held open")] File);

impl CompactLock {
    /// Takes the lock of a lake on the real disk.
    ///
    /// # Errors
    /// [`CompactError::Locked`] with the process that has it, [`CompactError::NoLake`],
    /// [`CompactError::Io`].
    pub fn take(lake: &Path) -> Result<Self, CompactError> {
        let own = lake.join("_onceflow");
        if !own.is_dir() {
            return Err(CompactError::NoLake { lake: lake.into() });
        }
        let path = own.join("compact.lock");
        let io = |error| CompactError::io("lock", &path)(error);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CompactError::Locked { lake: lake.into(), pid: owner(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        // For the message of whoever comes second; the lock itself doesn't need it.
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
