//! Those who wait for messages hear of them; many at once lose nothing.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use broker::queues::{MessageId, Queues, QueuesOptions};
use event::{SystemClock, TestClock};
use journal::{Disk, SimDisk};

use super::kit::*;

/// With a housekeeping thread.
fn living(disk: &SimDisk, clock: &TestClock, options: QueuesOptions) -> Queues {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Queues::open(disk, Path::new(DIR), options, Arc::new(clock.clone())).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

#[test]
fn a_new_message_wakes_threads_and_tasks() {
    let (_, _, queues) = fresh();
    let queue = make(&queues, "q");
    let start = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.wait(soon()));
        let arrived = scope.spawn(|| runtime().block_on(queue.arrived(Duration::from_secs(20))));
        send(&queue, &["a"]);
        waiting.join().unwrap();
        arrived.join().unwrap();
    });
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(receive(&queue, 1).len(), 1);
    queue.wait(Instant::now());
    runtime().block_on(queue.arrived(Duration::ZERO));
}

#[test]
fn a_moved_clock_wakes_those_who_wait() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(START_MS));
    let queues = living(&disk, &clock, small());
    let queue = make(&queues, "q");
    send(&queue, &["a"]);
    receive(&queue, 1);
    let start = Instant::now();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.wait(soon()));
        let arrived = scope.spawn(|| runtime().block_on(queue.arrived(Duration::from_secs(20))));
        clock.advance(30_000);
        waiting.join().unwrap();
        arrived.join().unwrap();
    });
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(receive(&queue, 1).len(), 1);
}

#[test]
fn a_delay_ends_by_itself() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
    let queues = Queues::open(disk, Path::new(DIR), small(), Arc::new(SystemClock)).unwrap();
    let queue = make(&queues, "q");
    let delayed = broker::queues::NewMessage { delay_s: Some(1), ..message("a") };
    queue.send(vec![delayed]).wait().unwrap();
    let start = Instant::now();
    let mut messages = Vec::new();
    while messages.is_empty() {
        queue.wait(soon());
        messages = receive(&queue, 1);
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn deleting_a_queue_and_the_end_wake_those_who_wait() {
    let (_, _, queues) = fresh();
    let (one, other) = (make(&queues, "one"), make(&queues, "other"));
    let start = Instant::now();
    thread::scope(|scope| {
        let waiting = [&one, &other].map(|queue| scope.spawn(|| queue.wait(soon())));
        queues.delete("one").wait().unwrap();
        queues.close().unwrap();
        waiting.into_iter().for_each(|waiting| waiting.join().unwrap());
    });
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn housekeeping_writes_notes_and_gives_space_back() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(START_MS));
    let queues = living(&disk, &clock, small());
    let queue = make(&queues, "q");
    for _ in 0..100 {
        send(&queue, &[&"x".repeat(900)]);
        delete(&queue, &receive(&queue, 1));
    }
    send(&queue, &["held"]);
    let receipt = receive(&queue, 1)[0].receipt;
    let until = soon();
    let noted = || {
        let copy = open(&disk.after_process_kill(), &clock);
        receive(&copy.get("q").unwrap(), 1).is_empty()
    };
    while queues.bytes_on_disk() > 6 * 4096 || !noted() {
        assert!(Instant::now() < until, "{} bytes", queues.bytes_on_disk());
        thread::yield_now();
    }
    assert_eq!(queue.delete(&[receipt]).wait().unwrap(), [Ok(())]);
}

#[test]
fn parallel_senders_and_receivers_lose_nothing_and_receive_nothing_twice() {
    const SENDERS: usize = 4;
    const EACH: usize = 400;
    let (disk, clock) = (SimDisk::new(1), TestClock::new(START_MS));
    let options = QueuesOptions { segment_bytes: 16 << 10, ..small() };
    let queues = living(&disk, &clock, options.clone());
    let queue = make(&queues, "q");
    let (deleted, until) = (AtomicUsize::new(0), soon());
    let mut received: Vec<MessageId> = Vec::new();
    thread::scope(|scope| {
        for sender in 0..SENDERS {
            let queue = &queue;
            scope.spawn(move || {
                for n in (0..EACH).step_by(4) {
                    let body = |n| message(&format!("{sender}/{n}/{}", "x".repeat(n % 300)));
                    queue.send((n..n + 4).map(body).collect()).wait().unwrap();
                }
            });
        }
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut mine = Vec::new();
                    while deleted.load(Ordering::SeqCst) < SENDERS * EACH {
                        assert!(Instant::now() < until, "{:?}", queue.statistics());
                        queue.wait(Instant::now() + Duration::from_millis(20));
                        let messages = receive(&queue, 7);
                        delete(&queue, &messages);
                        deleted.fetch_add(messages.len(), Ordering::SeqCst);
                        mine.extend(messages.iter().map(|message| message.id));
                    }
                    mine
                })
            })
            .collect();
        receivers.into_iter().for_each(|receiver| received.extend(receiver.join().unwrap()));
    });
    assert_eq!(received.len(), SENDERS * EACH);
    assert_eq!(received.iter().collect::<HashSet<_>>().len(), SENDERS * EACH);
    queues.close().unwrap();
    let queues = try_open(&disk, &clock, options).unwrap();
    let statistics = queues.get("q").unwrap().statistics();
    assert_eq!((statistics.visible, statistics.deleted), (0, (SENDERS * EACH) as u64));
}
