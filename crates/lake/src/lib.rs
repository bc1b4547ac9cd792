//! The lake: staging, NDJSON files by minute, each with a sidecar of keys and positions; and the
//! table, Parquet files into which finished staging files are compacted.
//!
//! It is for landing events on disk so that a reader sees whole, finished files only, and so that
//! a commit of the ledger decides what is in them. It deliberately knows nothing of sources, keys'
//! meaning or configuration; the ledger's state comes in as `SinkState`, and everything durable
//! goes through `journal::Disk`.
//!
//! Start reading at [`staging`], then [`sidecar`] (docs/formats/staging.md and sidecar.md), then
//! [`compact()`](compact::compact) (table.md and lake-journal.md).

pub mod compact;
pub mod folders;
pub mod keys;
pub mod rows;
pub mod sidecar;
pub mod staging;
pub mod table;

pub use compact::{
    CompactError, CompactLock, CompactOptions, Compaction, PartitionField, Phase, Progress, Quiet,
    TableState, compact, table_state,
};
pub use staging::{By, StagingOptions, StagingSink};
pub use table::{Column, ColumnType, EventTime, TimeFormat};
