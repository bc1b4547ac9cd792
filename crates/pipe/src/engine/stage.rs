//! The fourth step: write a batch's rows to every sink, synced but not visible.

use std::sync::Arc;

use event::sink::{Pending, Rows, Sink, SinkError, Staged, StagedOutput};
use event::{Clock, Fate};

use super::{Decided, PipeError};

/// A batch whose rows are written.
pub struct StagedBatch {
    /// The batch.
    pub decided: Decided,
    /// What each sink staged, by its index; for the ledger's record.
    pub outputs: Vec<(usize, StagedOutput)>,
    /// Syncs that must end well before the commit.
    pub pending: Vec<(usize, Pending)>,
}

/// Stages batches.
pub struct Stage {
    sinks: Vec<Box<dyn Sink>>,
    clock: Arc<dyn Clock>,
    deliver: Vec<u32>,
    rejected: Vec<u32>,
}

/// Why a batch is not staged.
#[derive(Debug)]
pub enum StageFailure {
    /// No room. Nothing of the batch remains; try again later.
    NoSpace(PipeError),
    /// The pipe stops.
    Fatal(PipeError),
}

impl Stage {
    /// The last of `sinks` takes the rejected events, the others the delivered ones.
    #[must_use]
    pub fn new(sinks: Vec<Box<dyn Sink>>, clock: Arc<dyn Clock>) -> Self {
        Self { sinks, clock, deliver: Vec::new(), rejected: Vec::new() }
    }

    /// Names of the sinks, by index.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.sinks.iter().map(|sink| sink.name().to_owned()).collect()
    }

    /// Writes the rows of `decided`, or none of them.
    ///
    /// # Errors
    /// The batch back, with the reason.
    pub fn stage(&mut self, decided: Decided) -> Result<StagedBatch, (Box<Decided>, StageFailure)> {
        self.sort_by_fate(&decided);
        let mut outputs = Vec::new();
        let mut pending = Vec::new();
        for index in 0..self.sinks.len() {
            match self.stage_one(index, &decided) {
                Ok(staged) => {
                    pending.extend(staged.pending.into_iter().map(|one| (index, one)));
                    if !staged.output.is_empty() {
                        outputs.push((index, staged.output));
                    }
                }
                Err(error) => {
                    // Syncs under way must end before their files are cut.
                    for (_, one) in pending {
                        let _ = one();
                    }
                    let failure = self.fail(index, error, &outputs);
                    return Err((Box::new(decided), failure));
                }
            }
        }
        Ok(StagedBatch { decided, outputs, pending })
    }

    fn sort_by_fate(&mut self, decided: &Decided) {
        self.deliver.clear();
        self.rejected.clear();
        for (index, event) in (0_u32..).zip(&decided.batch.events) {
            match event.fate {
                Fate::Deliver => self.deliver.push(index),
                Fate::Rejected(_) => self.rejected.push(index),
                _ => {}
            }
        }
    }

    fn stage_one(&mut self, index: usize, decided: &Decided) -> Result<Staged, SinkError> {
        let takes_rejected = index + 1 == self.sinks.len();
        let now_ms = self.clock.now_ms();
        let events = if takes_rejected { &self.rejected } else { &self.deliver };
        let mut staged = Staged::nothing();
        let Some(sink) = self.sinks.get_mut(index) else { return Ok(staged) };
        if !events.is_empty() {
            let rows = Rows { batch: &decided.batch, number: decided.number, events, now_ms };
            staged = sink.stage(&rows)?;
        }
        if decided.last || decided.batch.events.is_empty() {
            match sink.finish(decided.number, now_ms, decided.last) {
                Ok(finished) => {
                    staged.output.files.extend(finished.output.files);
                    staged.output.note.extend(finished.output.note);
                    staged.pending.extend(finished.pending);
                }
                Err(error) => {
                    for one in staged.pending {
                        let _ = one();
                    }
                    sink.withdraw(&staged.output)?;
                    return Err(error);
                }
            }
        }
        Ok(staged)
    }

    fn fail(
        &mut self,
        index: usize,
        error: SinkError,
        outputs: &[(usize, StagedOutput)],
    ) -> StageFailure {
        let no_space = matches!(error, SinkError::NoSpace { .. });
        let reason = PipeError::Sink { sink: self.name(index), error };
        if !no_space {
            return StageFailure::Fatal(reason);
        }
        for (staged, output) in outputs.iter().rev() {
            let Some(sink) = self.sinks.get_mut(*staged) else { continue };
            if let Err(error) = sink.withdraw(output) {
                return StageFailure::Fatal(PipeError::Sink { sink: self.name(*staged), error });
            }
        }
        StageFailure::NoSpace(reason)
    }

    fn name(&self, index: usize) -> String {
        self.sinks.get(index).map(|sink| sink.name().to_owned()).unwrap_or_default()
    }
}
