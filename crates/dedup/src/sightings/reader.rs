//! Reads sightings back, also while they are written: whole records only.

use std::io;
use std::path::{Path, PathBuf};

use journal::Disk;

use super::rows::{Packed, count};
use super::segment::{ENDING, FRAME_BYTES, HEADER_BYTES, Header, open_frame};
use super::{Dropped, Sighting};
use crate::folder::Folder;

/// A file of sightings.
#[derive(Clone, Debug)]
pub(super) struct FileFacts {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Its rows and their newest time of receipt, where that was counted.
    pub(super) counted: Option<(u64, i64)>,
}

impl FileFacts {
    /// Counts its rows; what can't be read has none.
    pub(super) fn count(&self, disk: &dyn Disk) -> (u64, i64) {
        let Ok(bytes) = read(disk, &self.path) else { return (0, i64::MIN) };
        let records = payloads(&bytes).filter_map(|payload| count(payload).ok());
        records.fold((0, i64::MIN), |(rows, newest), (more, at)| (rows + more, newest.max(at)))
    }

    pub(super) fn header(&self, disk: &dyn Disk) -> Option<Header> {
        let file = disk.open_read(&self.path).ok()?;
        let mut bytes = vec![0; HEADER_BYTES];
        journal::disk::read_full_at(&*file, 0, &mut bytes).ok()?;
        Header::decode(&bytes)
    }
}

/// The files of a folder, oldest first; none where there is no folder.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> io::Result<Vec<FileFacts>> {
    if disk.stat(dir)?.is_none() {
        return Ok(Vec::new());
    }
    let entries = disk.list(dir)?.into_iter().filter(|entry| entry.name.ends_with(ENDING));
    let facts = |entry: journal::DirEntry| FileFacts {
        path: dir.join(&entry.name),
        bytes: entry.bytes,
        counted: None,
    };
    Ok(entries.map(facts).collect())
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open_read(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let read = journal::disk::read_full_at(&*file, 0, &mut bytes)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The records of a file, up to the first that isn't whole.
fn payloads(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let known = Header::decode(bytes).is_some();
    let mut left = bytes.get(HEADER_BYTES..).filter(|_| known).unwrap_or_default();
    std::iter::from_fn(move || {
        let payload = open_frame(left)?;
        left = left.get(FRAME_BYTES + payload.len()..)?;
        Some(payload)
    })
}

/// Reads the sightings of a data folder, oldest file first.
#[derive(Debug)]
pub struct Reader {
    files: Vec<FileFacts>,
    dropped: Dropped,
}

/// The sightings of one batch, not unpacked yet.
pub struct Rows<'a>(Packed<'a>);

impl Rows<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.rows
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.rows == 0
    }

    /// The scope of their keys.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.0.scope
    }

    /// The pipe that settled them.
    #[must_use]
    pub fn pipe(&self) -> &str {
        self.0.pipe
    }

    /// Whether any has a key that `wanted` takes; much faster than looking at them.
    #[must_use]
    pub fn have(&self, wanted: impl Fn(u128) -> bool) -> bool {
        self.0.keys().any(wanted)
    }

    /// All of them; empty where the record can't be read.
    #[must_use]
    pub fn unpack(&self) -> Vec<Sighting> {
        self.0.unpack().unwrap_or_default()
    }
}

impl Reader {
    /// Looks at what is there. No folder is no sightings.
    ///
    /// # Errors
    /// The folder can't be listed.
    pub fn open(disk: &dyn Disk, data_dir: &Path) -> io::Result<Self> {
        let files = list(disk, &Folder::new(data_dir).sightings)?;
        let newest = files.iter().rev().find_map(|file| file.header(disk));
        let none = Dropped { rows: 0, through_ms: i64::MIN };
        Ok(Self { files, dropped: newest.map_or(none, |header| header.dropped) })
    }

    /// What made room for newer ones.
    #[must_use]
    pub const fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// What they take on disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Hands out the sightings batch by batch, in the order in which they were written. A file that
    /// was removed meanwhile is passed over, and one that is torn ends where it is.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn for_each(&self, disk: &dyn Disk, each: &mut dyn FnMut(&Rows<'_>)) -> io::Result<()> {
        for file in &self.files {
            let bytes = match read(disk, &file.path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for payload in payloads(&bytes) {
                if let Ok(packed) = Packed::take(payload) {
                    each(&Rows(packed));
                }
            }
        }
        Ok(())
    }
}
