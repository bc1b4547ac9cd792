//! The rules of standard queues (SQS' API reference), by a clock that is moved by hand.

use std::collections::BTreeMap;

use broker::BrokerError;
use broker::queues::{
    MessageAttribute, NewMessage, QueueAttributes, QueuesOptions, ReceiptProblem, Receive, Redrive,
};
use bytes::Bytes;
use event::TestClock;
use journal::SimDisk;

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
fn a_message_comes_back_with_everything_that_it_was_sent_with() {
    let (_, clock, queues) = fresh();
    let queue = make(&queues, "q");
    let sent = NewMessage {
        body: Bytes::from_static(b"body"),
        attributes: vec![MessageAttribute {
            name: "kind".into(),
            data_type: "Binary.png".into(),
            value: Bytes::from_static(&[0, 255, 7]),
        }],
        delay_s: None,
        group: Some("tenant".into()),
        trace: Some("Root=1-2-3".into()),
    };
    queue.send(vec![sent.clone()]).wait().unwrap();
    clock.advance(5);
    for count in 1..=2 {
        let message = receive(&queue, 1).pop().unwrap();
        assert_eq!((&message.body, &message.attributes), (&sent.body, &sent.attributes));
        assert_eq!((&message.group, &message.trace), (&sent.group, &sent.trace));
        assert_eq!((message.sent_ms, message.first_received_ms), (START_MS, START_MS + 5));
        assert_eq!((message.receive_count, message.dead_letter_source), (count, None));
        clock.advance(30_000);
    }
}

#[test]
fn a_message_hides_for_its_visibility_timeout_and_may_be_hidden_longer_or_shown() {
    let (_, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a"]);
    let first = receive(&queue, 1)[0].receipt;
    clock.advance(29_999);
    assert!(receive(&queue, 1).is_empty());
    assert_eq!(queue.change_visibility(&[(first, 60_000)]).unwrap(), [Ok(())]);
    clock.advance(59_999);
    assert!(receive(&queue, 1).is_empty());
    assert_eq!(queue.change_visibility(&[(first, 0)]).unwrap(), [Ok(())]);
    assert_eq!(receive(&queue, 1).len(), 1);
}

#[test]
fn a_message_is_hidden_for_12_hours_after_its_receive_at_most() {
    let (_, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a"]);
    let receipt = receive(&queue, 1)[0].receipt;
    clock.advance(1000);
    let hide = |ms| queue.change_visibility(&[(receipt, ms)]);
    assert_eq!(hide(43_200_000).unwrap(), [Err(ReceiptProblem::HiddenTooLong)]);
    assert_eq!(hide(43_199_000).unwrap(), [Ok(())]);
    assert!(matches!(hide(43_200_001), Err(BrokerError::Invalid { .. })));
    assert!(matches!(hide(-1), Err(BrokerError::Invalid { .. })));
}

#[test]
fn a_stale_receipt_neither_hides_nor_deletes_what_another_consumer_holds() {
    let (_, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a"]);
    let old = receive(&queue, 1)[0].receipt;
    clock.advance(30_000);
    let new = receive(&queue, 1)[0].receipt;
    assert_eq!(queue.delete(&[old]).wait().unwrap(), [Err(ReceiptProblem::Stale)]);
    assert_eq!(queue.change_visibility(&[(old, 0)]).unwrap(), [Err(ReceiptProblem::Stale)]);
    assert!(receive(&queue, 1).is_empty(), "the other consumer's message was shown");
    assert_eq!(queue.statistics().in_flight, 1);
    assert_eq!(queue.delete(&[new]).wait().unwrap(), [Ok(())]);
    assert_eq!(queue.delete(&[new]).wait().unwrap(), [Err(ReceiptProblem::Gone)]);
}

#[test]
fn an_expired_receipt_deletes_while_nobody_else_received_the_message_but_never_hides_it() {
    let (_, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a"]);
    let receipt = receive(&queue, 1)[0].receipt;
    clock.advance(30_000);
    let hidden = queue.change_visibility(&[(receipt, 1000)]).unwrap();
    assert_eq!(hidden, [Err(ReceiptProblem::NotInFlight)]);
    assert_eq!(queue.statistics().visible, 1);
    assert_eq!(queue.delete(&[receipt]).wait().unwrap(), [Ok(())]);
    assert!(receive(&queue, 1).is_empty());
}

#[test]
fn stale_receipts_stay_stale_over_a_restart() {
    let (disk, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a"]);
    let old = receive(&queue, 1)[0].receipt;
    clock.advance(30_000);
    let new = receive(&queue, 1)[0].receipt;
    queues.close().unwrap();
    let queues = open(&disk, &clock);
    let queue = queues.get("q").unwrap();
    assert!(receive(&queue, 1).is_empty(), "a received message stays hidden over a restart");
    assert_eq!(queue.delete(&[old]).wait().unwrap(), [Err(ReceiptProblem::Stale)]);
    assert_eq!(queue.delete(&[new]).wait().unwrap(), [Ok(())]);
}

#[test]
fn a_receipt_whose_note_a_crash_took_still_holds() {
    for hide in [false, true] {
        let (disk, clock, queues) = fresh();
        let queue = make(&queues, "q");
        send(&queue, &["a"]);
        let receipt = receive(&queue, 1)[0].receipt;
        let queues_after = open(&disk.after_process_kill(), &clock);
        drop(queues);
        let queue = queues_after.get("q").unwrap();
        if hide {
            assert_eq!(queue.change_visibility(&[(receipt, 5000)]).unwrap(), [Ok(())]);
        }
        assert_eq!(receive(&queue, 1).len(), usize::from(!hide));
        let expected = if hide { Ok(()) } else { Err(ReceiptProblem::Stale) };
        assert_eq!(queue.delete(&[receipt]).wait().unwrap(), [expected]);
    }
}

#[test]
fn receives_of_this_process_end_with_it() {
    let (disk, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a"]);
    assert_eq!(receive_with(&queue, 1, false).len(), 1);
    assert!(receive(&queue, 1).is_empty());
    queues.close().unwrap();
    let queues = open(&disk, &clock);
    assert_eq!(receive(&queues.get("q").unwrap(), 1).len(), 1);
}

#[test]
fn a_receipt_of_another_queue_is_refused() {
    let (_, _, queues) = fresh();
    let (one, other) = (make(&queues, "one"), make(&queues, "other"));
    send(&one, &["a"]);
    let receipt = receive(&one, 1)[0].receipt;
    assert_eq!(other.delete(&[receipt]).wait().unwrap(), [Err(ReceiptProblem::OtherQueue)]);
    assert_eq!(
        other.change_visibility(&[(receipt, 0)]).unwrap(),
        [Err(ReceiptProblem::OtherQueue)]
    );
}

#[test]
fn a_delay_hides_a_new_message() {
    let (disk, clock, queues) = fresh();
    let attributes = QueueAttributes { delay_s: 10, ..QueueAttributes::default() };
    let queue = queues.create("q", attributes, BTreeMap::new()).wait().unwrap();
    let at_once = NewMessage { delay_s: Some(0), ..message("at once") };
    let later = NewMessage { delay_s: Some(900), ..message("later") };
    queue.send(vec![message("queue's own"), at_once, later]).wait().unwrap();
    assert_eq!(queue.statistics().delayed, 2);
    assert_eq!(bodies(&receive(&queue, 10)), ["at once"]);
    clock.advance(10_000);
    assert_eq!(bodies(&receive(&queue, 10)), ["queue's own"]);
    queues.close().unwrap();
    let queues = open(&disk, &clock);
    let queue = queues.get("q").unwrap();
    clock.advance(889_999);
    assert_eq!(bodies(&receive(&queue, 1)), ["at once"]);
    clock.advance(1);
    assert!(bodies(&receive(&queue, 10)).contains(&"later".to_string()));
}

#[test]
fn a_message_that_was_received_too_often_moves_and_never_returns() {
    let (disk, clock, queues) = fresh();
    let dead = make(&queues, "dead");
    let queue = make_with_redrive(&queues, "q", "dead", 2);
    send(&queue, &["poison"]);
    for _ in 0..2 {
        assert_eq!(receive(&queue, 1).len(), 1);
        clock.advance(30_000);
    }
    assert!(receive(&queue, 1).is_empty());
    queue.set_tags(BTreeMap::new()).wait().unwrap(); // Durable after the move.
    assert_eq!(queue.statistics().moved, 1);
    assert_eq!(dead.dead_letter_sources(), ["q"]);
    let letter = receive(&dead, 1).pop().unwrap();
    assert_eq!((letter.sent_ms, letter.receive_count), (START_MS, 1));
    assert_eq!(letter.dead_letter_source.as_deref(), Some("q"));
    for _ in 0..2 {
        queues.close().unwrap();
        let queues = open(&disk, &clock);
        clock.advance(30_000);
        assert!(receive(&queues.get("q").unwrap(), 1).is_empty(), "it returned");
        let dead = queues.get("dead").unwrap();
        let letter = receive(&dead, 1).pop().unwrap();
        assert_eq!(letter.dead_letter_source.as_deref(), Some("q"));
        queues.close().unwrap();
    }
}

#[test]
fn a_dead_letter_queue_counts_retention_from_the_original_sending() {
    let (_, clock, queues) = fresh();
    let attributes = QueueAttributes { retention_s: 100, ..QueueAttributes::default() };
    let dead = queues.create("dead", attributes, BTreeMap::new()).wait().unwrap();
    let queue = make_with_redrive(&queues, "q", "dead", 1);
    send(&queue, &["poison"]);
    receive(&queue, 1);
    clock.advance(50_000);
    assert!(receive(&queue, 1).is_empty());
    queue.set_tags(BTreeMap::new()).wait().unwrap();
    assert_eq!(dead.statistics().visible, 1);
    clock.advance(50_000);
    queues.tidy().unwrap();
    let statistics = dead.statistics();
    assert_eq!((statistics.visible, statistics.expired), (0, 1));
}

#[test]
fn p1_what_the_retention_removes_is_counted_as_expired_over_restarts_and_cleaning() {
    let (disk, clock, queues) = fresh();
    let attributes = QueueAttributes { retention_s: 60, ..QueueAttributes::default() };
    let queue = queues.create("q", attributes, BTreeMap::new()).wait().unwrap();
    send(&queue, &["a", "b", "c"]);
    let held = receive(&queue, 1);
    clock.advance(59_999);
    assert_eq!(queue.statistics().oldest_sent_ms, Some(START_MS));
    assert_eq!(receive(&queue, 10).len(), 3, "30 s hide the first one no longer");
    clock.advance(1);
    assert!(receive(&queue, 10).is_empty());
    assert_eq!(queue.delete(&[held[0].receipt]).wait().unwrap().len(), 1);
    queues.tidy().unwrap();
    assert_eq!(queue.statistics().expired, 3);
    // Fills segments, so that everything above is cleaned away.
    for _ in 0..40 {
        queue.send(vec![message(&"x".repeat(900))]).wait().unwrap();
        delete(&queue, &receive(&queue, 1));
        queues.tidy().unwrap();
    }
    assert!(queues.bytes_on_disk() < 6 * 4096);
    queues.close().unwrap();
    clock.set(START_MS); // A clock that is set back brings nothing back.
    let queues = open(&disk, &clock);
    let statistics = queues.get("q").unwrap().statistics();
    assert_eq!((statistics.expired, statistics.visible, statistics.sent), (3, 0, 43));
}

#[test]
fn a_purge_removes_all_that_was_sent_before_once_a_minute() {
    let (disk, clock, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &["a", "b"]);
    let delayed = NewMessage { delay_s: Some(5), ..message("c") };
    queue.send(vec![delayed]).wait().unwrap();
    receive(&queue, 1);
    queue.purge().wait().unwrap();
    send(&queue, &["after"]);
    clock.advance(59_999);
    assert!(matches!(queue.purge().wait(), Err(BrokerError::PurgeInProgress { .. })));
    queues.close().unwrap();
    let queues = open(&disk, &clock);
    let queue = queues.get("q").unwrap();
    assert!(matches!(queue.purge().wait(), Err(BrokerError::PurgeInProgress { .. })));
    assert_eq!((queue.statistics().purged, queue.statistics().visible), (3, 1));
    assert_eq!(bodies(&receive(&queue, 10)), ["after"]);
    clock.advance(1);
    queue.purge().wait().unwrap();
    assert_eq!(queue.statistics().purged, 4);
}

#[test]
fn a_queue_that_exists_is_given_back_or_its_difference_named() {
    let (_, _, queues) = fresh();
    let one = make(&queues, "q");
    assert_eq!(make(&queues, "q").creation_id(), one.creation_id());
    let attributes = QueueAttributes { delay_s: 1, ..QueueAttributes::default() };
    let error = queues.create("q", attributes, BTreeMap::new()).wait().err().unwrap();
    assert_eq!(error.to_string(), "`q` exists already with another DelaySeconds");
    queues.delete("q").wait().unwrap();
    let error = one.receive(Receive {
        messages_max: 1,
        bytes_max: 1,
        visibility_ms: None,
        remembered: true,
    });
    assert!(matches!(error, Err(BrokerError::NoSuchQueue { .. })));
    assert_ne!(make(&queues, "q").creation_id(), one.creation_id());
    assert!(matches!(one.send(vec![message("a")]).wait(), Err(BrokerError::NoSuchQueue { .. })));
}

#[test]
fn bounds_are_named() {
    let (_, _, queues) = fresh();
    let queue = make(&queues, "q");
    let base = QueueAttributes::default;
    let redrive = |to: &str, receive_count_max| {
        Some(Redrive { dead_letter_queue: to.into(), receive_count_max })
    };
    for (attributes, named) in [
        (QueueAttributes { visibility_timeout_s: 43_201, ..base() }, "VisibilityTimeout"),
        (QueueAttributes { delay_s: 901, ..base() }, "DelaySeconds"),
        (QueueAttributes { receive_wait_s: 21, ..base() }, "ReceiveMessageWaitTimeSeconds"),
        (QueueAttributes { retention_s: 59, ..base() }, "MessageRetentionPeriod"),
        (QueueAttributes { message_bytes_max: 1023, ..base() }, "MaximumMessageSize"),
        (QueueAttributes { redrive: redrive("q", 1), ..base() }, "its own dead-letter queue"),
        (QueueAttributes { redrive: redrive("none", 1), ..base() }, "does not exist"),
        (QueueAttributes { redrive: redrive("none", 1001), ..base() }, "maxReceiveCount"),
    ] {
        let error = queue.set_attributes(attributes).wait().unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    for name in ["", "a b", &"x".repeat(81), "ä"] {
        let made = queues.create(name, base(), BTreeMap::new()).wait();
        assert!(matches!(made, Err(BrokerError::Invalid { .. })), "{name}");
    }
    let small = QueueAttributes { message_bytes_max: 1024, ..base() };
    queue.set_attributes(small).wait().unwrap();
    let kind = MessageAttribute {
        name: "four".into(),
        data_type: "String".into(),
        value: Bytes::from_static(b"12345"),
    };
    let with = |bytes| NewMessage { attributes: vec![kind.clone()], ..message(&"x".repeat(bytes)) };
    queue.send(vec![with(1009)]).wait().unwrap();
    let error = queue.send(vec![message("fits"), with(1010)]).wait().unwrap_err();
    assert!(error.to_string().contains("MaximumMessageSize"), "{error}");
    assert_eq!(queue.statistics().visible, 1, "all or none");
    let late = NewMessage { delay_s: Some(901), ..message("a") };
    let error = queue.send(vec![late]).wait().unwrap_err();
    assert!(error.to_string().contains("DelaySeconds"), "{error}");
    let error = queues.get("q2").err().unwrap().to_string();
    assert_eq!(error, "there is no queue `q2`");
}

#[test]
fn a_receive_gives_no_more_bytes_than_asked_for_but_one_message() {
    let (_, _, queues) = fresh();
    let queue = make(&queues, "q");
    send(&queue, &[&"a".repeat(50), &"b".repeat(50), &"c".repeat(50)]);
    let receive = |bytes_max| {
        let receive =
            Receive { messages_max: 10, bytes_max, visibility_ms: None, remembered: true };
        queue.receive(receive).unwrap().len()
    };
    assert_eq!((receive(1), receive(100), receive(100)), (1, 2, 0));
}

#[test]
fn at_most_120000_remembered_messages_are_in_flight() {
    let (_, clock, queues) = fresh();
    let queue = make(&queues, "q");
    for _ in 0..121 {
        queue.send((0..1000).map(|_| message("m")).collect()).wait().unwrap();
    }
    for _ in 0..120 {
        assert_eq!(receive(&queue, 1000).len(), 1000);
    }
    let more = Receive { messages_max: 1, bytes_max: 1, visibility_ms: None, remembered: true };
    assert!(matches!(queue.receive(more), Err(BrokerError::OverLimit { .. })));
    let local = Receive { remembered: false, ..more };
    assert_eq!(queue.receive(local).unwrap().len(), 1);
    clock.advance(30_000);
    assert_eq!(queue.receive(more).unwrap().len(), 1);
}

#[test]
fn tags_and_attributes_are_kept() {
    let (disk, clock, queues) = fresh();
    let queue = make(&queues, "q");
    clock.advance(7);
    let tags = BTreeMap::from([("team".to_string(), "one".to_string())]);
    queue.set_tags(tags.clone()).wait().unwrap();
    let attributes = QueueAttributes { delay_s: 3, ..QueueAttributes::default() };
    queue.set_attributes(attributes.clone()).wait().unwrap();
    let times = (START_MS, START_MS + 7);
    assert_eq!(queue.created_and_modified_ms(), times);
    let id = queue.creation_id();
    queues.close().unwrap();
    let queues = open(&disk, &clock);
    let queue = queues.get("q").unwrap();
    assert_eq!((queue.tags(), queue.attributes()), (tags, attributes));
    assert_eq!((queue.creation_id(), queue.created_and_modified_ms()), (id, times));
    let names: Vec<_> = queues.list().iter().map(|queue| queue.name().to_string()).collect();
    assert_eq!(names, ["q"]);
}

#[test]
fn p6_past_a_limit_nothing_is_stored_and_the_limit_is_named() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(START_MS));
    let options = QueuesOptions { queues_max: 2, messages_max: 3, ..small() };
    let queues = try_open(&disk, &clock, options).unwrap();
    let queue = make(&queues, "one");
    make(&queues, "two");
    let made = queues.create("three", QueueAttributes::default(), BTreeMap::new()).wait();
    assert!(made.err().unwrap().to_string().contains("queues_max"));
    send(&queue, &["a", "b"]);
    let error = queue.send(vec![message("c"), message("d")]).wait().unwrap_err();
    assert!(error.to_string().contains("messages_max"), "{error}");
    send(&queue, &["c"]);
    delete(&queue, &receive(&queue, 3));
    send(&queue, &["d", "e", "f"]);
    queues.delete("two").wait().unwrap();
    make(&queues, "three");
}
