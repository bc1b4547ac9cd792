//! The rejected file keeps every payload whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect::rejected::read_rows;
use connect::{RejectedOptions, RejectedSink};
use event::BatchNumber;
use event::batch::{Batch, Spilled};
use event::sink::{Rows, Sink, SinkError, SinkState};
use event::source::{Received, Source, Stop};
use journal::SimDisk;

use crate::fake_ledger::identity;
use crate::kit::World;

const PATH: &str = "/rejected/app.ndjson";

fn sink(disk: &SimDisk) -> RejectedSink {
    let options = RejectedOptions { path: PathBuf::from(PATH), source: "file:a".into() };
    let mut sink = RejectedSink::new(options, identity(1), Arc::new(disk.clone()));
    sink.open(&SinkState::default()).unwrap();
    sink
}

/// The batches of a file with that content, all of it rejected.
fn rejected_batches(world: &mut World, content: &[u8], event_bytes_max: usize) -> Vec<Batch> {
    world.write("a", content);
    world.event_bytes_max = event_bytes_max;
    let mut source = world.open(crate::kit::file_in(world.dir.path(), "a")).unwrap();
    let mut batches = Vec::new();
    loop {
        match source.receive(&world.limits, &Stop::default()).unwrap() {
            Received::Batch(mut batch) => {
                for index in 0..batch.events.len() {
                    let detail = format!("at \"byte\" {}\n", batch.events[index].raw.len);
                    batch.reject(index, "json_broken", detail);
                }
                batches.push(batch);
            }
            Received::Idle => {}
            Received::End => return batches,
        }
    }
}

fn stage_all(sink: &mut RejectedSink, batches: &[Batch]) -> Result<(), SinkError> {
    batches.iter().try_for_each(|batch| stage(sink, batch))
}

fn stage(sink: &mut RejectedSink, batch: &Batch) -> Result<(), SinkError> {
    let all: Vec<u32> = (0..batch.events.len() as u32).collect();
    sink.stage(&Rows { batch, number: BatchNumber(1), events: &all, now_ms: 0 }).map(drop)
}

#[test]
fn every_payload_is_kept_whole_with_its_reason() {
    let all_bytes: Vec<u8> = (0..=255).filter(|byte| *byte != b'\n').collect();
    let lines: Vec<Vec<u8>> = vec![
        b"{\"a\": \"quo\\\"te\", \"t\":\t1}\r".to_vec(),
        b"".to_vec(),
        all_bytes,
        (1..128).filter(|byte| *byte != b'\n').collect(),
        "\0\u{1f}\u{7f}\u{e9}\u{2028}\u{1f600}".as_bytes().to_vec(),
        b"\xff\xfe".to_vec(),
        vec![b'x'; 3_000_000],
        b"last".to_vec(),
    ];
    let mut world = World::new();
    let batches = rejected_batches(&mut world, &lines.join(&b'\n'), 1 << 20);
    assert_eq!(batches.iter().map(|batch| batch.spilled.len()).sum::<usize>(), 1);
    let disk = SimDisk::new(1);
    let mut sink = sink(&disk);
    stage_all(&mut sink, &batches).unwrap();
    let text = disk.read_file(Path::new(PATH)).unwrap();
    assert_eq!(text.iter().filter(|byte| **byte == b'\n').count(), lines.len());
    let rows = read_rows(&text).unwrap();
    assert_eq!(rows.len(), lines.len());
    let mut offset = 0;
    for (index, (row, line)) in rows.iter().zip(&lines).enumerate() {
        assert!(row.raw == *line, "line {index}");
        assert_eq!(row.bytes, line.len() as u64);
        assert_eq!(row.reason, "json_broken");
        let in_memory = if line.len() > 1 << 20 { 0 } else { line.len() };
        assert_eq!(row.detail, format!("at \"byte\" {in_memory}\n"));
        assert_eq!((row.pipe.as_str(), row.source.as_str()), ("my-pipe", "file:a"));
        assert_eq!(row.shard, batches[0].extents[0].shard.as_ref());
        assert_eq!(row.offset, offset.to_string());
        assert_eq!(row.received, "2025-11-03T10:00:00Z");
        offset += line.len() + 1;
    }
    let first = text.split(|byte| *byte == b'\n').next().unwrap();
    let json: serde_json::Value = serde_json::from_slice(first).unwrap();
    assert_eq!(json["raw"], "{\"a\": \"quo\\\"te\", \"t\":\t1}\r");
    assert_eq!(json["offset"], 0);
}

#[test]
fn p6_a_long_line_is_written_in_pieces_whatever_its_length() {
    for len in [1, 2, 3, (3 << 18) - 1, 3 << 18, (3 << 18) + 1, 5 << 20] {
        let mut world = World::new();
        let line: Vec<u8> = (0..len).map(|i| b'a' + (i % 26) as u8).collect();
        let batches = rejected_batches(&mut world, &line, (len / 2).max(1));
        let disk = SimDisk::new(1);
        let mut sink = sink(&disk);
        stage_all(&mut sink, &batches).unwrap();
        let rows = read_rows(&disk.read_file(Path::new(PATH)).unwrap()).unwrap();
        assert!(rows.len() == 1 && rows[0].raw == line, "{len} bytes");
    }
}

#[test]
fn p7_a_full_disk_in_the_middle_of_a_long_line_takes_all_of_it_back() {
    let mut world = World::new();
    let content = [b"1\n".to_vec(), vec![b'x'; 5 << 20], b"\n3".to_vec()].concat();
    let batches = rejected_batches(&mut world, &content, 1000);
    let disk = SimDisk::new(1);
    let mut sink = sink(&disk);
    stage(&mut sink, &batches[0]).unwrap();
    let before = disk.read_file(Path::new(PATH)).unwrap();
    disk.set_capacity(3 << 20);
    assert!(matches!(stage(&mut sink, &batches[1]), Err(SinkError::NoSpace { .. })));
    assert_eq!(disk.read_file(Path::new(PATH)).unwrap(), before);
    disk.set_capacity(u64::MAX);
    stage_all(&mut sink, &batches[1..]).unwrap();
    assert_eq!(read_rows(&disk.read_file(Path::new(PATH)).unwrap()).unwrap().len(), 3);
}

#[test]
fn a_payload_that_cannot_be_read_back_stops_the_pipe() {
    #[derive(Debug)]
    struct Gone;
    impl Spilled for Gone {
        fn len(&self) -> u64 {
            10
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(0)
        }
    }
    let mut world = World::new();
    let mut batch = rejected_batches(&mut world, b"1", 1000).remove(0);
    batch.spilled.push((0, Arc::new(Gone)));
    let mut sink = sink(&SimDisk::new(1));
    assert!(matches!(stage(&mut sink, &batch), Err(SinkError::Io { action: "read back", .. })));
}
