//! One pipe of a run, from its start to its end, with the starts in between: a pipe whose batch was
//! withdrawn (a shared store gave its keys to another worker) starts again from the ledger.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dedup::ledger::LedgerError;
use event::source::Stop;

use crate::config::PipeConfig;
use crate::engine::threads::{self, Ended};
use crate::engine::{Outage, Parts, PipeError, Totals};
use crate::plan::{Shared, Wiring, build_wired};
use crate::replay::Outbox;
use crate::run::PipeSummary;
use crate::status::{Phase, PipeStatus};

/// A pipe that starts again so often, without anything settled in between, has failed.
const STARTS_MAX: u32 = 20;
/// The pause before it starts again; twice as long each time that nothing was settled.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How often somebody who waits looks whether to stop.
const NAP: Duration = Duration::from_millis(20);

/// A pipe of a run.
pub(crate) struct Life<'a> {
    pub(crate) config: &'a PipeConfig,
    pub(crate) shared: &'a Shared<'a>,
    pub(crate) status: &'a Arc<PipeStatus>,
    pub(crate) outbox: &'a Outbox,
    /// It doesn't read its source.
    pub(crate) inbox_only: bool,
    pub(crate) stop: &'a Stop,
    /// Ready to run.
    pub(crate) parts: Option<Parts>,
    /// It was built before.
    pub(crate) built: bool,
}

impl Life<'_> {
    /// Makes the pipe's parts.
    pub(crate) fn build(&mut self, shared: &Shared<'_>) -> Result<(), PipeError> {
        let (outbox, status) = (self.outbox.clone(), Arc::clone(self.status));
        let wiring = Wiring { outbox, inbox_only: self.inbox_only, status };
        let parts = build_wired(self.config, shared, wiring)?;
        self.status.opened(parts.source.status());
        self.status.store().uses(&parts.ledger);
        self.parts = Some(parts);
        self.built = true;
        Ok(())
    }

    /// Runs the pipe until its source ends, it is asked to stop, or it can't go on.
    pub(crate) fn run(mut self) -> PipeSummary {
        let name = self.config.pipe.clone();
        let began = Instant::now();
        let mut totals = Totals::default();
        let mut starts = 0;
        let (remarks, failure) = loop {
            let ended = match self.next_parts() {
                Ok(Some(parts)) => {
                    self.status.set(Phase::Running);
                    threads::run(parts, self.stop)
                }
                Ok(None) => break (Vec::new(), None),
                Err(error) => Err(error),
            };
            let Ended { totals: more, remarks, failure } = match ended {
                Ok(ended) => ended,
                Err(error) => break (Vec::new(), Some(error)),
            };
            starts = if more.received > 0 { 0 } else { starts + 1 };
            totals.merge(more);
            match failure {
                Some(PipeError::Ledger(LedgerError::Withdrawn(why))) if starts < STARTS_MAX => {
                    self.status.store().withdraws();
                    tracing::warn!(
                        pipe = name,
                        why = &*why,
                        "a batch was withdrawn before it was committed; the pipe starts again, and \
                         its events come again"
                    );
                    let pause = PAUSE_MIN.saturating_mul(1 << starts.min(10)).min(PAUSE_MAX);
                    if !self.wait(pause.mul_f64(rand::random::<f64>())) {
                        break (remarks, None);
                    }
                }
                failure => break (remarks, failure),
            }
        };
        if let Some(failure) = &failure {
            tracing::error!(pipe = name, %failure, "the pipe stopped");
        }
        self.status.set(match &failure {
            Some(failure) => Phase::Failed(failure.to_string()),
            None => Phase::Ended,
        });
        PipeSummary { name, totals, remarks, failure, elapsed: began.elapsed() }
    }

    /// The parts to run with; makes them anew where they were used, and waits for a store that is
    /// away. `None`: somebody wants the pipe to stop.
    fn next_parts(&mut self) -> Result<Option<Parts>, PipeError> {
        let mut outage = Outage::new(&self.config.pipe);
        loop {
            if let Some(parts) = self.parts.take() {
                outage.over(self.status);
                return Ok(Some(parts));
            }
            if self.stop.asked() {
                return Ok(None);
            }
            self.status.set(Phase::Starting);
            // What was read again from its start goes on from where it was.
            let reread = self.shared.reread && !self.built;
            let shared = Shared { reread, ..*self.shared };
            match self.build(&shared) {
                Ok(()) => {}
                Err(PipeError::Ledger(error)) if error.passes() => {
                    let now_ms = self.shared.clock.now_ms();
                    let pause = outage.failed(&error, self.status, now_ms);
                    if !self.wait(pause) {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits; `false`: somebody wants the pipe to stop.
    fn wait(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        while Instant::now() < until {
            if self.stop.asked() {
                return false;
            }
            std::thread::sleep(NAP.min(at_most));
        }
        !self.stop.asked()
    }
}
