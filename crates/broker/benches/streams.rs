//! Puts, reads and opening of a stream, as Markdown: `cargo bench -p broker --bench streams [FOLDER]`.
//!
//! CPU time is that of the whole process, all threads, as the system counts it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use broker::streams::{NewRecord, SequenceNumber, Stream, Streams, StreamsOptions};
use bytes::Bytes;
use event::SystemClock;
use journal::RealDisk;

const SHARDS: u32 = 4;
const RECORDS: u64 = 1_000_000;

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = folder.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into());
    let base = tempfile::tempdir_in(folder).unwrap();
    println!("| what | how much | s | CPU s, user + system | |");
    println!("| --- | --- | ---: | ---: | --- |");
    puts(&base.path().join("puts"));
    let filled = base.path().join("filled");
    fill(&filled);
    for _ in 0..2 {
        open_filled(&filled);
    }
    let streams = open(&filled);
    let stream = streams.get("s").unwrap();
    for _ in 0..3 {
        read_all(&stream);
    }
    read_shards(&stream);
    polls(&stream);
    streams.close().unwrap();
}

fn open(dir: &Path) -> Streams {
    let options = StreamsOptions::default();
    Streams::open(Arc::new(RealDisk::new()), dir, options, Arc::new(SystemClock)).unwrap()
}

/// User and system time of this process, seconds.
fn cpu_s() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let seconds = |field: usize| fields[field].parse::<f64>().unwrap() / 100.0;
    (seconds(11), seconds(12))
}

fn measure(what: &str, how_much: &str, work: impl FnOnce()) -> (f64, f64) {
    let (began, cpu) = (Instant::now(), cpu_s());
    work();
    let seconds = began.elapsed().as_secs_f64();
    let (user, system) = (cpu_s().0 - cpu.0, cpu_s().1 - cpu.1);
    print!("| {what} | {how_much} | {seconds:.2} | {user:.2} + {system:.2} ");
    (seconds, user + system)
}

fn records(count: usize, bytes: usize) -> Vec<NewRecord> {
    let data = Bytes::from(vec![b'x'; bytes]);
    let record = |number: usize| NewRecord {
        partition_key: format!("user-{number:08}"),
        explicit_hash_key: None,
        data: data.clone(),
    };
    (0..count).map(record).collect()
}

fn puts(dir: &Path) {
    let streams = open(dir);
    let stream = streams.create("s", SHARDS, BTreeMap::new()).unwrap();
    for (calls, count, threads) in [(400, 500, 1), (400, 500, 8), (4000, 1, 1), (20_000, 1, 8)] {
        let batch = records(count, 1024);
        let what = format!("put of {count} × 1 KiB, {threads} callers");
        let (_, cpu) = measure(&what, &format!("{calls} calls"), || {
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        for _ in 0..calls / threads {
                            stream.put(batch.clone()).wait().unwrap();
                        }
                    });
                }
            });
        });
        println!("| {:.3} ms CPU per call |", cpu * 1e3 / calls as f64);
    }
    streams.delete("s").unwrap();
}

fn fill(dir: &Path) {
    let streams = open(dir);
    let stream = streams.create("s", SHARDS, BTreeMap::new()).unwrap();
    let batch = records(500, 300);
    for _ in 0..RECORDS / 500 {
        stream.put(batch.clone()).wait().unwrap();
    }
    streams.close().unwrap();
}

fn open_filled(dir: &Path) {
    let mut opened = None;
    measure("open", &format!("{RECORDS} × 300 B"), || opened = Some(open(dir)));
    println!("| |");
    drop(opened);
}

fn read_all(stream: &Stream) {
    let mut reader = stream.reader(&[]).unwrap();
    let (mut count, mut bytes) = (0_u64, 0);
    let (seconds, _) = measure("reader, all shards", &format!("{RECORDS} × 300 B"), || {
        while let Some(chunk) = reader.next_chunk().unwrap() {
            for record in chunk.records {
                count += u64::from(record.sequence.0 > 0);
                bytes += record.data.len() + record.partition_key.len();
            }
        }
    });
    assert_eq!(count, RECORDS);
    let (million, giga) = (count as f64 / 1e6 / seconds, bytes as f64 / 1e9 / seconds);
    println!("| {million:.1} M records/s, {giga:.2} GB/s |");
}

fn read_shards(stream: &Stream) {
    let mut count = 0;
    let what = "read, shard by shard, 10,000 a call";
    let (seconds, _) = measure(what, &format!("{RECORDS} × 300 B"), || {
        for shard in 0..SHARDS {
            let mut from = SequenceNumber(0);
            loop {
                let read = stream.read(shard, from, 10_000, 10 << 20).unwrap();
                if read.records.is_empty() {
                    break;
                }
                count += read.records.len();
                from = read.next;
            }
        }
    });
    assert_eq!(count as u64, RECORDS);
    println!("| {:.2} M records/s |", count as f64 / 1e6 / seconds);
}

/// A consumer at the end of its shard.
fn polls(stream: &Stream) {
    let next = stream.shards()[0].next;
    let calls = 100_000;
    let (seconds, _) = measure("read at the end of a shard", &format!("{calls} calls"), || {
        for _ in 0..calls {
            assert!(stream.read(0, next, 10_000, 10 << 20).unwrap().records.is_empty());
        }
    });
    println!("| {:.2} µs a call |", seconds * 1e6 / f64::from(calls));
    let calls = 2_000;
    let last = SequenceNumber(next.0 - 1);
    let (seconds, _) =
        measure("read of the last record of a shard", &format!("{calls} calls"), || {
            for _ in 0..calls {
                assert_eq!(stream.read(0, last, 10_000, 10 << 20).unwrap().records.len(), 1);
            }
        });
    println!("| {:.2} µs a call |", seconds * 1e6 / f64::from(calls));
}
