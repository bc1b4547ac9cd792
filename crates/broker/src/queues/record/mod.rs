//! What stands in the queues' journal: docs/formats/queues.md.

mod codec;
pub(super) mod content;
pub(super) mod definition;
pub(super) mod entry;
#[cfg(test)]
mod fixture;

pub(super) use definition::Definition;
pub(super) use entry::{Copied, Entry, Note, Place, RecordWriter, SentMessage, entries};
