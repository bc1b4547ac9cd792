//! A shared store that can't be asked: the pipe waits, and says so once.

use std::time::{Duration, Instant};

use dedup::ledger::LedgerError;

use crate::status::PipeStatus;

/// The first pause is at most so long; each next one twice.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What a step of a pipe knows of an outage of its store.
pub(crate) struct Outage {
    pipe: String,
    began: Option<Instant>,
    tries: u32,
}

impl Outage {
    pub(crate) fn new(pipe: &str) -> Self {
        Self { pipe: pipe.to_owned(), began: None, tries: 0 }
    }

    /// The store failed; how long to wait before it is asked again (full jitter).
    pub(crate) fn failed(
        &mut self,
        reason: &LedgerError,
        status: &PipeStatus,
        now_ms: i64,
    ) -> Duration {
        if self.began.is_none() {
            self.began = Some(Instant::now());
            tracing::warn!(
                pipe = self.pipe,
                %reason,
                "paused: nothing is delivered, and nothing is lost, until the store answers"
            );
            status.store().paused();
        }
        if let Some(delivery) = status.delivery() {
            delivery.pause(&reason.to_string(), now_ms);
        }
        let most = PAUSE_MIN.saturating_mul(1 << self.tries.min(10)).min(PAUSE_MAX);
        self.tries = self.tries.saturating_add(1);
        most.mul_f64(rand::random::<f64>())
    }

    /// The store answered.
    pub(crate) fn over(&mut self, status: &PipeStatus) {
        self.tries = 0;
        let Some(began) = self.began.take() else { return };
        tracing::info!(
            pipe = self.pipe,
            after_s = began.elapsed().as_secs(),
            "goes on: the store answers again"
        );
        if let Some(delivery) = status.delivery() {
            delivery.go_on();
        }
    }
}
