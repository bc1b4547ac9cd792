//! What a compaction is told.

use event::path::{FieldPath, Step};

use crate::table::EventTime;

/// One level of folders of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionField {
    /// `year=2026`, of the row's time, UTC.
    Year,
    /// `month=11`.
    Month,
    /// `day=02`.
    Day,
    /// A field of the event: `language_id=en`.
    Field(FieldPath),
}

impl PartitionField {
    /// How the lake's journal names it.
    pub(crate) fn spec(&self) -> String {
        match self {
            Self::Year => "year".into(),
            Self::Month => "month".into(),
            Self::Day => "day".into(),
            Self::Field(path) => path.to_string(),
        }
    }

    /// What its folders are called before the `=`, unless a column is called so already.
    pub(crate) fn key(&self) -> String {
        let Self::Field(path) = self else { return self.spec() };
        let name = match path.steps().last() {
            Some(Step::Field(name)) => name.to_string(),
            Some(Step::Index(index)) => format!("item_{index}"),
            None => "row".into(),
        };
        let mut key: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' })
            .take(64)
            .collect();
        // A field at the top is a column of that name.
        if path.steps().len() == 1 || key.is_empty() || key.starts_with('_') {
            key.push_str("_partition");
        }
        // Tools skip folders that begin with `_`.
        if key.starts_with('_') { format!("field{key}") } else { key }
    }
}

/// What a compaction is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactOptions {
    /// The table's folders, outermost first. A table keeps them for good.
    pub partition: Vec<PartitionField>,
    /// Where a row's event time stands. Without it, and in rows where it is missing or unreadable,
    /// the recorded time of the sidecar counts.
    pub event_time: Option<EventTime>,
    /// A file of the table is finished at this size; at most 1 GiB.
    pub file_bytes_target: u64,
    /// `compact_memory_bytes_max`: what is sorted spills to disk past it. A single row, and the
    /// columns of a file that is being written, may take it somewhat further.
    pub memory_bytes_max: u64,
    /// Most different values of the partition fields in a day; new ones past it go to `__other__`.
    pub partitions_open_max: usize,
    /// Threads that read, sort and write.
    pub threads: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            partition: vec![PartitionField::Year, PartitionField::Month, PartitionField::Day],
            event_time: None,
            file_bytes_target: 128 << 20,
            memory_bytes_max: 256 << 20,
            partitions_open_max: 1000,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

impl CompactOptions {
    /// Largest `file_bytes_target`.
    pub const FILE_BYTES_TARGET_MAX: u64 = 1 << 30;
    /// Smallest `memory_bytes_max` that makes a difference.
    pub const MEMORY_BYTES_MIN: u64 = 64 << 10;
}
