//! The syncs of the ledger outside its journal. Each is needed: the crash sweep takes away one
//! after the other, and finds what is lost then.

use journal::SyncPoint;

/// The folders above the ledger, before anything lies in them.
pub(crate) const FOLDER: SyncPoint = SyncPoint("ledger.folder");
/// A key run, before a checkpoint lists it.
pub(crate) const RUN: SyncPoint = SyncPoint("ledger.run");
/// The folder of key runs, before a checkpoint lists new ones.
pub(crate) const RUNS: SyncPoint = SyncPoint("ledger.runs");
