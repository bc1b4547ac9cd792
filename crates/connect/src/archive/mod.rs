//! The archive: everything that a source gave, by time of receipt, compressed, exactly once. On
//! disk: docs/formats/archive.md.
//!
//! [`ArchiveSink`] stages it (`stage.rs`), as carefully as the lake's staging tier; [`read`] reads
//! it back, over damage; [`playback`] makes batches of it, at whatever pace.

mod block;
mod body;
mod names;
mod open_file;
pub mod playback;
mod publish;
pub mod read;
mod recovery;
mod retention;
mod sink;
mod stage;
mod varint;

pub use block::{BlockHead, FileHead, VERSION};
pub use names::Hour;
pub use sink::{ArchiveOptions, ArchiveSink, ArchiveStats};
