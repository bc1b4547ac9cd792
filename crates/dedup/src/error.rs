//! What can go wrong with a ledger. Each message says what, where, and what to do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::store::{StoreError, StoreFault};

/// Why the ledger can't do what it was asked to.
///
/// Clones share the cause, so that one failed record can answer everybody who waits for it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another process has the data folder.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The data folder can't be read or written.
    #[error(transparent)]
    Io(#[from] FolderIo),
    /// There is nothing to read.
    #[error(transparent)]
    NoLedger(#[from] NoLedger),
    /// A newer program wrote the folder.
    #[error(transparent)]
    NewerVersion(#[from] NewerVersion),
    /// What stands on disk is not what was written.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// The journal can't be opened.
    #[error("cannot open the ledger: {0}")]
    Journal(Arc<journal::OpenError>),
    /// The scope's keys are made in another way.
    #[error(transparent)]
    OtherDefinition(#[from] OtherDefinition),
    /// Keys that come from elsewhere were hashed with another secret.
    #[error(transparent)]
    OtherSecret(#[from] OtherSecret),
    /// Keys that come from elsewhere are made in another way.
    #[error(transparent)]
    ImportDefinition(#[from] ImportDefinition),
    /// A scope that this data folder doesn't know.
    #[error("this data folder knows no scope {scope}")]
    UnknownScope {
        /// The scope.
        scope: String,
    },
    /// Two pipes disagree about their scope's clock.
    #[error(transparent)]
    OtherOptions(#[from] OtherOptions),
    /// The wall clock is behind.
    #[error(transparent)]
    ClockSetBack(#[from] ClockSetBack),
    /// A pipe is declared twice at the same time, or a limit is reached.
    #[error("pipe {pipe}: {what}")]
    Declaration {
        /// The pipe.
        pipe: String,
        /// What is wrong, and what to do.
        what: String,
    },
    /// There was no room; the record was not written and nothing was applied. Once there is room
    /// the same call may be made again, with those that came after it.
    #[error(transparent)]
    DiskFull(#[from] DiskFull),
    /// Storage failed: nothing more is acknowledged until a restart (P7).
    #[error(
        "the ledger has stopped, and nothing more is acknowledged until a restart: {cause}. \
         Check the disk, then start again"
    )]
    Stopped {
        /// What failed.
        cause: Arc<str>,
    },
    /// A record that the journal doesn't take.
    #[error("a record of the ledger was refused: {what}")]
    Refused {
        /// Which limit, and what to do.
        what: String,
    },
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
    /// The store that the scope's keys are in can't do it; [`StoreError::fault`] says whether that
    /// passes.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A batch lost its keys to another worker before it was committed: it, and all that was decided
    /// after it, never happened. The pipe must be declared anew; its events come again.
    #[error("a batch was withdrawn before it was committed: {0}; its events come again")]
    Withdrawn(Arc<str>),
}

impl LedgerError {
    /// Whether the call may be made again once there is room.
    #[must_use]
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull(_))
    }

    /// Whether the call may be made again after a while: a store is away, full, or lost its data.
    #[must_use]
    pub const fn passes(&self) -> bool {
        match self {
            Self::Store(error) => !matches!(error.fault, StoreFault::Refused),
            _ => false,
        }
    }

    pub(crate) fn stopped(cause: impl std::fmt::Display) -> Self {
        Self::Stopped { cause: cause.to_string().into() }
    }
}

/// Another process has the data folder.
#[derive(Clone, Debug, Error)]
#[error(
    "the data folder {} is in use by {}. Stop that process, or take another folder with --data-dir",
    dir.display(), owner(*pid)
)]
pub struct Locked {
    /// The data folder.
    pub dir: PathBuf,
    /// The process that has it, where that could be read.
    pub pid: Option<u32>,
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

/// The data folder can't be read or written.
#[derive(Clone, Debug, Error)]
#[error("cannot {what} {}: {source}{}", path.display(), advice(source))]
pub struct FolderIo {
    /// What was tried, as a verb.
    pub what: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: Arc<io::Error>,
}

impl FolderIo {
    pub(crate) fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self { what, path: path.into(), source: Arc::new(source) }
    }
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ". Give this user read and write permission to the whole data folder, or take another \
             folder with --data-dir"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            ". The file system is mounted read-only; take another folder with --data-dir"
        }
        io::ErrorKind::StorageFull => ". Make room on that disk, then start again",
        _ => "",
    }
}

/// There is nothing to read.
#[derive(Clone, Debug, Error)]
#[error(
    "there is no ledger in {}. Name the folder of a run with --data-dir, or run a pipe first",
    dir.display()
)]
pub struct NoLedger {
    /// The data folder.
    pub dir: PathBuf,
}

/// A newer program wrote the folder.
#[derive(Clone, Debug, Error)]
#[error(
    "the ledger in {} has format {found}, this program reads up to {supported}. Use onceflow \
     {written_by} or newer. Nothing was changed",
    dir.display()
)]
pub struct NewerVersion {
    /// The ledger's folder.
    pub dir: PathBuf,
    /// The format's version there.
    pub found: u8,
    /// The newest one that this program reads.
    pub supported: u8,
    /// The program's version that wrote it.
    pub written_by: String,
}

/// What stands on disk is not what was written.
#[derive(Clone, Debug, Error)]
#[error(
    "{} is damaged{}: {what}. Restore the data folder from a copy, and check the disk. Nothing \
     was changed",
    file.display(),
    offset.map(|offset| format!(" at byte {offset}")).unwrap_or_default()
)]
pub struct Damaged {
    /// The file or folder.
    pub file: PathBuf,
    /// Where in it, where that is known.
    pub offset: Option<u64>,
    /// What is wrong there.
    pub what: String,
}

/// The scope's keys are made in another way than this config says.
#[derive(Clone, Debug, Error)]
#[error(
    "scope {scope} remembers keys of {recorded}, but the config of pipe {pipe} now makes them of \
     {wanted}, so no event would be recognised. Put the key back as it was; or start with --new-key, \
     and old keys are looked up as well until the last of them has ended; or name a new \
     `dedup.scope`, which remembers nothing of the old one"
)]
pub struct OtherDefinition {
    /// The scope.
    pub scope: String,
    /// The pipe.
    pub pipe: String,
    /// The definition in the ledger.
    pub recorded: String,
    /// The definition in the config.
    pub wanted: String,
}

/// Keys that come from elsewhere were hashed with another secret than the scope's.
#[derive(Clone, Debug, Error)]
#[error(
    "these keys were hashed with another secret than those of scope {scope} here: they can't be \
     compared, and no event would be recognised by them. Import them into a scope that is new to \
     this data folder, which takes over their secret, or import the key values themselves"
)]
pub struct OtherSecret {
    /// The scope.
    pub scope: String,
}

/// Keys that come from elsewhere are made in another way than the scope's.
#[derive(Clone, Debug, Error)]
#[error(
    "these keys are made of {wanted}, those of scope {scope} here of {recorded}: no event would be \
     recognised by them. Import the key values themselves, or name another scope"
)]
pub struct ImportDefinition {
    /// The scope.
    pub scope: String,
    /// The definition in the ledger.
    pub recorded: String,
    /// That of the keys.
    pub wanted: String,
}

/// Two pipes of one scope disagree about its clock.
#[derive(Clone, Debug, Error)]
#[error(
    "pipe {pipe} gives scope {scope} another clock, lateness or late policy than the pipe that \
     uses it already. All pipes of a scope need the same `dedup.clock`, `lateness` and `late`"
)]
pub struct OtherOptions {
    /// The scope.
    pub scope: String,
    /// The pipe that came second.
    pub pipe: String,
}

/// The wall clock is behind what the ledger recorded.
#[derive(Clone, Debug, Error)]
#[error(
    "the wall clock is {} behind the newest event of scope {scope} (recorded at \
     {recorded_max_ms} ms, now {now_ms} ms since 1970), and with `clock: received` recorded time \
     must not run backwards. Set the machine's clock, then start again; if the clock was ahead \
     before, wait until it has caught up",
    seconds(recorded_max_ms - now_ms)
)]
pub struct ClockSetBack {
    /// The scope.
    pub scope: String,
    /// The highest recorded time; ms since the Unix epoch.
    pub recorded_max_ms: i64,
    /// The wall clock; ms since the Unix epoch.
    pub now_ms: i64,
}

fn seconds(ms: i64) -> String {
    let s = ms / 1000;
    format!("{} h {} min {} s", s / 3600, s / 60 % 60, s % 60)
}

/// There was no room on the disk.
#[derive(Clone, Debug, Error)]
#[error("no room in the ledger: {cause}")]
pub struct DiskFull {
    /// What could not be written, and where.
    pub cause: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_permission_says_what_to_give_to_whom() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = LedgerError::from(FolderIo::new("open", Path::new("/data/ledger"), denied));
        let text = error.to_string();
        assert!(text.starts_with("cannot open /data/ledger: permission denied. Give"), "{text}");
        assert!(text.contains("--data-dir"), "{text}");
    }

    #[test]
    fn a_full_disk_and_a_lost_mount_say_what_to_do() {
        let say =
            |kind: io::ErrorKind| FolderIo::new("write", Path::new("/d"), kind.into()).to_string();
        assert!(say(io::ErrorKind::StorageFull).contains("Make room"));
        assert!(say(io::ErrorKind::ReadOnlyFilesystem).contains("read-only"));
    }
}
