//! Doing a replay: from the job into the inbox, and from the pipe's answers to the job.

use std::time::{Duration, Instant};

use connect::archive::playback::Polled;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use event::{Batch, Clock};
use pipe::replay::{Inbox, ReplayOutcome};

use super::{Job, Tally};

/// How often to look whether somebody asked to stop.
const LOOK: Duration = Duration::from_millis(50);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_millis(200);

/// Whom a replay obeys and tells.
pub(super) struct Around<'a> {
    pub(super) clock: &'a dyn Clock,
    /// Whether to submit nothing more.
    pub(super) stopped: &'a dyn Fn() -> bool,
    /// Hears how far it is; false: nobody listens any more.
    pub(super) tell: &'a mut dyn FnMut(&Tally) -> bool,
}

/// Does a whole job. `Err` says why it couldn't be ended.
pub(super) fn drive(
    job: &mut dyn Job,
    inbox: &Inbox,
    around: &mut Around<'_>,
) -> Result<Tally, String> {
    let id = job.id().to_owned();
    let mut run = Run {
        answers: inbox.begin(&id),
        job,
        inbox,
        tally: Tally::default(),
        told: Instant::now(),
        pipe_ended: false,
        left_alone: false,
    };
    let ended = run.submit_all(around).map(|()| run.wait_for_the_rest(around));
    inbox.end(&id);
    // What was answered in the meantime counts.
    run.drain();
    ended.map(|()| run.tally)
}

struct Run<'a> {
    job: &'a mut dyn Job,
    inbox: &'a Inbox,
    answers: Receiver<ReplayOutcome>,
    tally: Tally,
    told: Instant,
    pipe_ended: bool,
    left_alone: bool,
}

impl Run<'_> {
    fn is_over(&self, around: &Around<'_>) -> bool {
        self.pipe_ended || self.left_alone || (around.stopped)()
    }

    fn submit_all(&mut self, around: &mut Around<'_>) -> Result<(), String> {
        loop {
            self.drain();
            self.tell(around);
            if self.is_over(around) {
                self.tally.interrupted = true;
                return Ok(());
            }
            match self.job.poll(around.clock.now_ms())? {
                Polled::End => return Ok(()),
                Polled::Wait(_) => self.listen(),
                Polled::Batch(batch) => self.submit(batch, around),
            }
        }
    }

    fn submit(&mut self, batch: Batch, around: &mut Around<'_>) {
        let events = batch.events.len() as u64;
        let mut left = Some(batch);
        while let Some(batch) = left.take() {
            if self.is_over(around) {
                self.tally.interrupted = true;
                return;
            }
            match self.inbox.submit_within(batch, LOOK) {
                Ok(None) => self.tally.submitted += events,
                Ok(Some(batch)) => left = Some(batch),
                Err(_) => self.pipe_ended = true,
            }
            self.drain();
            self.tell(around);
        }
    }

    /// Until every event has an outcome, or nobody is there to give or to hear one. A pipe that
    /// was asked to stop gives the last ones while it drains.
    fn wait_for_the_rest(&mut self, around: &mut Around<'_>) {
        while self.tally.settled() < self.tally.submitted {
            if self.pipe_ended || self.left_alone {
                self.tally.interrupted = true;
                return;
            }
            self.listen();
            self.drain();
            self.tell(around);
        }
    }

    /// Waits for an answer, for a moment.
    fn listen(&mut self) {
        match self.answers.recv_timeout(LOOK) {
            Ok(outcome) => self.settled(&outcome),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.pipe_ended = true,
        }
    }

    fn drain(&mut self) {
        loop {
            match self.answers.try_recv() {
                Ok(outcome) => self.settled(&outcome),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.pipe_ended = true;
                    return;
                }
            }
        }
    }

    fn settled(&mut self, outcome: &ReplayOutcome) {
        self.tally.count(outcome.outcome);
        self.job.settled(outcome);
    }

    fn tell(&mut self, around: &mut Around<'_>) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            self.left_alone |= !(around.tell)(&self.tally);
        }
    }
}
