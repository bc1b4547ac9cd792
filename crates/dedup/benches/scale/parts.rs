//! The parts, one function each.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use dedup::ledger::PipeLedger;
use event::BatchNumber;

use crate::Asked;
use crate::cost::{Since, anonymous_bytes, folder_bytes, per_mille};
use crate::load::{BATCH, batch, keys, open, pipe, settlement};

/// Commits under way.
const UNDER_WAY: usize = 4;
/// Repeats in `grow` are of keys among so many last ones: in memory.
const RECENT: u64 = 500_000;

/// Drives `events` events through the pipe, one thread deciding and one committing as in a running
/// pipe. The number of the next new key.
fn drive(pipe: &PipeLedger, mut next: u64, events: u64, reach: u64) -> u64 {
    let (decided, to_commit) = sync_channel::<(BatchNumber, event::Batch)>(UNDER_WAY);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut under_way = VecDeque::new();
            for (number, events) in to_commit {
                under_way.push_back(pipe.commit(&settlement(number, &events)));
                if under_way.len() >= UNDER_WAY {
                    under_way.pop_front().unwrap().wait().unwrap();
                }
            }
            under_way.into_iter().for_each(|commit| commit.wait().unwrap());
        });
        let mut number = pipe.next_batch();
        let mut room = Vec::new();
        let mut left = events;
        while left > 0 {
            let count = left.min(BATCH);
            next += keys(next, count, reach, &mut room);
            let mut events = batch(&room, number.0);
            pipe.reserve(number, &mut events).unwrap();
            decided.send((number, events)).unwrap();
            number = number.next();
            left -= count;
        }
        drop(decided);
    });
    next
}

/// What making the events costs by itself; ns an event.
fn making(reach: u64) -> f64 {
    let (mut room, since) = (Vec::new(), Since::now());
    for round in 0..20 {
        keys(round * BATCH + 1, BATCH, reach, &mut room);
        std::hint::black_box(batch(&room, round));
    }
    since.cpu().as_nanos() as f64 / (20 * BATCH) as f64
}

pub(crate) fn grow(asked: &Asked) {
    let before = anonymous_bytes();
    let ledger = open(&asked.dir, None);
    let handle = pipe(&ledger, asked.memory);
    let events = |keys: u64| keys / 9 * 10;
    // The last fifth, when the others are there, is what counts.
    let first = asked.keys / 5 * 4;
    let growing = Since::now();
    let next = drive(&handle, 0, events(first), RECENT);
    let (grown, grown_cpu) = (growing.wall(), growing.cpu());
    let last = events(asked.keys - first);
    let since = Since::now();
    let next = drive(&handle, next, last, RECENT);
    let (wall, cpu) = (since.wall(), since.cpu());
    let memory = anonymous_bytes().saturating_sub(before);
    let runs = ledger.state().runs;
    let run_bytes: u64 = runs.iter().map(|run| run.bytes).sum();
    let in_runs: u64 = runs.iter().map(|run| run.count).sum();
    drop(handle);
    ledger.close().unwrap();
    drop(ledger);
    let disk = folder_bytes(&asked.dir);

    let since = Since::now();
    let ledger = open(&asked.dir, None);
    let handle = pipe(&ledger, asked.memory);
    let restart = since.wall();
    let mut one = batch(&[crate::load::key(0), crate::load::key(next)], 1 << 30);
    let counts = handle.reserve(handle.next_batch(), &mut one).unwrap();
    assert_eq!((counts.duplicates, counts.reserved), (1, 1), "the oldest key is known");
    let per = |time: Duration, of: u64| time.as_nanos() as f64 / of as f64;
    println!(
        "{{\"part\": \"grow\", \"keys\": {next}, \"rate\": {:.0}, \"wall_ns\": {:.1}, \
         \"cpu_ns\": {:.1}, \"all_wall_ns\": {:.1}, \"all_cpu_ns\": {:.1}, \"making_ns\": {:.1}, \
         \"memory_b\": {:.2}, \"runs\": {}, \"run_b\": {:.2}, \"disk_b\": {:.2}, \
         \"restart_s\": {:.2}}}",
        last as f64 / wall.as_secs_f64(),
        per(wall, last),
        per(cpu, last),
        per(grown + wall, events(asked.keys)),
        per(grown_cpu + cpu, events(asked.keys)),
        making(RECENT),
        memory as f64 / next as f64,
        runs.len(),
        run_bytes as f64 / in_runs.max(1) as f64,
        disk as f64 / next as f64,
        restart.as_secs_f64(),
    );
}

/// Lets the page cache forget the runs; whether it did.
fn cool(dir: &std::path::Path) -> bool {
    rustix::fs::sync();
    let asked = std::fs::OpenOptions::new().write(true).open("/proc/sys/vm/drop_caches");
    if asked.is_ok_and(|mut file| std::io::Write::write_all(&mut file, b"3\n").is_ok()) {
        return true;
    }
    let runs = std::fs::read_dir(dir.join("ledger/runs")).unwrap().flatten();
    runs.map(|run| std::fs::File::open(run.path()).unwrap())
        .all(|file| rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).is_ok())
}

/// `keys` is how many live already, as `grow` said.
pub(crate) fn beyond(asked: &Asked) {
    let ledger = open(&asked.dir, None);
    let handle = pipe(&ledger, asked.memory);
    let before = anonymous_bytes();
    let mut next = asked.keys;
    // Memory and page cache as they are after a while.
    next = drive(&handle, next, 40 * BATCH, next);
    let since = Since::now();
    let events = 100 * BATCH;
    next = drive(&handle, next, events, next);
    let (warm, warm_cpu) = (since.wall(), since.cpu());
    let is_cold = cool(&asked.dir);
    let since = Since::now();
    let cold_events = 40 * BATCH;
    next = drive(&handle, next, cold_events, next);
    let (cold, cold_cpu) = (since.wall(), since.cpu());
    let rate = |events: u64, time: Duration| events as f64 / time.as_secs_f64();
    println!(
        "{{\"part\": \"beyond\", \"keys\": {next}, \"memory_max\": {}, \"memory\": {}, \
         \"anonymous\": {before}, \"warm_rate\": {:.0}, \"warm_cpu_ns\": {:.0}, \"cold\": {is_cold}, \
         \"cold_rate\": {:.0}, \"cold_cpu_ns\": {:.0}}}",
        asked.memory,
        ledger.memory_bytes(),
        rate(events, warm),
        warm_cpu.as_nanos() as f64 / events as f64,
        rate(cold_events, cold),
        cold_cpu.as_nanos() as f64 / cold_events as f64,
    );
}

/// Commits of 4,096 keys at a steady pace, with and without a checkpoint beside them.
pub(crate) fn tails(asked: &Asked) {
    const SMALL: u64 = 4_096;
    const PACE: Duration = Duration::from_millis(8);
    let ledger = open(&asked.dir, Some(u64::MAX));
    let handle = pipe(&ledger, asked.memory);
    let mut next = drive(&handle, 0, asked.keys, RECENT);
    let (under_way, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let (mut quiet, mut beside, mut checkpoints) = (Vec::new(), Vec::new(), 0_u64);
    std::thread::scope(|scope| {
        let checkpoint = scope.spawn(|| {
            let mut made = 0;
            while !over.load(Ordering::Acquire) {
                under_way.store(true, Ordering::Release);
                ledger.checkpoint().unwrap();
                under_way.store(false, Ordering::Release);
                made += 1;
                let quiet_until = Instant::now() + Duration::from_secs(4);
                while Instant::now() < quiet_until && !over.load(Ordering::Acquire) {
                    std::thread::park_timeout(Duration::from_millis(20));
                }
            }
            made
        });
        let mut room = Vec::new();
        let (begun, mut at) = (Instant::now(), Duration::ZERO);
        while begun.elapsed() < Duration::from_secs(60) {
            at += PACE;
            std::thread::park_timeout(at.saturating_sub(begun.elapsed()));
            next += keys(next, SMALL, RECENT, &mut room);
            let number = handle.next_batch();
            let mut events = batch(&room, number.0);
            let during = under_way.load(Ordering::Acquire);
            let since = Instant::now();
            handle.reserve(number, &mut events).unwrap();
            handle.commit(&settlement(number, &events)).wait().unwrap();
            let took = since.elapsed();
            if during || under_way.load(Ordering::Acquire) {
                beside.push(took);
            } else {
                quiet.push(took);
            }
        }
        over.store(true, Ordering::Release);
        checkpoints = checkpoint.join().unwrap();
    });
    println!(
        "{{\"part\": \"tails\", \"keys\": {next}, \"checkpoints\": {checkpoints}, \
         \"quiet\": {}, \"quiet_p50_ms\": {:.2}, \"quiet_p99_ms\": {:.2}, \"quiet_p999_ms\": {:.2}, \
         \"beside\": {}, \"beside_p50_ms\": {:.2}, \"beside_p99_ms\": {:.2}, \"beside_p999_ms\": {:.2}}}",
        quiet.len(),
        per_mille(&mut quiet, 500),
        per_mille(&mut quiet, 990),
        per_mille(&mut quiet, 999),
        beside.len(),
        per_mille(&mut beside, 500),
        per_mille(&mut beside, 990),
        per_mille(&mut beside, 999),
    );
}
