//! How a sink's events are tried again, and what becomes of those that can't be delivered.

use std::path::PathBuf;
use std::time::Duration;

use event::path::FieldPath;

/// When a failed delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Attempts of an event at a sink, the first included; 1 to 10,000.
    pub attempts_max: u64,
    /// An event that failed and was received longer ago dies; 1 s to 14 d.
    pub age_max: Duration,
    /// The delay before attempt `n + 1` is random between 0 and the lesser of `backoff_max` and
    /// `backoff_min` × 2^(n - 1): full jitter. 1 ms to 1 h.
    pub backoff_min: Duration,
    /// See there; `backoff_min` to 1 h.
    pub backoff_max: Duration,
    /// `jitter: full` (random) or `none` (always the longest).
    pub jitter: bool,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts_max: 5,
            age_max: Duration::from_secs(24 * 3600),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(30),
            jitter: true,
        }
    }
}

/// When a sink counts as down, and how it is asked whether it is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitConfig {
    /// Failures in a row, with no success between, after which the sink counts as down; 1 to
    /// 10,000.
    pub failures_max: u64,
    /// The first pause before it is probed with one event; it doubles up to `pause_max`.
    pub pause_min: Duration,
    /// See there.
    pub pause_max: Duration,
}

impl Default for CircuitConfig {
    fn default() -> Self {
        Self {
            failures_max: 10,
            pause_min: Duration::from_secs(1),
            pause_max: Duration::from_secs(30),
        }
    }
}

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterConfig {
    /// The folder; `None` is `dead` in the data folder.
    pub store: Option<PathBuf>,
    /// An embedded queue that gets each letter too.
    pub queue: Option<String>,
    /// Bytes of all letters in the store, past which the pipe stops; 1 MiB to 64 TiB.
    pub store_bytes_max: u64,
    /// What becomes of a letter that was replayed.
    pub after_replay: AfterReplay,
    /// How often an event may be replayed; 1 to 1,000.
    pub replays_max: u64,
}

impl DeadLetterConfig {
    /// The folder of the letters.
    #[must_use]
    pub fn folder(&self, data_dir: &std::path::Path) -> PathBuf {
        self.store.clone().unwrap_or_else(|| data_dir.join("dead"))
    }
}

impl Default for DeadLetterConfig {
    fn default() -> Self {
        Self {
            store: None,
            queue: None,
            store_bytes_max: 64 << 30,
            after_replay: AfterReplay::Mark,
            replays_max: 3,
        }
    }
}

/// What becomes of a letter that was replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterReplay {
    /// It stays, marked as processed.
    Mark,
    /// It is removed.
    Remove,
}

/// Which events must not overtake each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OrderConfig {
    /// Events pass one that is tried again.
    #[default]
    None,
    /// Later events of the same partition key wait for it: the broker's key, or, where `by` is
    /// set (`order_by`), the value of that field.
    PerPartitionKey {
        /// The field, instead of the broker's key.
        by: Option<FieldPath>,
    },
}

/// Which sinks an event goes to, among those whose `match` takes it; a sink without `match` takes
/// every event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteConfig {
    /// `first`: only the first sink (in the config's order) that takes it; else `all` of them.
    pub first: bool,
    /// The sink of events that no `match` takes (sinks without `match` don't count); `None`: they
    /// are filtered. It needs no `match` of its own and gets nothing else.
    pub default: Option<String>,
}

/// What is kept of everything that a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveConfig {
    /// The folder; `None` is `archive/<pipe>` in the data folder.
    pub path: Option<PathBuf>,
    /// `received`: every event as it came; `filtered`: without those that were filtered or
    /// rejected.
    pub after_filter: bool,
    /// Archive files whose newest event is older are removed; `None`: never.
    pub retention: Option<Duration>,
    /// A file is finished past this many bytes; 1 MiB to 4 GiB.
    pub file_bytes_max: u64,
    /// A file is finished past this age; 1 min to 1 d.
    pub file_age_max: Duration,
    /// zstd level; 1 to 19.
    pub level: u8,
}

impl Default for ArchiveConfig {
    fn default() -> Self {
        Self {
            path: None,
            after_filter: false,
            retention: None,
            file_bytes_max: 256 << 20,
            file_age_max: Duration::from_secs(3600),
            level: 1,
        }
    }
}

/// Adds to an event what is known elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrichConfig {
    /// Where the answer is asked for.
    pub from: EnrichFrom,
    /// The field of the event that gets the answer; an object field that is there is replaced.
    pub into: FieldPath,
    /// What becomes of an event that there is no answer for.
    pub missing: EnrichMissing,
}

/// Where an enrichment comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnrichFrom {
    /// A table in a file, reloaded when it changes.
    Lookup {
        /// CSV (with a header) or NDJSON, by the file's ending.
        file: PathBuf,
        /// The event's field that is looked up.
        key: FieldPath,
        /// The table's column (or top-level field) that it is looked up in.
        on: String,
        /// The table may have this many rows; 1 to 100,000,000.
        rows_max: u64,
    },
    /// A call: a JSON array of the values of `key` is posted, a JSON array of as many answers
    /// (`null` for none) comes back.
    Http {
        /// How it is called; `batch` says how many values go into one call.
        http: Box<super::HttpConfig>,
        /// The event's field whose value is sent.
        key: FieldPath,
        /// Answers that are remembered; 0 to 10,000,000.
        cache_entries_max: u64,
        /// How long they are.
        cache_age_max: Duration,
    },
}

/// What becomes of an event that there is no answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrichMissing {
    /// It goes on without.
    Pass,
    /// It is rejected.
    Reject,
}

/// Whether a filter is an EventBridge event pattern or one of EventBridge Pipes, which has fewer
/// operators (no wildcard, no nested anything-but).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatternKind {
    /// Every operator.
    #[default]
    EventBridge,
    /// Those of EventBridge Pipes.
    Pipes,
}
