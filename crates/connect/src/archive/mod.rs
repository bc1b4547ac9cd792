//! The archive: everything that a source gave, by time of receipt, compressed, exactly once. On
//! disk: docs/formats/archive.md.

mod sink;

pub use sink::{ArchiveOptions, ArchiveSink};
