//! A pipe's handle of the ledger.

use std::sync::Arc;

use event::sink::{ScopeSecret, SinkIdentity, SinkState, StagedOutput};
use event::source::SourceState;
use event::{Batch, BatchNumber};

use super::{Ledger, Settlement};
use crate::error::LedgerError;
use crate::scope::Reserved;

/// A pipe's handle of the ledger. The thread that decides calls `reserve`; the thread that commits
/// calls the rest.
pub struct PipeLedger {
    ledger: Arc<Ledger>,
}

impl PipeLedger {
    /// Who stages into `sink`.
    #[must_use]
    pub fn identity(&self, sink: &str) -> SinkIdentity {
        SinkIdentity {
            ledger_id: self.ledger.id(),
            epoch: self.ledger.epoch(),
            pipe: String::new(),
            sink: sink.into(),
            scope: self.scope_secret(),
        }
    }

    /// What the keys of this pipe's scope are made with.
    #[must_use]
    pub fn scope_secret(&self) -> Option<ScopeSecret> {
        None
    }

    /// Where the source goes on.
    #[must_use]
    pub fn source_state(&self) -> SourceState {
        SourceState::new()
    }

    /// What a sink recovers from; that of a new sink when the ledger doesn't know it.
    #[must_use]
    pub fn sink_state(&self, _sink: &str) -> SinkState {
        SinkState::default()
    }

    /// The number of the next batch to commit.
    #[must_use]
    pub fn next_batch(&self) -> BatchNumber {
        BatchNumber(1)
    }

    /// Decides every event whose fate is undecided, see [`crate::scope::Scope::reserve`]. Without
    /// a scope every such event is delivered.
    pub fn reserve(&self, _number: BatchNumber, _batch: &mut Batch) -> Reserved {
        Reserved::default()
    }

    /// Lets go of the keys that batch `number` reserved: it will not commit, or not with them.
    pub fn release(&self, _number: BatchNumber, _batch: &Batch) {}

    /// Records files with their base length before their first byte is written; waits until that
    /// is durable.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing was applied.
    pub fn record_opened(&self, _sink: &str, _output: StagedOutput) -> Result<(), LedgerError> {
        Err(LedgerError::Closed)
    }

    /// Encodes the batch's record and hands it to the journal, in call order. The batch is settled
    /// once [`PendingCommit::wait`] has said so, and not before.
    ///
    /// After [`LedgerError::DiskFull`] every later commit of the pipe that was under way fails in
    /// the same way; once there is room they are made again, in order, with the same numbers.
    pub fn commit(&self, _settlement: &Settlement<'_>) -> PendingCommit {
        PendingCommit(LedgerError::Closed)
    }

    /// Everything that `sink` staged up to batch `number` is published and durable. Goes along
    /// with the next record; until then a restart publishes again.
    pub fn published(&self, _sink: &str, _number: BatchNumber) {}

    /// Changes whenever a key in flight that somebody waits for was settled or released: events
    /// that wait are worth another `reserve` then.
    #[must_use]
    pub fn wakeups(&self) -> u64 {
        0
    }
}

/// A commit that is under way. Dropping it doesn't take it back.
#[must_use = "nothing is settled before wait() has said so"]
pub struct PendingCommit(LedgerError);

impl PendingCommit {
    /// Blocks until the record is durable and applied, and everything committed before it too.
    ///
    /// # Errors
    /// [`LedgerError::DiskFull`]: not written, commit again once there is room.
    /// [`LedgerError::Stopped`]: storage failed; whether the record will be there after a restart
    /// is not known, and nothing may be acknowledged.
    pub fn wait(self) -> Result<(), LedgerError> {
        Err(self.0)
    }
}
