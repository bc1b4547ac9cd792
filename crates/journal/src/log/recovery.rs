//! Opening a journal: what a crash left is read, and made certain before it is trusted.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::error::OpenError;
use super::position::Position;
use super::segment::{self, Found, Opened};
use super::sync_points::{OPEN, RECOVER};
use super::walk::{Replay, Walked, walk};
use crate::disk::{Disk, read_full_at};

/// Copied at a time.
const CHUNK_BYTES: u64 = 1 << 20;
/// Segments that a reader without the lock holds open, so that they can be read to their end
/// although the owner drops them meanwhile. Drops begin at the oldest.
const HELD_OPEN_MAX: usize = 512;
/// How often a reader lists the folder again when segments vanish or are missing.
const LISTINGS_MAX: usize = 100;

/// Reads a journal for its owner. What `replay` was handed is durable once this returns.
pub(super) fn recover(
    disk: &dyn Disk,
    dir: &Path,
    replay: &mut Replay<'_>,
) -> Result<Walked, OpenError> {
    let stat = disk.stat(dir).map_err(OpenError::io("look at", dir))?;
    if stat.is_none() {
        disk.mkdir(dir).map_err(OpenError::io("create", dir))?;
    }
    let found = segment::list(disk, dir).map_err(OpenError::io("list", dir))?;
    if found.is_empty() {
        // Also when the folder is there: whoever made it may have been killed before this sync.
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        disk.sync_dir(parent, OPEN).map_err(OpenError::io("sync", parent))?;
    }
    let walked = walk(disk, dir, &found, replay)?;
    if let Some(tail) = &walked.tail
        && walked.synced_through < walked.end
    {
        let from = tail.header.offset(walked.synced_through);
        let to = tail.header.offset(walked.end);
        make_durable(disk, tail, from, to).map_err(OpenError::io("sync", &tail.path))?;
    }
    Ok(walked)
}

/// Makes the end of the last segment durable, which no header says was synced.
///
/// A process that was killed leaves it in the page cache only. Where a sync had failed, the cache
/// may even call it clean while the disk lacks it, so that a sync alone would write nothing: it is
/// written again, byte for byte.
fn make_durable(disk: &dyn Disk, tail: &Opened, from: u64, to: u64) -> io::Result<()> {
    let file = disk.open(&tail.path)?;
    let mut buffer = vec![0; CHUNK_BYTES as usize];
    let mut at = from;
    while at < to {
        let bytes = (to - at).min(CHUNK_BYTES) as usize;
        let chunk = buffer.get_mut(..bytes).unwrap_or_default();
        if read_full_at(&*file, at, chunk)? < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(at, chunk)?;
        at += bytes as u64;
    }
    file.sync(RECOVER)
}

/// Reads a journal without its lock, up to the last whole record; where that ends.
///
/// Its owner may append, begin segments and drop old ones meanwhile. Changes nothing; what it
/// hands out last may not be durable yet.
///
/// # Errors
/// See [`OpenError`]; `Io` with `NotFound` when there is no such folder, or when more than 512
/// segments were dropped while it read.
pub fn read_only(
    disk: &dyn Disk,
    dir: &Path,
    replay: &mut Replay<'_>,
) -> Result<Position, OpenError> {
    let found = list_held_open(disk, dir)?;
    Ok(Position(walk(disk, dir, &found, replay)?.end))
}

fn list_held_open(disk: &dyn Disk, dir: &Path) -> Result<Vec<Found>, OpenError> {
    let mut listings = 0;
    loop {
        listings += 1;
        let mut found = segment::list(disk, dir).map_err(OpenError::io("list", dir))?;
        // A listing may hold a segment that was made while it ran, and lack the one made before.
        let next = found.iter().skip(1);
        let gap = found.iter().zip(next).any(|(segment, next)| segment.id + 1 < next.id);
        let vanished = hold_open(disk, dir, &mut found)?;
        if !(gap || vanished) || listings == LISTINGS_MAX {
            return Ok(found);
        }
    }
}

/// Opens the oldest segments; whether one of them is gone.
fn hold_open(disk: &dyn Disk, dir: &Path, found: &mut [Found]) -> Result<bool, OpenError> {
    for segment in found.iter_mut().take(HELD_OPEN_MAX) {
        let path = segment::path(dir, segment.id);
        match disk.open_read(&path) {
            Ok(file) => segment.file = Some(Arc::clone(&file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(OpenError::io("open", &path)(error)),
        }
    }
    Ok(false)
}
