//! A running pipe: five steps that a batch goes through, in this order.
//!
//! | step | file | its thread does |
//! | --- | --- | --- |
//! | read | [`read`] | `Source::receive`, drops what an earlier run settled |
//! | prepare | [`crate::prepare`] | decode, envelope, validate, filter, key, transform: workers side by side |
//! | decide | [`decide`] | reserves keys in source order; brings back events that left their batch |
//! | stage | [`stage`] | delivers to sinks that can't take back; writes rows to the others, starts their syncs |
//! | commit | [`commit`] | waits for the syncs, commits the ledger's record, publishes, acknowledges |
//!
//! [`threads`] gives each step threads of its own, so that reading, deciding and writing overlap;
//! [`inline`] calls them one after another in one thread, so that a simulation can own the order
//! of every disk operation. Both run the same steps.
//!
//! Architecture invariant: only `commit` makes an outcome count, and it does so in the order in
//! which `decide` numbered the batches.

mod circuit;
pub mod commit;
mod courier;
pub mod decide;
pub mod inline;
pub mod lanes;
mod leaving;
mod outage;
pub mod outlet;
pub mod patience;
mod pending;
pub mod planted;
pub mod read;
mod retry;
mod settlement;
pub mod stage;
mod staging;
mod steps;
pub mod threads;
mod totals;

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::Sender;
use dedup::ledger::{LetterChange, PipeLedger};
use dedup::state::MinuteBucket;
use event::source::{BatchLimits, Source};
use event::{Batch, BatchNumber, Clock, LedgerId};
use lanes::Order;
use outlet::Outlet;

pub(crate) use outage::Outage;
pub use totals::Totals;

use crate::prepare::PreparePlan;
use crate::replay::Outbox;
use crate::status::PipeStatus;
use crate::tap::TapHub;
use crate::unsettled::{Parking, UnsettledLimits};

/// Batches between read and commit at most; with the buffers of a batch that bounds memory (P6).
pub const BATCHES_IN_FLIGHT_MAX: usize = 6;

/// Everything that a running pipe is made of.
pub struct Parts {
    /// The pipe's name.
    pub name: Arc<str>,
    /// Where it reads.
    pub source: Box<dyn Source>,
    /// Where it delivers: first the config's sinks, in its order, then those that every pipe has.
    pub outlets: Vec<Outlet>,
    /// Which dead-letter store takes the letters of events that die at each of the config's sinks.
    pub letters: Vec<u8>,
    /// Which events must not overtake each other.
    pub order: Order,
    /// Open dead letters at most.
    pub dead_letters_max: u64,
    /// Goes into letters' ids.
    pub ledger_id: LedgerId,
    /// What the workers do.
    pub plan: Arc<PreparePlan>,
    /// Its view of the ledger.
    pub ledger: Arc<PipeLedger>,
    /// When a batch closes.
    pub batch: BatchLimits,
    /// How much may wait.
    pub unsettled: UnsettledLimits,
    /// How long a drain may take.
    pub drain_max: Duration,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who watches.
    pub taps: TapHub,
    /// Batches that somebody submitted.
    pub outbox: Outbox,
    /// Where the pipe says how it stands.
    pub status: Arc<PipeStatus>,
    /// A breakage, for `prove`.
    pub planted: Option<planted::Planted>,
}

/// A batch with its number and everything that is decided about it. Holds the keys that were
/// reserved for it: when it is dropped uncommitted, they are free again.
pub struct Decided {
    /// Its place in the order of commits.
    pub number: BatchNumber,
    /// The events. Empty for a batch that only closes files or gives back.
    pub batch: Batch,
    /// For events that come again: their numbers in the store of unsettled ones, else empty.
    pub(crate) ids: Vec<u64>,
    /// The newest batch that was committed when this one was decided.
    committed_seen: BatchNumber,
    /// What its record says of parked events; known once it is staged.
    pub(crate) parking: Parking,
    /// Dead letters that its record begins and ends; likewise.
    letters: Vec<LetterChange>,
    /// Unsettled events that go back to their source, by minute of receipt.
    pub returned: Vec<(MinuteBucket, u64)>,
    /// Nothing follows: every sink finishes its files.
    pub last: bool,
    /// Told whether the batch's number was used: a tick that closes no file leaves no record, and
    /// its number goes to the next batch.
    number_used: Option<Sender<bool>>,
    /// Until the batch is committed.
    reserved_in: Option<Arc<PipeLedger>>,
}

impl Decided {
    /// Whether its events were received with earlier batches.
    fn is_carried(&self) -> bool {
        !self.ids.is_empty()
    }

    /// The keys belong to a committed batch now.
    fn is_committed(&mut self) {
        self.reserved_in = None;
    }
}

impl Drop for Decided {
    fn drop(&mut self) {
        if let Some(ledger) = &self.reserved_in {
            ledger.release(self.number, &self.batch);
        }
    }
}

/// Why a pipe stopped before its source ended.
#[derive(Debug, thiserror::Error)]
pub enum PipeError {
    /// The source can't go on.
    #[error("source: {0}")]
    Source(#[from] event::source::SourceError),
    /// A sink can't go on.
    #[error("sink `{sink}`: {error}")]
    Sink {
        /// Which.
        sink: String,
        /// Why.
        #[source]
        error: event::sink::SinkError,
    },
    /// The ledger can't go on.
    #[error("ledger: {0}")]
    Ledger(#[from] dedup::ledger::LedgerError),
    /// A part of the config that was checked before is refused now.
    #[error("{0}")]
    Config(String),
    /// The pipe waited for something that didn't come while it was to stop.
    #[error("{0}")]
    Paused(String),
    /// A thread could not be started.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// A defect of the program.
    #[error("the {0} step of the pipe panicked: this is a defect, please report it")]
    Panicked(&'static str),
}
