//! A small world for whole pipes: a source that forgets what it was told is settled, a simulated
//! disk, and what must come out.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use dedup::ledger::{Ledger, LedgerOptions, LedgerState, Random, read_only};
use event::batch::Offsets;
use event::source::{Acker, BatchLimits, Received, Source, SourceError, SourceState, Stop};
use event::{Batch, Clock, Event, Extent, Span, TestClock};
use journal::{Disk, JournalConfig, RealDisk, SimDisk};
use pipe::RunOptions;
use pipe::config::PipeConfig;
use pipe::engine::planted::Planted;
use pipe::engine::{Parts, PipeError, Totals, inline};
use pipe::plan::{Shared, build};
use pipe::tap::TapHub;

/// Every test's wall clock starts here.
pub(crate) const START_MS: i64 = 1_760_000_000_000;

/// The config of `yaml`, with `{}` standing for nothing that exists: sources are replaced.
pub(crate) fn config(yaml: &str) -> PipeConfig {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.ndjson"), b"").unwrap();
    let file = folder.path().join("pipe.yaml");
    std::fs::write(&file, yaml).unwrap();
    let mut configs =
        pipe::config::load(&[file], &|_| None).unwrap_or_else(|errors| panic!("{errors}"));
    // `plan::build` opens the source that the config names before a test replaces it.
    std::mem::forget(folder);
    configs.remove(0)
}

/// What the broker still has: a batch that it was told is settled never comes again.
#[derive(Clone, Default)]
pub(crate) struct Broker(Arc<Mutex<BrokerState>>);

#[derive(Default)]
struct BrokerState {
    lines: Vec<String>,
    acked: BTreeSet<u64>,
    handed_over: u64,
}

impl Broker {
    pub(crate) fn new(lines: &[String]) -> Self {
        let state = BrokerState { lines: lines.to_vec(), ..BrokerState::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn acked(&self) -> usize {
        self.0.lock().unwrap().acked.len()
    }

    pub(crate) fn handed_over(&self) -> u64 {
        self.0.lock().unwrap().handed_over
    }

    /// Same lines, same acknowledgements, independent from now on.
    pub(crate) fn fork(&self) -> Self {
        let state = self.0.lock().unwrap();
        Self(Arc::new(Mutex::new(BrokerState {
            lines: state.lines.clone(),
            acked: state.acked.clone(),
            handed_over: 0,
        })))
    }

    pub(crate) fn source(
        &self,
        per_batch: usize,
        settled: &SourceState,
        clock: Arc<dyn Clock>,
    ) -> Box<dyn Source> {
        let next = settled.get("queue").map_or(0, |shard| shard.settled_through.as_u64().unwrap());
        Box::new(BrokerSource { broker: self.clone(), per_batch, next, clock })
    }
}

struct BrokerSource {
    broker: Broker,
    per_batch: usize,
    next: u64,
    clock: Arc<dyn Clock>,
}

impl Source for BrokerSource {
    fn name(&self) -> &str {
        "queue"
    }

    fn receive(&mut self, limits: &BatchLimits, _: &Stop) -> Result<Received, SourceError> {
        let mut broker = self.broker.0.lock().unwrap();
        let mut batch = Batch::default();
        let mut buffer = Vec::new();
        let mut offsets = Vec::new();
        while let Some(line) = broker.lines.get(self.next as usize) {
            if batch.events.len() >= self.per_batch.min(limits.events_max) {
                break;
            }
            let line = line.clone();
            let at = self.next;
            self.next += 1;
            if broker.acked.contains(&at) {
                continue;
            }
            let start = buffer.len() as u32;
            buffer.extend_from_slice(line.as_bytes());
            buffer.push(b'\n');
            offsets.push(at.into());
            batch
                .events
                .push(Event { raw: Span { start, len: line.len() as u32 }, ..Event::default() });
        }
        let (Some(first), Some(last)) = (offsets.first().copied(), offsets.last().copied()) else {
            return Ok(Received::End);
        };
        broker.handed_over += offsets.len() as u64;
        batch.extents.push(Extent {
            shard: "queue".into(),
            first_event: 0,
            events_received: offsets.len() as u32,
            received_ms: self.clock.now_ms(),
            broker_ms: vec![],
            offsets: Offsets::Listed(offsets),
            start: first,
            end: event::Offset::next(last),
            mark: None,
        });
        batch.buffer = Bytes::from(buffer);
        Ok(Received::Batch(batch))
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(BrokerAcker(self.broker.clone()))
    }
}

struct BrokerAcker(Broker);

impl Acker for BrokerAcker {
    fn settled(&mut self, batch: &Batch) -> Result<(), SourceError> {
        let mut broker = self.0.0.lock().unwrap();
        for (extent, range) in batch.extent_ranges() {
            for index in range.clone() {
                if batch.events[index].fate.leaves_source() {
                    let at = batch.position(extent, &range, index).0;
                    broker.acked.insert(at.as_u64().unwrap());
                }
            }
        }
        Ok(())
    }
}

/// A disk on which every folder that the tests' configs name is still to be made, each in a
/// parent of its own: no other one's sync makes it durable by the way.
pub(crate) fn disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    for parent in ["/a", "/b", "/c", "/d", "/e"] {
        disk.mkdir(Path::new(parent)).unwrap();
    }
    disk.sync_dir(Path::new("/"), journal::SyncPoint("test.setup")).unwrap();
    disk
}

pub(crate) fn ledger_options() -> LedgerOptions {
    LedgerOptions {
        checkpoint_journal_bytes: 6 << 10,
        journal: JournalConfig { segment_bytes: 4 << 10, ..JournalConfig::default() },
        lock: false,
        random: Random::Seeded(7),
        ..LedgerOptions::default()
    }
}

pub(crate) struct Opened {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) parts: Parts,
}

/// Opens the ledger and builds the pipe, its source replaced by `broker`.
pub(crate) fn open(
    config: &PipeConfig,
    broker: &Broker,
    per_batch: usize,
    disk: &Arc<dyn Disk>,
    clock: &TestClock,
) -> Result<Opened, String> {
    open_planted(config, broker, per_batch, disk, clock, None)
}

/// As [`open`], with a breakage.
pub(crate) fn open_planted(
    config: &PipeConfig,
    broker: &Broker,
    per_batch: usize,
    disk: &Arc<dyn Disk>,
    clock: &TestClock,
    planted: Option<Planted>,
) -> Result<Opened, String> {
    let wall: Arc<dyn Clock> = Arc::new(clock.clone());
    let ledger = Ledger::open(Arc::clone(disk), Path::new("/a/data"), ledger_options(), wall)
        .map_err(|error| format!("ledger: {error}"))?;
    let parts = added(&ledger, config, broker, per_batch, disk, clock, planted);
    Ok(Opened { ledger, parts: parts.map_err(|error| error.to_string())? })
}

/// Another pipe on a ledger that is open.
pub(crate) fn add(
    ledger: &Arc<Ledger>,
    config: &PipeConfig,
    broker: &Broker,
    per_batch: usize,
    disk: &Arc<dyn Disk>,
    clock: &TestClock,
) -> Result<Parts, PipeError> {
    added(ledger, config, broker, per_batch, disk, clock, None)
}

fn added(
    ledger: &Arc<Ledger>,
    config: &PipeConfig,
    broker: &Broker,
    per_batch: usize,
    disk: &Arc<dyn Disk>,
    clock: &TestClock,
    planted: Option<Planted>,
) -> Result<Parts, PipeError> {
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let taps = TapHub::default();
    let shared = Shared {
        data_dir: Path::new("/a/data"),
        ledger,
        broker: None,
        disk,
        clock: &clock,
        taps: &taps,
        stores: &pipe::stores::Stores::default(),
        reread: false,
        new_key: None,
        planted,
    };
    let mut parts = build(config, &shared)?;
    parts.source = broker.source(per_batch, &parts.ledger.source_state(), clock);
    Ok(parts)
}

/// Options of a run on the real disk.
pub(crate) fn run_options(data_dir: &Path) -> RunOptions {
    RunOptions {
        data_dir: data_dir.to_owned(),
        reread: false,
        new_key: None,
        stop: Stop::default(),
        disk: Arc::new(RealDisk::new()),
        clock: Arc::new(event::SystemClock),
        taps: TapHub::default(),
        onceflow_version: "test".into(),
        tuning: pipe::Tuning::default(),
    }
}

/// One whole run of the pipe, in one thread.
pub(crate) fn run(
    config: &PipeConfig,
    broker: &Broker,
    per_batch: usize,
    disk: &SimDisk,
) -> Result<Totals, String> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let opened = open(config, broker, per_batch, &disk, &TestClock::new(START_MS))?;
    let totals =
        inline::run(opened.parts, &Stop::default()).map_err(|error: PipeError| error.to_string());
    let closed = opened.ledger.close().map_err(|error| error.to_string());
    let totals = totals?;
    closed?;
    Ok(totals)
}

pub(crate) fn state(disk: &SimDisk) -> LedgerState {
    read_only(disk, Path::new("/a/data")).unwrap()
}

/// The lines of one file; empty when it is not there.
pub(crate) fn lines(disk: &SimDisk, path: &str) -> Vec<String> {
    let bytes = disk.read_file(Path::new(path)).unwrap_or_default();
    String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
}

/// The rows of all finished staging files, sorted.
pub(crate) fn lake_rows(disk: &SimDisk) -> Vec<String> {
    let mut rows = Vec::new();
    for (path, _) in disk.files() {
        let path = path.to_str().unwrap().to_owned();
        if path.starts_with("/b/lake/") && path.ends_with(".ndjson") {
            rows.extend(lines(disk, &path));
        }
    }
    rows.sort();
    rows
}

/// Files under `/b/lake` that are not finished.
pub(crate) fn open_files(disk: &SimDisk) -> Vec<String> {
    disk.files()
        .into_iter()
        .map(|(path, _)| path.to_str().unwrap().to_owned())
        .filter(|path| path.ends_with(".open"))
        .collect()
}

static SMALL: OnceLock<PipeConfig> = OnceLock::new();

/// File sink and lake sink, a key, a filter, a type.
pub(crate) fn small() -> &'static PipeConfig {
    SMALL.get_or_init(|| {
        let mut small = config(
            "pipe: app\n\
             source: { file: { path: in.ndjson } }\n\
             envelope: { type: $.type }\n\
             filter: { type: [{ anything-but: noise }] }\n\
             dedup: { key: $.id, window: 10m }\n\
             sinks:\n\
             - file: { path: /c/out/out.ndjson }\n\
             - lake: { path: /b/lake }\n\
             rejected: { path: /d/rejected/app.ndjson }\n",
        );
        // Apart, so that its folder's syncs don't stand in for others'.
        small.dead_letter.store = Some("/e/dead".into());
        small
    })
}

/// `count` events, every third one a copy of an earlier one, some noise, some broken.
pub(crate) fn events(count: usize) -> Vec<String> {
    (0..count)
        .map(|at| match at % 7 {
            2 | 5 => line(at - 2, "a"),
            3 => format!("{{\"id\":{at},\"type\":\"noise\"}}"),
            6 => format!("{{\"id\":{at},"),
            _ => line(at, "a"),
        })
        .collect()
}

pub(crate) fn line(id: usize, event_type: &str) -> String {
    format!("{{\"id\":{id},\"type\":\"{event_type}\",\"body\":\"{}\"}}", "x".repeat(40))
}

/// What must come out of `lines`: first of each key, in order.
pub(crate) fn expected(lines: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    lines
        .iter()
        .filter(|line| line.ends_with('}') && !line.contains("noise"))
        .filter(|line| seen.insert((*line).clone()))
        .cloned()
        .collect()
}
