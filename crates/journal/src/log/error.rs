//! What can go wrong with a journal.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use super::position::Position;

/// What a replay callback may answer to end the replay.
pub type ReplayError = Box<dyn Error + Send + Sync>;

/// Why a journal couldn't be opened or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A limit of the config is out of its bounds.
    #[error("journal config: {what}")]
    Config {
        /// Which limit, its value and its bound.
        what: String,
    },
    /// The disk refused.
    #[error("journal: cannot {what} {}: {source}; nothing was changed that the next start can't put right", path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were synced once are no longer what was written.
    #[error(
        "journal: {} is corrupt at byte {offset}: {what}; everything from there on can't be trusted. Restore the data folder from a copy, and check the disk. Nothing was changed",
        file.display()
    )]
    Corrupt {
        /// The segment file.
        file: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// Segments are missing between two that are there.
    #[error(
        "journal: segments are missing in {}: {} begins at position {begins}, but what comes before it ends at {ends}. Put the missing files back or restore the data folder from a copy. Nothing was changed",
        dir.display(),
        next.display()
    )]
    MissingSegment {
        /// The journal's folder.
        dir: PathBuf,
        /// The first segment after the gap.
        next: PathBuf,
        /// Where that one begins.
        begins: Position,
        /// Where the one before it ends.
        ends: Position,
    },
    /// A segment of another journal.
    #[error(
        "journal: {} belongs to another journal ({found:032x}, the others are of {expected:032x}). Move it out of the folder, or restore the data folder from a copy. Nothing was changed",
        file.display()
    )]
    ForeignSegment {
        /// The segment file.
        file: PathBuf,
        /// The id of the journal it is of.
        found: u128,
        /// The id that the segments before it carry.
        expected: u128,
    },
    /// A segment that a newer version of this program wrote.
    #[error(
        "journal: {} has format version {found}, this program reads up to {supported}. Use the newer program that wrote it. Nothing was changed",
        file.display()
    )]
    NewerVersion {
        /// The segment file.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version that can be read.
        supported: u32,
    },
    /// The callback that was handed a record ended the replay.
    #[error("journal: the record at position {position} can't be taken: {source}")]
    Replay {
        /// Where the record stands.
        position: Position,
        /// What the callback said.
        source: ReplayError,
    },
}

/// Why an append, or a drop of old segments, didn't happen.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum AppendError {
    /// There was no room for a new segment. The record was not written; the journal lives, and a
    /// later append tries again.
    #[error(
        "journal: no room for a new segment of {segment_bytes} bytes in {}: {cause}. Nothing was appended; make room and append again",
        dir.display()
    )]
    DiskFull {
        /// The journal's folder.
        dir: PathBuf,
        /// Size of the segment.
        segment_bytes: u64,
        /// What the system said.
        cause: Arc<str>,
    },
    /// A write or sync failed, so nothing is known of what the disk holds. Whether this record
    /// will be there after a restart is not known either.
    #[error(
        "journal: stopped, nothing more is appended until a restart, because an earlier step failed: {cause}. Check the disk, then restart"
    )]
    Poisoned {
        /// The step that failed, its file, and what the system said.
        cause: Arc<str>,
    },
    /// The record is longer than the config allows. It was not written.
    #[error("journal: a record of {bytes} bytes is over record_bytes_max ({bytes_max})")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The limit.
        bytes_max: u32,
    },
    /// An old segment couldn't be removed. The journal lives.
    #[error("journal: cannot remove {}: {cause}; it is tried again at the next drop", file.display())]
    Drop {
        /// The segment file.
        file: PathBuf,
        /// What the system said.
        cause: Arc<str>,
    },
}

/// Why a record couldn't be read back.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The record was dropped.
    #[error("journal: position {position} was dropped; the journal begins at {begins}")]
    Dropped {
        /// What was asked for.
        position: Position,
        /// Where the journal begins.
        begins: Position,
    },
    /// No whole record stands there.
    #[error(
        "journal: no record stands at position {position} ({what}); take positions only from appends and reads, and if this is one, check the disk"
    )]
    NotARecord {
        /// What was asked for.
        position: Position,
        /// What is wrong there.
        what: String,
    },
    /// The disk refused.
    #[error("journal: cannot read {}: {source}", file.display())]
    Io {
        /// The segment file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
