//! Appends and opening, as Markdown: `cargo bench -p journal --bench append [FOLDER]`.
//!
//! An append is compared with the least that durability costs on the same disk: a bare loop of
//! `write` and `fdatasync` of the same bytes, in turns of 150 ms. Medians of five rounds.
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
const TURNS: usize = 10;
const TURN: Duration = Duration::from_millis(150);
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
                    let (appends, bare) = side_by_side(base.path(), bytes, tasks);
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

/// Durable records per second and syncs of the bare loop per second, in turns, because other work
/// on the disk slows both.
fn side_by_side(base: &Path, bytes: usize, tasks: usize) -> (f64, f64) {
    let (dir, path) = (base.join("journal"), base.join("bare"));
    let (journal, mut bare) = (open(&dir), File::create(&path).unwrap());
    journal.append(vec![7; bytes]).unwrap();
    let ((mut appends, mut append_s), (mut syncs, mut sync_s)) = ((0, 0.0), (0, 0.0));
    for _ in 0..TURNS {
        let start = Instant::now();
        syncs += bare_loop(&mut bare, bytes, start);
        sync_s += start.elapsed().as_secs_f64();
        let start = Instant::now();
        appends += append_loops(&journal, bytes, tasks, start);
        append_s += start.elapsed().as_secs_f64();
    }
    drop(journal);
    std::fs::remove_dir_all(dir).unwrap();
    std::fs::remove_file(path).unwrap();
    (appends as f64 / append_s, syncs as f64 / sync_s)
}

fn bare_loop(file: &mut File, bytes: usize, start: Instant) -> u64 {
    let record = vec![7; bytes];
    let mut count = 0;
    while start.elapsed() < TURN {
        file.write_all(&record).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    count
}

fn append_loops(journal: &Journal, bytes: usize, tasks: usize, start: Instant) -> u64 {
    let append = || {
        let mut count = 0;
        while start.elapsed() < TURN {
            journal.append(vec![7; bytes]).unwrap();
            count += 1;
        }
        count
    };
    thread::scope(|scope| {
        let tasks: Vec<_> = (0..tasks).map(|_| scope.spawn(append)).collect();
        tasks.into_iter().map(|task| task.join().unwrap()).sum()
    })
}

fn open(dir: &Path) -> Journal {
    let disk = Arc::new(RealDisk::new());
    Journal::open(disk, dir, JournalConfig::default(), &mut |_, _| Ok(())).unwrap()
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
