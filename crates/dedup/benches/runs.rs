//! What key runs cost: to write, to merge, to look keys up in. `cargo bench -p dedup --bench runs`
//!
//! `RUNS_BENCH_DIR` names the folder to work in (default: the system's temporary one),
//! `RUNS_BENCH_KEYS` numbers of keys, in millions (default `1,20`). With `RUNS_BENCH_COLD` it
//! says what to run before each look-up so that nothing is in the page cache.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::time::{Duration, Instant};

use dedup::bench::{Runs, key};

const BATCH: u64 = 65_536;
const RUNS: u64 = 10;

/// Wall-clock time, and this thread's CPU time.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration, Duration) {
    let cpu = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let (wall, used) = (Instant::now(), cpu());
    let done = work();
    (done, wall.elapsed(), cpu() - used)
}

fn per_key(what: &str, keys: u64, wall: Duration, cpu: Duration) {
    let ns = |time: Duration| time.as_nanos() as f64 / keys as f64;
    println!("{what:<48} {:>8.1} ns a key, CPU of its thread {:>8.1} ns", ns(wall), ns(cpu));
}

fn look_ups(runs: &mut Runs, keys: u64) {
    // Batches in which no key, each tenth, and every key is there.
    for percent in [0, 10, 100] {
        let (mut wall, mut cpu, mut found) = (Duration::ZERO, Duration::ZERO, 0);
        let batches = 16;
        for batch in 0..batches {
            let number = |i: u64| {
                let i = batch * BATCH + i;
                // Present ones from all over the runs.
                if i % 100 < percent { i * 7919 % keys } else { (1 << 40) + i }
            };
            let wanted: Vec<u128> = (0..BATCH).map(|i| key(number(i))).collect();
            if let Some(command) = std::env::var_os("RUNS_BENCH_COLD") {
                std::process::Command::new("sh").arg("-c").arg(command).status().unwrap();
            }
            let (entries, took, used) = timed(|| runs.look_up(&wanted).unwrap());
            (wall, cpu, found) = (wall + took, cpu + used, found + entries);
        }
        assert!(found as u64 >= batches * BATCH * percent / 101, "{found} of {percent} %");
        per_key(&format!("  look up, {percent} % there"), batches * BATCH, wall, cpu);
    }
}

fn main() {
    let sizes = std::env::var("RUNS_BENCH_KEYS").unwrap_or_else(|_| "1,20".into());
    for millions in sizes.split(',').map(|millions| millions.parse::<u64>().unwrap()) {
        let dir = match std::env::var_os("RUNS_BENCH_DIR") {
            Some(dir) => tempfile::tempdir_in(dir).unwrap(),
            None => tempfile::tempdir().unwrap(),
        };
        let keys = millions << 20;
        let mut runs = Runs::new(dir.path(), 16);
        let (mut wall, mut cpu) = (Duration::ZERO, Duration::ZERO);
        for number in 0..RUNS {
            let sorted = Runs::keys((0..keys).skip(number as usize).step_by(RUNS as usize));
            let ((), took, used) = timed(|| runs.build(sorted).unwrap());
            (wall, cpu) = (wall + took, cpu + used);
        }
        println!("{millions} Mi keys in {RUNS} runs");
        per_key("  write runs of sorted keys", keys, wall, cpu);
        let (_, took, used) = timed(|| runs.open().unwrap());
        per_key("  open", keys, took, used);
        let (disk, memory) = runs.bytes();
        let each = |bytes: f64| bytes / keys as f64;
        println!(
            "  {:.2} B a key on disk, {:.2} in memory",
            each(disk as f64),
            each(memory as f64)
        );
        look_ups(&mut runs, keys);
        let ((), took, used) = timed(|| runs.merge(0).unwrap());
        per_key("  merge them into one", keys, took, used);
        runs.open().unwrap();
        look_ups(&mut runs, keys);
    }
}
