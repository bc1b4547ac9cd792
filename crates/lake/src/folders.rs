//! Folders that are there for good.

use std::path::Path;

use event::sink::SinkError;
use journal::{Disk, SyncPoint};

use crate::staging::{io, write_error};

/// Creates `folder` and those above it that are missing; each name is durable when it returns.
///
/// # Errors
/// [`SinkError`]: no space, or what the disk said.
pub fn ensure(disk: &dyn Disk, folder: &Path, point: SyncPoint) -> Result<(), SinkError> {
    let mut missing = Vec::new();
    let mut existing = folder;
    while !existing.as_os_str().is_empty()
        && disk.stat(existing).map_err(|error| io("look at", existing, error))?.is_none()
    {
        missing.push(existing);
        let Some(above) = existing.parent() else { break };
        existing = above;
    }
    // The lowest that exists may be the work of a run that was killed before its sync.
    sync_name(disk, existing, point)?;
    for folder in missing.into_iter().rev() {
        make(disk, folder)?;
        sync_name(disk, folder, point)?;
    }
    Ok(())
}

/// Creates one folder, unless it is there.
pub(crate) fn make(disk: &dyn Disk, folder: &Path) -> Result<(), SinkError> {
    match disk.mkdir(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(write_error("create", folder.display().to_string(), error))
        }
        _ => Ok(()),
    }
}

/// Makes the name of a file or folder durable.
///
/// # Errors
/// [`SinkError::Io`]; a failed sync is never tried again.
pub fn sync_name(disk: &dyn Disk, path: &Path, point: SyncPoint) -> Result<(), SinkError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    // A relative path of one level lies in the working folder.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    disk.sync_dir(folder, point).map_err(|error| io("sync", folder, error))
}
