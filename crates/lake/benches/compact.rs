//! Compaction on the real disk: `prepare LAKE EVENTS` fills a lake with events, `compact LAKE`
//! compacts it and prints what it took as JSON. bench/compact.py compares that with DuckDB.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use event::batch::{Batch, Event, Extent, Offsets, Span};
use event::path::FieldPath;
use event::sink::{Rows, Sink, SinkIdentity, SinkState, StagedOutput};
use event::source::Stop;
use event::{BatchNumber, Epoch, LedgerId, Offset, SystemClock};
use journal::{Disk, RealDisk};
use lake::{
    CompactOptions, EventTime, PartitionField, Quiet, StagingOptions, StagingSink, TimeFormat,
};

const START_MS: i64 = 1_793_613_600_000; // 2026-11-02T10:00:00Z
const BATCH_BYTES: usize = 16 << 20;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// An event of the learning app, about 250 bytes; times come nearly in order.
fn payload(random: &mut Random, number: u64, out: &mut Vec<u8>) -> i64 {
    use std::io::Write;
    let (a, b, c) = (random.next(), random.next(), random.next());
    let name = ["game:started", "game:finished", "game:resumed", "app:opened", "payment:failed"];
    let lang = ["en", "de", "fr", "es", "it", "tr", "pl", "pt"];
    // Two million in an hour, each up to 30 s late.
    let at_ms = START_MS + (number * 3_600 / 2_000) as i64 - (c % 30_000) as i64;
    let time = jiff::Timestamp::from_millisecond(at_ms).unwrap();
    write!(
        out,
        r#"{{"event_uuid":"{:08x}-{:04x}-{:04x}-{:04x}-{:012x}","event_name":"{}","created_at":"{time:.3}","user_id":{},"session_id":"{:016x}","event_specifics":{{"language_id":"{}","level":{},"score":{}.{}}},"app_version":"3.{}.0"}}"#,
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xffff,
        (b >> 48) & 0xffff,
        b & 0xffff_ffff_ffff,
        name[(b % 5) as usize],
        b % 1_000_000,
        c,
        lang[(a % 8) as usize],
        a % 40,
        c % 1000,
        a % 10,
        b % 4,
    )
    .unwrap();
    at_ms
}

fn prepare(lake: &Path, events: u64) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
    let identity = SinkIdentity {
        ledger_id: LedgerId(1),
        epoch: Epoch(1),
        pipe: "bench".into(),
        sink: "lake".into(),
        scope: None,
    };
    let options = StagingOptions::new(lake.to_path_buf());
    let mut sink = StagingSink::new(options, identity, disk, Arc::new(SystemClock));
    sink.open(&SinkState::default()).unwrap();
    let mut publisher = sink.publisher();
    let mut random = Random(7);
    let mut number = 0;
    let mut batch_number = BatchNumber(0);
    while number < events {
        let mut batch = Batch::default();
        let mut buffer = Vec::with_capacity(BATCH_BYTES + 1024);
        let received_ms = START_MS + (number * 3_600 / 2_000) as i64;
        while number < events && buffer.len() < BATCH_BYTES {
            let start = buffer.len() as u32;
            let event_ms = payload(&mut random, number, &mut buffer);
            let raw = Span { start, len: buffer.len() as u32 - start };
            buffer.push(b'\n');
            let key = u128::from(random.next()) << 64 | u128::from(random.next());
            let recorded_ms = received_ms;
            batch.events.push(Event {
                raw,
                key,
                recorded_ms,
                event_ms,
                window_ms: 600_000,
                ..Event::default()
            });
            number += 1;
        }
        batch.extents.push(Extent {
            shard: "file:bench".into(),
            first_event: 0,
            events_received: batch.events.len() as u32,
            received_ms,
            broker_ms: Vec::new(),
            offsets: Offsets::Contiguous { base: 0 },
            start: Offset::ZERO,
            end: Offset::from(buffer.len() as u64),
            mark: None,
        });
        batch.buffer = bytes::Bytes::from(buffer);
        batch_number = batch_number.next();
        let all: Vec<u32> = (0..batch.events.len() as u32).collect();
        let rows = Rows { batch: &batch, number: batch_number, events: &all, now_ms: received_ms };
        let staged = sink.stage(&rows).unwrap();
        staged.pending.into_iter().for_each(|pending| pending().unwrap());
        publish(publisher.as_mut(), batch_number, &staged.output);
    }
    let staged = sink.finish(batch_number.next(), i64::MAX, true).unwrap();
    staged.pending.into_iter().for_each(|pending| pending().unwrap());
    publish(publisher.as_mut(), batch_number.next(), &staged.output);
}

fn publish(publisher: &mut dyn event::sink::Publisher, number: BatchNumber, output: &StagedOutput) {
    publisher.publish(number, output).unwrap();
}

/// CPU seconds of this process so far, from the system's own count of 10 ms ticks.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after = stat.rsplit_once(')').unwrap().1;
    let ticks: Vec<u64> =
        after.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse().unwrap()).collect();
    (ticks[0] + ticks[1]) as f64 / 100.0
}

/// The most memory that this process had so far.
fn memory_peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = |at: usize, or: u64| args.get(at).map_or(or, |arg| arg.parse().unwrap());
    match args.first().map(String::as_str) {
        Some("prepare") => prepare(Path::new(&args[1]), number(2, 2_000_000)),
        Some("compact") => {
            let options = CompactOptions {
                partition: vec![
                    PartitionField::Year,
                    PartitionField::Month,
                    PartitionField::Day,
                    PartitionField::Field(
                        FieldPath::parse("$.event_specifics.language_id").unwrap(),
                    ),
                ],
                event_time: Some(EventTime {
                    path: FieldPath::parse("$.created_at").unwrap(),
                    format: TimeFormat::Rfc3339,
                }),
                threads: number(2, 2) as usize,
                memory_bytes_max: number(3, 256) << 20,
                ..CompactOptions::default()
            };
            let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
            let start = Instant::now();
            let lake = PathBuf::from(&args[1]);
            let done = lake::compact(
                &disk,
                &lake,
                &options,
                &SystemClock,
                &|_| true,
                &Quiet,
                &Stop::default(),
            )
            .unwrap();
            let wall_s = start.elapsed().as_secs_f64();
            println!(
                "{{\"wall_s\":{wall_s:.3},\"cpu_s\":{:.2},\"rows\":{},\"bytes_in\":{},\"bytes_out\":{},\"files_out\":{},\"bytes_spilled\":{},\"rows_rescued\":{},\"memory_peak_kib\":{}}}",
                cpu_s(),
                done.rows,
                done.bytes_in,
                done.bytes_out,
                done.files_out,
                done.bytes_spilled,
                done.rows_rescued,
                memory_peak_kib(),
            );
        }
        // `cargo bench` without more: nothing that takes long.
        _ => println!("compact: see bench/compact.py"),
    }
}
