//! The segment files of a journal's folder.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::OpenError;
use super::format::{HeaderFault, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION};
use crate::disk::{Disk, DiskFile, read_full_at};

/// Ending of a segment's name.
const ENDING: &str = ".journal";
/// Digits of a segment's name, so that names sort as numbers do.
const DIGITS: usize = 20;

/// Where segment `id` stands.
pub(super) fn path(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:0DIGITS$}{ENDING}"))
}

/// Where segment `id` stands until its header is durable.
pub(super) fn path_new(dir: &Path, id: u64) -> PathBuf {
    dir.join(format!("{id:0DIGITS$}.new"))
}

/// A segment that was found in the folder.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) id: u64,
    pub(super) bytes: u64,
    /// Held open by those who read without the lock, because it may be unlinked.
    pub(super) file: Option<Arc<dyn DiskFile>>,
}

/// The segments of a folder, oldest first.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<Found>> {
    let id = |name: &str| -> Option<u64> {
        let digits = name.strip_suffix(ENDING)?;
        (digits.len() == DIGITS).then(|| digits.parse().ok()).flatten()
    };
    let entries = disk.list(dir)?;
    let mut found: Vec<_> = entries
        .iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| Some(Found { id: id(&entry.name)?, bytes: entry.bytes, file: None }))
        .collect();
    found.sort_unstable_by_key(|segment| segment.id);
    Ok(found)
}

/// A segment whose header was read.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) header: SegmentHeader,
}

impl Opened {
    pub(super) fn new(disk: &dyn Disk, dir: &Path, found: &Found) -> Result<Self, OpenError> {
        let path = path(dir, found.id);
        let file = match &found.file {
            Some(file) => Arc::clone(file),
            None => disk.open_read(&path).map_err(OpenError::io("open", &path))?,
        };
        let mut bytes = [0; SEGMENT_HEADER_BYTES as usize];
        let read = read_full_at(&*file, 0, &mut bytes).map_err(OpenError::io("read", &path))?;
        let header = SegmentHeader::decode(bytes.get(..read).unwrap_or_default());
        let corrupt = |what: &str| OpenError::corrupt(&path, 0, what);
        let header = header.map_err(|fault| match fault {
            HeaderFault::NotASegment => corrupt("the header of the segment is not there"),
            HeaderFault::Checksum => corrupt("the checksum of the segment's header is wrong"),
            HeaderFault::Newer(found) => {
                OpenError::NewerVersion { file: path.clone(), found, supported: VERSION }
            }
        })?;
        if header.segment != found.id {
            let what = format!("the header says that it is segment {}", header.segment);
            return Err(corrupt(&what));
        }
        Ok(Self { path, bytes: found.bytes, file, header })
    }
}
