//! A little pipe from a known stream of events into files, over the simulated disk, and the naive
//! reference of what must be there after any crash.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dedup::ledger::{Ledger, LedgerState, MinuteBucket, PipeLedger, Tally};
use dedup::scope::DedupClock;
use event::sink::{SinkState, StagedFile, StagedOutput};
use event::{Batch, BatchNumber, Fate, Outcome, TestClock};
use journal::{Disk, DiskFile, SimDisk, SyncPoint};

use crate::ledger_kit::*;

const BATCH_EVENTS: usize = 5;
const BATCHES_OF_FILE: u64 = 3;
const CHECKPOINT_EVERY: u64 = 3;
/// After this batch the ledger is closed in order, and opened again.
const CLOSE_AFTER: u64 = 7;
const ROW_BYTES: usize = 8;
const OUT: &str = "/out";

pub(crate) type Failed = String;

/// A known stream, and what must become of it.
pub(crate) struct World {
    events: Vec<(u128, i64, i64)>,
    delivered: Vec<bool>,
}

/// What the pipe was told is done, over all its lives.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acknowledged {
    /// Batches whose commit was waited for.
    batches: u64,
    /// Batches whose commit was begun.
    begun: u64,
    /// Published, and followed by an acknowledged record.
    published: u64,
    /// Lives so far.
    starts: u64,
}

impl World {
    /// Events 20 s apart and not quite in order, a third of them duplicates; some windows end
    /// within the stream, so that key runs expire.
    pub(crate) fn new(events: usize) -> Self {
        let mut seed = 11_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let windows = [120_000, 600_000, i64::MAX];
        let events: Vec<(u128, i64, i64)> = (0..events)
            .map(|i| {
                let key = random(events as u64 * 2 / 3);
                let time = NOW_MS + i as i64 * 20_000 - random(15_000) as i64;
                (u128::from(key) << 64 | 5, time, windows[key as usize % 3])
            })
            .collect();
        // The naive reference: a list of what was let through, looked at from front to back.
        let mut through: Vec<(u128, i64, i64)> = Vec::new();
        let mut delivered = Vec::new();
        for &(key, time, window) in &events {
            let same = |&(k, t, w): &(u128, i64, i64)| k == key && time.abs_diff(t) < w as u64;
            let new = !through.iter().any(same);
            if new {
                through.push((key, time, window));
            }
            delivered.push(new);
        }
        Self { events, delivered }
    }

    fn batches(&self) -> u64 {
        self.events.len().div_ceil(BATCH_EVENTS) as u64
    }

    /// Rows that the first batches must have delivered.
    fn rows(&self, batches: u64) -> Vec<u64> {
        let events = (batches as usize * BATCH_EVENTS).min(self.events.len());
        (0..events).filter(|&i| self.delivered[i]).map(|i| i as u64).collect()
    }

    fn batch(&self, number: u64, now_ms: i64) -> Batch {
        let first = (number as usize - 1) * BATCH_EVENTS;
        let events = &self.events[first..(first + BATCH_EVENTS).min(self.events.len())];
        let keys: Vec<u128> = events.iter().map(|event| event.0).collect();
        let mut batch = batch(&keys, first as u64, now_ms);
        for (event, &(_, time, window_ms)) in batch.events.iter_mut().zip(events) {
            event.event_ms = time;
            event.window_ms = window_ms;
        }
        batch
    }

    /// Runs the pipe to its end, through an orderly restart, checking at each start that what is
    /// there is what was acknowledged.
    pub(crate) fn run(&self, disk: &SimDisk, done: &mut Acknowledged) -> Result<(), Failed> {
        while !self.live(disk, done)? {}
        Ok(())
    }

    /// One life of the pipe; whether it came to the end.
    fn live(&self, disk: &SimDisk, done: &mut Acknowledged) -> Result<bool, Failed> {
        done.starts += 1;
        let clock = TestClock::new(NOW_MS + done.starts as i64 * 45_000);
        let ledger = open_with(disk, &clock, options()).map_err(failed)?;
        self.check_state(&ledger.state(), done)?;
        let pipe = ledger.pipe(declaration("app", "app", DedupClock::Event)).map_err(failed)?;
        let mut sink = Sink::open(disk, &ledger, &pipe)?;
        let committed = pipe.next_batch().0 - 1;
        let rows = sink.rows(disk)?;
        if rows != self.rows(committed) {
            return Err(format!("rows of {committed} batches: {rows:?}"));
        }
        let mut ahead: VecDeque<(u64, Batch, bool)> = VecDeque::new();
        let mut published = 0;
        for number in committed + 1..=self.batches() {
            let decided = ahead.back().map_or(number, |(last, ..)| last + 1);
            for number in decided..=(number + 1).min(self.batches()) {
                let mut batch = self.batch(number, event::Clock::now_ms(&clock));
                pipe.reserve(BatchNumber(number), &mut batch);
                ahead.push_back((number, batch, false));
            }
            let staged = sink.stage(&pipe, number, &ahead[0].1)?;
            done.begun = done.begun.max(number);
            self.commit(&pipe, &mut ahead, staged.clone())?;
            done.batches = done.batches.max(number);
            done.published = done.published.max(published);
            sink.publish(&staged)?;
            pipe.published("out", BatchNumber(number));
            published = number;
            if number.is_multiple_of(CHECKPOINT_EVERY) {
                ledger.checkpoint().map_err(failed)?;
            }
            if number == CLOSE_AFTER && committed < CLOSE_AFTER {
                ledger.close().map_err(failed)?;
                done.published = done.published.max(published);
                return Ok(false);
            }
        }
        ledger.close().map_err(failed)?;
        done.published = done.published.max(published);
        Ok(true)
    }

    /// Commits the first batch; what it says of counters includes batches that were received and
    /// are in flight.
    fn commit(
        &self,
        pipe: &PipeLedger,
        ahead: &mut VecDeque<(u64, Batch, bool)>,
        staged: StagedOutput,
    ) -> Result<(), Failed> {
        let minute = MinuteBucket::of(ahead[0].1.extents[0].received_ms);
        let mut tally = Tally::default();
        for (_, batch, counted) in ahead.iter_mut().filter(|(.., counted)| !counted) {
            tally.received += u64::from(batch.extents[0].events_received);
            *counted = true;
        }
        let (number, batch, _) = ahead.pop_front().unwrap();
        for event in &batch.events {
            tally.add_outcome(event.fate.outcome().ok_or("an event waits")?, 1);
        }
        let in_flight = ahead.iter().map(|(_, batch, _)| batch.events.len() as u64).sum();
        let mut settlement = settlement(BatchNumber(number), &batch, vec![(0, staged)]);
        settlement.counters.minutes = vec![(minute, tally)];
        settlement.counters.in_flight = vec![(minute, in_flight)];
        pipe.commit(&settlement).wait().map_err(failed)
    }

    /// Everything acknowledged is there, batches whole, nothing invented, and P4 holds.
    fn check_state(&self, state: &LedgerState, done: &Acknowledged) -> Result<(), Failed> {
        let unbalanced = state.imbalance();
        if !unbalanced.is_empty() {
            return Err(format!("P4: {unbalanced:?}"));
        }
        let Some((_, pipe)) = state.pipe("app") else {
            return if done.batches == 0 { Ok(()) } else { Err("the pipe is lost".into()) };
        };
        let committed = pipe.committed.0;
        if committed < done.batches || committed > done.begun {
            return Err(format!("{committed} batches are committed: {done:?}"));
        }
        let events = (committed as usize * BATCH_EVENTS).min(self.events.len()) as u64;
        let shard = pipe.positions.get("shard").cloned().unwrap_or_default();
        if shard.settled_through != events.into() || !shard.settled_beyond.is_empty() {
            return Err(format!("{committed} batches, settled: {shard:?}"));
        }
        let rows = self.rows(committed).len() as u64;
        let total = outcome(state, Outcome::Delivered);
        if total != rows || outcome(state, Outcome::Duplicate) != events - rows {
            return Err(format!("{total} delivered of {committed} batches, not {rows}"));
        }
        if state.scopes.iter().map(|scope| scope.keys_committed).sum::<u64>() != rows {
            return Err(format!("keys: {:?}", state.scopes));
        }
        let published = pipe.sinks.first().map_or(0, |sink| sink.published_through.0);
        if published < done.published || published > committed {
            return Err(format!("published through {published}: {done:?}"));
        }
        Ok(())
    }
}

/// Appends rows to files of a few batches each, as DESIGN §3 says of staging files.
struct Sink {
    disk: SimDisk,
    epoch: u64,
    current: Option<(String, Arc<dyn DiskFile>, u64)>,
}

impl Sink {
    fn open(disk: &SimDisk, ledger: &Ledger, pipe: &PipeLedger) -> Result<Self, Failed> {
        let dir = Path::new(OUT);
        if disk.stat(dir).map_err(failed)?.is_none() {
            disk.mkdir(dir).map_err(failed)?;
        }
        disk.sync_dir(Path::new("/"), SyncPoint("sink.folder")).map_err(failed)?;
        let mut sink = Self { disk: disk.clone(), epoch: ledger.epoch().0, current: None };
        let state = pipe.sink_state("out");
        for (_, output) in &state.unpublished {
            sink.publish(output)?;
        }
        sink.cut(&state)?;
        Ok(sink)
    }

    /// Cuts unfinished files to their recorded length.
    fn cut(&mut self, state: &SinkState) -> Result<(), Failed> {
        for (name, known) in state.files.iter().filter(|(_, known)| !known.finished) {
            let path = unfinished(name);
            let file = match self.disk.open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound && known.len == 0 => {
                    self.disk.create_new(&path).map_err(failed)?
                }
                Err(error) => return Err(format!("{name} ({known:?}): {error}")),
            };
            self.disk.sync_dir(Path::new(OUT), SyncPoint("sink.name")).map_err(failed)?;
            if file.len().map_err(failed)? < known.len {
                return Err(format!("{name} is shorter than its record: {known:?}"));
            }
            file.set_len(known.len).map_err(failed)?;
            file.sync(SyncPoint("sink.data")).map_err(failed)?;
            self.current = Some((name.clone(), file, known.len));
        }
        for (path, _) in self.disk.files() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_some_and(|e| e == "open") && !state.files.contains_key(&name) {
                return Err(format!("no record names {}", path.display()));
            }
        }
        Ok(())
    }

    fn stage(
        &mut self,
        pipe: &PipeLedger,
        number: u64,
        batch: &Batch,
    ) -> Result<StagedOutput, Failed> {
        if self.current.is_none() {
            let name = format!("{number:04}-{}", self.epoch);
            let opened = StagedFile { name: name.clone(), base_len: 0, len: 0, finished: false };
            let output = StagedOutput { files: vec![opened], note: Vec::new() };
            pipe.record_opened("out", output).map_err(failed)?;
            let file = self.disk.create_new(&unfinished(&name)).map_err(failed)?;
            self.disk.sync_dir(Path::new(OUT), SyncPoint("sink.name")).map_err(failed)?;
            self.current = Some((name, file, 0));
        }
        let (name, file, len) = self.current.take().unwrap();
        let first = batch.extents[0].start.as_u64().unwrap();
        let rows: Vec<u8> = (first..)
            .zip(&batch.events)
            .filter(|(_, event)| event.fate == Fate::Deliver)
            .flat_map(|(row, _)| row.to_le_bytes())
            .collect();
        file.write_at(len, &rows).map_err(failed)?;
        file.sync(SyncPoint("sink.data")).map_err(failed)?;
        let base_len = len;
        let len = base_len + rows.len() as u64;
        let finished = number.is_multiple_of(BATCHES_OF_FILE);
        if !finished {
            self.current = Some((name.clone(), file, len));
        }
        Ok(StagedOutput {
            files: vec![StagedFile { name, base_len, len, finished }],
            note: Vec::new(),
        })
    }

    fn publish(&self, output: &StagedOutput) -> Result<(), Failed> {
        for file in output.files.iter().filter(|file| file.finished) {
            let (from, to) = (unfinished(&file.name), Path::new(OUT).join(&file.name));
            if self.disk.stat(&from).map_err(failed)?.is_some() {
                self.disk.rename(&from, &to).map_err(failed)?;
            }
            self.disk.sync_dir(Path::new(OUT), SyncPoint("sink.name")).map_err(failed)?;
        }
        Ok(())
    }

    /// All rows, in the order in which they were delivered.
    fn rows(&self, disk: &SimDisk) -> Result<Vec<u64>, Failed> {
        let mut files = BTreeMap::new();
        for (path, _) in disk.files().into_iter().filter(|(path, _)| path.starts_with(OUT)) {
            let bytes = disk.read_file(&path).ok_or("a file vanished")?;
            files.insert(path.file_stem().unwrap().to_owned(), bytes);
        }
        let bytes: Vec<u8> = files.into_values().flatten().collect();
        if !bytes.len().is_multiple_of(ROW_BYTES) {
            return Err("half a row".into());
        }
        let row = |row: &[u8]| u64::from_le_bytes(row.try_into().unwrap());
        Ok(bytes.chunks(ROW_BYTES).map(row).collect())
    }
}

fn unfinished(name: &str) -> PathBuf {
    Path::new(OUT).join(format!("{name}.open"))
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Failed {
    error.to_string()
}
