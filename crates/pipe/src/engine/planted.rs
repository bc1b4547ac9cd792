//! Breakages that `onceflow prove --plant` builds into the engine, one at a time: a proof that has
//! never found anything shows nothing. Nothing else sets one.

use event::sink::StagedOutput;
use event::{Batch, BatchNumber, Fate};

use dedup::ledger::{CounterChange, Settlement};

use super::commit::Commit;
use super::{Decided, PipeError};

/// A breakage of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// The source hears that a batch is settled before its record is durable.
    AckBeforeCommit,
    /// Output is made visible before the batch's record is durable.
    PublishBeforeCommit,
    /// Keys are remembered for good once they are reserved: the record with them comes before that
    /// with everything else.
    ReserveIsCommit,
    /// `received` is computed from the outcomes instead of counted, and one event of a run gets
    /// lost between two steps: the balance, which is to show that, holds.
    DerivedCounters,
    /// One event of a run gets lost between two steps.
    DropEvent,
    /// A stage panics at every event whose payload has [`POISON`] in it. No breakage: such an event
    /// must become a dead letter, and the pipe go on.
    Poison,
}

/// See [`Planted::Poison`].
pub const POISON: &[u8] = b"onceflow-poison";

/// Panics at poison.
#[allow(clippy::panic, reason = "this is what it is for")]
pub(crate) fn taste(payload: &[u8]) {
    if payload.windows(POISON.len()).any(|part| part == POISON) {
        panic!("this event is poison");
    }
}

impl Planted {
    /// Between the decision about a batch and its staging: the first event of a run that is to be
    /// delivered is forgotten, if that is the breakage. `done` says whether it happened already.
    pub(super) fn between_steps(self, batch: &mut Batch, done: &mut bool) {
        if *done || !matches!(self, Self::DropEvent | Self::DerivedCounters) {
            return;
        }
        let lost = batch.events.iter_mut().find(|event| event.fate == Fate::Deliver);
        if let Some(event) = lost {
            event.fate = Fate::Undecided;
            *done = true;
        }
    }

    /// What a record adds to the counters.
    pub(super) fn counters(self, counters: &mut CounterChange) {
        if self == Self::DerivedCounters {
            for (_, tally) in &mut counters.minutes {
                tally.received = tally.settled();
            }
        }
    }
}

impl Commit {
    /// What a breakage does too early; before the batch's record. The number that the record gets.
    pub(super) fn planted_early(
        &mut self,
        decided: &Decided,
        outputs: &[(usize, StagedOutput)],
    ) -> Result<BatchNumber, PipeError> {
        let number = BatchNumber(decided.number.0 + self.records_planted);
        match self.planted {
            Some(Planted::AckBeforeCommit) if !decided.batch.events.is_empty() => {
                self.acker.settled(&decided.batch)?;
            }
            Some(Planted::PublishBeforeCommit) => {
                self.publish(number, outputs, &mut |_| false)?;
            }
            Some(Planted::ReserveIsCommit)
                if decided.batch.events.iter().any(|event| event.fate == Fate::Deliver) =>
            {
                let keys_only = Settlement {
                    number,
                    batch: &decided.batch,
                    positions: Vec::new(),
                    message_ids: Vec::new(),
                    parked: Vec::new(),
                    letters: Vec::new(),
                    staged: Vec::new(),
                    counters: CounterChange::default(),
                };
                self.ledger.commit(&keys_only).wait()?;
                self.records_planted += 1;
                return Ok(number.next());
            }
            _ => {}
        }
        Ok(number)
    }
}
