//! The steps of one pipe, recovered and ready to run.

use std::sync::Arc;

use super::commit::Commit;
use super::decide::Decide;
use super::read::Read;
use super::stage::Stage;
use super::{Parts, PipeError, Totals};
use crate::prepare::Preparer;

/// The steps of one pipe, recovered and ready.
pub(super) struct Steps {
    pub(super) read: Read,
    pub(super) preparer: Preparer,
    pub(super) decide: Decide,
    pub(super) stage: Stage,
    pub(super) commit: Commit,
}

impl Steps {
    /// Recovers every sink, records what it declares, and puts the steps together.
    pub(super) fn new(mut parts: Parts) -> Result<Self, PipeError> {
        let mut publishers = Vec::new();
        for sink in &mut parts.sinks {
            let name = sink.name().to_owned();
            let state = parts.ledger.sink_state(&name);
            let declared =
                sink.open(&state).map_err(|error| PipeError::Sink { sink: name.clone(), error })?;
            if let Some((last, _)) = state.unpublished.last() {
                parts.ledger.published(&name, *last);
            }
            if !declared.is_empty() {
                parts.ledger.record_opened(&name, declared)?;
            }
            publishers.push((name, sink.publisher()));
        }
        let acker = parts.source.acker();
        let plan = Arc::clone(&parts.plan);
        let settled = parts.ledger.source_state();
        Ok(Self {
            read: Read::new(parts.source, settled, parts.batch, parts.outbox.clone()),
            preparer: Preparer::new(parts.plan),
            decide: Decide::new(Arc::clone(&parts.ledger), parts.batch, parts.unsettled),
            stage: Stage::new(parts.sinks, parts.clock),
            commit: Commit {
                name: parts.name,
                ledger: parts.ledger,
                publishers,
                acker,
                plan,
                taps: parts.taps,
                outbox: parts.outbox,
                totals: Totals::default(),
                planted: parts.planted,
                records_planted: 0,
            },
        })
    }
}
