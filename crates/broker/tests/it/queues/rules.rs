//! The rules of standard queues, by a clock that is moved by hand.

use super::kit::*;

#[test]
fn a_message_is_sent_received_and_deleted() {
    let (_, _, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a", "b"]);
    let messages = receive(&queue, 10);
    assert_eq!(bodies(&messages), ["a", "b"]);
    assert!(receive(&queue, 10).is_empty());
    delete(&queue, &messages);
    let statistics = queue.statistics();
    assert_eq!((statistics.visible, statistics.in_flight, statistics.deleted), (0, 0, 2));
}

#[test]
fn everything_is_there_after_a_restart() {
    let (disk, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a", "b", "c"]);
    delete(&queue, &receive(&queue, 1));
    queues.close().unwrap();
    let queues = open(&disk, &clock);
    let queue = queues.get("q").unwrap();
    assert_eq!(bodies(&receive(&queue, 10)), ["b", "c"]);
}
