//! A pipe starts: what became of batches that its last run left prepared, and of what that run had
//! in flight.

use std::sync::Arc;

use event::Epoch;

use super::PipeDeclaration;
use super::core::Core;
use super::lock;
use crate::error::LedgerError;
use crate::record::{OpenRecord, Record, ResolvedRecord};
use crate::state::PreparedBatch;
use crate::store::{BatchRef, BatchState, Store};

impl Core {
    /// Asks the store for every prepared batch of a pipe, in order. One that is open still has its
    /// keys, and its output is staged: it is committed. The first that is not takes all later ones
    /// with it.
    pub(super) fn resolve(
        self: &Arc<Self>,
        pipe: u16,
        declaration: &PipeDeclaration,
    ) -> Result<(), LedgerError> {
        let (worker, prepared) = {
            let live = lock(&self.live);
            let known = live.state.pipes.get(usize::from(pipe));
            let prepared: Vec<PreparedBatch> =
                known.map(|p| p.prepared.clone()).unwrap_or_default();
            (live.state.ledger_id, prepared)
        };
        let mut prepared = prepared.into_iter();
        let Some(shared) = declaration.store.as_ref().filter(|_| declaration.scope.is_some())
        else {
            return prepared.next().map_or(Ok(()), |_| {
                let what = "its last run left a batch that only the store can tell about: start it \
                            once more with the `dedup.store` that it had";
                Err(LedgerError::Declaration { pipe: declaration.pipe.clone(), what: what.into() })
            });
        };
        let name = |batch: &PreparedBatch| {
            let (epoch, number) = (batch.epoch, event::BatchNumber(batch.attempt));
            BatchRef { worker, pipe, epoch, number }
        };
        while let Some(batch) = prepared.next() {
            let number = batch.number();
            let committed = shared.store.commit(name(&batch))? == BatchState::Committed;
            if !committed {
                for later in prepared.by_ref() {
                    withdraw(&shared.store, name(&later))?;
                }
            }
            tracing::info!(
                pipe = declaration.pipe,
                batch = number.0,
                committed,
                "the last run left a batch prepared; the store said what became of it"
            );
            self.append(Record::Resolved(ResolvedRecord { pipe, number, committed }))?;
        }
        Ok(())
    }

    /// The epoch of a pipe that starts. One that ran before in this process begins a new one, so
    /// that nothing that is named by epoch and batch is named twice; and so does one whose last run
    /// left something in flight, which moves to `returned`.
    pub(super) fn begin_again(
        self: &Arc<Self>,
        pipe: u16,
        ran_before: bool,
    ) -> Result<Epoch, LedgerError> {
        let record = {
            let live = lock(&self.live);
            let state = &live.state;
            let of_pipe = |source: u16| {
                state.sources.get(usize::from(source)).is_some_and(|known| known.pipe == pipe)
            };
            let mut returned = state.left_in_flight();
            returned.retain(|(source, _)| of_pipe(*source));
            if returned.is_empty() && !ran_before {
                return Ok(state.epoch);
            }
            OpenRecord {
                onceflow_version: state.onceflow_version.clone(),
                ledger_id: state.ledger_id,
                epoch: Epoch(state.epoch.0 + 1),
                opened_ms: state.opened_ms,
                returned,
            }
        };
        let epoch = record.epoch;
        self.append(Record::Open(record))?;
        Ok(epoch)
    }
}

/// A batch whose predecessor never happened doesn't happen either.
fn withdraw(store: &Arc<dyn Store>, batch: BatchRef) -> Result<(), LedgerError> {
    if store.abort(batch)? == BatchState::Committed {
        // The batch before it commits first, and a committed record never changes: nothing of this
        // worker does that.
        tracing::error!("the store says that a batch is committed whose predecessor is not");
    }
    Ok(())
}
