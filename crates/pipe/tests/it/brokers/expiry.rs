//! P1: what the retention removed before it was read is counted, named, and the pipe goes on.

use std::sync::atomic::Ordering;

use event::source::{Received, Stop};
use pipe::config::PipeConfig;

use super::{Node, clock};
use crate::world::{config, disk, lines, state};

const DAY_MS: i64 = 86_400_000;

fn stream() -> PipeConfig {
    config(
        "pipe: app\nsource: { kinesis: { stream: in, shards: 2 } }\n\
         dedup: { key: $.id, window: 10m }\n\
         sink: { file: { path: /c/out/out.ndjson } }\n",
    )
}

/// Large enough that each put fills segments of its own: space is given back by segments.
fn events(ids: std::ops::Range<usize>) -> Vec<String> {
    ids.map(|id| format!("{{\"id\":{id},\"body\":\"{}\"}}", "x".repeat(900))).collect()
}

#[test]
fn p1_what_the_retention_took_is_counted_as_expired_in_the_record_that_moves_the_position() {
    let disk = disk(1);
    let clock = clock();
    let node = Node::open(&disk, &clock).unwrap();
    node.put("in", &events(0..10)).unwrap();
    assert_eq!(node.run(&stream()).unwrap().received, 10);
    // These are never read: a day and more passes, and others come.
    node.put("in", &events(10..40)).unwrap();
    clock.advance(DAY_MS + 3_600_000);
    node.put("in", &events(40..45)).unwrap();
    node.close().unwrap();

    let node = Node::open(&disk, &clock).unwrap();
    let totals = node.run(&stream()).unwrap();
    let lost = totals.expired;
    assert_eq!(totals.received + lost, 35, "each record is received or counted as expired");
    assert!(lost >= 25, "only {lost} expired");
    node.close().unwrap();
    let state = state(&disk);
    assert_eq!(state.sources[0].expired, lost);
    assert!(state.imbalance().is_empty(), "expired stands outside the balance");
    assert_eq!(lines(&disk, "/c/out/out.ndjson").len() as u64, 45 - lost);

    // Counted once: a later start knows.
    let node = Node::open(&disk, &clock).unwrap();
    assert_eq!(node.run(&stream()).unwrap().expired, 0);
    node.close().unwrap();
    assert_eq!(crate::world::state(&disk).sources[0].expired, lost);
}

#[test]
fn p1_half_of_the_retention_is_warned_of() {
    let disk = disk(2);
    let clock = clock();
    let node = Node::open(&disk, &clock).unwrap();
    node.put("in", &events(0..3)).unwrap();
    let mut parts = node.parts(&stream()).unwrap();
    let status = parts.source.status().unwrap();
    let stop = Stop::default();
    // One event a batch: the others stay unread.
    parts.batch.events_max = 1;
    assert!(matches!(parts.source.receive(&parts.batch, &stop), Ok(Received::Batch(_))));
    assert!(!status.is_half_expired());
    clock.advance(DAY_MS / 2 + 1);
    assert!(matches!(parts.source.receive(&parts.batch, &stop), Ok(Received::Batch(_))));
    assert!(status.is_half_expired());
    assert!(status.behind_ms.load(Ordering::Relaxed) > DAY_MS as u64 / 2);
    assert!(status.behind_events.load(Ordering::Relaxed) > 0);
}
