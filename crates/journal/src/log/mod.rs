//! The append-only log. The way of a record: `journal.rs` (submit) → `writer.rs` (group, write,
//! sync, answer); and back: `recovery.rs` (open) or `reader.rs`.

mod append;
mod config;
mod error;
mod format;
mod group;
mod journal;
mod open_files;
mod position;
mod queue;
mod reader;
mod recovery;
mod segment;
mod segments;
mod sync_points;
mod walk;
mod window;
mod writer;

pub use append::{PendingAppend, Then};
pub use config::JournalConfig;
pub use error::{AppendError, OpenError, ReadError, ReplayError};
pub use journal::Journal;
pub use position::Position;
pub use reader::Reader;
pub use recovery::read_only;
pub use walk::Replay;
