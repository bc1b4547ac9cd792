//! Exactly-once publishing: the receiver remembers how far each producer has come (DESIGN §3
//! "Sinks that can't hide output but refuse repeats").

use event::{BatchNumber, LedgerId};

/// Who publishes: one sink of one pipe of one data folder.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Producer {
    /// The data folder's ledger.
    pub ledger_id: LedgerId,
    /// The pipe.
    pub pipe: String,
    /// Its sink.
    pub sink: String,
}

/// How far a producer has come: batch, and index within the batch. What is at or below the highest
/// one that was stored is a repeat, and is skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence {
    /// The batch.
    pub batch: BatchNumber,
    /// Index of the event in its batch.
    pub index: u32,
}
