//! A ledger that never fails, and a sweep that crashes a sink at every operation of the disk.
//! The tests of `connect` use it too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use event::batch::{Batch, Event, Extent, Offsets, Span};
use event::sink::{
    FileState, Rows, ScopeSecret, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedOutput,
};
use event::{BatchNumber, Epoch, LedgerId, Marks, Offset};
use journal::{Disk, SimDisk, SyncPoint};

/// An event of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestEvent {
    pub id: u64,
    pub payload: String,
    pub received_ms: i64,
    pub event_ms: i64,
}

/// An event with a payload that names it.
pub fn event(id: u64, received_ms: i64, event_ms: i64) -> TestEvent {
    let payload = format!("{{\"id\":{id},\"fill\":\"{}\"}}", "x".repeat(id as usize % 40));
    TestEvent { id, payload, received_ms, event_ms }
}

/// A batch as a file source makes it: one extent for each time of receipt.
pub fn batch(events: &[TestEvent]) -> Batch {
    let mut batch = Batch::default();
    let mut buffer = Vec::new();
    for test in events {
        let start = buffer.len() as u32;
        let raw = Span { start, len: test.payload.len() as u32 };
        buffer.extend(test.payload.as_bytes());
        buffer.push(b'\n');
        let index = batch.events.len() as u32;
        batch.events.push(Event {
            raw,
            key: u128::from(test.id) << 64,
            recorded_ms: test.received_ms,
            event_ms: test.event_ms,
            window_ms: 300_000,
            marks: Marks(u8::from(test.id.is_multiple_of(3))),
            ..Event::default()
        });
        match batch.extents.last_mut() {
            Some(extent) if extent.received_ms == test.received_ms => {
                extent.events_received += 1;
                extent.end = Offset::from(buffer.len() as u64);
            }
            _ => batch.extents.push(Extent {
                shard: "file:test".into(),
                first_event: index,
                events_received: 1,
                received_ms: test.received_ms,
                broker_ms: Vec::new(),
                offsets: Offsets::Contiguous { base: 0 },
                start: Offset::from(u64::from(start)),
                end: Offset::from(buffer.len() as u64),
                mark: None,
            }),
        }
    }
    batch.buffer = Bytes::from(buffer);
    batch
}

/// What a run does, one after the other.
#[derive(Clone, Debug)]
pub enum Step {
    /// Stages a batch and, one step later, commits it.
    Stage(Vec<TestEvent>),
    /// Stages a batch and takes it back.
    Withdraw(Vec<TestEvent>),
    /// Finishes what is due, or all.
    Finish { now_ms: i64, all: bool },
}

/// What is committed. Survives every crash.
#[derive(Clone, Debug)]
pub struct FakeLedger {
    pub state: SinkState,
    pub epoch: u64,
    next: BatchNumber,
    /// Steps whose effect is committed.
    pub done: usize,
    pub committed: Vec<TestEvent>,
    /// Published, but no record says so yet.
    published: BatchNumber,
    /// How often `open` succeeded.
    pub opened: u64,
    /// What a file held when the ledger came to know it.
    pub bases: BTreeMap<String, Vec<u8>>,
}

impl FakeLedger {
    pub fn new() -> Self {
        Self {
            state: SinkState::default(),
            epoch: 1,
            next: BatchNumber(1),
            done: 0,
            committed: Vec::new(),
            published: BatchNumber(0),
            opened: 0,
            bases: BTreeMap::new(),
        }
    }

    fn apply(&mut self, output: &StagedOutput) {
        for file in &output.files {
            let known = self.state.files.get(&file.name);
            if let Some(known) = known {
                assert_eq!(known.len, file.base_len, "{} grew behind the ledger's back", file.name);
                assert!(!known.finished, "{} was finished before", file.name);
            }
            assert!(file.base_len <= file.len);
            let state = FileState { len: file.len, finished: file.finished };
            self.state.files.insert(file.name.clone(), state);
        }
    }

    fn opened(&mut self, output: &StagedOutput) {
        for file in &output.files {
            let state = FileState { len: file.len, finished: file.finished };
            self.state.files.insert(file.name.clone(), state);
        }
        self.opened += 1;
    }

    fn commit(&mut self, number: BatchNumber, output: StagedOutput) {
        // What was published by now goes along.
        let through = self.published;
        for (_, old) in self.state.unpublished.extract_if(.., |(number, _)| *number <= through) {
            for file in old.files.iter().filter(|file| file.finished) {
                self.state.files.remove(&file.name);
            }
        }
        self.state.published_through = self.published;
        self.apply(&output);
        if !output.is_empty() {
            self.state.unpublished.push((number, output));
        }
    }
}

/// Who the sink is.
pub fn identity(epoch: u64) -> SinkIdentity {
    SinkIdentity {
        ledger_id: LedgerId(0xfeed),
        epoch: Epoch(epoch),
        pipe: "my-pipe".into(),
        sink: "out".into(),
        scope: Some(ScopeSecret {
            scope: "my-pipe".into(),
            secret: [7; 16],
            definition: "1 field".into(),
        }),
    }
}

/// Makes the sink under test on a disk.
pub type MakeSink = dyn Fn(Arc<dyn Disk>, SinkIdentity) -> Box<dyn Sink>;

/// A staged batch that isn't committed.
struct InFlight {
    number: BatchNumber,
    staged: Staged,
    events: Vec<TestEvent>,
    done: usize,
}

/// Opens the sink, as a start of the pipe does.
pub fn open(
    disk: &SimDisk,
    ledger: &mut FakeLedger,
    make: &MakeSink,
) -> Result<Box<dyn Sink>, SinkError> {
    ledger.epoch += 1;
    let mut sink = make(Arc::new(disk.clone()), identity(ledger.epoch));
    let output = sink.open(&ledger.state)?;
    for file in &output.files {
        if let Some(base) = disk.read_file(Path::new(&file.name)) {
            ledger.bases.entry(file.name.clone()).or_insert(base);
        }
    }
    ledger.opened(&output);
    Ok(sink)
}

/// Does the steps that are not committed yet, each batch committed while the next one is staged.
pub fn run(
    disk: &SimDisk,
    ledger: &mut FakeLedger,
    make: &MakeSink,
    steps: &[Step],
) -> Result<(), SinkError> {
    let mut sink = open(disk, ledger, make)?;
    let mut publisher = sink.publisher();
    let mut in_flight: Option<InFlight> = None;
    let mut number = ledger.next;
    for (index, step) in steps.iter().enumerate().skip(ledger.done) {
        let next = match step {
            Step::Withdraw(events) => {
                let staged = stage(sink.as_mut(), number, events)?;
                sink.withdraw(&staged.output)?;
                continue;
            }
            Step::Stage(events) => {
                let staged = stage(sink.as_mut(), number, events)?;
                InFlight { number, staged, events: events.clone(), done: index + 1 }
            }
            Step::Finish { now_ms, all } => {
                let staged = sink.finish(number, *now_ms, *all)?;
                InFlight { number, staged, events: Vec::new(), done: index + 1 }
            }
        };
        number = number.next();
        if let Some(earlier) = in_flight.replace(next) {
            commit(ledger, publisher.as_mut(), earlier)?;
        }
    }
    match in_flight {
        Some(last) => commit(ledger, publisher.as_mut(), last),
        None => Ok(()),
    }
}

fn stage(
    sink: &mut dyn Sink,
    number: BatchNumber,
    events: &[TestEvent],
) -> Result<Staged, SinkError> {
    let batch = batch(events);
    let all: Vec<u32> = (0..events.len() as u32).collect();
    let now_ms = events.last().map_or(0, |event| event.received_ms);
    sink.stage(&Rows { batch: &batch, number, events: &all, now_ms })
}

fn commit(
    ledger: &mut FakeLedger,
    publisher: &mut dyn event::sink::Publisher,
    batch: InFlight,
) -> Result<(), SinkError> {
    for pending in batch.staged.pending {
        pending()?;
    }
    ledger.commit(batch.number, batch.staged.output.clone());
    ledger.next = batch.number.next();
    ledger.done = batch.done;
    ledger.committed.extend(batch.events);
    publisher.publish(batch.number, &batch.staged.output)?;
    ledger.published = batch.number;
    Ok(())
}

/// What is swept.
pub struct Sweep<'a> {
    pub make: &'a MakeSink,
    pub steps: &'a [Step],
    /// Puts onto the disk what is there before the first start.
    pub prepare: &'a dyn Fn(&SimDisk),
    /// Whether exactly the committed is there, after a recovery (false) or after an orderly end
    /// and a loss of power (true).
    pub check: &'a dyn Fn(&SimDisk, &FakeLedger, bool) -> Result<(), String>,
    /// Whether a file of that name is finished: it may never change.
    pub is_finished: fn(&str) -> bool,
    pub seeds: u64,
}

impl Sweep<'_> {
    fn disk(&self, seed: u64, skip: Option<SyncPoint>) -> SimDisk {
        let disk = SimDisk::new(seed);
        (self.prepare)(&disk);
        if let Some(point) = skip {
            disk.skip_sync(point);
        }
        disk
    }

    /// Crashes at every operation; `Err` says where what was lost.
    pub fn run(&self, skip: Option<SyncPoint>) -> Result<BTreeSet<SyncPoint>, String> {
        let whole = self.disk(1, skip);
        let before = whole.ops();
        let mut ledger = FakeLedger::new();
        run(&whole, &mut ledger, self.make, self.steps).map_err(|error| error.to_string())?;
        self.after_end(&whole, &ledger, 1).map_err(|what| format!("without a crash: {what}"))?;
        let mut seen = whole.sync_points_seen();
        for op in before..whole.ops() {
            for seed in 0..self.seeds {
                let points = self
                    .crash_at(op, seed, skip)
                    .map_err(|what| format!("crash at operation {op}, seed {seed}: {what}"))?;
                seen.extend(points);
            }
        }
        Ok(seen)
    }

    fn crash_at(
        &self,
        op: u64,
        seed: u64,
        skip: Option<SyncPoint>,
    ) -> Result<BTreeSet<SyncPoint>, String> {
        let disk = self.disk(seed, skip);
        let mut ledger = FakeLedger::new();
        disk.crash_at(op);
        match run(&disk, &mut ledger, self.make, self.steps) {
            Err(_) if disk.has_crashed() => {}
            other => return Err(format!("no crash, but {other:?}")),
        }
        // A loss of power.
        self.recovers(&disk.after_power_loss(seed), &ledger, seed)?;
        // A kill; what recovery then relies on must survive a loss of power later.
        let killed = disk.after_process_kill();
        let mut recovered = ledger.clone();
        open(&killed, &mut recovered, self.make).map_err(|e| format!("after a kill: {e}"))?;
        self.recovers(&killed.after_power_loss(seed), &recovered, seed)?;
        let recovery_ops = killed.ops();
        // A kill, and recovery crashes as well: at some of its operations, at others for the next
        // operation and seed.
        for at in (0..recovery_ops).filter(|at| (at + op + 3 * seed).is_multiple_of(8)) {
            let killed = disk.after_process_kill();
            killed.crash_at(at);
            let mut again = ledger.clone();
            if open(&killed, &mut again, self.make).is_ok() {
                return Err(format!("recovery did not reach operation {at}"));
            }
            self.recovers(&killed.after_power_loss(seed), &again, seed)
                .map_err(|what| format!("recovery crashed at {at}: {what}"))?;
            self.recovers(&killed.after_process_kill(), &again, seed)
                .map_err(|what| format!("recovery killed at {at}: {what}"))?;
        }
        // A kill, recovery, and an orderly end with nothing more to stage.
        let killed = disk.after_process_kill();
        let mut ended = ledger.clone();
        let mut steps = self.steps[..ledger.done].to_vec();
        steps.push(Step::Finish { now_ms: i64::MAX, all: true });
        run(&killed, &mut ended, self.make, &steps).map_err(|e| format!("ending: {e}"))?;
        self.after_end(&killed, &ended, seed).map_err(|what| format!("ended at once: {what}"))?;
        Ok(killed.sync_points_seen())
    }

    /// Recovery on `disk`, then the rest of the steps.
    fn recovers(&self, disk: &SimDisk, ledger: &FakeLedger, seed: u64) -> Result<(), String> {
        let mut ledger = ledger.clone();
        open(disk, &mut ledger, self.make).map_err(|error| format!("recovery: {error}"))?;
        (self.check)(disk, &ledger, false).map_err(|what| format!("recovered: {what}"))?;
        let disk = &disk.after_power_loss(seed + 100);
        open(disk, &mut ledger, self.make).map_err(|error| format!("again: {error}"))?;
        (self.check)(disk, &ledger, false).map_err(|what| format!("recovered twice: {what}"))?;
        let finished = |(path, _): &(PathBuf, u64)| (self.is_finished)(&path.to_string_lossy());
        let before: Vec<_> = disk.files().into_iter().filter(finished).collect();
        let before: Vec<_> =
            before.into_iter().map(|(path, _)| (disk.read_file(&path), path)).collect();
        run(disk, &mut ledger, self.make, self.steps).map_err(|e| format!("going on: {e}"))?;
        if let Some((_, path)) = before.iter().find(|(was, path)| *was != disk.read_file(path)) {
            return Err(format!("{} was finished, and has changed", path.display()));
        }
        self.after_end(disk, &ledger, seed)
    }

    /// After an orderly end even a loss of power changes nothing.
    fn after_end(&self, disk: &SimDisk, ledger: &FakeLedger, seed: u64) -> Result<(), String> {
        (self.check)(disk, ledger, true).map_err(|what| format!("at the end: {what}"))?;
        let disk = disk.after_power_loss(seed + 200);
        (self.check)(&disk, ledger, true).map_err(|what| format!("after the end: {what}"))
    }

    /// The sweep passes, and taking away any one sync makes it fail. `points` are all there are.
    pub fn every_sync_is_needed(&self, points: &[&'static str]) {
        let seen = self.run(None).unwrap();
        let expected: BTreeSet<SyncPoint> = points.iter().map(|point| SyncPoint(point)).collect();
        assert_eq!(seen, expected, "the syncs that the sweep saw");
        for point in expected {
            match self.run(Some(point)) {
                Ok(_) => panic!("{point:?} is not needed, or the sweep doesn't see why"),
                Err(what) => println!("without {}: {what}", point.0),
            }
        }
    }
}
