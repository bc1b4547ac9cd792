//! What the queues cost in CPU time: `cargo bench -p broker --bench queues`.
//!
//! CPU seconds of the whole process (user and system apart), so that a busy machine matters less;
//! the syncs' own work in the kernel is part of `sys`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::indexing_slicing, missing_docs)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use broker::queues::{NewMessage, Queue, QueueAttributes, Queues, QueuesOptions, Receive};
use bytes::Bytes;
use event::SystemClock;
use journal::RealDisk;

fn cpu() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<_> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap() / 100.0;
    (ticks(11), ticks(12))
}

/// Runs `work`, says what it took for each of `count` messages.
fn measure(what: &str, count: usize, work: impl FnOnce()) {
    let (before, start) = (cpu(), Instant::now());
    work();
    let (after, wall) = (cpu(), start.elapsed().as_secs_f64());
    let each = |seconds: f64| seconds * 1e6 / count as f64;
    println!(
        "{what}: {count} messages, {wall:.2} s; µs CPU a message: user {:.2}, sys {:.2}",
        each(after.0 - before.0),
        each(after.1 - before.1)
    );
}

fn open(dir: &Path) -> Queues {
    let disk = Arc::new(RealDisk::new());
    Queues::open(disk, dir, QueuesOptions::default(), Arc::new(SystemClock)).unwrap()
}

fn make(queues: &Queues, name: &str) -> Arc<Queue> {
    queues.create(name, QueueAttributes::default(), BTreeMap::new()).wait().unwrap()
}

fn messages(count: usize, bytes: usize) -> Vec<NewMessage> {
    let body = Bytes::from(vec![b'x'; bytes]);
    (0..count).map(|_| NewMessage { body: body.clone(), ..NewMessage::default() }).collect()
}

/// Sends `count` messages in batches; `at_once` batches are on the way together, as from so many
/// connections.
fn send(queue: &Queue, count: usize, batch: usize, bytes: usize, at_once: usize) {
    let mut left = count / batch;
    while left > 0 {
        let now = left.min(at_once);
        let pending: Vec<_> = (0..now).map(|_| queue.send(messages(batch, bytes))).collect();
        pending.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
        left -= now;
    }
}

fn receive(queue: &Queue, messages_max: usize) -> Vec<broker::queues::Receipt> {
    let receive = Receive {
        messages_max,
        bytes_max: usize::MAX,
        visibility_ms: Some(600_000),
        remembered: true,
    };
    queue.receive(receive).unwrap().iter().map(|message| message.receipt).collect()
}

fn drain(queue: &Queue, at_once: usize) {
    loop {
        let batches: Vec<_> = (0..at_once).map(|_| receive(queue, 10)).collect();
        if batches.iter().all(Vec::is_empty) {
            return;
        }
        let pending: Vec<_> = batches.iter().map(|batch| queue.delete(batch)).collect();
        pending.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    }
}

fn receives(queue: &Queue, count: usize) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        assert_eq!(receive(queue, 10).len(), 10);
    }
    start.elapsed().as_secs_f64() * 1e6 / count as f64
}

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let dir = folder.path().join("queues");
    let count = 400_000;
    let queues = open(&dir);
    let queue = make(&queues, "q");
    for at_once in [1, 8] {
        let count = if at_once == 1 { count / 8 } else { count };
        measure(&format!("send 10 × 1 KiB, {at_once} at once"), count, || {
            send(&queue, count, 10, 1024, at_once);
        });
        measure(&format!("receive and delete 10, {at_once} at once"), count, || {
            drain(&queue, at_once);
        });
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    println!("drained: {} KiB on disk", queues.bytes_on_disk() >> 10);
    send(&queue, 20_000, 1000, 300, 1);
    let few = receives(&queue, 1000);
    drain(&queue, 8);
    send(&queue, 1_000_000, 1000, 300, 8);
    let many = receives(&queue, 1000);
    println!("receive of 10: {few:.1} µs behind 20,000, {many:.1} µs behind 1,000,000");
    queues.close().unwrap();
    drop((queue, queues));
    let start = Instant::now();
    let queues = open(&dir);
    let statistics = queues.get("q").unwrap().statistics();
    println!(
        "restart with {} messages of 300 B: {:.2} s",
        statistics.visible + statistics.in_flight,
        start.elapsed().as_secs_f64()
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmRSS")).unwrap());
    queues.close().unwrap();
}
