//! Opening a journal.

use std::io;
use std::path::Path;

use super::error::{OpenError, ReplayError};
use super::position::Position;
use crate::disk::Disk;

/// Reads a journal without its lock, up to the last whole record.
///
/// # Errors
/// See [`OpenError`].
pub fn read_only(
    _disk: &dyn Disk,
    dir: &Path,
    _replay: &mut dyn FnMut(Position, &[u8]) -> Result<(), ReplayError>,
) -> Result<Position, OpenError> {
    let source = io::ErrorKind::Unsupported.into();
    Err(OpenError::Io { what: "open", path: dir.into(), source })
}
