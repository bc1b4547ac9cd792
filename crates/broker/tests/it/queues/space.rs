//! Space is given back, a full disk and failing storage are survived as promised.

use std::collections::BTreeMap;

use broker::queues::{QueueAttributes, QueuesOptions, Receive};
use broker::{BrokerError, Producer, Sequence};
use event::{BatchNumber, LedgerId, TestClock};
use journal::{Fault, SimDisk};

use super::kit::*;

const SEGMENT_BYTES: u64 = 256 << 10;

fn options() -> QueuesOptions {
    QueuesOptions { segment_bytes: SEGMENT_BYTES, ..QueuesOptions::default() }
}

fn producer(sink: &str) -> Producer {
    Producer { ledger_id: LedgerId(1), pipe: "p".into(), sink: sink.into() }
}

/// A million messages pass through a queue, and next to it lies an old one that nobody takes.
#[test]
fn the_journal_of_a_queue_that_is_always_nearly_empty_stays_small() {
    for (stuck, thousands) in [(false, 100), (true, 1000)] {
        let (disk, clock) = (SimDisk::new(1), TestClock::new(START_MS));
        let queues = try_open(&disk, &clock, options()).unwrap();
        let (queue, other) = (make(&queues, "q"), make(&queues, "other"));
        if stuck {
            send(&other, &["stuck"]);
        }
        let mut most = 0;
        for _ in 0..thousands {
            queue.send((0..1000).map(|n| message(&format!("{n:0100}"))).collect()).wait().unwrap();
            let messages = receive(&queue, 1000);
            assert_eq!(messages.len(), 1000);
            delete(&queue, &messages);
            queues.tidy().unwrap();
            most = most.max(queues.bytes_on_disk());
        }
        assert!(most <= 5 * SEGMENT_BYTES, "{most} bytes");
        queues.close().unwrap();
        let queues = try_open(&disk, &clock, options()).unwrap();
        assert_eq!(receive(&queues.get("other").unwrap(), 10).len(), usize::from(stuck));
        let statistics = queues.get("q").unwrap().statistics();
        let passed = thousands * 1000;
        assert_eq!((statistics.sent, statistics.deleted), (passed, passed));
    }
}

#[test]
fn a_backlog_is_written_again_at_most_once_for_each_of_its_lengths_that_passes() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(START_MS));
    let queues = try_open(&disk, &clock, options()).unwrap();
    let (backlog, busy) = (make(&queues, "backlog"), make(&queues, "busy"));
    let body = "b".repeat(1000);
    for _ in 0..40 {
        backlog.send((0..100).map(|_| message(&body)).collect()).wait().unwrap();
    }
    let living = 40 * 100 * 1000;
    let (mut passed, mut most) = (0, 0);
    for _ in 0..160 {
        busy.send((0..100).map(|_| message(&body)).collect()).wait().unwrap();
        delete(&busy, &receive(&busy, 100));
        queues.tidy().unwrap();
        passed += 100 * 1000;
        most = most.max(queues.bytes_on_disk());
    }
    assert_eq!(passed, 4 * living);
    // What lives, as much garbage, and some segments.
    assert!(most < 2 * living * 12 / 10 + 6 * SEGMENT_BYTES, "{most} bytes");
    assert_eq!(backlog.statistics().visible, 4000);
    let all: Vec<_> = (0..40).flat_map(|_| receive(&backlog, 100)).collect();
    assert!(all.len() == 4000 && all.iter().all(|message| message.body == body));
    queues.close().unwrap();
    let queues = try_open(&disk, &clock, options()).unwrap();
    let backlog = queues.get("backlog").unwrap();
    clock.advance(30_000);
    let all: Vec<_> = (0..40).flat_map(|_| receive(&backlog, 100)).collect();
    assert!(all.len() == 4000 && all.iter().all(|message| message.receive_count == 2));
}

#[test]
fn what_is_cleaned_keeps_its_order_times_and_attributes() {
    let (disk, clock, queues) = fresh();
    let (old, busy) = (make(&queues, "old"), make(&queues, "busy"));
    for n in 0..20 {
        clock.advance(1);
        send(&old, &[&format!("{n}")]);
    }
    let held = receive(&old, 1);
    for _ in 0..60 {
        send(&busy, &[&"x".repeat(800)]);
        delete(&busy, &receive(&busy, 1));
        queues.tidy().unwrap();
    }
    queues.close().unwrap();
    let queues = open(&disk, &clock);
    let old = queues.get("old").unwrap();
    let messages = receive(&old, 100);
    let expected: Vec<_> = (1..20).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&messages), expected);
    assert!(messages.is_sorted_by_key(|message| message.sent_ms));
    assert_eq!(messages[0].sent_ms, START_MS + 2);
    assert_eq!(old.statistics().in_flight, 20, "the held one is hidden still");
    delete(&old, &held);
}

#[test]
fn p2_a_repeat_of_a_producer_is_skipped_over_restarts_and_cleaning() {
    let (disk, clock, mut queues) = fresh();
    let batch = |number: u64| {
        let sequence = |index| Sequence { batch: BatchNumber(number), index };
        (0..3).map(|index| (sequence(index), message(&format!("{number}/{index}")))).collect()
    };
    make(&queues, "q");
    make(&queues, "busy");
    for number in 1..=6 {
        let queue = queues.get("q").unwrap();
        queue.send_once(&producer("a"), batch(number)).wait().unwrap();
        let through = Sequence { batch: BatchNumber(number), index: 2 };
        assert_eq!(queue.published_through(&producer("a")), Some(through));
        let all = receive(&queue, 10);
        assert_eq!(all.len(), 3);
        delete(&queue, &all);
        let busy = queues.get("busy").unwrap();
        for _ in 0..20 {
            send(&busy, &[&"x".repeat(800)]);
            delete(&busy, &receive(&busy, 1));
            queues.tidy().unwrap();
        }
        assert!(queues.bytes_on_disk() <= 6 * 4096, "the producer's sequence keeps a segment");
        queues.close().unwrap();
        queues = open(&disk, &clock);
        let queue = queues.get("q").unwrap();
        for number in 1..=number {
            queue.send_once(&producer("a"), batch(number)).wait().unwrap();
        }
        assert!(receive(&queue, 10).is_empty(), "batch {number} came twice");
        // Half known: the rest is taken.
        assert_eq!(queue.published_through(&producer("b")), None);
    }
    let queue = queues.get("q").unwrap();
    let mut half: Vec<_> = batch(7);
    half.truncate(1);
    queue.send_once(&producer("a"), half).wait().unwrap();
    queue.send_once(&producer("a"), batch(7)).wait().unwrap();
    assert_eq!(bodies(&receive(&queue, 10)), ["7/0", "7/1", "7/2"]);
    let mut reversed: Vec<_> = batch(8);
    reversed.reverse();
    let refused = queue.send_once(&producer("a"), reversed).wait();
    assert!(matches!(refused, Err(BrokerError::Invalid { .. })));
    queue.send_once(&producer("b"), batch(1)).wait().unwrap();
    assert_eq!(receive(&queue, 10).len(), 3);
}

#[test]
fn p7_without_room_nothing_changes_and_work_goes_on_once_there_is_room() {
    let (disk, clock, queues) = fresh();
    let dead = make(&queues, "dead");
    let queue = make_with_redrive(&queues, "q", "dead", 1);
    send(&queue, &["kept", "poison"]);
    let receive_one = || receive(&queue, 1).pop().unwrap();
    let kept = receive_one();
    let used: u64 = disk.files().iter().map(|(_, bytes)| bytes).sum();
    disk.set_capacity(used);
    let long = "x".repeat(3000);
    let mut stored = 0;
    let error = loop {
        match queue.send(vec![message(&long)]).wait() {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, BrokerError::NoSpace { .. }), "{error}");
    let before = queue.statistics();
    assert_eq!(before.visible, 1 + stored, "a send that failed is not visible");
    // Fills what is left of the segment, so that a delete finds no room either.
    while queue.set_tags(BTreeMap::from([("k".into(), "v".repeat(40))])).wait().is_ok() {}
    let deleted = queue.delete(&[kept.receipt]).wait();
    assert!(matches!(deleted, Err(BrokerError::NoSpace { .. })));
    assert_eq!(queue.statistics().in_flight, before.in_flight, "it is held as before");
    assert!(matches!(queue.purge().wait(), Err(BrokerError::NoSpace { .. })));
    let made = queues.create("new", QueueAttributes::default(), BTreeMap::new()).wait();
    assert!(matches!(made, Err(BrokerError::NoSpace { .. })));
    assert!(queues.get("new").is_err());
    let sequence = Sequence { batch: BatchNumber(1), index: 0 };
    let once = || queue.send_once(&producer("a"), vec![(sequence, message("once"))]).wait();
    assert!(matches!(once(), Err(BrokerError::NoSpace { .. })));
    assert_eq!(queue.published_through(&producer("a")), None);
    assert!(matches!(queues.delete("dead").wait(), Err(BrokerError::NoSpace { .. })));
    // A move that finds no room leaves the message where it is.
    assert_eq!(receive_one().body, "poison");
    clock.advance(30_000);
    let _ = receive(&queue, 10);
    let _ = queues.tidy();
    assert_eq!((queue.statistics().moved, dead.statistics().visible), (0, 0));

    disk.set_capacity(u64::MAX);
    once().unwrap();
    assert_eq!(queue.delete(&[kept.receipt]).wait().unwrap(), [Ok(())]);
    clock.advance(30_000);
    let _ = receive(&queue, 10);
    queue.set_tags(BTreeMap::new()).wait().unwrap();
    assert!(bodies(&receive(&dead, 10)).contains(&"poison".to_string()));
    queue.purge().wait().unwrap();
    queues.close().unwrap();
    let queues = open(&disk, &clock);
    assert_eq!(queues.get("q").unwrap().statistics().visible, 0);
}

#[test]
fn p7_after_a_failed_sync_everything_is_refused_until_a_restart() {
    let (disk, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["before"]);
    disk.fail_at(disk.ops() + 1, Fault::Io);
    let error = queue.send(vec![message("lost")]).wait().unwrap_err();
    assert!(matches!(error, BrokerError::Stopped { .. }), "{error}");
    let stopped = |error: Option<BrokerError>| {
        assert!(matches!(error, Some(BrokerError::Stopped { .. })), "{error:?}");
    };
    let any = Receive { messages_max: 1, bytes_max: 1, visibility_ms: None, remembered: false };
    stopped(queue.receive(any).err());
    stopped(queue.send(vec![message("more")]).wait().err());
    stopped(queue.delete(&[]).wait().err());
    stopped(queue.change_visibility(&[]).err());
    stopped(queue.purge().wait().err());
    stopped(queue.set_tags(BTreeMap::new()).wait().err());
    stopped(queues.create("n", QueueAttributes::default(), BTreeMap::new()).wait().err());
    stopped(queues.delete("q").wait().err());
    stopped(queues.tidy().err());
    stopped(queues.close().err());
    let queues = open(&disk.after_process_kill(), &clock);
    assert!(bodies(&receive(&queues.get("q").unwrap(), 10)).contains(&"before".to_string()));
}

#[test]
fn after_the_end_calls_are_refused() {
    let (_, _, queues) = fresh();
    let queue = make(&queues, "q");
    queues.close().unwrap();
    let error = queue.send(vec![message("late")]).wait().unwrap_err();
    assert!(error.to_string().contains("closed"), "{error}");
    drop(queues);
    assert!(queue.send(vec![message("late")]).wait().is_err());
}

#[test]
fn p2_a_repeat_that_comes_while_the_first_is_on_its_way_is_skipped() {
    let (_, _, queues) = fresh();
    let queue = make(&queues, "q");
    for number in 1..=50 {
        let batch = || {
            let sequence = Sequence { batch: BatchNumber(number), index: 0 };
            vec![(sequence, message("once"))]
        };
        let (first, repeat) =
            (queue.send_once(&producer("a"), batch()), queue.send_once(&producer("a"), batch()));
        repeat.wait().unwrap();
        first.wait().unwrap();
        assert_eq!(receive(&queue, 10).len(), 1, "batch {number}");
    }
}
