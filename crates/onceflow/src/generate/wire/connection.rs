//! One connection: a batch after another, each until all of it is acknowledged.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};

use super::Target;
use super::acknowledged::Acknowledged;
use super::batches::Outgoing;
use super::client::Sender;
use crate::generate::rng::Rng;

/// The first pause before a batch is tried again, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    target: Target,
    sender: Sender,
    acknowledged_file: Acknowledged,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    retried: AtomicU64,
    failure: SyncMutex<Option<String>>,
}

impl Shared {
    pub(super) fn new(target: Target, sender: Sender, acknowledged: Acknowledged) -> Shared {
        Shared {
            target,
            sender,
            acknowledged_file: acknowledged,
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            retried: AtomicU64::new(0),
            failure: SyncMutex::new(None),
        }
    }

    /// Sent at least once, acknowledged, sent again.
    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (of(&self.sent), of(&self.acknowledged), of(&self.retried))
    }

    /// Ends everything; the first reason stays.
    pub(super) fn fail(&self, why: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
    }

    /// Why it ended early.
    pub(super) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What a request came to, where it came to something.
pub(super) struct Answer {
    /// Which events of the request were refused, ascending.
    pub(super) refused: Vec<Refused>,
}

/// An event that was refused.
pub(super) struct Refused {
    /// Its place in the request.
    pub(super) index: usize,
    /// Why.
    pub(super) problem: Problem,
}

/// Why a request or an event of it failed.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// Whether to try again.
    pub(super) passes: bool,
    /// What the other side, or the network, said.
    pub(super) said: String,
}

/// Sends batches.
pub(super) struct Connection {
    shared: Arc<Shared>,
    batches: Arc<Mutex<mpsc::Receiver<Vec<Outgoing>>>>,
    rng: Rng,
}

impl Connection {
    pub(super) fn new(
        number: u64,
        shared: Arc<Shared>,
        batches: Arc<Mutex<mpsc::Receiver<Vec<Outgoing>>>>,
    ) -> Connection {
        Connection { shared, batches, rng: Rng::new(0, number) }
    }

    /// Until there are no more batches, or something failed for good.
    pub(super) async fn run(mut self) {
        loop {
            let batch = self.batches.lock().await.recv().await;
            let Some(batch) = batch else { return };
            if self.shared.failure().is_none()
                && let Err(why) = self.deliver(batch).await
            {
                self.shared.fail(why);
            }
            if self.shared.failure().is_some() {
                // Nobody needs to make further ones.
                self.batches.lock().await.close();
                return;
            }
        }
    }

    async fn deliver(&mut self, mut batch: Vec<Outgoing>) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        shared.sent.fetch_add(batch.len() as u64, Ordering::Relaxed);
        let mut pauses = Pauses::new(shared.target.retry_for);
        loop {
            let problem = match shared.sender.send(&batch).await {
                Ok(answer) => {
                    let problem = worst(&answer);
                    self.acknowledge(&mut batch, &answer, &mut pauses)?;
                    match problem {
                        None => return Ok(()),
                        Some(problem) => problem,
                    }
                }
                Err(problem) => problem,
            };
            let place = shared.target.place();
            if !problem.passes {
                return Err(format!("{place}: {}", problem.said));
            }
            let Some(pause) = pauses.next(&mut self.rng) else {
                let tried = shared.target.retry_for.as_secs_f64();
                return Err(format!("{place}: {}, for {tried} s now (--retry-for)", problem.said));
            };
            tracing::info!(said = problem.said, events = batch.len(), "tries again");
            tokio::time::sleep(pause).await;
            shared.retried.fetch_add(batch.len() as u64, Ordering::Relaxed);
        }
    }

    /// Keeps what was refused.
    fn acknowledge(
        &self,
        batch: &mut Vec<Outgoing>,
        answer: &Answer,
        pauses: &mut Pauses,
    ) -> Result<(), String> {
        let mut refused = answer.refused.iter().map(|refused| refused.index).peekable();
        let mut again = Vec::new();
        let mut done = Vec::new();
        for (index, event) in batch.drain(..).enumerate() {
            if refused.next_if_eq(&index).is_some() { &mut again } else { &mut done }.push(event);
        }
        if !done.is_empty() {
            // It goes on, if slowly.
            pauses.restart();
        }
        *batch = again;
        self.shared.acknowledged_file.note(done.iter())?;
        self.shared.acknowledged.fetch_add(done.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// The problem that decides on how to go on: one that doesn't pass, if there is one.
fn worst(answer: &Answer) -> Option<Problem> {
    let mut problems = answer.refused.iter().map(|refused| &refused.problem);
    let first = problems.clone().next();
    problems.find(|problem| !problem.passes).or(first).cloned()
}

/// The pauses between tries: doubled each time, with full jitter, within `retry_for`.
struct Pauses {
    retry_for: Duration,
    since: Instant,
    longest: Duration,
}

impl Pauses {
    fn new(retry_for: Duration) -> Pauses {
        Pauses { retry_for, since: Instant::now(), longest: BACKOFF.0 }
    }

    fn restart(&mut self) {
        *self = Pauses::new(self.retry_for);
    }

    /// How long to wait; `None` when the time is over.
    fn next(&mut self, rng: &mut Rng) -> Option<Duration> {
        let left = self.retry_for.checked_sub(self.since.elapsed())?;
        let longest = self.longest.min(left);
        self.longest = (self.longest * 2).min(BACKOFF.1);
        // At least a little, or a fast refusal would be tried a thousand times.
        let share = 0.1 + 0.9 * rng.below(1000) as f64 / 1000.0;
        Some(longest.mul_f64(share).max(Duration::from_millis(1)))
    }
}
