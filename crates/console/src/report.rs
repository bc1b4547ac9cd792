//! What happened in a data folder, out of the ledger's state.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dedup::ledger::{LedgerState, Tally};
use dedup::scope::PipeId;
use dedup::state::{Imbalance, PipeState};
use event::Outcome;
use serde::Serialize;

use crate::alarms::batch_of;
use crate::delivery::{SinkNow, parked_bytes};
use crate::last_run::{BrokerRun, LastRun};
use crate::show;
use crate::storage::Storage;
use crate::tables::TableReport;

/// The form of the report that `--json` prints.
pub const VERSION: u32 = 1;

/// Everything that a report shows.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The report's form.
    pub version: u32,
    /// When it was made; RFC 3339.
    pub made_at: String,
    /// The data folder.
    pub data_dir: PathBuf,
    /// The ledger's id.
    pub ledger_id: String,
    /// How often the data folder was opened for writing.
    pub epoch: u64,
    /// How the last run stands.
    pub run: RunState,
    /// The pipes.
    pub pipes: Vec<PipeReport>,
    /// The scopes.
    pub scopes: Vec<ScopeReport>,
    /// The embedded broker, as the run that owns the folder saw it last.
    pub broker: Option<BrokerRun>,
    /// The tables of lakes that the last run delivered into.
    pub tables: Vec<TableReport>,
    /// Bytes on disk.
    pub storage: Storage,
    /// P4, per pipe and source.
    pub conservation: Vec<Balance>,
    /// Where its two sides differ, by minute; empty when all is well.
    pub imbalances: Vec<MinuteImbalance>,
    /// What the last run said of what it did not read.
    pub remarks: Vec<String>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
    /// What is wrong.
    pub errors: Vec<String>,
}

/// How the last run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RunState {
    /// A process owns the folder.
    Running {
        /// Which, where that is known.
        pid: Option<u32>,
    },
    /// It ended in order.
    Ended {
        /// When; ms since the Unix epoch.
        at_ms: i64,
    },
    /// It was killed, or the machine stopped.
    Killed,
    /// Nothing was noted.
    Unknown,
}

/// Counts by outcome, by its name.
pub type Outcomes = BTreeMap<&'static str, u64>;

/// One pipe.
#[derive(Clone, Debug, Serialize)]
pub struct PipeReport {
    /// Its name.
    pub pipe: String,
    /// How often it was started.
    pub invocations: u64,
    /// Batches committed.
    pub batches: u64,
    /// Events that its sources handed over.
    pub received: u64,
    /// What became of them.
    pub outcomes: Outcomes,
    /// Events that would be in its sinks a second time without dedup.
    pub duplicates_prevented: u64,
    /// Events whose key was remembered with other bodies only, whatever became of them.
    pub other_body: u64,
    /// Events that went on without a key, under `missing_key: pass`.
    pub no_key: u64,
    /// Duplicates that started their key's window anew, under `refresh`.
    pub refreshed: u64,
    /// Events without an outcome.
    pub in_flight: u64,
    /// Events that came again after they were settled; outside the balance.
    pub reread: u64,
    /// Events that the source's retention removed before they were read; outside the balance.
    pub expired: u64,
    /// Events kept whole in the ledger until they can settle.
    pub parked: u64,
    /// Their bytes.
    pub parked_bytes: u64,
    /// Dead letters that were neither replayed nor purged.
    pub letters_open: u64,
    /// Those of which a copy was delivered meanwhile: a replay ends as duplicate.
    pub letters_superseded: u64,
    /// Dead events by class, of the last run.
    pub dead_by_class: BTreeMap<String, u64>,
    /// Deliveries to sinks that are called for single events, as the last run saw them last.
    pub deliveries: Vec<SinkNow>,
    /// Outcomes by event type.
    pub types: Vec<TypeReport>,
    /// Its sinks.
    pub sinks: Vec<SinkReport>,
    /// Rejected events by reason, of the last run.
    pub rejected_by_reason: BTreeMap<String, u64>,
}

/// One event type of a pipe.
#[derive(Clone, Debug, Serialize)]
pub struct TypeReport {
    /// Its name.
    #[serde(rename = "type")]
    pub name: String,
    /// All its outcomes together.
    pub settled: u64,
    /// What became of its events.
    pub outcomes: Outcomes,
}

/// One sink of a pipe.
#[derive(Clone, Debug, Serialize)]
pub struct SinkReport {
    /// Its name.
    pub sink: String,
    /// Committed batches that are not known to be visible yet.
    pub unpublished_batches: u64,
    /// Unfinished files.
    pub files_open: u64,
}

/// One scope.
#[derive(Clone, Debug, Serialize)]
pub struct ScopeReport {
    /// Its name.
    pub scope: String,
    /// Number of fields of a key.
    pub fields: u32,
    /// Whether events of different types with one key are the same.
    pub across_types: bool,
    /// Keys that were ever committed.
    pub keys_committed: u64,
    /// Keys that were imported.
    pub keys_imported: u64,
    /// Key runs.
    pub key_runs: u64,
    /// The store that workers share it through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<StoreReport>,
}

/// A store that workers share a scope through.
#[derive(Clone, Debug, Serialize)]
pub struct StoreReport {
    /// Where it is.
    pub place: String,
    /// How often it lost its data, as far as this data folder noticed.
    pub losses: u64,
}

/// The two sides of P4 of one source of a pipe.
#[derive(Clone, Debug, Serialize)]
pub struct Balance {
    /// The pipe.
    pub pipe: String,
    /// The source.
    pub source: String,
    /// The left side: counted where the source handed events over.
    pub received: u64,
    /// The right side: outcomes and in flight, counted where events settle.
    pub accounted: u64,
    /// What the right side is made of.
    pub outcomes: Outcomes,
    /// And this.
    pub in_flight: u64,
    /// Whether the sides are the same, in sum and in each minute.
    pub balanced: bool,
}

/// A stretch of time in which received and accounted differ.
#[derive(Clone, Debug, Serialize)]
pub struct MinuteImbalance {
    /// The pipe.
    pub pipe: String,
    /// The source.
    pub source: String,
    /// When the stretch begins; RFC 3339.
    pub from: String,
    /// Its length: 1, 60 or 1440 minutes.
    pub minutes: u32,
    /// The left side.
    pub received: u64,
    /// The right side.
    pub accounted: u64,
    /// The first batch whose record left the two sides different, where that is known.
    pub batch: Option<u64>,
}

/// The counts of `tally` by name.
#[must_use]
pub fn outcomes(counts: &[u64; 6]) -> Outcomes {
    Outcome::ALL.iter().map(|outcome| outcome.name()).zip(counts.iter().copied()).collect()
}

/// What is known beside the ledger.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The data folder.
    pub data_dir: &'a Path,
    /// What the last run noted.
    pub last_run: Option<&'a LastRun>,
    /// The tables of its lakes.
    pub tables: &'a [TableReport],
    /// Whether a process owns the folder.
    pub running: bool,
    /// Now; ms since the Unix epoch.
    pub now_ms: i64,
}

impl Report {
    /// Makes the report.
    #[must_use]
    pub fn new(state: &LedgerState, facts: &Facts<'_>) -> Report {
        let storage = Storage::measure(facts.data_dir, facts.last_run);
        let mut report = Report {
            version: VERSION,
            made_at: show::time(facts.now_ms),
            data_dir: facts.data_dir.to_owned(),
            ledger_id: state.ledger_id.to_string(),
            epoch: state.epoch.0,
            run: run_state(facts),
            pipes: Vec::new(),
            scopes: state
                .scopes
                .iter()
                .enumerate()
                .map(|(at, scope)| ScopeReport {
                    scope: scope.name.clone(),
                    fields: scope.fields,
                    across_types: scope.across_types,
                    keys_committed: scope.keys_committed,
                    keys_imported: scope.keys_imported,
                    key_runs: state.runs.iter().filter(|run| usize::from(run.scope) == at).count()
                        as u64,
                    store: scope.shared.as_ref().map(|shared| StoreReport {
                        place: shared.place.clone(),
                        losses: shared.losses,
                    }),
                })
                .collect(),
            broker: facts.last_run.and_then(|run| run.broker.clone()),
            tables: facts.tables.to_vec(),
            storage,
            conservation: Vec::new(),
            imbalances: state.imbalance().iter().map(minute_imbalance).collect(),
            remarks: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
        };
        for (index, pipe) in (0..).map(PipeId).zip(&state.pipes) {
            report.conservation.extend(balances(state, index, &pipe.name));
            report.pipes.push(pipe_report(state, index, pipe, facts.last_run));
        }
        report.look(facts);
        report
    }

    /// Whether both sides of P4 are the same everywhere.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.imbalances.is_empty() && self.conservation.iter().all(|balance| balance.balanced)
    }

    /// Finds what somebody should look at.
    fn look(&mut self, facts: &Facts<'_>) {
        for scope in &self.scopes {
            let Some(store) = scope.store.as_ref().filter(|store| store.losses > 0) else {
                continue;
            };
            self.warnings.push(format!(
                "scope {}: the store {} lost its data {}: what other workers delivered before may \
                 have come through once more",
                scope.scope,
                store.place,
                show::counted(store.losses, "time"),
            ));
        }
        for found in &self.imbalances {
            let batch = found.batch.map_or(String::new(), |batch| format!(", since batch {batch}"));
            self.errors.push(format!(
                "pipe {}{batch}, source {}: {} events received in the {} from {}, {} accounted for",
                found.pipe,
                found.source,
                show::count(found.received),
                show::counted(u64::from(found.minutes), "minute"),
                found.from,
                show::count(found.accounted),
            ));
        }
        for pipe in &self.pipes {
            let settled: u64 = pipe.outcomes.values().sum();
            let rejected = pipe.outcomes.get("rejected").copied().unwrap_or(0);
            if rejected > 0 {
                self.warnings.push(format!(
                    "pipe {}: {} rejected, of {}; they are whole in its rejected file",
                    pipe.pipe,
                    show::counted(rejected, "event"),
                    show::count(settled),
                ));
            }
            self.warnings.extend(letters(pipe));
            if pipe.expired > 0 {
                self.warnings.push(format!(
                    "pipe {}: {} passed the source's retention before they were read, and are lost",
                    pipe.pipe,
                    show::counted(pipe.expired, "event"),
                ));
            }
            if pipe.in_flight > 0 && !matches!(self.run, RunState::Running { .. }) {
                self.warnings.push(format!(
                    "pipe {}: {} in flight and nobody runs it; the next run reads them again",
                    pipe.pipe,
                    show::counted(pipe.in_flight, "event"),
                ));
            }
        }
        for table in &self.tables {
            if table.rows_duplicate > 0 {
                self.errors.push(format!(
                    "table in {}: {} of its rows repeat a key within its window",
                    table.lake.display(),
                    show::count(table.rows_duplicate),
                ));
            }
            self.warnings.extend(table.remarks.iter().cloned());
        }
        if self.run == RunState::Killed {
            self.warnings.push(
                "the last run was killed; nothing is lost, and the next run goes on where the \
                 ledger ends"
                    .to_owned(),
            );
        }
        if let Some(run) = facts.last_run {
            self.look_at_run(run);
        }
    }

    fn look_at_run(&mut self, run: &LastRun) {
        for pipe in &run.pipes {
            let bytes = self.storage.bytes_of(&pipe.pipe);
            if let Some(max) = pipe.storage_bytes_max.filter(|max| bytes > *max) {
                self.warnings.push(format!(
                    "pipe {}: wrote {}, more than its storage_bytes_max of {}",
                    pipe.pipe,
                    show::bytes(bytes),
                    show::bytes(max),
                ));
            }
            if let Some(failure) = &pipe.failure {
                self.errors.push(format!("pipe {}: the last run stopped: {failure}", pipe.pipe));
            }
            for remark in &pipe.remarks {
                self.remarks.push(format!("pipe {}: {remark}", pipe.pipe));
            }
        }
        self.warnings.extend(run.messages.iter().map(|message| format!("last run: {message}")));
    }
}

fn run_state(facts: &Facts<'_>) -> RunState {
    if facts.running {
        return RunState::Running { pid: facts.last_run.map(|run| run.pid) };
    }
    match facts.last_run {
        Some(LastRun { ended_ms: Some(at_ms), .. }) => RunState::Ended { at_ms: *at_ms },
        Some(_) => RunState::Killed,
        None => RunState::Unknown,
    }
}

fn balances(state: &LedgerState, pipe: PipeId, name: &str) -> Vec<Balance> {
    let imbalances = state.imbalance();
    let of_source = |source: &dedup::state::SourceCounters| {
        let total: Tally = source.total();
        let in_flight = source.in_flight_total();
        let accounted = total.settled() + in_flight;
        let elsewhere =
            imbalances.iter().any(|found| found.pipe == name && found.source == source.name);
        Balance {
            pipe: name.to_owned(),
            source: source.name.clone(),
            received: total.received,
            accounted,
            outcomes: outcomes(&total.outcomes),
            in_flight,
            balanced: total.received == accounted && !elsewhere,
        }
    };
    state.sources_of(pipe).map(|(_, source)| of_source(source)).collect()
}

fn pipe_report(
    state: &LedgerState,
    index: PipeId,
    pipe: &PipeState,
    last_run: Option<&LastRun>,
) -> PipeReport {
    let mut total = Tally::default();
    let (mut in_flight, mut reread, mut expired) = (0, 0, 0);
    for (_, source) in state.sources_of(index) {
        total.add(&source.total());
        in_flight += source.in_flight_total();
        reread += source.reread;
        expired += source.expired;
    }
    let run = last_run.and_then(|run| run.pipe(&pipe.name));
    PipeReport {
        pipe: pipe.name.clone(),
        invocations: pipe.invocations,
        batches: pipe.committed.0,
        received: total.received,
        outcomes: outcomes(&total.outcomes),
        duplicates_prevented: total.outcome(Outcome::Duplicate),
        other_body: pipe.dedup_counts.other_body,
        no_key: pipe.dedup_counts.no_key,
        refreshed: pipe.dedup_counts.refreshed,
        in_flight,
        reread,
        expired,
        parked: pipe.parked.len() as u64,
        parked_bytes: parked_bytes(pipe),
        letters_open: pipe.letters.len() as u64,
        letters_superseded: pipe.letters.values().filter(|letter| letter.superseded).count() as u64,
        dead_by_class: run.map(|run| run.dead.clone()).unwrap_or_default(),
        deliveries: run.map(|run| run.deliveries.clone()).unwrap_or_default(),
        types: pipe
            .types
            .iter()
            .map(|(name, counts)| TypeReport {
                name: name.clone(),
                settled: counts.iter().sum(),
                outcomes: outcomes(counts),
            })
            .collect(),
        sinks: pipe
            .sinks
            .iter()
            .map(|sink| SinkReport {
                sink: sink.name.clone(),
                unpublished_batches: sink.unpublished.len() as u64,
                files_open: sink.files.values().filter(|file| !file.finished).count() as u64,
            })
            .collect(),
        rejected_by_reason: run.map(|run| run.reasons.clone()).unwrap_or_default(),
    }
}

fn minute_imbalance(found: &Imbalance) -> MinuteImbalance {
    MinuteImbalance {
        pipe: found.pipe.clone(),
        source: found.source.clone(),
        from: show::time(found.start_ms),
        minutes: found.minutes,
        received: found.received,
        accounted: found.accounted,
        batch: batch_of(found),
    }
}

/// What somebody should do about a pipe's dead letters and sinks.
fn letters(pipe: &PipeReport) -> Vec<String> {
    let mut found = Vec::new();
    if pipe.letters_open > 0 {
        found.push(format!(
            "pipe {}: {} open; `onceflow dead list` shows them, `onceflow dead replay` delivers \
             them",
            pipe.pipe,
            show::counted(pipe.letters_open, "dead letter"),
        ));
    }
    for sink in &pipe.deliveries {
        let Some(since_ms) = sink.down_since_ms else { continue };
        let said = sink.last_error.as_deref().unwrap_or("no answer");
        found.push(format!(
            "pipe {}: sink {} was down since {} when it was last seen: {said}",
            pipe.pipe,
            sink.sink,
            show::time(since_ms),
        ));
    }
    found
}
