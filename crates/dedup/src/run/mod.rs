//! Key runs: sorted, immutable files of keys that left the ledger's journal, by window class and
//! expiry bucket (docs/formats/key-run.md).
//!
//! `writer.rs` makes one from sorted keys, `merge.rs` one from several, `choose.rs` says from which;
//! `open.rs` and `lookup.rs` find keys in them without loading them; `reader.rs` reads one from
//! front to back. They know nothing of what a key's entry means for an event: that is the scope's.

mod block;
mod choose;
mod file;
mod filter;
mod format;
mod lookup;
mod merge;
mod open;
mod packed;
mod place;
mod reader;
mod row;
mod sort;
mod writer;

pub(crate) use choose::{choose, place_of};
pub(crate) use file::missing;
pub(crate) use lookup::{LookupRoom, look_up, look_up_but};
pub(crate) use merge::merge;
pub(crate) use open::OpenRun;
pub(crate) use place::{FOREVER, Place};
pub(crate) use reader::RunReader;
pub(crate) use row::{Kind, Row};
pub(crate) use sort::sort;
pub(crate) use writer::RunWriter;
#[cfg(test)]
pub(crate) use writer::sort_key;

#[cfg(test)]
mod tests;
