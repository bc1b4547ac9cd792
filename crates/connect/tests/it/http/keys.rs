//! Idempotency keys and the marks of replays.

use std::collections::BTreeSet;
use std::sync::Arc;

use connect::{HttpOptions, HttpSink};
use event::Marks;
use event::Replay;
use event::TestClock;
use event::batch::{Batch, Messages, Offsets};
use event::sink::{Deliverer, Guarantee};

use super::kit::{Server, batch_of, deliver, deliver_some, extent, numbers, reply, sink};

fn keys_sent(options: &HttpOptions, batch: &Batch, events: &[u32], pipe: &str) -> Vec<String> {
    let server = Server::start(|_| reply(200));
    let mut options = HttpOptions { url: server.url(), ..options.clone() };
    options.connections_max = 1;
    let clock = Arc::new(TestClock::new(0));
    let mut sink = HttpSink::new("out", pipe, &options, clock).unwrap();
    deliver_some(&mut sink, batch, events, &Default::default());
    let seen = server.seen();
    let header = options.idempotency_header.unwrap().to_lowercase();
    seen.iter().map(|seen| seen.header(&header).unwrap().to_owned()).collect()
}

fn defaults() -> HttpOptions {
    HttpOptions::new(String::new())
}

#[test]
fn an_events_key_goes_along() {
    let mut batch = numbers(2);
    batch.events[0].key = 0xabc;
    let keys = keys_sent(&defaults(), &batch, &[0, 1], "pipe");
    assert_eq!(keys, [format!("{:032x}", 0xabc), format!("{:032x}", 2)]);
    let mut options = defaults();
    options.idempotency_header = Some("X-Event-Id".into());
    assert_eq!(keys_sent(&options, &batch, &[0], "pipe"), [format!("{:032x}", 0xabc)]);
}

#[test]
fn a_call_with_several_events_has_one_key_that_depends_on_all_of_them() {
    let mut options = defaults();
    options.events_max = 10;
    let batch = numbers(4);
    let of = |events: &[u32]| keys_sent(&options, &batch, events, "pipe").remove(0);
    assert_eq!(of(&[0, 1, 2]), of(&[0, 1, 2]));
    let all: BTreeSet<String> =
        [&[0, 1, 2][..], &[0, 1], &[1, 2], &[0, 1, 3], &[2, 1, 0]].into_iter().map(of).collect();
    assert_eq!(all.len(), 5);
    assert!(all.iter().all(|key| key.len() == 32));
    assert_eq!(of(&[0]), format!("{:032x}", 1), "of one event it is the event's own");
}

#[test]
fn an_event_without_a_key_is_known_by_its_position() {
    let mut batch = numbers(6);
    batch.extents = vec![extent("a", 0, vec![10, 20, 30]), extent("b", 3, vec![10, 20, 30])];
    batch.events.iter_mut().for_each(|event| event.key = 0);
    let all = keys_sent(&defaults(), &batch, &[0, 1, 2, 3, 4, 5], "pipe");
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 6, "shard and offset tell them apart");
    assert_eq!(keys_sent(&defaults(), &batch, &[4], "pipe"), all[4..5], "whoever goes with it");

    batch.extents.insert(1, extent("empty", 3, vec![]));
    assert_eq!(keys_sent(&defaults(), &batch, &[4], "pipe"), all[4..5], "whatever lies between");

    // The same event in a later batch, between others.
    let mut later = batch_of(["9".into(), "4".into()]);
    later.extents = vec![extent("c", 0, vec![1]), extent("b", 1, vec![20])];
    later.events.iter_mut().for_each(|event| event.key = 0);
    assert_eq!(keys_sent(&defaults(), &later, &[1], "pipe"), all[4..5]);
    assert_ne!(keys_sent(&defaults(), &later, &[1], "other"), all[4..5], "by pipe");

    // Let through without a key: the mark says so.
    later.events[1].key = 77;
    later.events[1].marks = Marks::NO_KEY;
    assert_eq!(keys_sent(&defaults(), &later, &[1], "pipe"), all[4..5]);
}

#[test]
fn a_message_without_a_key_is_known_by_its_id() {
    let mut batch = numbers(2);
    batch.events.iter_mut().for_each(|event| event.key = 0);
    batch.extents[0].offsets = Offsets::Messages(Messages { ids: vec![5, 6], until_ms: 0 });
    let both = keys_sent(&defaults(), &batch, &[0, 1], "pipe");
    batch.extents[0].offsets = Offsets::Messages(Messages { ids: vec![6, 5], until_ms: 0 });
    let turned = keys_sent(&defaults(), &batch, &[1, 0], "pipe");
    assert_eq!(both, turned);
    assert_ne!(both[0], both[1]);
}

#[test]
fn the_guarantee_depends_on_the_header() {
    let server = Server::start(|_| reply(200));
    let mut options = server.options();
    assert_eq!(sink(&options).guarantee(), Guarantee::EffectivelyOnce);
    options.idempotency_header = None;
    let mut sink = sink(&options);
    assert_eq!(sink.guarantee(), Guarantee::AtLeastOnce);
    deliver(&mut sink, &numbers(1));
    let seen = server.seen().remove(0);
    assert!(seen.headers.iter().all(|(_, value)| !value.contains("0000000000")), "{seen:?}");
}

#[test]
fn a_replay_is_marked() {
    let server = Server::start(|_| reply(200));
    let mut sink = sink(&server.options());
    let mut batch = numbers(1);
    deliver(&mut sink, &batch);
    batch.replay = Some(Box::new(Replay { id: "r-7 ü\n".into(), events: vec![] }));
    deliver(&mut sink, &batch);
    let [first, replayed] = server.seen().try_into().unwrap();
    assert_eq!(first.header("x-onceflow-replay"), None);
    assert_eq!(replayed.header("x-onceflow-replay"), Some("r-7%20%C3%BC%0A"));
    assert_eq!(first.header("idempotency-key"), replayed.header("idempotency-key"));
}
