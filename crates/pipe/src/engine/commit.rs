//! The last step: one ledger record a batch decides over everything (DESIGN §3 "The way of a
//! batch", 4 to 6): commit, then publish, then acknowledge.

use std::sync::Arc;

use dedup::ledger::{CounterChange, PipeLedger, Settlement};
use event::path::FieldPath;
use event::sink::{Publisher, SinkError, StagedOutput};
use event::source::Acker;
use event::{Batch, BatchNumber, Event, Outcome};

use super::planted::Planted;
use super::settlement::{counters, message_ids, positions};
use super::stage::StagedBatch;
use super::{PipeError, Totals};
use crate::prepare::PreparePlan;
use crate::replay::Outbox;
use crate::tap::{TAP_PAYLOAD_BYTES_MAX, TapEvent, TapHub};
use crate::unsettled::Unsettled;

/// Commits batches, in order.
pub struct Commit {
    pub(super) name: Arc<str>,
    pub(super) ledger: Arc<PipeLedger>,
    pub(super) unsettled: Arc<Unsettled>,
    pub(super) publishers: Vec<(String, Box<dyn Publisher>)>,
    pub(super) acker: Box<dyn Acker>,
    pub(super) plan: Arc<PreparePlan>,
    pub(super) taps: TapHub,
    pub(super) outbox: Outbox,
    pub(super) totals: Totals,
    pub(super) planted: Option<Planted>,
    /// Records that only a breakage made.
    pub(super) records_planted: u64,
}

impl Commit {
    /// Makes the batch count. `wait_for_room` is asked when the ledger has no disk space, or a
    /// shared store can't say whether the batch is committed: it waits a while and says whether
    /// to try again.
    ///
    /// # Errors
    /// [`PipeError`]: the pipe stops. Nothing of the batch was acknowledged unless it is committed.
    pub fn commit(
        &mut self,
        staged: StagedBatch,
        wait_for_room: &mut dyn FnMut(&PipeError) -> bool,
    ) -> Result<(), PipeError> {
        let number = self.planted_early(&staged.decided, &staged.outputs)?;
        for (index, pending) in staged.pending {
            pending().map_err(|error| PipeError::Sink { sink: self.sink_name(index), error })?;
        }
        let mut decided = staged.decided;
        let mut ids = message_ids(&decided.batch, self.acker.memory_changes());
        ids.extend(message_ids(&decided.parking.batch, Vec::new()));
        let changes_nothing = decided.batch.extents.is_empty()
            && decided.returned.is_empty()
            && decided.parking.is_empty()
            && ids.is_empty()
            && staged.outputs.is_empty();
        if let Some(number_used) = &decided.number_used {
            let _ = number_used.send(!changes_nothing);
        }
        if changes_nothing {
            return Ok(());
        }
        let replays = decided.batch.replay.is_some();
        let in_flight = self.unsettled.in_flight(decided.number, replays);
        let settlement = Settlement {
            number,
            batch: &decided.batch,
            positions: {
                let mut settled = positions(&decided.batch);
                settled.extend(positions(&decided.parking.batch));
                settled
            },
            message_ids: ids,
            parked: std::mem::take(&mut decided.parking.changes),
            letters: std::mem::take(&mut decided.letters),
            staged: staged.outputs,
            counters: {
                let mut counters = counters(&decided, in_flight, &self.plan.types);
                self.planted.inspect(|planted| planted.counters(&mut counters));
                counters
            },
        };
        loop {
            match self.ledger.commit(&settlement).wait() {
                Ok(()) => break,
                Err(error) => {
                    let passes = error.is_disk_full() || error.passes();
                    let error = PipeError::Ledger(error);
                    if !passes || !wait_for_room(&error) {
                        return Err(error);
                    }
                }
            }
        }
        self.count(&settlement.counters, &decided.batch);
        self.taps.progress().settle(decided.batch.events.len() as u64);
        let staged = settlement.staged;
        decided.is_committed();
        self.unsettled.committed(decided.number);
        if !decided.batch.deaths.is_empty() {
            // Copies of what died are decided anew, now that the ledger knows of the death.
            self.unsettled.wake();
        }
        self.publish(number, &staged, wait_for_room)?;
        // A replay's events aren't the source's.
        if !decided.batch.events.is_empty() && decided.batch.replay.is_none() {
            self.acker.settled(&decided.batch)?;
        }
        if !decided.parking.batch.events.is_empty() {
            self.acker.settled(&decided.parking.batch)?;
        }
        self.outbox.settled(&decided.batch);
        if self.taps.is_watched() {
            self.show(&decided.batch);
        }
        Ok(())
    }

    /// Publishes, again and again where the sink has no room.
    pub(super) fn publish(
        &mut self,
        number: BatchNumber,
        staged: &[(usize, StagedOutput)],
        wait_for_room: &mut dyn FnMut(&PipeError) -> bool,
    ) -> Result<(), PipeError> {
        for (index, (sink, publisher)) in self.publishers.iter_mut().enumerate() {
            if let Some((_, output)) = staged.iter().find(|(of, _)| *of == index) {
                while let Err(error) = publisher.publish(number, output) {
                    let no_room = matches!(error, SinkError::NoSpace { .. });
                    let error = PipeError::Sink { sink: sink.clone(), error };
                    if !no_room || !wait_for_room(&error) {
                        return Err(error);
                    }
                }
            }
            self.ledger.published(sink, number);
        }
        Ok(())
    }

    fn count(&mut self, counters: &CounterChange, batch: &Batch) {
        self.totals.reread += counters.reread;
        self.totals.expired += counters.expired;
        let mut returned = 0;
        for (_, tally) in &counters.minutes {
            self.totals.received += tally.received;
            returned += tally.outcome(Outcome::Returned);
        }
        self.totals.add(batch, returned);
    }

    /// Nobody gets an answer any more.
    pub(super) fn close(&self) {
        self.outbox.close();
    }

    /// What the run did so far.
    #[must_use]
    pub fn into_totals(mut self) -> Totals {
        self.totals.name_types(&self.plan.types);
        self.totals
    }

    fn sink_name(&self, index: usize) -> String {
        self.publishers.get(index).map(|(name, _)| name.clone()).unwrap_or_default()
    }

    fn show(&self, batch: &Batch) {
        for (extent, range) in batch.extent_ranges() {
            for index in range.clone() {
                let Some(event) = batch.events.get(index) else { continue };
                let Some(outcome) = event.fate.outcome() else { continue };
                let payload = batch.raw(event);
                let shown = payload.get(..payload.len().min(TAP_PAYLOAD_BYTES_MAX));
                let field = |path: &Option<FieldPath>| text(path.as_ref()?, batch.body(event));
                self.taps.show(&TapEvent {
                    id: field(&self.plan.envelope.id),
                    source: field(&self.plan.envelope.source),
                    subject: field(&self.plan.envelope.subject),
                    pipe: Arc::clone(&self.name),
                    outcome,
                    event_type: self.plan.types.name(event.type_id),
                    key: event.key,
                    position: format!(
                        "{}@{}",
                        extent.shard_of(index),
                        batch.position(extent, &range, index).0
                    ),
                    received_ms: extent.received_ms,
                    reason: reason(batch, event),
                    payload: shown.unwrap_or(payload).to_vec(),
                });
            }
        }
    }
}

/// Why an event was rejected, or died.
fn reason(batch: &Batch, event: &Event) -> Option<String> {
    let rejected = batch.rejection(event).map(|it| format!("{}: {}", it.reason, it.detail));
    rejected.or_else(|| batch.death(event).map(|it| format!("{}: {}", it.class, it.message)))
}

/// The text that a part of the envelope holds: a string unescaped, anything else as it stands.
fn text(path: &FieldPath, payload: &[u8]) -> Option<String> {
    let raw = path.get(payload).ok().flatten()?;
    match raw.as_str() {
        Some(text) => Some(text.into_owned()),
        None => Some(String::from_utf8_lossy(raw.bytes()).into_owned()),
    }
}
