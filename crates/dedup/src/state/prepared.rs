//! What the ledger knows of scopes in a store that workers share.

use event::{BatchNumber, Epoch};
use journal::Position;

use crate::record::BatchHead;

/// The store that a scope is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedState {
    /// Where it is.
    pub place: String,
    /// The scope's incarnation there: another one means that the store lost its data.
    pub incarnation: u128,
    /// How often it did, as far as this ledger noticed.
    pub losses: u64,
}

/// A batch that is ready: its record is there, and whether it counts, the store says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedBatch {
    /// Where its record lies, with its keys.
    pub(crate) position: Position,
    /// The epoch and the number under which the store knows it.
    pub(crate) epoch: Epoch,
    pub(crate) attempt: u64,
    /// What it will change.
    pub(crate) head: Box<BatchHead>,
}

impl PreparedBatch {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> BatchNumber {
        self.head.number
    }
}
