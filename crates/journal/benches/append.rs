//! Appends and opening, as Markdown: `cargo bench -p journal --bench append [FOLDER]`.
//!
//! An append is compared with the least that durability costs on the same disk: a bare loop of
//! `write` and `fdatasync` of the same bytes, run right before it. Medians of five rounds.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use journal::{Journal, JournalConfig, RealDisk};

const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(1500);
const GIB: u64 = 1 << 30;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = folder.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let base = tempfile::tempdir_in(folder).unwrap();
    println!("| appends | tasks | records/s | bare loop, syncs/s | ratio |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for bytes in [300, 1024] {
        for tasks in [1, 64] {
            let mut rounds: Vec<_> = (0..ROUNDS)
                .map(|_| {
                    let bare = bare_loop(base.path(), bytes);
                    let appends = appends(base.path(), bytes, tasks);
                    (appends / bare, appends, bare)
                })
                .collect();
            rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (ratio, appends, bare) = rounds[ROUNDS / 2];
            println!("| {bytes} B | {tasks} | {appends:.0} | {bare:.0} | {ratio:.2} |");
        }
    }
    println!();
    println!("| opening 1 GiB | records | s |");
    println!("| --- | ---: | ---: |");
    for bytes in [300, 1 << 20] {
        let (records, seconds) = opening(base.path(), bytes);
        println!("| of {bytes} B each | {records} | {seconds:.2} |");
    }
}

/// Syncs per second of a loop that appends and syncs.
fn bare_loop(base: &Path, bytes: usize) -> f64 {
    let path = base.join("bare");
    let mut file = File::create(&path).unwrap();
    let record = vec![7; bytes];
    let mut count = 0.0;
    let start = Instant::now();
    while start.elapsed() < ROUND {
        file.write_all(&record).unwrap();
        file.sync_data().unwrap();
        count += 1.0;
    }
    let rate = count / start.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    rate
}

fn open(dir: &Path) -> Journal {
    let disk = Arc::new(RealDisk::new());
    Journal::open(disk, dir, JournalConfig::default(), &mut |_, _| Ok(())).unwrap()
}

/// Durable records per second of so many threads that append and wait.
fn appends(base: &Path, bytes: usize, tasks: usize) -> f64 {
    let dir = base.join("journal");
    let journal = open(&dir);
    journal.append(vec![7; bytes]).unwrap();
    let start = Instant::now();
    let count: u64 = thread::scope(|scope| {
        let append = || {
            let mut count = 0;
            while start.elapsed() < ROUND {
                journal.append(vec![7; bytes]).unwrap();
                count += 1;
            }
            count
        };
        let tasks: Vec<_> = (0..tasks).map(|_| scope.spawn(append)).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).sum()
    });
    let rate = count as f64 / start.elapsed().as_secs_f64();
    drop(journal);
    std::fs::remove_dir_all(dir).unwrap();
    rate
}

/// Records in 1 GiB, and the seconds that opening it takes (median).
fn opening(base: &Path, bytes: usize) -> (u64, f64) {
    let dir = base.join("large");
    let journal = open(&dir);
    let batch = (4 << 20) / bytes;
    while journal.end().0 < GIB {
        let pending = journal.submit_all(vec![vec![7; bytes]; batch]);
        pending.into_iter().for_each(|pending| assert!(pending.wait().is_ok()));
    }
    journal.close().unwrap();
    let mut seconds = Vec::new();
    let mut records = 0;
    for _ in 0..ROUNDS {
        records = 0;
        let disk = Arc::new(RealDisk::new());
        let start = Instant::now();
        let mut count = |_, _: &[u8]| {
            records += 1;
            Ok(())
        };
        drop(Journal::open(disk, &dir, JournalConfig::default(), &mut count).unwrap());
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    std::fs::remove_dir_all(dir).unwrap();
    (records, seconds[ROUNDS / 2])
}
