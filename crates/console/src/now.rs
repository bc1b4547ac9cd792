//! How a running program stands, taken at one moment: what metrics, alarms and pages show.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use broker::Broker;
use broker::queues::QueueStatistics;
use broker::streams::StreamStatistics;
use dedup::ledger::{Ledger, MinuteBucket};
use dedup::scope::PipeId;
use dedup::state::{Imbalance, LedgerState};
use event::{Clock, Outcome};
use pipe::{Phase, PipeStatus};

use crate::delivery::{DeadStoreNow, DeliveryNow};
use crate::last_run::{LastRun, PipeRun};
use crate::storage::{Storage, bytes_below};
use crate::store::StoreNow;

/// Rates are of this long; ms.
const RATE_MS: i64 = 10_000;
/// Minutes of an hour.
const HOUR_MINUTES: i64 = 60;
/// How often what pipes wrote is measured; ms.
const MEASURE_EVERY_MS: i64 = 120_000;
/// Length of a minute; ms.
const MINUTE_MS: i64 = 60_000;

/// How a running program stands.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// When; ms since the Unix epoch.
    pub at_ms: i64,
    /// Memory that the process holds; bytes.
    pub memory_bytes: Option<u64>,
    /// CPU time of the process; ms.
    pub cpu_ms: Option<u64>,
    /// The pipes that run.
    pub pipes: Vec<PipeNow>,
    /// Keys in memory, by scope.
    pub keys_live: Vec<(String, u64)>,
    /// Keys ever committed, by scope.
    pub keys_committed: Vec<(String, u64)>,
    /// The broker's queues.
    pub queues: Vec<QueueNow>,
    /// The broker's streams.
    pub streams: Vec<StreamNow>,
    /// Bytes on disk of the broker.
    pub broker_bytes: Option<u64>,
    /// Where P4's sides differ.
    pub imbalances: Vec<Imbalance>,
    /// Room on the disk of the data folder; bytes: free, whole.
    pub disk: Option<(u64, u64)>,
    /// What pipes with a `limits.storage_bytes_max` wrote, as of the last few minutes.
    pub written: Vec<Written>,
    /// The folders of dead letters, each once.
    pub dead_stores: Vec<DeadStoreNow>,
}

/// What a pipe wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The pipe.
    pub pipe: String,
    /// Bytes on disk of its lakes, files and rejected file.
    pub bytes: u64,
    /// Its `limits.storage_bytes_max`.
    pub bytes_max: u64,
}

/// A pipe that runs.
#[derive(Clone, Debug, Default)]
pub struct PipeNow {
    /// Its name.
    pub name: String,
    /// What it is doing: `running`, `failed`, …
    pub phase: &'static str,
    /// Why it can't go on.
    pub failure: Option<String>,
    /// Events received, by source.
    pub received: Vec<(String, u64)>,
    /// Outcomes, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; 6],
    /// Outcomes by event type.
    pub types: BTreeMap<String, [u64; 6]>,
    /// Events without an outcome.
    pub in_flight: u64,
    /// Settled positions that came again.
    pub reread: u64,
    /// Events that the retention removed before they were read.
    pub expired: u64,
    /// Batches committed.
    pub batches: u64,
    /// Batches that are committed and not visible, by sink.
    pub unpublished: Vec<(String, u64)>,
    /// Events rejected in the last hour.
    pub rejected_last_hour: u64,
    /// Events settled a second, over the last 10 s.
    pub events_per_second: f64,
    /// How its source is.
    pub source: Option<SourceNow>,
    /// How its deliveries are.
    pub delivery: DeliveryNow,
    /// How it gets on with the store that it shares with other workers.
    pub store: Option<StoreNow>,
}

/// How a source is.
#[derive(Clone, Debug, Default)]
pub struct SourceNow {
    /// Events that are there and not received yet.
    pub behind_events: u64,
    /// Age of the oldest unsettled one; ms.
    pub behind_ms: u64,
    /// How long the source keeps what isn't read; ms, 0 where it isn't known.
    pub retention_ms: u64,
    /// Message ids that are remembered.
    pub message_ids: u64,
    /// Calls that failed and were tried again.
    pub errors: u64,
    /// What the last of them said.
    pub last_error: Option<String>,
}

/// A queue of the broker.
#[derive(Clone, Debug)]
pub struct QueueNow {
    /// Its name.
    pub name: String,
    /// Its retention; ms.
    pub retention_ms: i64,
    /// Its counts.
    pub statistics: QueueStatistics,
}

/// A stream of the broker.
#[derive(Clone, Debug)]
pub struct StreamNow {
    /// Its name.
    pub name: String,
    /// Number of its shards.
    pub shards: usize,
    /// Its retention; ms.
    pub retention_ms: i64,
    /// Its counts.
    pub statistics: StreamStatistics,
}

/// What was found on the disk.
type Measured = (Vec<Written>, Vec<DeadStoreNow>);

/// Knows where to look.
pub struct Watch {
    ledger: Arc<Ledger>,
    broker: Option<Arc<Broker>>,
    pipes: Vec<Arc<PipeStatus>>,
    clock: Arc<dyn Clock>,
    data_dir: PathBuf,
    /// Settled events by pipe, at some moments of the last while.
    settled: Mutex<VecDeque<(i64, Vec<u64>)>>,
    /// Where the pipes write.
    runs: Vec<PipeRun>,
    /// When that was measured, and what was found.
    measured: Mutex<Option<(i64, Measured)>>,
}

impl Watch {
    /// Watches a run.
    #[must_use]
    pub fn new(
        ledger: Arc<Ledger>,
        broker: Option<Arc<Broker>>,
        pipes: &[Arc<PipeStatus>],
        clock: Arc<dyn Clock>,
        data_dir: &Path,
        runs: &[PipeRun],
    ) -> Self {
        Self {
            ledger,
            broker,
            pipes: pipes.to_vec(),
            clock,
            data_dir: data_dir.to_owned(),
            settled: Mutex::new(VecDeque::new()),
            runs: runs.to_vec(),
            measured: Mutex::new(None),
        }
    }

    /// How everything stands.
    #[must_use]
    pub fn now(&self) -> Now {
        let at_ms = self.clock.now_ms();
        let mut now = self.ledger.look(|state| Now {
            at_ms,
            pipes: self.pipes.iter().map(|pipe| pipe_now(state, pipe, at_ms)).collect(),
            keys_committed: state
                .scopes
                .iter()
                .map(|scope| (scope.name.clone(), scope.keys_committed))
                .collect(),
            imbalances: state.imbalance(),
            ..Now::default()
        });
        now.keys_live = self.ledger.live_keys();
        now.memory_bytes = process::memory_bytes();
        now.cpu_ms = process::cpu_ms();
        now.disk = room(&self.data_dir);
        (now.written, now.dead_stores) = self.measured(at_ms);
        if let Some(broker) = &self.broker {
            look_at_broker(broker, &mut now);
        }
        self.rate(&mut now);
        now
    }

    /// What pipes with a limit wrote, and what dead letters take. Lakes may have many files, so
    /// they are walked now and then.
    fn measured(&self, at_ms: i64) -> Measured {
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then_ms, found)) = &*measured
            && (at_ms - then_ms).abs() < MEASURE_EVERY_MS
        {
            return found.clone();
        }
        let found = (self.written(), self.dead_stores());
        *measured = Some((at_ms, found.clone()));
        found
    }

    fn dead_stores(&self) -> Vec<DeadStoreNow> {
        let mut stores: Vec<DeadStoreNow> = Vec::new();
        for store in self.runs.iter().flat_map(|run| &run.dead_letters) {
            if stores.iter().all(|other| other.path != store.path) {
                stores.push(DeadStoreNow {
                    path: store.path.clone(),
                    bytes: bytes_below(&store.path),
                    bytes_max: store.bytes_max,
                });
            }
        }
        stores
    }

    fn written(&self) -> Vec<Written> {
        let limited = self.runs.iter().filter(|run| run.storage_bytes_max.is_some());
        let run = LastRun { pipes: limited.cloned().collect(), ..LastRun::default() };
        if run.pipes.is_empty() {
            return Vec::new();
        }
        let storage = Storage::measure(&self.data_dir, Some(&run));
        let of = |pipe: &PipeRun| Written {
            pipe: pipe.pipe.clone(),
            bytes: storage.bytes_of(&pipe.pipe),
            bytes_max: pipe.storage_bytes_max.unwrap_or(u64::MAX),
        };
        run.pipes.iter().map(of).collect()
    }

    /// Fills in rates, from what was settled some seconds ago.
    fn rate(&self, now: &mut Now) {
        let settled: Vec<u64> = now.pipes.iter().map(|pipe| pipe.outcomes.iter().sum()).collect();
        let mut seen = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes what was seen useless.
        while seen.front().is_some_and(|(at_ms, _)| {
            *at_ms > now.at_ms || (seen.len() > 1 && *at_ms < now.at_ms - RATE_MS)
        }) {
            seen.pop_front();
        }
        if let Some((from_ms, before)) = seen.front() {
            let seconds = (now.at_ms - from_ms) as f64 / 1000.0;
            for ((pipe, settled), before) in now.pipes.iter_mut().zip(&settled).zip(before) {
                if seconds > 0.0 {
                    pipe.events_per_second = settled.saturating_sub(*before) as f64 / seconds;
                }
            }
        }
        if seen.back().is_none_or(|(at_ms, _)| now.at_ms - at_ms >= 500) {
            seen.push_back((now.at_ms, settled));
        }
    }
}

fn pipe_now(state: &LedgerState, status: &PipeStatus, at_ms: i64) -> PipeNow {
    let phase = status.phase();
    let mut now = PipeNow {
        name: status.name().to_owned(),
        phase: phase.name(),
        failure: match phase {
            Phase::Failed(why) => Some(why),
            _ => None,
        },
        source: status.source().map(|source| SourceNow {
            behind_events: source.behind_events.load(Ordering::Relaxed),
            behind_ms: source.behind_ms.load(Ordering::Relaxed),
            retention_ms: source.retention_ms.load(Ordering::Relaxed),
            message_ids: source.message_ids.load(Ordering::Relaxed),
            errors: source.errors.load(Ordering::Relaxed),
            last_error: source.last_error(),
        }),
        delivery: DeliveryNow::of(status.delivery().map(AsRef::as_ref)),
        store: StoreNow::of(status.store()),
        ..PipeNow::default()
    };
    let Some((id, pipe)) = state.pipe(status.name()) else { return now };
    now.batches = pipe.committed.0;
    now.types.clone_from(&pipe.types);
    now.unpublished =
        pipe.sinks.iter().map(|sink| (sink.name.clone(), sink.unpublished.len() as u64)).collect();
    now.delivery.look(pipe);
    count(state, id, at_ms, &mut now);
    now
}

fn count(state: &LedgerState, id: PipeId, at_ms: i64, now: &mut PipeNow) {
    let hour_ago = MinuteBucket::of(at_ms - HOUR_MINUTES * MINUTE_MS);
    for (_, source) in state.sources_of(id) {
        let total = source.total();
        now.received.push((source.name.clone(), total.received));
        for (sum, outcome) in now.outcomes.iter_mut().zip(total.outcomes) {
            *sum += outcome;
        }
        now.in_flight += source.in_flight_total();
        now.reread += source.reread;
        now.expired += source.expired;
        now.delivery.count(&source.minutes, at_ms);
        now.rejected_last_hour += source
            .minutes
            .range(hour_ago..)
            .map(|(_, tally)| tally.outcome(Outcome::Rejected))
            .sum::<u64>();
    }
}

fn look_at_broker(broker: &Broker, now: &mut Now) {
    for queue in broker.queues().list() {
        now.queues.push(QueueNow {
            name: queue.name().to_owned(),
            retention_ms: i64::from(queue.attributes().retention_s) * 1000,
            statistics: queue.statistics(),
        });
    }
    for stream in broker.streams().list() {
        now.streams.push(StreamNow {
            name: stream.name().to_owned(),
            shards: stream.shards().len(),
            retention_ms: i64::from(stream.retention_h()) * 3_600_000,
            statistics: stream.statistics(),
        });
    }
    now.broker_bytes = Some(broker.queues().bytes_on_disk() + broker.streams().bytes_on_disk());
}

/// Free and whole bytes of the disk that `dir` is on.
fn room(dir: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(dir).ok()?;
    Some((disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)))
}

/// What the system says of this process.
pub mod process {
    /// Memory that it holds; bytes.
    #[must_use]
    pub fn memory_bytes() -> Option<u64> {
        status_kib("VmRSS:").map(|kib| kib * 1024)
    }

    /// Most memory that it ever held; bytes.
    #[must_use]
    pub fn memory_bytes_peak() -> Option<u64> {
        status_kib("VmHWM:").map(|kib| kib * 1024)
    }

    fn status_kib(name: &str) -> Option<u64> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// CPU time of all its threads so far, in ms; the system counts it in hundredths of a second.
    #[must_use]
    pub fn cpu_ms() -> Option<u64> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name stands in brackets and may hold blanks.
        let after = stat.get(stat.rfind(')')? + 1..)?;
        let mut fields = after.split_ascii_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        Some((user + system) * 10)
    }
}
