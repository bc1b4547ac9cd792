//! What a compaction says of its work, while it works and afterwards.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Most entries in each list of a [`Compaction`].
pub const LISTED_MAX: usize = 1000;

/// What compaction is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reading and sorting staging files; counted in bytes of rows.
    Sort,
    /// Merging what was spilled into fewer pieces; counted in bytes of rows.
    Merge,
    /// Writing the table's files; counted in bytes of rows.
    Write,
    /// Making the new files visible and removing staging files; counted in files.
    Switch,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sort => "sort",
            Self::Merge => "merge",
            Self::Write => "write",
            Self::Switch => "switch",
        })
    }
}

/// Hears how far a compaction is. Called from several threads, some hundred times a second.
pub trait Progress: Sync {
    /// A phase begins, in which there is so much to do.
    fn begin(&self, phase: Phase, total: u64) {
        let _ = (phase, total);
    }

    /// So much more of the phase is done.
    fn advance(&self, done: u64) {
        let _ = done;
    }
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {}

/// Values that didn't fit their column and went to `_rescued`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescuedField {
    /// Path of the field, with `[]` for every place in an array.
    pub column: String,
    /// What was found, and what the column holds or why it can't take it.
    pub found: String,
    /// How many values.
    pub rows: u64,
    /// One of them, cut to 100 bytes.
    pub example: String,
}

/// A day in which there were too many values of the partition fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherPartition {
    /// The folders of the day, as in `year=2026/month=11/day=02`; empty without them.
    pub day: String,
    /// Rows that went to `__other__` in this compaction.
    pub rows: u64,
    /// A value that did, percent-encoded.
    pub example: String,
}

/// Two rows of one key whose recorded times differ by less than the window: with the embedded
/// ledger an imbalance. Both are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateKey {
    /// The key, in hex.
    pub key: String,
    /// Recorded times of the two, ms since the Unix epoch.
    pub recorded_ms: [i64; 2],
    /// The window, ms.
    pub window_ms: i64,
}

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// Staging files that are now part of the table.
    pub inputs: u64,
    /// Their rows.
    pub rows: u64,
    /// Bytes of those rows.
    pub bytes_in: u64,
    /// Files of the table that were written.
    pub files_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Partitions that they lie in.
    pub partitions: u64,
    /// Columns that are new in the table, with their types.
    pub columns_added: Vec<String>,
    /// Rows that have something in `_rescued`.
    pub rows_rescued: u64,
    /// What it was; the first [`LISTED_MAX`] kinds.
    pub rescued: Vec<RescuedField>,
    /// Rows without a readable event time, which went by their recorded time.
    pub rows_without_event_time: u64,
    /// Days with too many values of the partition fields; the first [`LISTED_MAX`].
    pub other_partitions: Vec<OtherPartition>,
    /// How many rows repeat a key within its window.
    pub rows_duplicate: u64,
    /// The first [`LISTED_MAX`] of them.
    pub duplicates: Vec<DuplicateKey>,
    /// Bytes that were spilled to disk while sorting.
    pub bytes_spilled: u64,
    /// Whether a switch that a crash interrupted was completed first.
    pub recovered: bool,
    /// Staging files that are finished, but that the ledger may still look for.
    pub waiting: u64,
    /// There was no file to compact.
    pub nothing_to_do: bool,
}
