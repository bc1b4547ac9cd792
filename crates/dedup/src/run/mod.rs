//! Key runs: sorted, immutable files of keys that left the ledger's journal, by window class and
//! expiry bucket (docs/formats/key-run.md).

mod format;
mod merge;
mod place;
mod reader;
mod writer;

pub(crate) use merge::{choose, merge};
pub(crate) use place::{FOREVER, Place};
pub(crate) use reader::{RunReader, missing};
pub(crate) use writer::{RunWriter, sort_key};

#[cfg(test)]
mod tests;
