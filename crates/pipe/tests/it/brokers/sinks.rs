//! Queues and streams of the embedded broker as sinks.

use std::path::Path;

use event::Outcome;
use pipe::config::PipeConfig;

use super::{Node, clock};
use crate::world::{config, disk};

fn into_queue(extra: &str) -> PipeConfig {
    config(&format!(
        "pipe: app\nsource: {{ kinesis: {{ stream: in, shards: 1 }} }}\n\
         dedup: {{ key: $.id, window: 10m }}\n\
         sinks:\n- sqs: {{ queue: out{extra} }}\n- kinesis: {{ stream: out, shards: 4, partition_key: $.who }}\n"
    ))
}

fn events(ids: std::ops::Range<usize>) -> Vec<String> {
    ids.map(|id| format!("{{\"id\":{id},\"who\":\"w{}\"}}", id % 3)).collect()
}

#[test]
fn p2_each_sink_gets_each_event_once_and_the_spool_is_empty_afterwards() {
    let disk = disk(1);
    for life in 0..3 {
        let node = Node::open(&disk, &clock()).unwrap();
        // The same events come in again each time.
        node.put("in", &events(0..20)).unwrap();
        node.put("in", &events(20 + life * 5..25 + life * 5)).unwrap();
        node.run(&into_queue("")).unwrap();
        node.close().unwrap();
    }
    let node = Node::open(&disk, &clock()).unwrap();
    assert_eq!(node.messages("out"), events(0..35));
    let mut records = node.records("out");
    records.sort();
    let mut expected = events(0..35);
    expected.sort();
    assert_eq!(records, expected);
    let left: Vec<_> =
        disk.files().into_iter().filter(|(path, _)| path.starts_with("/a/data/spool")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn the_partition_key_decides_on_the_shard() {
    let disk = disk(2);
    let node = Node::open(&disk, &clock()).unwrap();
    node.put("in", &events(0..30)).unwrap();
    node.run(&into_queue("")).unwrap();
    let stream = node.broker.streams().get("out").unwrap();
    for who in ["w0", "w1", "w2"] {
        let shard = stream.shard_of(who, None);
        let read = stream.read(shard, broker::streams::SequenceNumber(0), 1_000, 1 << 20).unwrap();
        let mine = read.records.iter().filter(|record| record.partition_key == who).count();
        assert_eq!(mine, 10, "{who}");
    }
}

#[test]
fn p5_an_event_that_the_sink_can_never_take_becomes_a_letter_and_the_others_go_on() {
    let disk = disk(3);
    let node = Node::open(&disk, &clock()).unwrap();
    let queue = node.queue("out").unwrap();
    let mut attributes = queue.attributes();
    attributes.message_bytes_max = 1_024;
    queue.set_attributes(attributes).wait().unwrap();
    let large = format!("{{\"id\":1,\"body\":\"{}\"}}", "x".repeat(2_000));
    node.put("in", &[events(5..6).remove(0), large.clone(), large.clone()]).unwrap();
    let totals = node.run(&into_queue("")).unwrap();
    assert_eq!(totals.outcomes[Outcome::Delivered.index()], 1);
    assert_eq!(totals.outcomes[Outcome::Dead.index()], 1);
    assert_eq!(totals.outcomes[Outcome::Duplicate.index()], 1, "it would die again");
    assert_eq!(node.messages("out").len(), 1);
    node.close().unwrap();
    let letters: Vec<Vec<u8>> = disk
        .files()
        .into_iter()
        .filter(|(path, _)| path.to_string_lossy().contains("/dead/"))
        .map(|(path, _)| disk.read_file(&path).unwrap())
        .filter(|content| String::from_utf8_lossy(content).contains("too_large"))
        .collect();
    assert_eq!(letters.len(), 1, "its letter is whole");
    assert!(String::from_utf8_lossy(&letters[0]).contains(&"x".repeat(2_000)));
}

#[test]
fn a_batch_over_spool_bytes_max_is_refused_by_name() {
    let disk = disk(4);
    let node = Node::open(&disk, &clock()).unwrap();
    let large = |id: usize| format!("{{\"id\":{id},\"body\":\"{}\"}}", "x".repeat(600_000));
    node.put("in", &[large(1), large(2)]).unwrap();
    let error = node.run(&into_queue(", spool_bytes_max: 1MiB")).unwrap_err();
    assert!(error.contains("spool_bytes_max"), "{error}");
}

#[test]
fn a_spool_file_that_is_gone_is_named() {
    let disk = disk(5);
    let config = into_queue("");
    let mut seen = false;
    let whole = {
        let node = Node::open(&disk, &clock()).unwrap();
        node.put("in", &events(0..5)).unwrap();
        node.run(&config).unwrap();
        node.close().unwrap();
        disk.ops()
    };
    for op in 1..=whole {
        let crashed = crate::world::disk(5);
        crashed.crash_at(op);
        let _ = Node::open(&crashed, &clock()).and_then(|node| {
            node.put("in", &events(0..5)).map_err(|error| error.to_string())?;
            node.run(&config).map(drop)
        });
        let killed = crashed.after_process_kill();
        let spooled: Vec<_> = killed
            .files()
            .into_iter()
            .filter(|(path, _)| path.to_string_lossy().ends_with(".spool"))
            .collect();
        for (path, _) in &spooled {
            journal::Disk::unlink(&killed, Path::new(path)).unwrap();
        }
        let node = Node::open(&killed, &clock()).unwrap();
        // Committed and not published: the file is needed. Before and after, nobody misses it.
        match node.run(&config) {
            Ok(_) => {}
            Err(error) => {
                assert!(error.contains(".spool") && error.contains("gone"), "{error}");
                seen = true;
            }
        }
    }
    assert!(seen, "no crash fell between commit and publish");
}
