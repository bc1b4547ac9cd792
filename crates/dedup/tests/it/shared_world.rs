//! Workers that share a store, each with a stream of its own in which many keys of the others come
//! again, over simulated disks; and what must be true of all of them together in the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dedup::ledger::{
    CounterChange, Ledger, LedgerError, LedgerOptions, Left, LetterChange, MinuteBucket,
    PipeDeclaration, PipeLedger, PositionChange, Random, Settlement, SharedStore, Tally, read_only,
};
use dedup::scope::DedupClock;
use event::batch::{Extent, Offsets};
use event::sink::{StagedFile, StagedOutput};
use event::{Batch, BatchNumber, Death, Event, Fate, Offset, ShardId, TestClock};
use journal::SimDisk;

use crate::ledger_kit::*;
use crate::shared_store::{Line, Memory};

pub(crate) const LEASE: Duration = Duration::from_secs(3);
const BATCH_EVENTS: usize = 4;
/// Batches that are decided and not committed.
const AHEAD: usize = 2;
const SHARD: &str = "shard";

pub(crate) type Failed = String;

fn failed(error: impl std::fmt::Display) -> Failed {
    error.to_string()
}

/// Events of these keys die.
fn dies(key: u128) -> bool {
    key % 13 == 5
}

/// What files hold, by name: a file is whole once its batch is committed.
pub(crate) type Files = Arc<Mutex<BTreeMap<String, Vec<u128>>>>;

/// A worker's stream.
#[derive(Clone)]
pub(crate) struct Stream {
    seed: u64,
    pub(crate) keys: Vec<u128>,
}

pub(crate) fn declaration_in(store: Arc<Line>) -> PipeDeclaration {
    PipeDeclaration {
        store: Some(SharedStore { store, lease: LEASE }),
        ..declaration("app", "app", DedupClock::Received)
    }
}

/// A worker that lives.
pub(crate) struct Worker {
    stream: Stream,
    files: Files,
    line: Arc<Line>,
    ledger: Arc<Ledger>,
    pipe: Arc<PipeLedger>,
    /// Offsets that are still to be received.
    fresh: VecDeque<u64>,
    /// Received, and waiting to come again.
    waiting: BTreeSet<u64>,
    ahead: VecDeque<(BatchNumber, Batch, u64)>,
    next: BatchNumber,
    /// Offsets that left their batch once in this life.
    left: BTreeSet<u64>,
    pub(crate) restarts: u64,
}

impl Worker {
    pub(crate) fn start(
        disk: &SimDisk,
        line: Arc<Line>,
        stream: &Stream,
        files: &Files,
    ) -> Result<Self, Failed> {
        // Each worker has a ledger id of its own.
        let random = Random::Seeded(stream.seed);
        let clock = TestClock::new(NOW_MS);
        let ledger = open_with(disk, &clock, LedgerOptions { random, ..options() });
        let ledger = ledger.map_err(failed)?;
        let pipe = ledger.pipe(declaration_in(Arc::clone(&line))).map_err(failed)?;
        let (next, files) = (pipe.next_batch(), Arc::clone(files));
        let mut worker = Self {
            stream: stream.clone(),
            files,
            line,
            ledger,
            pipe,
            fresh: VecDeque::new(),
            waiting: BTreeSet::new(),
            ahead: VecDeque::new(),
            next,
            left: BTreeSet::new(),
            restarts: 0,
        };
        worker.position();
        Ok(worker)
    }

    /// Reads from where the ledger is.
    fn position(&mut self) {
        let state = self.pipe.source_state();
        let shard = state.get(&ShardId::from(SHARD));
        let settled = |at: u64| shard.is_some_and(|shard| shard.is_settled(at.into()));
        self.fresh = (0..self.stream.keys.len() as u64).filter(|at| !settled(*at)).collect();
        self.waiting.clear();
        self.ahead.clear();
        self.next = self.pipe.next_batch();
    }

    pub(crate) fn is_done(&self) -> bool {
        self.fresh.is_empty() && self.waiting.is_empty() && self.ahead.is_empty()
    }

    /// One batch further. A batch that was withdrawn starts the pipe again.
    pub(crate) fn step(&mut self) -> Result<(), Failed> {
        match self.try_step() {
            Ok(()) => Ok(()),
            Err(LedgerError::Withdrawn(_)) => self.start_again(),
            Err(error) => Err(failed(error)),
        }
    }

    fn start_again(&mut self) -> Result<(), Failed> {
        self.restarts += 1;
        for (number, batch, _) in std::mem::take(&mut self.ahead) {
            self.pipe.release(number, &batch);
        }
        // The old handle goes before the new one comes.
        let other = self.ledger.pipe(declaration("other", "other", DedupClock::Received));
        self.pipe = other.map_err(failed)?;
        let pipe = self.ledger.pipe(declaration_in(Arc::clone(&self.line))).map_err(failed)?;
        self.pipe = pipe;
        self.position();
        Ok(())
    }

    fn try_step(&mut self) -> Result<(), LedgerError> {
        let mut alone = false;
        if self.ahead.len() < AHEAD
            && let Some((mut batch, received)) = self.receive()
        {
            let number = self.next;
            let mut tries = 0;
            self.pipe.reserve_patiently(number, &mut batch, &mut |_| {
                tries += 1;
                tries < 3
            })?;
            let again = self.pipe.ask_again();
            let busy = |at: &usize| again.iter().any(|one| one.event as usize == *at);
            for at in (0..batch.events.len()).filter(busy) {
                assert_eq!(batch.events[at].fate, Fate::Waits);
            }
            alone = self.some_leave_or_die(number, &mut batch);
            self.note_waiting(&batch);
            self.next = number.next();
            self.ahead.push_back((number, batch, received));
        }
        while let Some((number, batch, received)) = self.ahead.pop_front() {
            let answer = self.commit(number, &batch, received);
            if answer.is_err() {
                self.pipe.release(number, &batch);
                return answer;
            }
            if !alone {
                break;
            }
        }
        Ok(())
    }

    fn note_waiting(&mut self, batch: &Batch) {
        for (event, extent) in batch.events.iter().zip(&batch.extents) {
            let at = extent.start.as_u64().unwrap();
            if event.fate == Fate::Waits {
                self.waiting.insert(at);
            }
        }
    }

    /// A batch of events, and how many of them are received with it. What waits comes first.
    fn receive(&mut self) -> Option<(Batch, u64)> {
        let mut offsets: Vec<u64> = self.waiting.iter().copied().take(BATCH_EVENTS).collect();
        offsets.iter().for_each(|at| {
            self.waiting.remove(at);
        });
        let carried = offsets.len();
        while offsets.len() < BATCH_EVENTS
            && let Some(at) = self.fresh.pop_front()
        {
            offsets.push(at);
        }
        if offsets.is_empty() {
            return None;
        }
        let mut batch = Batch::default();
        for (index, &at) in offsets.iter().enumerate() {
            let key = self.stream.keys[at as usize];
            batch.events.push(Event {
                key,
                window_ms: if key == 0 { -1 } else { i64::MAX },
                event_ms: NOW_MS,
                body_hash: key as u64,
                ..Event::default()
            });
            batch.extents.push(Extent {
                shard: ShardId::from(SHARD),
                first_event: index as u32,
                events_received: u32::from(index >= carried),
                received_ms: NOW_MS,
                broker_ms: Vec::new(),
                offsets: Offsets::Listed(vec![Offset::from(at)]),
                start: at.into(),
                end: (at + 1).into(),
                mark: None,
            });
        }
        Some((batch, (offsets.len() - carried) as u64))
    }

    /// Some events leave their batch, some die, and their copies in it leave with them. Whether the
    /// batch must be settled before the next is decided.
    fn some_leave_or_die(&mut self, number: BatchNumber, batch: &mut Batch) -> bool {
        let mut gone: BTreeSet<u128> = BTreeSet::new();
        let mut left = Vec::new();
        let mut any = false;
        for at in 0..batch.events.len() {
            let (event, extent) = (batch.events[at], &batch.extents[at]);
            let offset = extent.start.as_u64().unwrap();
            let leaves = event.fate == Fate::Deliver && offset % 7 == 3 && self.left.insert(offset);
            let copy = event.fate == Fate::Duplicate && gone.contains(&event.key);
            if leaves || copy {
                left.push(Left {
                    event,
                    shard: extent.shard.clone(),
                    start: extent.start,
                    received_ms: extent.received_ms,
                    holds: leaves,
                });
                gone.insert(event.key);
                batch.events[at].fate = Fate::Waits;
                any = true;
            } else if event.fate == Fate::Deliver && dies(event.key) {
                gone.insert(event.key);
                batch.kill(at, Death { class: "test".into(), ..Death::default() });
                any = true;
            }
        }
        if !left.is_empty() {
            let last = self.pipe.leave(number, &left);
            assert!(last <= number);
        }
        any
    }

    fn commit(
        &mut self,
        number: BatchNumber,
        batch: &Batch,
        received: u64,
    ) -> Result<(), LedgerError> {
        let rows: Vec<u128> = batch
            .events
            .iter()
            .zip(&batch.extents)
            .filter(|(event, _)| event.fate == Fate::Deliver)
            .map(|(event, extent)| match event.key {
                0 => u128::MAX - u128::from(extent.start.as_u64().unwrap()),
                key => key,
            })
            .collect();
        let mut staged = Vec::new();
        if !rows.is_empty() {
            let mut files = self.files.lock().unwrap();
            let name = format!("file {}", files.len());
            files.insert(name.clone(), rows);
            let file = StagedFile { name, base_len: 0, len: 1, finished: true };
            staged.push((0, StagedOutput { files: vec![file], ..StagedOutput::default() }));
        }
        let mut tally = Tally { received, ..Tally::default() };
        let mut positions = Vec::new();
        let mut letters = Vec::new();
        for (at, (event, extent)) in batch.events.iter().zip(&batch.extents).enumerate() {
            let Some(outcome) = event.fate.outcome() else { continue };
            tally.add_outcome(outcome, 1);
            positions.push(PositionChange {
                shard: extent.shard.clone(),
                ranges: vec![(extent.start, extent.end)],
                mark: None,
            });
            if matches!(event.fate, Fate::Dead(_)) {
                let id = extent.start.as_u64().unwrap().into();
                letters.push(LetterChange::Add {
                    id,
                    event: at as u32,
                    deterministic: false,
                    sinks: 0,
                });
            }
        }
        let minute = MinuteBucket::of(NOW_MS);
        // Events of batches that are decided and not committed aren't received yet, but for those
        // that came again.
        let ahead: usize = self
            .ahead
            .iter()
            .flat_map(|(_, batch, _)| &batch.extents)
            .filter(|extent| extent.events_received == 0)
            .count();
        let fresh_waiting = |at: &&u64| {
            let mut later = self.ahead.iter().flat_map(|(_, batch, _)| &batch.extents);
            !later.any(|e| e.start.as_u64() == Some(**at))
        };
        let waiting = self.waiting.iter().filter(fresh_waiting).count();
        let settlement = Settlement {
            number,
            batch,
            positions,
            message_ids: Vec::new(),
            parked: Vec::new(),
            letters,
            staged,
            counters: CounterChange {
                minutes: vec![(minute, tally)],
                types: vec![],
                reread: 0,
                expired: 0,
                in_flight: vec![(minute, (waiting + ahead) as u64)],
            },
        };
        let mut tries = 0;
        loop {
            match self.pipe.commit(&settlement).wait() {
                Err(error) if error.passes() && tries < 3 => tries += 1,
                answer => return answer,
            }
        }
    }
}

/// What all workers together delivered, and whether their ledgers are in order.
pub(crate) fn check(disks: &[&SimDisk], streams: &[Stream], files: &Files) -> Result<(), Failed> {
    let files = files.lock().unwrap();
    let mut delivered: BTreeMap<u128, u32> = BTreeMap::new();
    for (disk, stream) in disks.iter().zip(streams) {
        let state = read_only(*disk, Path::new(DIR)).map_err(failed)?;
        if !state.imbalance().is_empty() {
            return Err(format!("P4: {:?}", state.imbalance()));
        }
        let (_, pipe) = state.pipe("app").ok_or("no pipe")?;
        if !pipe.prepared.is_empty() {
            return Err("a batch stayed prepared".into());
        }
        let shard = &pipe.positions[&ShardId::from(SHARD)];
        if let Some(at) = (0..stream.keys.len() as u64).find(|at| !shard.is_settled((*at).into())) {
            return Err(format!("P1: {at} never settled"));
        }
        for output in pipe.sinks[0].unpublished.values() {
            for key in output.files.iter().flat_map(|file| &files[&file.name]) {
                *delivered.entry(*key).or_default() += 1;
            }
        }
    }
    for (worker, stream) in streams.iter().enumerate() {
        for (at, key) in stream.keys.iter().enumerate() {
            let key = if *key == 0 { u128::MAX - at as u128 } else { *key };
            let found = delivered.get(&key).copied().unwrap_or(0);
            let wanted = u32::from(!dies(key) || key > 1 << 100);
            if found != wanted {
                return Err(format!("P1, P2: {key:#x} of {worker}@{at} is there {found} times"));
            }
        }
    }
    Ok(())
}

/// Time goes on for the store.
pub(crate) fn pass(memory: &Memory, ms: i64) {
    memory.now_ms.fetch_add(ms, Ordering::Relaxed);
}

/// Two streams that have most of their keys in common.
pub(crate) fn streams(events: usize) -> [Stream; 2] {
    let mut seed = 5_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u128::from((seed >> 33) % below)
    };
    [1, 2].map(|seed| {
        let keys = (0..events).map(|_| 1 + random(events as u64));
        Stream { seed, keys: keys.collect() }
    })
}
