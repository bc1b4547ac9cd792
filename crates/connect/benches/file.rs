//! The file source and the file sink on page-cached NDJSON.
//!
//! `cargo bench -p connect` prints medians of 5 rounds: reading and splitting alone in GB/s, then
//! reading, splitting and writing everything with syncs, next to `cp` and `sync` of the same file.
//! `-- read` stops after reading. `ONCEFLOW_BENCH_DIR` says where the files go (a real disk, not a memory file system).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a benchmark's files aren't durable state")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::{Compression, FilePattern, FileSink, FileSinkOptions, FileSource, FileSourceOptions};
use event::sink::{Rows, Sink, SinkIdentity, SinkState};
use event::source::{BatchLimits, Received, Source, SourceState, Stop};
use event::{BatchNumber, Epoch, LedgerId, SystemClock};
use journal::RealDisk;
use lake::{StagingOptions, StagingSink};

const EVENTS: usize = 2_000_000;
const EVENT_BYTES: usize = 308;
const ROUNDS: usize = 5;
const LIMITS: BatchLimits = BatchLimits {
    bytes_max: 16 << 20,
    events_max: 65_536,
    interval_max: Duration::from_millis(200),
};

fn generate(path: &Path) {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
    for i in 0..EVENTS {
        let head = format!(
            r#"{{"event_uuid":"{:032x}","event_name":"game:resumed","created_at":{},"fill":""#,
            (i as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            1_700_000_000 + i / 100
        );
        out.write_all(head.as_bytes()).unwrap();
        let fill = EVENT_BYTES - head.len() - 3;
        out.write_all(&vec![b'x'; fill]).unwrap();
        out.write_all(b"\"}\n").unwrap();
    }
    out.flush().unwrap();
    out.get_ref().sync_all().unwrap();
}

fn source(path: &Path, dir: &Path) -> FileSource {
    let options = FileSourceOptions {
        paths: FilePattern::Path(path.to_path_buf()),
        compression: Compression::Auto,
        event_bytes_max: 1 << 20,
        spill_dir: dir.join("spill"),
        reread: false,
    };
    FileSource::open(options, &SourceState::new(), Arc::new(SystemClock)).unwrap()
}

/// CPU time of this thread, which other work on the machine doesn't change much.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn read_only(path: &Path, dir: &Path) -> Duration {
    let mut source = source(path, dir);
    let started = cpu();
    let mut events = 0;
    while let Received::Batch(batch) = source.receive(&LIMITS, &Stop::default()).unwrap() {
        events += batch.events.len();
    }
    assert_eq!(events, EVENTS);
    cpu() - started
}

fn identity() -> SinkIdentity {
    SinkIdentity {
        ledger_id: LedgerId(1),
        epoch: Epoch(1),
        pipe: "bench".into(),
        sink: "file".into(),
        scope: None,
    }
}

fn copy_through(path: &Path, dir: &Path) -> Duration {
    let out = dir.join("out.ndjson");
    let _ = std::fs::remove_file(&out);
    let options = FileSinkOptions { path: out.clone(), append: false };
    let mut sink = FileSink::new(options, identity(), Arc::new(RealDisk::new()));
    let mut source = source(path, dir);
    let started = Instant::now();
    sink.open(&SinkState::default()).unwrap();
    let mut number = BatchNumber(0);
    let mut pending = Vec::new();
    while let Received::Batch(batch) = source.receive(&LIMITS, &Stop::default()).unwrap() {
        number = number.next();
        let all: Vec<u32> = (0..batch.events.len() as u32).collect();
        let rows = Rows { batch: &batch, number, events: &all, now_ms: 0 };
        let staged = sink.stage(&rows).unwrap();
        // As the pipe does: the sync of one batch runs while the next is read.
        for wait in std::mem::replace(&mut pending, staged.pending) {
            wait().unwrap();
        }
    }
    pending.into_iter().for_each(|wait| wait().unwrap());
    let took = started.elapsed();
    assert_eq!(out.metadata().unwrap().len(), path.metadata().unwrap().len());
    std::fs::remove_file(out).unwrap();
    took
}

/// What staging costs the thread that stages, reading included.
fn stage_into_lake(path: &Path, dir: &Path) -> Duration {
    let root = dir.join("lake");
    let _ = std::fs::remove_dir_all(&root);
    let clock = Arc::new(SystemClock);
    let options = StagingOptions::new(root.clone());
    let mut sink = StagingSink::new(options, identity(), Arc::new(RealDisk::new()), clock);
    let mut source = source(path, dir);
    sink.open(&SinkState::default()).unwrap();
    let mut number = BatchNumber(0);
    let mut pending = Vec::new();
    let started = cpu();
    while let Received::Batch(mut batch) = source.receive(&LIMITS, &Stop::default()).unwrap() {
        number = number.next();
        for (index, event) in batch.events.iter_mut().enumerate() {
            event.key = (index as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        }
        let all: Vec<u32> = (0..batch.events.len() as u32).collect();
        let rows = Rows { batch: &batch, number, events: &all, now_ms: 0 };
        let staged = sink.stage(&rows).unwrap();
        pending.extend(staged.pending);
    }
    let took = cpu() - started;
    pending.into_iter().for_each(|wait| wait().unwrap());
    std::fs::remove_dir_all(root).unwrap();
    took
}

fn cp(path: &Path, dir: &Path) -> Duration {
    let out = dir.join("cp.ndjson");
    let _ = std::fs::remove_file(&out);
    let started = Instant::now();
    assert!(Command::new("cp").arg(path).arg(&out).status().unwrap().success());
    assert!(Command::new("sync").arg(&out).status().unwrap().success());
    let took = started.elapsed();
    std::fs::remove_file(out).unwrap();
    took
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn main() {
    // `cargo test` runs benches too, to see that they work; there is nothing to measure then.
    if !std::env::args().any(|arg| arg == "--bench") {
        return;
    }
    let base =
        std::env::var_os("ONCEFLOW_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = base.join("onceflow-bench-file");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("in.ndjson");
    generate(&path);
    let gb = path.metadata().unwrap().len() as f64 / 1e9;
    let reading = median((0..ROUNDS).map(|_| read_only(&path, &dir)).collect());
    println!("read + split:                {reading:.3} CPU s, {:.2} GB/s a core", gb / reading);
    if std::env::args().any(|arg| arg == "read") {
        return;
    }
    // In turns: what a write costs depends on where the system finds free pages.
    let rounds = (0..ROUNDS).map(|_| (copy_through(&path, &dir), cp(&path, &dir)));
    let (copying, cp): (Vec<Duration>, Vec<Duration>) = rounds.unzip();
    let (copying, cp) = (median(copying), median(cp));
    println!("read + split + write + sync: {copying:.3} s, {:.2} GB/s", gb / copying);
    println!("cp + sync:                   {cp:.3} s, ratio {:.2}", copying / cp);
    let staging = median((0..ROUNDS).map(|_| stage_into_lake(&path, &dir)).collect());
    println!("read + split + stage:        {staging:.3} CPU s");
    std::fs::remove_dir_all(&dir).unwrap();
}
