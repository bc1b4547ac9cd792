//! Sources and sinks: where a pipe reads and where it delivers, one folder per system and one line
//! each in [`registry`].
//!
//! It is for everything that touches the outside: files, standard input and output, the file of
//! rejected events. It deliberately knows nothing of configuration, ledgers, keys or stages: the
//! pipe hands over checked options, the ledger's state comes in as `SourceState` and `SinkState`,
//! and what must be durable goes through `journal::Disk`.
//!
//! Start reading at [`file::source`], then [`file::sink`].

pub mod file;
pub mod registry;
pub mod rejected;
pub mod stdout;

pub use file::sink::{FileSink, FileSinkOptions};
pub use file::source::{Compression, FilePattern, FileSource, FileSourceOptions};
pub use rejected::{RejectedOptions, RejectedSink};
pub use stdout::StdoutSink;
