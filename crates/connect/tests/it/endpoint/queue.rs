//! A queue behind an endpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::queues::{MessageAttribute, NewMessage, Receive};
use connect::{RemoteQueueOptions, RemoteQueueSource};
use event::batch::Offsets;
use event::source::Source;
use event::{Clock, Fate, SystemClock};

use super::{Server, bodies, deliver, error, eventually, payloads, send, take};

const HOUR: Duration = Duration::from_secs(3_600);

fn options(server: &Server) -> RemoteQueueOptions {
    RemoteQueueOptions {
        queue: "in".into(),
        endpoint: server.endpoint(),
        visibility_timeout: Duration::from_secs(30),
        redelivery_memory: HOUR,
        message_ids_max: 1_000,
    }
}

fn source(options: RemoteQueueOptions, remembered: BTreeMap<u128, i64>) -> RemoteQueueSource {
    RemoteQueueSource::open(options, remembered, Arc::new(SystemClock)).unwrap()
}

fn ids(batches: &[event::Batch]) -> Vec<u128> {
    let of = |batch: &event::Batch| match &batch.extents[0].offsets {
        Offsets::Messages(messages) => messages.ids.clone(),
        other => panic!("{other:?}"),
    };
    batches.iter().flat_map(of).collect()
}

#[test]
fn messages_arrive_and_are_deleted_once_they_are_settled() {
    let server = Server::start();
    let queue = server.queue("in");
    send(&queue, &bodies(0..57));
    let attribute = MessageAttribute {
        name: "kind".into(),
        data_type: "Binary".into(),
        value: vec![0xff, 1].into(),
    };
    let special =
        NewMessage { body: "x".into(), attributes: vec![attribute], ..NewMessage::default() };
    queue.send(vec![special]).wait().unwrap();
    let mut source = source(options(&server), BTreeMap::new());
    let mut batches = take(&mut source, 58).unwrap();
    let mut expected = bodies(0..57);
    expected.insert(0, "x".into());
    assert_eq!(payloads(&batches), expected);
    let attributes: Vec<_> = batches.iter().flat_map(|batch| &batch.attributes).collect();
    assert_eq!(attributes.len(), 1);
    assert_eq!(
        (&*attributes[0].1[0].name, &attributes[0].1[0].value[..]),
        ("kind", &[0xff, 1][..])
    );
    assert_eq!(queue.statistics().in_flight, 58);
    deliver(&mut batches);
    let mut acker = source.acker();
    for batch in &batches {
        acker.settled(batch).unwrap();
    }
    eventually("all are deleted", || queue.statistics().deleted == 58);
    // Each id is remembered for an hour from now on.
    let mut changes = Vec::new();
    eventually("the ledger hears of it", || {
        changes.extend(acker.memory_changes());
        changes.len() == 58
    });
    let now_ms = SystemClock.now_ms();
    let hour_ms = 3_600_000;
    assert!(changes.iter().all(|change| {
        let until_ms = change.until_ms.unwrap();
        until_ms > now_ms + hour_ms - 60_000 && until_ms <= now_ms + hour_ms
    }));
}

#[test]
fn what_is_not_settled_shows_again_when_the_pipe_ends() {
    let server = Server::start();
    let queue = server.queue("in");
    send(&queue, &bodies(0..25));
    let mut source = source(options(&server), BTreeMap::new());
    let mut batches = take(&mut source, 25).unwrap();
    let mut acker = source.acker();
    deliver(&mut batches[..1]);
    let settled = batches[0].events.len() as u64;
    acker.settled(&batches[0]).unwrap();
    drop(source);
    drop(acker);
    let counts = queue.statistics();
    assert_eq!((counts.deleted, counts.visible, counts.in_flight), (settled, 25 - settled, 0));
}

#[test]
fn p2_a_redelivery_that_the_ledger_knows_is_marked_and_deleted_again() {
    let server = Server::start();
    let queue = server.queue("in");
    send(&queue, &bodies(0..3));
    let mut first = source(options(&server), BTreeMap::new());
    let batches = take(&mut first, 3).unwrap();
    // The process dies after the commit and before the delete.
    let remembered: BTreeMap<u128, i64> =
        ids(&batches)[..2].iter().map(|id| (*id, i64::MAX)).collect();
    drop(first);
    let mut second = source(options(&server), remembered);
    let mut batches = take(&mut second, 3).unwrap();
    let fates: Vec<Fate> =
        batches.iter().flat_map(|batch| &batch.events).map(|event| event.fate).collect();
    assert_eq!(fates.iter().filter(|fate| **fate == Fate::Redelivered).count(), 2);
    deliver(&mut batches);
    let mut acker = second.acker();
    for batch in &batches {
        acker.settled(batch).unwrap();
    }
    eventually("all are deleted", || queue.statistics().deleted == 3);
}

#[test]
fn visibility_is_renewed_while_an_event_is_in_flight() {
    let server = Server::start();
    let queue = server.queue("in");
    send(&queue, &bodies(0..12));
    let mut options = options(&server);
    options.visibility_timeout = Duration::from_secs(1);
    let mut source = source(options, BTreeMap::new());
    let batches = take(&mut source, 12).unwrap();
    // Another consumer waits for three times the visibility and gets nothing.
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        let receive = Receive {
            messages_max: 10,
            bytes_max: 1_000,
            visibility_ms: Some(0),
            remembered: true,
        };
        assert!(queue.receive(receive).unwrap().is_empty(), "a message showed again");
        queue.wait(until);
    }
    assert_eq!(batches.iter().map(|batch| batch.events.len()).sum::<usize>(), 12);
}

#[test]
fn a_queue_that_is_missing_is_named_with_those_that_exist() {
    let server = Server::start();
    server.queue("orders");
    server.queue("payments");
    let mut source = source(options(&server), BTreeMap::new());
    let error = error(&mut source);
    assert!(error.contains("queue `in` does not exist"), "{error}");
    assert!(error.contains("orders, payments"), "{error}");
}

#[test]
fn a_queue_deleted_while_it_is_read_is_named() {
    let server = Server::start();
    let queue = server.queue("in");
    send(&queue, &bodies(0..3));
    let mut source = source(options(&server), BTreeMap::new());
    take(&mut source, 3).unwrap();
    server.broker.queues().delete("in").wait().unwrap();
    let error = error(&mut source);
    assert!(error.contains("queue `in` was deleted"), "{error}");
}

#[test]
fn an_endpoint_that_is_away_is_waited_for() {
    let mut server = Server::away();
    let queue = server.queue("in");
    send(&queue, &bodies(0..3));
    let mut source = source(options(&server), BTreeMap::new());
    let status = source.status().unwrap();
    eventually("a call has failed", || {
        let errors = status.errors.load(std::sync::atomic::Ordering::Relaxed);
        take(&mut source, 0).is_ok() && errors > 0
    });
    assert!(status.last_error().is_some());
    server.arrive();
    assert_eq!(payloads(&take(&mut source, 3).unwrap()), bodies(0..3));
}

#[test]
fn p6_past_message_ids_max_the_source_pauses() {
    let server = Server::start();
    let queue = server.queue("in");
    send(&queue, &bodies(0..40));
    let mut options = options(&server);
    options.message_ids_max = 10;
    let mut source = source(options, BTreeMap::new());
    let mut batches = take(&mut source, 10).unwrap();
    deliver(&mut batches);
    let mut acker = source.acker();
    for batch in &batches {
        acker.settled(batch).unwrap();
    }
    eventually("those are deleted", || queue.statistics().deleted == 10);
    let received = source.receive(&super::LIMITS, &event::source::Stop::default()).unwrap();
    assert!(matches!(received, event::source::Received::Idle), "{received:?}");
    drop((source, acker));
    assert_eq!(queue.statistics().visible, 30);
}
