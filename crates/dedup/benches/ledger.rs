//! What the ledger costs: a commit, a checkpoint, a restart. `cargo bench -p dedup --bench ledger`
//!
//! `LEDGER_BENCH_DIR` names the folder to work in (default: the system's temporary one).
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dedup::ledger::{
    CounterChange, Ledger, LedgerOptions, PipeDeclaration, ScopeDeclaration, Settlement,
};
use dedup::scope::ScopeOptions;
use event::batch::{Extent, Offsets};
use event::{Batch, BatchNumber, Event, ShardId, SystemClock};
use journal::RealDisk;

const BATCH: u64 = 65_536;
const BATCHES: u64 = 64;

fn open(dir: &Path) -> Arc<Ledger> {
    let options = LedgerOptions { checkpoint_journal_bytes: u64::MAX, ..LedgerOptions::default() };
    Ledger::open(Arc::new(RealDisk::new()), dir, options, Arc::new(SystemClock)).unwrap()
}

fn declaration() -> PipeDeclaration {
    PipeDeclaration {
        pipe: "app".into(),
        source: "bench".into(),
        sinks: vec!["out".into()],
        scope: Some(ScopeDeclaration {
            paths: Vec::new(),
            new_key: None,
            name: "app".into(),
            fields: 1,
            across_types: false,
            options: ScopeOptions::default(),
        }),
        config_fingerprint: 1,
        store: None,
    }
}

fn batch(number: u64) -> Batch {
    let event = |i: u64| Event {
        key: u128::from(number * BATCH + i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        window_ms: [600_000, 300_000, 180_000][i as usize % 3],
        body_hash: i,
        ..Event::default()
    };
    Batch {
        events: (0..BATCH).map(event).collect(),
        extents: vec![Extent {
            shard: ShardId::from("bench"),
            first_event: 0,
            events_received: BATCH as u32,
            received_ms: event::Clock::now_ms(&SystemClock),
            broker_ms: Vec::new(),
            offsets: Offsets::Contiguous { base: 0 },
            start: (number * BATCH).into(),
            end: ((number + 1) * BATCH).into(),
            mark: None,
        }],
        ..Batch::default()
    }
}

/// Wall-clock time, and this thread's CPU time, which other work on the machine doesn't lengthen.
#[derive(Clone, Copy)]
struct Now(Instant, Duration);

impl Now {
    fn read() -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Self(Instant::now(), Duration::new(cpu.tv_sec as u64, cpu.tv_nsec as u32))
    }

    fn elapsed(self) -> (Duration, Duration) {
        let now = Self::read();
        (now.0 - self.0, now.1 - self.1)
    }
}

fn per_key(what: &str, keys: u64, (wall, cpu): (Duration, Duration)) {
    let ns = |time: Duration| time.as_nanos() as f64 / keys as f64;
    println!("{what:<44} {:>8.1} ns a key, CPU of its thread {:>8.1} ns", ns(wall), ns(cpu));
}

fn median(mut took: Vec<(Duration, Duration)>) -> (Duration, Duration) {
    took.sort_unstable_by_key(|(_, cpu)| *cpu);
    took[took.len() / 2]
}

fn main() {
    let dir = match std::env::var_os("LEDGER_BENCH_DIR") {
        Some(dir) => tempfile::tempdir_in(dir).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let keys = BATCH * BATCHES;
    let ledger = open(dir.path());
    let pipe = ledger.pipe(declaration()).unwrap();
    let (mut reserve, mut commit, mut wait) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=BATCHES {
        let mut events = batch(number);
        let number = BatchNumber(number);
        let begun = Now::read();
        pipe.reserve(number, &mut events).unwrap();
        reserve.push(begun.elapsed());
        let settlement = Settlement {
            number,
            batch: &events,
            positions: Vec::new(),
            message_ids: Vec::new(),
            parked: Vec::new(),
            letters: vec![],
            staged: Vec::new(),
            counters: CounterChange::default(),
        };
        let begun = Now::read();
        let pending = pipe.commit(&settlement);
        commit.push(begun.elapsed());
        let begun = Now::read();
        pending.wait().unwrap();
        wait.push(begun.elapsed());
    }
    per_key("reserve", BATCH, median(reserve));
    per_key("commit: encode and submit", BATCH, median(commit));
    per_key("commit: wait (write, sync, apply)", BATCH, median(wait));
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);

    let begun = Now::read();
    let ledger = open(dir.path());
    per_key("open: replay, keys not loaded", keys, begun.elapsed());
    let begun = Now::read();
    let pipe = ledger.pipe(declaration()).unwrap();
    per_key("load from the journal", keys, begun.elapsed());
    let begun = Now::read();
    ledger.checkpoint().unwrap();
    per_key("checkpoint: journal into runs", keys, begun.elapsed());
    let bytes: u64 = ledger.state().runs.iter().map(|run| run.bytes).sum();
    println!("{:<44} {:>8.1} B a key", "key runs", bytes as f64 / keys as f64);
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);

    let ledger = open(dir.path());
    let begun = Now::read();
    let _pipe = ledger.pipe(declaration()).unwrap();
    per_key("load from key runs", keys, begun.elapsed());
}
