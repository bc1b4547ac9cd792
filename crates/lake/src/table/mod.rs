//! The table: what its columns are, and how rows become columns.

mod columns;
mod layout;
mod learn;
mod own;
mod rescue;
mod schema;
mod shred;
pub(crate) mod time;

pub(crate) use learn::Learned;
pub(crate) use own::SideRow;
pub(crate) use rescue::Rescues;
pub use schema::{Column, ColumnType};
pub(crate) use schema::{Limits, Schema};
pub(crate) use shred::Shredder;
pub use time::{EventTime, TimeFormat};

/// Columns that say what the sidecar said of a row.
pub(crate) const OWN_COLUMNS: [&str; 10] = [
    "_rescued",
    "_onceflow_key",
    "_onceflow_event_time",
    "_onceflow_recorded_time",
    "_onceflow_window_ms",
    "_onceflow_shard",
    "_onceflow_offset",
    "_onceflow_offset_wide",
    "_onceflow_batch",
    "_onceflow_marks",
];
