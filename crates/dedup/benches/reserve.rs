//! How fast a scope decides: reserve and commit in memory, without a journal, on one core.
//!
//! `cargo bench -p dedup --bench reserve -- [millions of keys …]`, by default 1, 2 and 10. Batches
//! of 65,536 events, 10% duplicates. For each size: growing to it, then the same keys again (all
//! duplicates), then a steady state where as many keys expire as come. Times are processor time of
//! the thread, page faults included, so that others on the machine disturb little.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::hint::black_box;
use std::time::Duration;

use dedup::key::KeyMaker;
use dedup::scope::{CommittedKey, KeyState, PipeId, Scope, ScopeOptions, SourceId};
use event::batch::{Extent, Offsets};
use event::json::Raw;
use event::{Batch, BatchNumber, Event, Fate, Offset};

/// Processor time of this thread, as an instant.
struct Instant(Duration);

impl Instant {
    fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Self(Duration::new(now.tv_sec as u64, now.tv_nsec as u32))
    }

    fn elapsed(&self) -> Duration {
        Self::now().0 - self.0
    }
}

const BATCH: usize = 65_536;
const DAY_MS: i64 = 86_400_000;

/// A well-mixed stand-in for a key.
fn key(of: u64) -> u128 {
    let mix = |x: u64| {
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    u128::from(mix(of)) << 64 | u128::from(mix(of ^ 0x5555_5555))
}

fn batch(received_ms: i64, keys: impl Iterator<Item = u64>) -> Batch {
    let event = |of| Event { key: key(of), window_ms: DAY_MS, body_hash: of, ..Event::default() };
    let events: Vec<Event> = keys.map(event).collect();
    let extent = Extent {
        shard: "bench".into(),
        first_event: 0,
        events_received: events.len() as u32,
        received_ms,
        broker_ms: Vec::new(),
        offsets: Offsets::Contiguous { base: 0 },
        start: Offset::ZERO,
        end: Offset::ZERO,
        mark: None,
    };
    Batch { events, extents: vec![extent], ..Batch::default() }
}

struct Run {
    scope: Scope,
    number: BatchNumber,
    spent: Duration,
    slowest: Duration,
    events: u64,
    duplicates: u64,
}

impl Run {
    fn new() -> Self {
        let scope = Scope::new(ScopeOptions::default());
        let (spent, slowest) = (Duration::ZERO, Duration::ZERO);
        Self { scope, number: BatchNumber(0), spent, slowest, events: 0, duplicates: 0 }
    }

    fn step(&mut self, mut batch: Batch) {
        self.number = self.number.next();
        let begun = Instant::now();
        let counts = self.scope.reserve(PipeId(1), SourceId(1), self.number, &mut batch, 0);
        self.scope.commit(PipeId(1), self.number);
        let spent = begun.elapsed();
        self.spent += spent;
        self.slowest = self.slowest.max(spent);
        self.events += batch.events.len() as u64;
        self.duplicates += u64::from(counts.duplicates);
        black_box(batch);
    }

    fn report(&mut self, what: &str) {
        let rate = self.events as f64 / self.spent.as_secs_f64() / 1e6;
        println!(
            "{what:<28} {rate:6.1} M events/s  {:8.1} ms in all  slowest batch {:6.1} ms  \
             duplicates {:9}  keys {:9}  {:6.1} bytes/key",
            self.spent.as_secs_f64() * 1e3,
            self.slowest.as_secs_f64() * 1e3,
            self.duplicates,
            self.scope.live_keys(),
            self.scope.memory_bytes() as f64 / self.scope.live_keys().max(1) as f64,
        );
        (self.spent, self.slowest) = (Duration::ZERO, Duration::ZERO);
        (self.events, self.duplicates) = (0, 0);
    }
}

fn memory_mib(which: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(which)).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Every tenth event repeats one from before.
fn with_duplicates(from: u64) -> impl Iterator<Item = u64> {
    (from..).flat_map(|of| {
        let again = (of % 9 == 8).then(|| key(of) as u64 % (of + 1));
        std::iter::once(of).chain(again)
    })
}

/// Brings a run to so many keys; says the number of the next one.
fn fill(run: &mut Run, keys: u64) -> u64 {
    let mut next = 0;
    while next < keys {
        let events: Vec<u64> = with_duplicates(next).take(BATCH).collect();
        next = events.iter().max().unwrap() + 1;
        run.step(batch(0, events.into_iter()));
    }
    next
}

fn at_size(keys: u64) {
    println!("-- {} M keys", keys / 1_000_000);
    let before = memory_mib("VmRSS");
    let mut run = Run::new();
    let mut next = fill(&mut run, keys);
    run.report("10% duplicates, growing");
    println!(
        "peak of the process so far: {} MiB, of which a batch {} MiB; before it {before} MiB",
        memory_mib("VmHWM"),
        (BATCH * size_of::<Event>()) >> 20,
    );
    for from in (0..keys / 2).step_by(BATCH) {
        run.step(batch(0, (from..from + BATCH as u64).map(|of| key(of) as u64 % keys)));
    }
    run.report("all duplicates, anywhere");

    // Each batch is a step later; a day has as many steps as it takes to hold `keys`.
    let step_ms = DAY_MS / (keys as i64 / BATCH as i64).max(1);
    let mut now = 0;
    for _ in 0..3 {
        for _ in 0..keys / BATCH as u64 {
            let events: Vec<u64> = with_duplicates(next).take(BATCH).collect();
            next = events.iter().max().unwrap() + 1;
            now += step_ms;
            run.step(batch(now, events.into_iter()));
        }
        run.report("steady, a day of keys");
    }
    drop(run);
    let mut run = Run::new();
    run.scope.reserve_capacity(keys as usize + BATCH);
    fill(&mut run, keys);
    run.report("10% duplicates, room made");
}

fn load(keys: u64) {
    let committed = |of| CommittedKey {
        key: key(of),
        recorded_ms: 0,
        window_ms: DAY_MS,
        body_hash: of,
        state: KeyState::Delivered,
        by: Default::default(),
    };
    let list: Vec<CommittedKey> = (0..keys).map(committed).collect();
    let mut scope = Scope::new(ScopeOptions::default());
    let begun = Instant::now();
    scope.reserve_capacity(keys as usize);
    scope.load_all(&list);
    let spent = begun.elapsed().as_secs_f64();
    println!("load_all: {:.1} M keys/s", keys as f64 / spent / 1e6);
}

fn release() {
    let mut run = Run::new();
    run.step(batch(0, 0..BATCH as u64));
    let mut one = batch(0, BATCH as u64..2 * BATCH as u64);
    run.scope.reserve(PipeId(1), SourceId(1), BatchNumber(2), &mut one, 0);
    let begun = Instant::now();
    run.scope.release(PipeId(1), BatchNumber(2), &one);
    println!("release: {:.1} ms for a batch", begun.elapsed().as_secs_f64() * 1e3);
    assert!(one.events.iter().all(|event| event.fate == Fate::Deliver));
}

fn keys() {
    let maker = KeyMaker::new(&[7; 16], false, 1);
    let ids: Vec<String> = (0..4096_u64)
        .map(|of| format!("\"{:08x}-0000-4000-8000-{of:012x}\"", key(of) as u32))
        .collect();
    let mut scratch = Vec::new();
    let (rounds, begun) = (500, Instant::now());
    for _ in 0..rounds {
        for id in &ids {
            let values = [Some(Raw::new(id.as_bytes()))];
            black_box(maker.key(b"IPHONE_EVENT", black_box(&values), &mut scratch).unwrap());
        }
    }
    let each = begun.elapsed().as_secs_f64() * 1e9 / (rounds * ids.len()) as f64;
    println!("key of a type and a 36-byte id: {each:.1} ns");
    let body = vec![b'x'; 308];
    let begun = Instant::now();
    for _ in 0..1_000_000 {
        black_box(maker.body_hash(black_box(&body)));
    }
    println!("hash of a body of 308 bytes: {:.1} ns", begun.elapsed().as_secs_f64() * 1e3);
}

fn main() {
    let sizes: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    keys();
    release();
    for millions in if sizes.is_empty() { vec![1, 2, 10] } else { sizes } {
        at_size(millions * 1_000_000);
        load(millions * 1_000_000);
    }
}
