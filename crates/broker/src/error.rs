//! Why the broker says no.

use std::path::{Path, PathBuf};

/// The broker can't do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// No queue of that name.
    #[error("there is no queue `{name}`")]
    NoSuchQueue {
        /// The name that was asked for.
        name: String,
        /// Those that exist, sorted; at most 20.
        existing: Vec<String>,
    },
    /// No stream of that name.
    #[error("there is no stream `{name}`")]
    NoSuchStream {
        /// The name that was asked for.
        name: String,
        /// Those that exist, sorted; at most 20.
        existing: Vec<String>,
    },
    /// No shard of that number.
    #[error("stream `{stream}` has no shard {shard}")]
    NoSuchShard {
        /// The stream.
        stream: String,
        /// The shard that was asked for.
        shard: u32,
    },
    /// A queue or stream of that name exists, with other settings.
    #[error("`{name}` exists already{difference}")]
    Exists {
        /// Its name.
        name: String,
        /// Empty, or what is different: ` with another VisibilityTimeout`.
        difference: String,
    },
    /// Something that was given is out of bounds.
    #[error("{what}")]
    Invalid {
        /// Which value, and what it may be.
        what: String,
    },
    /// A queue may be purged once in 60 s.
    #[error("queue `{name}` was purged less than 60 s ago")]
    PurgeInProgress {
        /// The queue.
        name: String,
    },
    /// A limit with a name is reached; nothing was stored.
    #[error("{what}")]
    OverLimit {
        /// Which limit, what it is, what to do.
        what: String,
    },
    /// No disk space; nothing was stored, and it may be tried again.
    #[error("no space left in {}: free some room", dir.display())]
    NoSpace {
        /// Where.
        dir: PathBuf,
    },
    /// Storage failed; nothing more is acknowledged until a restart (P7).
    #[error("the broker's storage failed, restart after mending it: {cause}")]
    Stopped {
        /// What failed first.
        cause: String,
    },
    /// What is on disk can't be read.
    #[error("the broker's data can't be read: {what}")]
    Unreadable {
        /// Which file and why, and the way out.
        what: String,
    },
}

impl BrokerError {
    /// A failed call on the file system.
    pub(crate) fn io(action: &str, path: &Path, error: std::io::Error) -> Self {
        Self::Stopped { cause: format!("cannot {action} {}: {error}", path.display()) }
    }
}
