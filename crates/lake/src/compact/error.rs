//! Why a compaction didn't happen. Every message says what to do.

use std::io;
use std::path::{Path, PathBuf};

use journal::{AppendError, OpenError};

/// Why a compaction didn't happen. Unless it says otherwise nothing was lost: staging and table are
/// as they were, or as the next compaction puts them right.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompactError {
    /// Another compaction of this lake is going on.
    #[error("the lake {} is being compacted{}: wait for it, or stop it", lake.display(),
        pid.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    Locked {
        /// The lake's folder.
        lake: PathBuf,
        /// Who does it.
        pid: Option<u32>,
    },
    /// The lake's folder isn't there.
    #[error("there is no lake in {}: run a pipe that delivers into it first", lake.display())]
    NoLake {
        /// The folder.
        lake: PathBuf,
    },
    /// An option is out of its bounds.
    #[error("{what}")]
    Option {
        /// Which, its value and its bound.
        what: String,
    },
    /// The table has other partitions.
    #[error(
        "the table in {} is partitioned by {table}, the config says {config}: set `partition` back, or give the sink another lake folder", lake.display()
    )]
    Partition {
        /// The lake's folder.
        lake: PathBuf,
        /// The table's partitions.
        table: String,
        /// The config's.
        config: String,
    },
    /// A staging file or its sidecar isn't what it should be.
    #[error(
        "{}: {what}. Nothing was compacted; restore the file from a copy, or move it and its sidecar out of the lake", file.display()
    )]
    Input {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// A file that the lake's journal names is not what it says.
    #[error("{}: {what}. Restore the lake from a copy, or ask for help with its journal in _onceflow/journal", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The lake's journal can't be read.
    #[error("the lake's journal: {0}")]
    Open(#[from] OpenError),
    /// The lake's journal can't be written.
    #[error("the lake's journal: {0}")]
    Append(#[from] AppendError),
    /// A Parquet file can't be made.
    #[error("cannot make {}: {what}", file.display())]
    Parquet {
        /// The file.
        file: PathBuf,
        /// What the library says.
        what: String,
    },
    /// The disk refused.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// A verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody asked to stop. Nothing was changed.
    #[error("the compaction was stopped; nothing was changed")]
    Stopped,
    /// A thread ended in a way that it shouldn't.
    #[error("a thread of the compaction ended unexpectedly; nothing was changed")]
    Thread,
}

impl CompactError {
    /// What the disk says of a path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { action, path: path.to_path_buf(), error }
    }

    /// Whether it is for lack of space: it may go better later.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Io { error, .. } => error.kind() == io::ErrorKind::StorageFull,
            Self::Append(AppendError::DiskFull { .. }) => true,
            _ => false,
        }
    }
}
