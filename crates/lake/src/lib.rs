//! The lake's staging tier: NDJSON files by minute, each with a sidecar of keys and positions.
//!
//! It is for landing events on disk so that a reader sees whole, finished files only, and so that
//! a commit of the ledger decides what is in them. It deliberately knows nothing of sources, keys'
//! meaning or configuration; the ledger's state comes in as `SinkState`, and everything durable
//! goes through `journal::Disk`.
//!
//! Start reading at [`staging`], then [`sidecar`] (docs/formats/staging.md and sidecar.md).

pub mod folders;
pub mod rows;
pub mod sidecar;
pub mod staging;

pub use staging::{By, StagingOptions, StagingSink};
