//! Ledgers and batches as the tests of the ledger need them.

use std::path::Path;
use std::sync::Arc;

use dedup::ledger::{
    CounterChange, Ledger, LedgerError, LedgerOptions, LedgerState, MinuteBucket, PendingCommit,
    PipeDeclaration, PipeLedger, PositionChange, Random, ScopeDeclaration, Settlement, Tally,
};
use dedup::scope::{DedupClock, LatePolicy, ScopeOptions};
use event::batch::{Extent, Offsets};
use event::sink::StagedOutput;
use event::{Batch, BatchNumber, Event, Fate, Offset, Outcome, ShardId, TestClock};
use journal::{Disk, JournalConfig};

pub(crate) const DIR: &str = "/data";
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// Small limits, so that little work crosses them.
pub(crate) fn options() -> LedgerOptions {
    LedgerOptions {
        checkpoint_journal_bytes: u64::MAX,
        key_runs_probed_max: 3,
        journal: JournalConfig { segment_bytes: 4096, ..JournalConfig::default() },
        lock: false,
        random: Random::Seeded(7),
        ..LedgerOptions::default()
    }
}

pub(crate) fn scope_options(clock: DedupClock) -> ScopeOptions {
    ScopeOptions {
        clock,
        lateness_ms: 60_000,
        late: LatePolicy::Reject,
        clock_ahead_max_ms: i64::MAX / 2,
        source_idle_max_ms: HOUR_MS,
        ..ScopeOptions::default()
    }
}

pub(crate) fn declaration(pipe: &str, scope: &str, clock: DedupClock) -> PipeDeclaration {
    PipeDeclaration {
        pipe: pipe.into(),
        source: format!("source of {pipe}"),
        sinks: vec!["out".into(), "rejected".into()],
        scope: Some(ScopeDeclaration {
            paths: Vec::new(),
            new_key: None,
            name: scope.into(),
            fields: 1,
            across_types: false,
            options: scope_options(clock),
        }),
        config_fingerprint: 99,
        store: None,
    }
}

pub(crate) fn open(disk: &(impl Disk + Clone)) -> Result<Arc<Ledger>, LedgerError> {
    open_at(disk, NOW_MS)
}

pub(crate) fn open_at(disk: &(impl Disk + Clone), now_ms: i64) -> Result<Arc<Ledger>, LedgerError> {
    open_with(disk, &TestClock::new(now_ms), options())
}

pub(crate) fn open_with(
    disk: &(impl Disk + Clone),
    clock: &TestClock,
    options: LedgerOptions,
) -> Result<Arc<Ledger>, LedgerError> {
    Ledger::open(Arc::new(disk.clone()), Path::new(DIR), options, Arc::new(clock.clone()))
}

/// Pipe `app` with scope `app`, on the clock of receipt.
pub(crate) fn app(ledger: &Arc<Ledger>) -> Result<Arc<PipeLedger>, LedgerError> {
    ledger.pipe(declaration("app", "app", DedupClock::Received))
}

/// A batch of events with these keys, which stand at offsets `first..` of shard `shard`, received
/// at `now_ms`.
pub(crate) fn batch(keys: &[u128], first: u64, now_ms: i64) -> Batch {
    let event = |&key: &u128| Event {
        key,
        window_ms: 600_000,
        event_ms: now_ms,
        body_hash: key as u64,
        ..Event::default()
    };
    let end = first + keys.len() as u64;
    Batch {
        events: keys.iter().map(event).collect(),
        extents: vec![Extent {
            shard: ShardId::from("shard"),
            first_event: 0,
            events_received: keys.len() as u32,
            received_ms: now_ms,
            broker_ms: Vec::new(),
            offsets: Offsets::Listed((first..end).map(Offset::from).collect()),
            start: first.into(),
            end: end.into(),
            mark: Some(format!("mark {end}").into_bytes()),
        }],
        ..Batch::default()
    }
}

/// What settles all of a decided batch, apart from events that wait.
pub(crate) fn settlement<'a>(
    number: BatchNumber,
    batch: &'a Batch,
    staged: Vec<(usize, StagedOutput)>,
) -> Settlement<'a> {
    let mut tally = Tally::default();
    let mut in_flight = 0;
    for event in &batch.events {
        tally.received += 1;
        match event.fate.outcome() {
            Some(outcome) => tally.add_outcome(outcome, 1),
            None => in_flight += 1,
        }
    }
    let extent = &batch.extents[0];
    let minute = MinuteBucket::of(extent.received_ms);
    let offset = |index: usize| Offset::from(extent.start.as_u64().unwrap() + index as u64);
    let settled = (0..batch.events.len()).filter(|&i| batch.events[i].fate.outcome().is_some());
    Settlement {
        number,
        batch,
        positions: vec![PositionChange {
            shard: extent.shard.clone(),
            ranges: settled.map(|index| (offset(index), offset(index + 1))).collect(),
            mark: extent.mark.clone().map(|mark| (extent.end, mark)),
        }],
        message_ids: Vec::new(),
        parked: Vec::new(),
        letters: vec![],
        staged,
        counters: CounterChange {
            minutes: vec![(minute, tally)],
            types: vec![("app".into(), tally.outcomes)],
            reread: 0,
            expired: 0,
            in_flight: vec![(minute, in_flight)],
        },
    }
}

/// Decides and commits a batch; the fates.
pub(crate) fn send(
    pipe: &PipeLedger,
    keys: &[u128],
    first: u64,
    now_ms: i64,
) -> Result<Vec<Fate>, LedgerError> {
    let number = pipe.next_batch();
    let mut batch = batch(keys, first, now_ms);
    pipe.reserve(number, &mut batch).unwrap();
    pipe.commit(&settlement(number, &batch, Vec::new())).wait()?;
    Ok(batch.events.iter().map(|event| event.fate).collect())
}

/// Decides and commits a batch of any number, without waiting.
pub(crate) fn begin(pipe: &PipeLedger, number: u64, keys: &[u128], first: u64) -> PendingCommit {
    let number = BatchNumber(number);
    let mut batch = batch(keys, first, NOW_MS);
    pipe.reserve(number, &mut batch).unwrap();
    pipe.commit(&settlement(number, &batch, Vec::new()))
}

/// What a reserve would decide now for these keys; nothing stays reserved.
pub(crate) fn probe(pipe: &PipeLedger, keys: &[u128], now_ms: i64) -> Vec<Fate> {
    try_probe(pipe, keys, now_ms).unwrap()
}

/// [`probe`] where keys may be unreadable.
pub(crate) fn try_probe(
    pipe: &PipeLedger,
    keys: &[u128],
    now_ms: i64,
) -> Result<Vec<Fate>, LedgerError> {
    let number = BatchNumber(pipe.next_batch().0 + 1_000);
    let mut batch = batch(keys, 1 << 40, now_ms);
    pipe.reserve(number, &mut batch)?;
    pipe.release(number, &batch);
    Ok(batch.events.iter().map(|event| event.fate).collect())
}

pub(crate) fn outcome(state: &LedgerState, outcome: Outcome) -> u64 {
    state.sources.iter().map(|source| source.total().outcome(outcome)).sum()
}

/// P4 holds everywhere.
pub(crate) fn assert_balanced(state: &LedgerState) {
    assert_eq!(state.imbalance(), [], "P4");
}
