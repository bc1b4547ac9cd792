//! A pipe's own tests: given events go through its real steps, with nothing on the real disk.
//!
//! The ledger lies on a simulated disk, time is a test's clock, the source hands over what the
//! test gives and a sink collects what is delivered. Each trial starts with an empty ledger.

mod compare;
mod parts;

use std::path::Path;
use std::sync::Arc;

use dedup::ledger::{Ledger, LedgerOptions, Random};
use event::source::Stop;
use event::{Clock, Outcome, TestClock};
use journal::{Disk, JournalConfig, SimDisk};

pub use self::compare::{Difference, Step, same, value};
use self::parts::{Collector, GivenSource, Settled, Shelf, scratch_batch};
use crate::config::{ClockChoice, Given, PipeConfig, PipeTest};
use crate::engine::outlet::{Outlet, Takes};
use crate::engine::{PipeError, inline};
use crate::plan::{DEAD_SINK, REJECTED_SINK, Shared, build_around};
use crate::prepare::Preparer;
use crate::stores::Stores;
use crate::tap::TapHub;

/// When a trial begins: 2026-01-01T00:00:00Z. Always the same, so that a test comes out the same
/// on every day.
pub const START_MS: i64 = 1_767_225_600_000;
/// The simulated disk's segments; a trial is small.
const SEGMENT_BYTES: u64 = 1 << 20;
/// Where the simulated disk has the ledger.
const DATA_DIR: &str = "/trial";

/// What came of a test.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The given events, in order.
    pub events: Vec<TriedEvent>,
    /// What was delivered, in order, as a sink would write it.
    pub delivered: Vec<Vec<u8>>,
    /// What is not as the test has it; empty: it passed.
    pub differences: Vec<Difference>,
}

/// A given event, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedEvent {
    /// The payload as given.
    pub payload: Vec<u8>,
    /// What became of it; `None` if it never settled.
    pub outcome: Option<Outcome>,
    /// Its type, by the envelope; empty without one.
    pub event_type: String,
    /// Why it was rejected.
    pub reason: Option<String>,
}

impl Trial {
    /// Whether everything is as the test has it.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }

    /// How many events ended so.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.events.iter().filter(|event| event.outcome == Some(outcome)).count() as u64
    }
}

/// Runs one test of `config`.
///
/// # Errors
/// [`PipeError`]: the pipe itself can't run; no event decides that.
pub fn run(config: &PipeConfig, test: &PipeTest) -> Result<Trial, PipeError> {
    let clock = TestClock::new(START_MS);
    let wall: Arc<dyn Clock> = Arc::new(clock.clone());
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let options = LedgerOptions {
        journal: JournalConfig { segment_bytes: SEGMENT_BYTES, ..JournalConfig::default() },
        lock: false,
        random: Random::Seeded(1),
        ..LedgerOptions::default()
    };
    let data_dir = Path::new(DATA_DIR);
    let ledger = Ledger::open(Arc::clone(&disk), data_dir, options, Arc::clone(&wall))?;
    let taps = TapHub::default();
    let shared = Shared {
        data_dir,
        ledger: &ledger,
        broker: None,
        disk: &disk,
        clock: &wall,
        taps: &taps,
        stores: &Stores::none(),
        reread: false,
        new_key: None,
        planted: None,
    };
    let shelf = Shelf::default();
    let source = GivenSource::new(test.given.clone(), clock.clone(), shelf.clone());
    let mut outlets = Vec::new();
    for (number, sink) in (0_u8..).zip(&config.sinks) {
        let sink = Collector::new(&sink.name, number, Some(shelf.clone()));
        outlets.push(Outlet::staged(Takes::Routed(number), Box::new(sink)));
    }
    let dead = Collector::new(DEAD_SINK, 0, None);
    outlets.push(Outlet::staged(Takes::Dead(0), Box::new(dead)));
    let rejected = Collector::new(REJECTED_SINK, 0, None);
    outlets.push(Outlet::staged(Takes::Rejected, Box::new(rejected)));
    let parts = build_around(config, &shared, Box::new(source), outlets)?;
    if config.dedup.as_ref().is_some_and(|dedup| dedup.clock == ClockChoice::Event) {
        let mut batch = scratch_batch(&test.given);
        let mut preparer = Preparer::new(Arc::clone(&parts.plan), Stop::default());
        let _ = preparer.prepare(&mut batch); // nobody asks it to stop
        // Events of a test have the times that they have: none of them is ahead of its time.
        let latest = batch.events.iter().map(|event| event.event_ms).max();
        clock.set(latest.unwrap_or(START_MS).max(START_MS));
    }
    let plan = Arc::clone(&parts.plan);
    inline::run(parts, &Stop::default())?;
    ledger.close()?;

    let (settled, delivered) = shelf.take();
    let given = test.given.iter().filter_map(|given| match given {
        Given::Event(payload) => Some(payload.clone()),
        Given::Wait(_) => None,
    });
    let mut events: Vec<TriedEvent> = given
        .map(|payload| TriedEvent {
            payload,
            outcome: None,
            event_type: String::new(),
            reason: None,
        })
        .collect();
    for Settled { index, outcome, type_id, reason } in settled {
        if let Some(event) = events.get_mut(index) {
            event.outcome = Some(outcome);
            event.event_type = plan.types.name(type_id).to_string();
            event.reason = reason;
        }
    }
    let mut trial = Trial { events, delivered, differences: Vec::new() };
    trial.differences = compare::compare(test, &trial);
    Ok(trial)
}
