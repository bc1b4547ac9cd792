//! Reading an archive: files of hours, blocks by time, events in order of receipt. What is damaged
//! is named and passed over.

mod reader;
mod scan;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::LedgerId;
use journal::Disk;

use super::block::BlockHead;
use super::names::{self, Hour, Written};
use super::retention::hours;
pub use reader::{Archived, Reader};

/// A range of times of receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// From here; ms since the Unix epoch.
    pub from_ms: i64,
    /// To here, exclusive.
    pub to_ms: i64,
}

impl Range {
    /// All there is.
    pub const ALL: Self = Self { from_ms: i64::MIN, to_ms: i64::MAX };

    /// Whether a time lies in it.
    #[must_use]
    pub const fn has(&self, ms: i64) -> bool {
        self.from_ms <= ms && ms < self.to_ms
    }

    const fn overlaps(&self, min_ms: i64, max_ms: i64) -> bool {
        self.from_ms <= max_ms && min_ms < self.to_ms
    }

    /// Whether an hour may hold events of it; the first and the last hour hold what lies beyond.
    fn has_hour(&self, hour: Hour) -> bool {
        Hour::of_ms(self.from_ms) <= hour && hour <= Hour::of_ms(self.to_ms)
    }
}

/// Something in an archive that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// Where it begins; bytes from the front.
    pub offset: u64,
    /// How many bytes are passed over.
    pub bytes: u64,
    /// How many events are lost, where a head still says so.
    pub events: Option<u32>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, bytes, events, what } = self;
        write!(f, "{}, byte {offset}: {what}; {bytes} bytes are passed over", file.display())?;
        match events {
            Some(1) => f.write_str(", with 1 event"),
            Some(events) => write!(f, ", with {events} events"),
            None => Ok(()),
        }
    }
}

/// An archive can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is none.
    #[error("there is no archive in {}", .0.display())]
    Missing(PathBuf),
    /// A newer program wrote one of its files.
    #[error("{} has version {version}, and this program reads up to version {}", .file.display(), super::VERSION)]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        version: u8,
    },
    /// The file system said no.
    #[error("cannot read {}: {error}", .path.display())]
    Io {
        /// What was looked at.
        path: PathBuf,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
}

/// A block of a file, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Where it starts in its file.
    pub offset: u64,
    /// What its head says.
    pub head: BlockHead,
}

/// A file of an archive. Its blocks' heads are read, their bodies are not.
#[derive(Clone, Debug)]
pub struct ArchiveFile {
    /// Where it lay when it was looked at; an unfinished one may get its final name meanwhile.
    pub path: PathBuf,
    /// The hour of receipt of its events.
    pub hour: Hour,
    /// Who wrote it.
    pub ledger: LedgerId,
    /// Whether nothing more is appended to it.
    pub finished: bool,
    /// Its length.
    pub bytes: u64,
    /// Those of its blocks that hold something of the range, in order.
    pub blocks: Vec<Block>,
    /// What its heads show of damage.
    pub damages: Vec<Damage>,
}

impl ArchiveFile {
    /// Events of its blocks; some of them may lie outside the range.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.head.events)).sum()
    }

    /// Bytes of its blocks before compression.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        self.blocks.iter().map(|block| u64::from(block.head.raw_bytes)).sum()
    }

    /// When the first and the last of its events were received.
    #[must_use]
    pub fn received_ms(&self) -> Option<(i64, i64)> {
        let first = self.blocks.iter().map(|block| block.head.received_min_ms).min()?;
        let last = self.blocks.iter().map(|block| block.head.received_max_ms).max()?;
        Some((first, last))
    }
}

/// The files of one pipe in an archive's folder.
pub struct Archive {
    disk: Arc<dyn Disk>,
    range: Range,
    /// In order of hours, and within one of their making.
    pub files: Vec<ArchiveFile>,
}

impl Archive {
    /// Looks at the folder `root`: which files of `pipe` hold events of `range`. Changes nothing,
    /// and needs no lock: of a file that is being written, whole blocks are read.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        root: &Path,
        pipe: &str,
        range: Range,
    ) -> Result<Self, ArchiveError> {
        Self::open_all(disk, root, Some(pipe), range)
    }

    /// As [`Archive::open`], of every pipe without one.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open_all(
        disk: Arc<dyn Disk>,
        root: &Path,
        pipe: Option<&str>,
        range: Range,
    ) -> Result<Self, ArchiveError> {
        let failed = |error| ArchiveError::Io { path: root.to_path_buf(), error };
        if disk.stat(root).map_err(failed)?.is_none() {
            return Err(ArchiveError::Missing(root.to_path_buf()));
        }
        let pipe = pipe.map(names::pipe_in_names);
        let mut files = Vec::new();
        let hours = hours(disk.as_ref(), root)
            .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        for hour in hours.into_iter().filter(|hour| range.has_hour(*hour)) {
            let mut of_hour = files_of(disk.as_ref(), root, hour, pipe.as_deref())?;
            of_hour.sort_by_key(|(written, _)| (written.ledger, written.order));
            for (written, path) in of_hour {
                if let Some(file) = scan::scan(disk.as_ref(), path, hour, &written, &range)? {
                    files.push(file);
                }
            }
        }
        Ok(Self { disk, range, files })
    }

    /// Reads the events of the range, in order of receipt.
    #[must_use]
    pub fn read(&self) -> Reader {
        Reader::new(Arc::clone(&self.disk), self.range, &self.files)
    }
}

/// The pipe's files in the folder of an hour.
fn files_of(
    disk: &dyn Disk,
    root: &Path,
    hour: Hour,
    pipe: Option<&str>,
) -> Result<Vec<(Written, PathBuf)>, ArchiveError> {
    let folder = root.join(hour.folder());
    let listed = match disk.list(&folder) {
        Ok(listed) => listed,
        // Its retention has passed meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(ArchiveError::Io { path: folder, error }),
    };
    let of_pipe = listed.into_iter().filter_map(|entry| {
        let wanted = |written: &Written| pipe.is_none_or(|pipe| written.pipe == pipe);
        let written = Written::of(&entry.name).filter(wanted)?;
        Some((written, folder.join(entry.name)))
    });
    Ok(of_pipe.collect())
}
