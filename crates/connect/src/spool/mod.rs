//! Sinks that can't hide output but refuse repeats (DESIGN §3 "Staging"): rows are staged in a
//! synced spool in the data folder and published from it once the ledger has them, under (ledger
//! id, pipe, sink, batch, index). The receiver remembers the highest of these, so a publish that
//! happens again after a crash changes nothing.
//!
//! Start reading at [`sink`], then [`publish`]; [`frame`] is what stands on disk.

pub mod frame;
mod publish;
pub mod sink;
pub mod target;

pub use sink::{SpoolOptions, SpoolSink};
pub use target::{Entry, Target};
