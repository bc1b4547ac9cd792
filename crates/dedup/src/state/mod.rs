//! What a ledger knows apart from its keys: the effect of all its records.
//!
//! [`LedgerState`] is what a checkpoint holds and what reports read. `apply.rs` says what each
//! record changes in it; nothing else changes it.

mod apply;
mod dedup_counts;
mod definition;
mod fold;
mod letter;
mod parked;
mod prepared;
mod tally;

pub(crate) use apply::{Misfit, Resolved, StateLimits, Verdict};
pub use dedup_counts::DedupCounts;
pub use definition::{PREVIOUS_DEFINITIONS_MAX, PreviousDefinition};
pub use event::Attempt;
pub(crate) use letter::LetterOp;
pub use letter::{Letter, LetterKey};
pub use parked::ParkedEvent;
pub use prepared::{PreparedBatch, SharedState};
pub use tally::{MinuteBucket, Tally};

use std::collections::{BTreeMap, BTreeSet};

use event::sink::StagedOutput;
use event::source::SourceState;
use event::{BatchNumber, Epoch, LedgerId};

use crate::scope::{DedupClock, PipeId, SourceId};

/// What a ledger knows apart from its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerState {
    /// The ledger's id.
    pub ledger_id: LedgerId,
    /// How often it was opened for writing.
    pub epoch: Epoch,
    /// When it was opened last; ms since the Unix epoch.
    pub opened_ms: i64,
    /// The version of the program that opened it last.
    pub onceflow_version: String,
    /// The scopes, by number.
    pub scopes: Vec<ScopeState>,
    /// The pipes; [`PipeId`] is the index.
    pub pipes: Vec<PipeState>,
    /// The sources; [`SourceId`] is the index.
    pub sources: Vec<SourceCounters>,
    /// The key runs.
    pub runs: Vec<RunState>,
}

/// What the ledger knows of a scope.
#[derive(Clone, PartialEq, Eq)]
pub struct ScopeState {
    /// Its name.
    pub name: String,
    /// Random bytes that its keys are hashed with.
    pub secret: [u8; 16],
    /// Number of key fields.
    pub fields: u32,
    /// Whether keys leave out the envelope's type.
    pub across_types: bool,
    /// Highest recorded time of its events; ms since the Unix epoch, `i64::MIN` before the first.
    pub recorded_max_ms: i64,
    /// Watermark of each source that feeds it; ms since the Unix epoch.
    pub watermarks: BTreeMap<u16, i64>,
    /// Keys that expire at or before this time may be gone; ms since the Unix epoch.
    pub forgotten_through_ms: i64,
    /// Keys that were ever committed.
    pub keys_committed: u64,
    /// Keys in memory, those in flight included; only a living ledger with the scope in use knows.
    pub keys_live: Option<u64>,
    /// The store that its keys are in, where workers share one.
    pub shared: Option<SharedState>,
    /// Which time counts; ledgers know it since 0.5.
    pub clock: Option<DedupClock>,
    /// Definitions of its keys before this one that are still looked up.
    pub previous: Vec<PreviousDefinition>,
    /// Keys that came from elsewhere (`dedup import`), each as often as it came.
    pub keys_imported: u64,
}

impl std::fmt::Debug for ScopeState {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScopeState")
            .field("name", &self.name)
            .field("fields", &self.fields)
            .field("across_types", &self.across_types)
            .field("recorded_max_ms", &self.recorded_max_ms)
            .field("watermarks", &self.watermarks)
            .field("forgotten_through_ms", &self.forgotten_through_ms)
            .field("keys_committed", &self.keys_committed)
            .field("keys_live", &self.keys_live)
            .field("shared", &self.shared)
            .field("clock", &self.clock)
            .field("previous", &self.previous)
            .field("keys_imported", &self.keys_imported)
            .finish_non_exhaustive()
    }
}

/// What the ledger knows of a pipe.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipeState {
    /// Its name.
    pub name: String,
    /// The source that it reads (index into [`LedgerState::sources`]).
    pub source: u16,
    /// Its scope (index into [`LedgerState::scopes`]).
    pub scope: Option<u16>,
    /// Fingerprint of the config that it last ran with.
    pub config_fingerprint: u64,
    /// How often it was started.
    pub invocations: u64,
    /// The newest committed batch; batches are numbered from 1 without gaps.
    pub committed: BatchNumber,
    /// What is settled.
    pub positions: SourceState,
    /// Message ids that are remembered, with the time until which they are.
    pub message_ids: BTreeMap<u128, i64>,
    /// Parked events by their id, with the source (index into [`LedgerState::sources`]).
    pub parked: BTreeMap<u64, (u16, ParkedEvent)>,
    /// Its sinks, in the order in which they were first declared.
    pub sinks: Vec<SinkRecord>,
    /// Outcomes by event type, in the order of [`event::Outcome::ALL`].
    pub types: BTreeMap<String, [u64; 6]>,
    /// What is counted beside outcomes.
    pub dedup_counts: DedupCounts,
    /// Its open dead letters, by id.
    pub letters: BTreeMap<u128, Letter>,
    /// Batches that are ready, in order: whether they count, the store says.
    pub prepared: Vec<PreparedBatch>,
    /// Its key's paths as in the config that it last ran with; empty without a scope, and for a
    /// pipe that last ran before 0.5.
    pub key_paths: Vec<String>,
}

/// What the ledger knows of a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkRecord {
    /// Its name within the pipe.
    pub name: String,
    /// Every batch up to here is published.
    pub published_through: BatchNumber,
    /// Unfinished files, and finished ones whose batch is not known to be published.
    pub files: BTreeMap<String, FileRecord>,
    /// Committed batches after `published_through` that staged something.
    pub unpublished: BTreeMap<BatchNumber, StagedOutput>,
}

/// What the ledger knows of a file that a sink staged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRecord {
    /// Its committed length.
    pub len: u64,
    /// Whether a record says that it is finished.
    pub finished: bool,
    /// The batch that said so last.
    pub batch: BatchNumber,
}

/// What is counted for a pipe's source (P4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceCounters {
    /// The pipe that reads it.
    pub pipe: u16,
    /// [`event::source::Source::name`].
    pub name: String,
    /// By minute of receipt.
    pub minutes: BTreeMap<MinuteBucket, Tally>,
    /// Folded minutes, by whole hours since the Unix epoch.
    pub hours: BTreeMap<i64, Tally>,
    /// Folded hours, by whole days since the Unix epoch.
    pub days: BTreeMap<i64, Tally>,
    /// Events that the pipe itself counts as unsettled, by minute of receipt.
    pub in_flight: BTreeMap<MinuteBucket, u64>,
    /// Settled positions that recovery dropped.
    pub reread: u64,
    /// Events that the source's retention removed before they were read (P1).
    pub expired: u64,
    /// Minutes that don't balance, with the first batch whose record left them so. Those of folded
    /// minutes stand at the beginning of their hour or day.
    pub broken: BTreeMap<MinuteBucket, BatchNumber>,
}

/// What the ledger knows of a key run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunState {
    /// Its file name under `ledger/runs`.
    pub name: String,
    /// Its scope (index into [`LedgerState::scopes`]).
    pub scope: u16,
    /// Window class: windows of at most 2^class ms.
    pub class: u8,
    /// Expiry bucket within the class.
    pub bucket: i64,
    /// Entries.
    pub count: u64,
    /// File length.
    pub bytes: u64,
    /// When the last of its keys expires; ms since the Unix epoch, `i64::MAX` for never.
    pub expires_ms: i64,
}

/// Two sides of P4 that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// The pipe.
    pub pipe: String,
    /// The source.
    pub source: String,
    /// Where: `minute 2026-…`-like text is the report's business; here its start in ms and its
    /// length in minutes (1, 60 or 1440).
    pub start_ms: i64,
    /// Length in minutes.
    pub minutes: u32,
    /// The left side.
    pub received: u64,
    /// The right side: outcomes and in flight.
    pub accounted: u64,
    /// The first batch of the pipe whose record left the two sides different; 0 where that isn't
    /// known.
    pub batch: BatchNumber,
}

impl LedgerState {
    /// A new ledger, before its first record.
    #[must_use]
    pub const fn new(ledger_id: LedgerId) -> Self {
        Self {
            ledger_id,
            epoch: Epoch(0),
            opened_ms: 0,
            onceflow_version: String::new(),
            scopes: Vec::new(),
            pipes: Vec::new(),
            sources: Vec::new(),
            runs: Vec::new(),
        }
    }

    /// A pipe by its name.
    #[must_use]
    pub fn pipe(&self, name: &str) -> Option<(PipeId, &PipeState)> {
        let index = self.pipes.iter().position(|pipe| pipe.name == name)?;
        Some((PipeId(u16::try_from(index).ok()?), self.pipes.get(index)?))
    }

    /// The sources of a pipe, past ones included.
    pub fn sources_of(&self, pipe: PipeId) -> impl Iterator<Item = (SourceId, &SourceCounters)> {
        (0..).map(SourceId).zip(&self.sources).filter(move |(_, source)| source.pipe == pipe.0)
    }

    /// Where received events and accounted ones differ (P4); empty when all is well.
    #[must_use]
    pub fn imbalance(&self) -> Vec<Imbalance> {
        self.sources.iter().flat_map(|source| self.imbalance_of(source)).collect()
    }

    fn imbalance_of(&self, source: &SourceCounters) -> Vec<Imbalance> {
        let mut found = Vec::new();
        let pipe = self.pipes.get(usize::from(source.pipe)).map_or("", |pipe| pipe.name.as_str());
        let mut check = |start_ms: i64, minutes: u32, received: u64, accounted: u64| {
            if received != accounted {
                let batch = source.broken_by(MinuteBucket::of(start_ms), minutes);
                let (pipe, source) = (pipe.to_owned(), source.name.clone());
                found.push(Imbalance {
                    pipe,
                    source,
                    start_ms,
                    minutes,
                    received,
                    accounted,
                    batch,
                });
            }
        };
        let named: BTreeSet<MinuteBucket> =
            source.minutes.keys().chain(source.in_flight.keys()).copied().collect();
        for minute in named {
            let tally = source.minutes.get(&minute).copied().unwrap_or_default();
            let in_flight = source.in_flight.get(&minute).copied().unwrap_or(0);
            check(minute.start_ms(), 1, tally.received, tally.settled() + in_flight);
        }
        for (hour, tally) in &source.hours {
            check(hour.saturating_mul(3_600_000), 60, tally.received, tally.settled());
        }
        for (day, tally) in &source.days {
            check(day.saturating_mul(86_400_000), 1440, tally.received, tally.settled());
        }
        found
    }
}

impl SourceCounters {
    /// Everything counted, together.
    #[must_use]
    pub fn total(&self) -> Tally {
        let mut total = Tally::default();
        let folded = self.hours.values().chain(self.days.values());
        self.minutes.values().chain(folded).for_each(|tally| total.add(tally));
        total
    }

    /// The first batch that left any of these minutes unbalanced; 0 where that isn't known.
    fn broken_by(&self, first: MinuteBucket, minutes: u32) -> BatchNumber {
        let end = MinuteBucket(first.0.saturating_add(i64::from(minutes)));
        self.broken.range(first..end).map(|(_, batch)| *batch).min().unwrap_or_default()
    }

    /// Whether what was received in a minute is accounted for.
    fn is_balanced(&self, minute: MinuteBucket) -> bool {
        let tally = self.minutes.get(&minute).copied().unwrap_or_default();
        let in_flight = self.in_flight.get(&minute).copied().unwrap_or(0);
        tally.received == tally.settled() + in_flight
    }

    /// Events that the pipe itself counts as unsettled.
    #[must_use]
    pub fn in_flight_total(&self) -> u64 {
        self.in_flight.values().sum()
    }
}
