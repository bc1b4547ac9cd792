//! Events that come again into a pipe because somebody asked: dead letters and archived events.
//!
//! Whoever replays makes batches with [`event::Batch::replay`] and submits them to the pipe's
//! [`Inbox`]; they go the way of every other batch, and the answer says of each event what became
//! of it, once that is committed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, SendTimeoutError, Sender, bounded, unbounded};
use event::source::{Acker, BatchLimits, NoAck, Received, Source, SourceError, Stop};
use event::{Batch, Fate, Offset, Outcome};

/// Submitted batches that the pipe hasn't read yet, before [`Inbox::submit`] waits.
const BATCHES_WAITING_MAX: usize = 2;

/// What became of one replayed event, once it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayOutcome {
    /// Where it stood in its batch: the offset in [`event::batch::Offsets::Nowhere`].
    pub offset: Offset,
    /// What became of it.
    pub outcome: Outcome,
    /// Class and message of what it died of or was rejected for.
    pub reason: Option<(String, String)>,
}

/// The pipe isn't running any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pipe has ended")]
pub struct PipeEnded;

/// Where batches for a pipe are submitted. Clones share it.
#[derive(Clone, Debug)]
pub struct Inbox {
    batches: Sender<Batch>,
    desk: Arc<Desk>,
}

/// The pipe's end of an inbox.
#[derive(Clone, Debug)]
pub struct Outbox {
    batches: Receiver<Batch>,
    desk: Arc<Desk>,
}

#[derive(Debug, Default)]
struct Desk(Mutex<HashMap<String, Sender<ReplayOutcome>>>);

/// Both ends of a new inbox.
#[must_use]
pub fn inbox() -> (Inbox, Outbox) {
    let (sender, receiver) = bounded(BATCHES_WAITING_MAX);
    let desk = Arc::new(Desk::default());
    (Inbox { batches: sender, desk: Arc::clone(&desk) }, Outbox { batches: receiver, desk })
}

impl Inbox {
    /// Announces a replay: the receiver gets one answer per event of every batch that is submitted
    /// under this id, in the order in which they settle, which may be that of the batches or not.
    /// It ends when [`Inbox::end`] is called or the pipe ends.
    #[must_use]
    pub fn begin(&self, id: &str) -> Receiver<ReplayOutcome> {
        let (sender, receiver) = unbounded();
        self.desk.lock().insert(id.to_owned(), sender);
        receiver
    }

    /// No more answers are wanted for this id.
    pub fn end(&self, id: &str) {
        self.desk.lock().remove(id);
    }

    /// Hands a batch to the pipe; waits while it has enough to do. Its `replay` names an id that
    /// has begun; its extents are `Offsets::Nowhere` with offsets that differ within the id, and
    /// its shard is `replay/<id>`.
    ///
    /// # Errors
    /// [`PipeEnded`].
    pub fn submit(&self, batch: Batch) -> Result<(), PipeEnded> {
        self.batches.send(batch).map_err(|_| PipeEnded)
    }

    /// As [`Inbox::submit`], but waits no longer than `at_most`; gives the batch back if that was
    /// too short.
    ///
    /// # Errors
    /// [`PipeEnded`].
    pub fn submit_within(
        &self,
        batch: Batch,
        at_most: Duration,
    ) -> Result<Option<Batch>, PipeEnded> {
        match self.batches.send_timeout(batch, at_most) {
            Ok(()) => Ok(None),
            Err(SendTimeoutError::Timeout(batch)) => Ok(Some(batch)),
            Err(SendTimeoutError::Disconnected(_)) => Err(PipeEnded),
        }
    }
}

impl Outbox {
    /// The next submitted batch, if there is one.
    pub(crate) fn next(&self) -> Option<Batch> {
        // An inbox that nobody holds any more is as good as an empty one.
        self.batches.try_recv().ok()
    }

    /// Answers for the events of a committed batch.
    pub(crate) fn settled(&self, batch: &Batch) {
        let Some(replay) = &batch.replay else { return };
        let Some(answers) = self.desk.lock().get(&replay.id).cloned() else { return };
        for (extent, range) in batch.extent_ranges() {
            for index in range.clone() {
                let Some(event) = batch.events.get(index) else { continue };
                let Some(outcome) = event.fate.outcome() else { continue };
                let reason = match event.fate {
                    Fate::Dead(_) => {
                        batch.death(event).map(|d| (d.class.clone(), d.message.clone()))
                    }
                    _ => batch.rejection(event).map(|r| (r.reason.to_owned(), r.detail.clone())),
                };
                let offset = batch.position(extent, &range, index).0;
                let _ = answers.send(ReplayOutcome { offset, outcome, reason });
            }
        }
    }

    /// The pipe has ended: nobody gets an answer any more.
    pub(crate) fn close(&self) {
        self.desk.lock().clear();
    }
}

impl Desk {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Sender<ReplayOutcome>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A source that gives nothing, for a pipe that only works through its inbox; it ends when the
/// pipe is asked to stop.
pub(crate) struct InboxOnly {
    name: String,
}

impl InboxOnly {
    pub(crate) fn new(name: String) -> Self {
        Self { name }
    }
}

impl Source for InboxOnly {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, limits: &BatchLimits, _: &Stop) -> Result<Received, SourceError> {
        // Short, so that what is submitted is soon seen.
        std::thread::sleep(limits.interval_max.min(std::time::Duration::from_millis(5)));
        Ok(Received::Idle)
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(NoAck)
    }
}
