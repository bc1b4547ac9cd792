//! The crash sweeps of pipes on brokers: what was acknowledged to a producer arrives, once,
//! whatever operation of the disk is the last one.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use journal::{SimDisk, SyncPoint};
use pipe::config::PipeConfig;

use super::{Node, clock};
use crate::world::{config, disk, lines, state};

/// Power losses tried for each crash.
const LOSSES: u64 = 2;
const EVENTS: usize = 24;
const PER_SEND: usize = 5;
const OUT: &str = "/c/out/out.ndjson";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    QueueToFile,
    StreamToFile,
    StreamToQueue,
    QueueToStream,
    /// Without keys: message ids alone tell what was settled.
    PlainQueueToFile,
    /// Without keys: positions alone do.
    PlainStreamToQueue,
}

impl Kind {
    fn config(self) -> &'static PipeConfig {
        static CONFIGS: OnceLock<[PipeConfig; 6]> = OnceLock::new();
        let keyed = "dedup: { key: $.id, window: 10m }";
        let yaml = |source: &str, dedup: &str, sink: &str| {
            config(&format!(
                "pipe: app\n{source}\nbatch: {{ events_max: 7, interval_max: 1ms }}\n\
                 {dedup}\n{sink}\n\
                 rejected: {{ path: /d/rejected/app.ndjson }}\n"
            ))
        };
        let queue = "source: { sqs: { queue: in } }";
        let stream = "source: { kinesis: { stream: in, shards: 3 } }";
        let file = &format!("sink: {{ file: {{ path: {OUT} }} }}");
        let configs = CONFIGS.get_or_init(|| {
            [
                yaml(queue, keyed, file),
                yaml(stream, keyed, file),
                yaml(stream, keyed, "sink: { sqs: { queue: out } }"),
                yaml(queue, keyed, "sink: { kinesis: { stream: out, shards: 2 } }"),
                yaml(queue, "", file),
                yaml(stream, "", "sink: { sqs: { queue: out } }"),
            ]
        });
        &configs[self as usize]
    }

    fn produce(self, node: &Node, events: &[String]) -> bool {
        match self {
            Self::QueueToFile | Self::QueueToStream | Self::PlainQueueToFile => {
                node.send("in", events).is_ok()
            }
            Self::StreamToFile | Self::StreamToQueue | Self::PlainStreamToQueue => {
                node.put("in", events).is_ok()
            }
        }
    }

    fn delivered(self, disk: &SimDisk, node: &Node) -> Vec<String> {
        match self {
            Self::QueueToFile | Self::StreamToFile | Self::PlainQueueToFile => lines(disk, OUT),
            Self::StreamToQueue | Self::PlainStreamToQueue => node.messages("out"),
            Self::QueueToStream => node.records("out"),
        }
    }
}

/// What the producer knows.
#[derive(Clone, Default)]
struct Producer {
    acknowledged: BTreeSet<String>,
    sent: BTreeSet<String>,
}

/// Distinct events; where keys tell, a copy of every fourth.
fn events(kind: Kind) -> Vec<String> {
    let plain = matches!(kind, Kind::PlainQueueToFile | Kind::PlainStreamToQueue);
    let event = |at: usize| format!("{{\"id\":{at},\"body\":\"{}\"}}", "x".repeat(20));
    let copied = |at: usize| if at % 4 == 3 && !plain { at - 2 } else { at };
    (0..EVENTS).map(|at| event(copied(at))).collect()
}

/// One life of the process, in two parts: messages are sent, then the pipe runs until all is
/// through, each part with everything opened anew. Without a producer it only runs.
fn live(kind: Kind, disk: &SimDisk, mut producer: Option<&mut Producer>) -> Result<(), String> {
    let events = events(kind);
    let (first, second) = events.split_at(EVENTS / 2);
    for part in [first, second] {
        let node = Node::open(disk, &clock())?;
        if let Some(producer) = &mut producer {
            for group in part.chunks(PER_SEND) {
                producer.sent.extend(group.iter().cloned());
                if kind.produce(&node, group) {
                    producer.acknowledged.extend(group.iter().cloned());
                }
            }
        }
        node.run(kind.config())?;
        node.close()?;
        if producer.is_none() {
            break;
        }
    }
    Ok(())
}

/// Runs to the end on what is left and compares with what the producer knows.
fn finish_and_check(kind: Kind, disk: &SimDisk, producer: &Producer) -> Result<(), String> {
    live(kind, disk, None).map_err(|error| format!("no recovery: {error}"))?;
    let node = Node::open(disk, &clock())?;
    let delivered = kind.delivered(disk, &node);
    let distinct: BTreeSet<String> = delivered.iter().cloned().collect();
    if distinct.len() != delivered.len() {
        return Err(format!("{} rows, {} different", delivered.len(), distinct.len()));
    }
    if let Some(lost) = producer.acknowledged.difference(&distinct).next() {
        return Err(format!("lost: {lost}"));
    }
    if let Some(odd) = distinct.difference(&producer.sent).next() {
        return Err(format!("nobody sent: {odd}"));
    }
    let spooled = disk.files().into_iter().any(|(path, _)| path.ends_with(".spool"));
    if spooled {
        return Err("a spool file is left".into());
    }
    drop(node);
    let state = state(disk);
    if !state.imbalance().is_empty() {
        return Err(format!("imbalance: {:?}", state.imbalance()));
    }
    let counted: u64 = state
        .sources
        .iter()
        .flat_map(|source| source.minutes.values())
        .map(|tally| tally.outcome(event::Outcome::Delivered))
        .sum();
    if counted != delivered.len() as u64 {
        return Err(format!("counted {counted} delivered, not {}", delivered.len()));
    }
    Ok(())
}

fn sweep(kind: Kind, skip: Option<SyncPoint>, every: u64) -> Result<u64, String> {
    let fresh = |seed: u64| {
        let disk = disk(seed);
        if let Some(point) = skip {
            disk.skip_sync(point);
        }
        disk
    };
    let whole = fresh(0);
    let mut producer = Producer::default();
    live(kind, &whole, Some(&mut producer))?;
    let ops = whole.ops();
    finish_and_check(kind, &whole, &producer)?;
    for op in (1..=ops).step_by(every as usize) {
        let crashed = fresh(op);
        let mut producer = Producer::default();
        crashed.crash_at(op);
        let _ = live(kind, &crashed, Some(&mut producer));
        for seed in 0..LOSSES {
            let survivor = crashed.after_power_loss(seed * 1000 + op);
            finish_and_check(kind, &survivor, &producer)
                .map_err(|what| format!("op {op} of {ops}, power loss {seed}: {what}"))?;
        }
        let killed = crashed.after_process_kill();
        killed.crash_at(killed.ops() + 1 + op * 7 % 60);
        let _ = live(kind, &killed, None);
        let survivor = killed.after_power_loss(op);
        finish_and_check(kind, &survivor, &producer)
            .map_err(|what| format!("op {op} of {ops}, killed, then power loss: {what}"))?;
    }
    Ok(ops)
}

fn check(kind: Kind) {
    let ops = sweep(kind, None, 1).unwrap_or_else(|what| panic!("{kind:?}: {what}"));
    assert!(ops > 60, "{kind:?}: the sweep visits only {ops} operations");
}

#[test]
fn p1_p2_queue_to_file_a_crash_at_any_disk_operation_loses_and_doubles_nothing() {
    check(Kind::QueueToFile);
}

#[test]
fn p1_p2_stream_to_file_a_crash_at_any_disk_operation_loses_and_doubles_nothing() {
    check(Kind::StreamToFile);
}

#[test]
fn p1_p2_stream_to_queue_a_crash_at_any_disk_operation_loses_and_doubles_nothing() {
    check(Kind::StreamToQueue);
}

#[test]
fn p1_p2_queue_to_stream_a_crash_at_any_disk_operation_loses_and_doubles_nothing() {
    check(Kind::QueueToStream);
}

#[test]
fn p1_p2_without_keys_message_ids_tell_what_was_settled() {
    check(Kind::PlainQueueToFile);
}

#[test]
fn p1_p2_without_keys_positions_tell_what_was_settled() {
    check(Kind::PlainStreamToQueue);
}

/// Syncs of the spool: each one's loss shows.
#[test]
fn every_sync_of_a_spool_is_needed() {
    let needless: Vec<_> = ["spool.folder", "spool.created", "spool.rows"]
        .into_iter()
        .filter(|point| sweep(Kind::StreamToQueue, Some(SyncPoint(point)), 1).is_ok())
        .collect();
    assert!(needless.is_empty(), "no crash shows that these syncs are needed: {needless:?}");
}
