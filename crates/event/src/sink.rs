//! Where a pipe delivers.

use std::collections::BTreeMap;
use std::fmt;

use crate::batch::{Batch, Event};
use crate::ids::{BatchNumber, Epoch, LedgerId};

/// What a sink promises about events that come twice (P2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// Staged and published with the ledger: one commit decides over both.
    ExactlyOnce,
    /// The event's key goes along as idempotency key; the receiver must heed it.
    EffectivelyOnce,
    /// A crash between delivery and commit delivers again.
    AtLeastOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ExactlyOnce => "exactly once",
            Self::EffectivelyOnce => "effectively once",
            Self::AtLeastOnce => "at least once",
        })
    }
}

/// A file that a sink staged into. Its length decides which of its bytes are committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedFile {
    /// The sink's name for it; unique within the sink for ever.
    pub name: String,
    /// Its length before this batch.
    pub base_len: u64,
    /// Its length with this batch.
    pub len: u64,
    /// Nothing more will be staged into it: `publish` gives it its final name.
    pub finished: bool,
}

/// What a sink staged for one batch; goes into the batch's ledger record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StagedOutput {
    /// Files with their lengths.
    pub files: Vec<StagedFile>,
    /// What else the sink wants back for `publish`.
    pub note: Vec<u8>,
}

impl StagedOutput {
    /// Whether there is nothing to record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.note.is_empty()
    }
}

/// Something that must become durable before the batch may commit.
pub type Pending = Box<dyn FnOnce() -> Result<(), SinkError> + Send>;

/// The answer of [`Sink::stage`].
pub struct Staged {
    /// For the ledger's record.
    pub output: StagedOutput,
    /// Syncs under way. The batch commits only after each ended well.
    pub pending: Vec<Pending>,
}

impl Staged {
    /// Nothing was written.
    #[must_use]
    pub fn nothing() -> Self {
        Self { output: StagedOutput::default(), pending: Vec::new() }
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staged")
            .field("output", &self.output)
            .field("pending", &self.pending.len())
            .finish()
    }
}

/// The rows that one batch has for one sink.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// Its number; fixed by the ledger before a sink sees it.
    pub number: BatchNumber,
    /// Which of its events, ascending.
    pub events: &'a [u32],
    /// Wall-clock time; ms since the Unix epoch.
    pub now_ms: i64,
}

impl<'a> Rows<'a> {
    /// The events, with their index in the batch.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &'a Event)> + use<'a> {
        let batch = self.batch;
        self.events
            .iter()
            .filter_map(move |&index| Some((index as usize, batch.events.get(index as usize)?)))
    }
}

/// Who stages: part of every name that a sink gives to what it writes.
#[derive(Clone, Debug)]
pub struct SinkIdentity {
    /// The data folder's ledger.
    pub ledger_id: LedgerId,
    /// This start of it.
    pub epoch: Epoch,
    /// The pipe.
    pub pipe: String,
    /// The sink's name within the pipe.
    pub sink: String,
    /// The pipe's scope, with the secret that its keys are hashed with; a lake keeps both.
    pub scope: Option<ScopeSecret>,
}

/// What a scope's keys are made with (DESIGN §3 "Keys").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeSecret {
    /// The scope's name.
    pub scope: String,
    /// Random bytes; keys of one scope can only be compared under one secret.
    pub secret: [u8; 16],
    /// Number of fields, encoding and `across_types`, as text.
    pub definition: String,
}

/// What the ledger knows of a file that a sink staged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileState {
    /// Its committed length.
    pub len: u64,
    /// Whether a record says that it is finished.
    pub finished: bool,
}

/// What the ledger knows of a sink at a start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkState {
    /// Every batch up to here is published.
    pub published_through: BatchNumber,
    /// Unfinished files, and finished ones whose batch is not known to be published.
    pub files: BTreeMap<String, FileState>,
    /// Committed batches after `published_through`, in order.
    pub unpublished: Vec<(BatchNumber, StagedOutput)>,
}

/// Where a pipe delivers. One thread calls it; publishing has a handle of its own.
pub trait Sink: Send {
    /// Its name within the pipe.
    fn name(&self) -> &str;

    /// What it promises.
    fn guarantee(&self) -> Guarantee;

    /// Recovers: publishes what `state` says is committed and unpublished, cuts unfinished files
    /// of its own to their recorded length, removes those that no record names. May crash at any
    /// point and run again. Returns what must be recorded before the first byte is staged.
    ///
    /// # Errors
    /// [`SinkError`]; nothing that belongs to somebody else was touched.
    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError>;

    /// Writes the rows and starts their syncs; nothing becomes visible under a final name.
    /// Checks everything that it could refuse for.
    ///
    /// # Errors
    /// [`SinkError::NoSpace`]: what this call wrote is cut off again, and it may be called again
    /// with the same rows. Any other error stops the pipe.
    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError>;

    /// Takes back what the latest `stage` of this batch wrote (another sink had no space).
    ///
    /// # Errors
    /// [`SinkError`]; the pipe stops.
    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError>;

    /// Finishes files whose time is over at `now_ms`, or all of them. `number` is the batch whose
    /// record names them. A sink whose files have no end does nothing here.
    ///
    /// # Errors
    /// As [`Sink::stage`].
    fn finish(&mut self, number: BatchNumber, now_ms: i64, all: bool) -> Result<Staged, SinkError> {
        let _ = (number, now_ms, all);
        Ok(Staged::nothing())
    }

    /// The handle that publishes; by default there is nothing to publish.
    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(NothingToPublish)
    }
}

/// Makes committed output visible. The thread that commits calls it, in the order of commits.
pub trait Publisher: Send {
    /// Publishes what batch `number` staged; idempotent. When it returns, it is durable.
    ///
    /// # Errors
    /// [`SinkError`]; the pipe stops, and the next start publishes.
    fn publish(&mut self, number: BatchNumber, output: &StagedOutput) -> Result<(), SinkError>;
}

/// The publisher of sinks whose staged output needs no second step.
#[derive(Clone, Copy, Debug, Default)]
pub struct NothingToPublish;

impl Publisher for NothingToPublish {
    fn publish(&mut self, _: BatchNumber, _: &StagedOutput) -> Result<(), SinkError> {
        Ok(())
    }
}

/// An event that a sink can never take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its index in the batch.
    pub event: u32,
    /// Stable name of the reason, e.g. `too_large`; a metric label.
    pub class: &'static str,
    /// For a person.
    pub message: String,
}

/// A sink that delivers at once and can't take back: in step 3 of a batch's way, before the others
/// stage. A crash between delivery and commit delivers again, so it is at best `effectively once`.
pub trait Deliverer: Send {
    /// Its name within the pipe.
    fn name(&self) -> &str;

    /// What it promises.
    fn guarantee(&self) -> Guarantee;

    /// How many events one call should get at most: what it can have under way at once. The pipe
    /// looks after each call whether the sink is down.
    fn wave_events_max(&self) -> usize;

    /// Delivers, and answers for each of `rows.events` in their order. Returns within the sink's
    /// own timeout, and soon after `stop` was asked; what was not tried by then is
    /// [`Delivery::NotTried`].
    fn deliver(&mut self, rows: &Rows<'_>, stop: &crate::source::Stop) -> Vec<Delivery>;
}

/// What became of one event at a [`Deliverer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver has it.
    Delivered,
    /// It was not tried; costs no attempt.
    NotTried,
    /// The receiver doesn't have it.
    Failed(Failure),
}

/// Why a delivery failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable name of the error's kind, e.g. `http_429`, `timeout`; a metric label.
    pub class: String,
    /// What was said, for a person.
    pub message: String,
    /// Whether it may go well later.
    pub kind: FailureKind,
    /// Not to be tried before, if the receiver said so (`Retry-After`).
    pub retry_after: Option<std::time::Duration>,
}

/// Whether a failed delivery may go well later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The same would fail again, whenever it is tried.
    Deterministic,
    /// The receiver answered, and said: not now.
    Transient,
    /// The receiver didn't answer: it, or the way there, is down.
    Unreachable,
}

/// A sink can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// No room; nothing of the call remains, and it may be tried again.
    #[error("no space left for {what}: free some room, or move it to a larger disk")]
    NoSpace {
        /// What could not be written.
        what: String,
    },
    /// The file system or the network said no.
    #[error("cannot {action} {what}: {error}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        what: String,
        /// What the system said.
        #[source]
        error: std::io::Error,
    },
    /// The sink can never take some of the events; nothing of the call remains. The events die,
    /// and the rest is staged without them.
    #[error("{} events can't be taken, the first because: {}", .0.len(), .0.first().map_or("", |first| first.message.as_str()))]
    Refused(Vec<Refusal>),
    /// What lies at the destination is not what the ledger remembers, or not ours.
    #[error("{what}. {help}")]
    Foreign {
        /// What is wrong.
        what: String,
        /// The way out.
        help: String,
    },
}
