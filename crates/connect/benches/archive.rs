//! Staging into the archive: columns, compression, writes and syncs.
//!
//! `cargo bench -p connect --bench archive` prints, for each zstd level and kind of event, payload
//! MB a second of the thread's CPU time and of the wall, the ratio, and what reading back takes;
//! medians of 5 rounds. `ONCEFLOW_BENCH_DIR` says where the files go, `ONCEFLOW_BENCH_EVENTS` names
//! an NDJSON file to take instead of made-up events.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "a benchmark's files aren't durable state")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use connect::archive::read::{Archive, Range};
use connect::{ArchiveOptions, ArchiveSink};
use event::batch::{Batch, Event, Extent, Offsets, Span};
use event::sink::{Rows, Sink, SinkIdentity, SinkState};
use event::{BatchNumber, Epoch, LedgerId, Offset, SystemClock};
use journal::RealDisk;

const BATCHES: usize = 16;
const BATCH_BYTES: usize = 16 << 20;
const ROUNDS: usize = 5;
const START: i64 = 1_762_164_000_000;

/// Events of an app, as `generate` makes them: hashes, names, numbers.
fn made_up(number: usize) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(BATCH_BYTES + 512);
    let mut i = number << 32;
    while buffer.len() < BATCH_BYTES {
        i += 1;
        let hash = (i as u128 + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let name = ["game:resumed", "game:paused", "payment:failed", "page:viewed"][i % 4];
        let line = format!(
            r#"{{"event_uuid":"{hash:032x}","event_name":"{name}","created_at":{},"user":{{"id":{},"plan":"free"}},"event_specifics":{{"language_id":{},"screen":"screen-{}","took_ms":{}}},"app_version":"4.{}.1","os":"android"}}"#,
            1_700_000_000 + i / 100,
            (hash >> 90) % 90_000,
            (hash >> 40) % 40,
            (hash >> 50) % 300,
            (hash >> 60) % 9_000,
            i % 9
        );
        buffer.extend(line.as_bytes());
        buffer.push(b'\n');
    }
    buffer
}

fn batch(buffer: Vec<u8>, number: usize) -> Batch {
    let mut batch = Batch::default();
    let mut start = 0;
    for line in buffer.split_inclusive(|byte| *byte == b'\n') {
        let raw = Span { start, len: line.len() as u32 - 1 };
        start += line.len() as u32;
        batch.events.push(Event { raw, event_ms: START, window_ms: 1, ..Event::default() });
    }
    for event in &mut batch.events {
        event.recorded_ms = START;
    }
    batch.extents.push(Extent {
        shard: "file:bench".into(),
        first_event: 0,
        events_received: batch.events.len() as u32,
        received_ms: START + number as i64,
        broker_ms: Vec::new(),
        offsets: Offsets::Contiguous { base: 0 },
        start: Offset::ZERO,
        end: Offset::from(buffer.len() as u64),
        mark: None,
    });
    batch.buffer = Bytes::from(buffer);
    batch
}

fn batches() -> Vec<Batch> {
    let Some(path) = std::env::var_os("ONCEFLOW_BENCH_EVENTS") else {
        return (0..BATCHES).map(|number| batch(made_up(number), number)).collect();
    };
    let file = std::fs::read(path).unwrap();
    let mut batches = Vec::new();
    let mut buffer = Vec::new();
    for line in file.split_inclusive(|byte| *byte == b'\n') {
        buffer.extend(line);
        if buffer.len() >= BATCH_BYTES {
            batches.push(batch(std::mem::take(&mut buffer), batches.len()));
        }
    }
    batches.push(batch(buffer, batches.len()));
    batches.truncate(BATCHES);
    batches
}

/// CPU time of this thread, which other work on the machine doesn't change much.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

fn round(batches: &[Batch], level: u8, root: &Path) -> ([Duration; 3], f64) {
    let options = ArchiveOptions {
        root: root.to_path_buf(),
        source: "file:bench".into(),
        retention: None,
        file_bytes_max: 256 << 20,
        file_age_max: Duration::from_secs(3600),
        level,
    };
    let identity = SinkIdentity {
        ledger_id: LedgerId(1),
        epoch: Epoch(1),
        pipe: "bench".into(),
        sink: "archive".into(),
        scope: None,
    };
    let disk = Arc::new(RealDisk::new());
    let mut sink = ArchiveSink::new(options, identity, disk.clone(), Arc::new(SystemClock));
    sink.open(&SinkState::default()).unwrap();
    let (wall, began) = (Instant::now(), cpu());
    let mut pending = Vec::new();
    for (number, batch) in batches.iter().enumerate() {
        let events: Vec<u32> = (0..batch.events.len() as u32).collect();
        let number = BatchNumber(number as u64 + 1);
        let rows = Rows { batch, number, events: &events, now_ms: START };
        // The commit thread waits for the syncs of one batch while the next one is staged.
        let earlier = std::mem::replace(&mut pending, sink.stage(&rows).unwrap().pending);
        earlier.into_iter().for_each(|sync| sync().unwrap());
    }
    pending.into_iter().for_each(|sync| sync().unwrap());
    let staged = (cpu() - began, wall.elapsed());
    let stats = sink.stats();
    let ratio =
        stats.raw_bytes.load(Ordering::Relaxed) as f64 / stats.bytes.load(Ordering::Relaxed) as f64;
    let began = cpu();
    let archive = Archive::open(disk, root, "bench", Range::ALL).unwrap();
    let read = archive.read().count();
    assert_eq!(read, batches.iter().map(|batch| batch.events.len()).sum::<usize>());
    let took = [staged.0, staged.1, cpu() - began];
    std::fs::remove_dir_all(root).unwrap();
    (took, ratio)
}

fn main() {
    let dir = std::env::var_os("ONCEFLOW_BENCH_DIR").unwrap_or_else(|| "/tmp".into());
    let root = Path::new(&dir).join("onceflow-archive-bench");
    let batches = batches();
    let bytes: u64 =
        batches.iter().flat_map(|batch| &batch.events).map(|event| u64::from(event.raw.len)).sum();
    let events: usize = batches.iter().map(|batch| batch.events.len()).sum();
    println!("{events} events, {} MB of payload", bytes / 1_000_000);
    println!("level  MB/s of a core   MB/s of the wall   CPU s a GB   ratio   read MB/s of a core");
    for level in [1, 3] {
        let rounds: Vec<_> = (0..ROUNDS).map(|_| round(&batches, level, &root)).collect();
        let of = |which: usize| median(rounds.iter().map(|(took, _)| took[which]).collect());
        let mb = bytes as f64 / 1e6;
        println!(
            "{level:>5} {:>16.0} {:>18.0} {:>12.2} {:>7.1} {:>21.0}",
            mb / of(0),
            mb / of(1),
            of(0) / (mb / 1000.0),
            rounds[0].1,
            mb / of(2),
        );
    }
}
