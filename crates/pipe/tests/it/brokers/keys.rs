//! Keys out of attributes, bodies and broker ids, and events without one.

use broker::queues::{MessageAttribute, NewMessage};
use event::Outcome;
use pipe::engine::Totals;

use super::{Node, clock};
use crate::world::{config, disk, lines, state};

fn outcome(totals: &Totals, outcome: Outcome) -> u64 {
    totals.outcomes[outcome.index()]
}

fn queue(rules: &str) -> String {
    format!(
        "pipe: app\nsource: {{ sqs: {{ queue: in }} }}\ndedup: {{ window: 10m, {rules} }}\n\
         sink: {{ file: {{ path: /c/out/out.ndjson }} }}\n\
         rejected: {{ path: /d/rejected/app.ndjson }}\n"
    )
}

fn stream(rules: &str) -> String {
    queue(rules)
        .replace("pipe: app", "pipe: two")
        .replace("sqs: { queue: in }", "kinesis: { stream: in, shards: 3 }")
        .replace("out.ndjson", "two.ndjson")
        .replace("app.ndjson", "two.ndjson")
}

fn send_with(node: &Node, messages: &[(&str, &str, &str)]) {
    let message = |(body, data_type, value): &(&str, &str, &str)| NewMessage {
        body: (*body).to_owned().into(),
        attributes: vec![MessageAttribute {
            name: "event_id".into(),
            data_type: (*data_type).into(),
            value: (*value).to_owned().into(),
        }],
        ..NewMessage::default()
    };
    let queue = node.queue("in").unwrap();
    queue.send(messages.iter().map(message).collect()).wait().unwrap();
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn two_brokers_with_the_key_in_other_places_make_one_event_of_it() {
    let disk = disk(1);
    let node = Node::open(&disk, &clock()).unwrap();
    // The queue has it in an attribute, the stream in the payload.
    send_with(
        &node,
        &[
            (r#"{"from":"queue","n":1}"#, "String", "a"),
            (r#"{"from":"queue","n":2}"#, "Number", "2.50"),
            (r#"{"from":"queue","n":3}"#, "String", "only here"),
        ],
    );
    node.put(
        "in",
        &texts(&[
            r#"{"from":"stream","meta":{"id":"\u0061"}}"#,
            r#"{"from":"stream","meta":{"id":25e-1}}"#,
            r#"{"from":"stream","meta":{"id":"2.50"}}"#,
        ]),
    )
    .unwrap();
    let first = node.run(&config(&queue("scope: both, key: { attribute: event_id }"))).unwrap();
    let second = node.run(&config(&stream("scope: both, key: $.meta.id"))).unwrap();
    assert_eq!(outcome(&first, Outcome::Delivered), 3);
    assert_eq!(outcome(&second, Outcome::Duplicate), 2, "the text 2.50 is not the number");
    assert_eq!(outcome(&second, Outcome::Delivered), 1);
    node.close().unwrap();
    assert!(state(&disk).imbalance().is_empty());
}

#[test]
fn attributes_and_fields_make_one_key() {
    let disk = disk(2);
    let node = Node::open(&disk, &clock()).unwrap();
    send_with(
        &node,
        &[
            (r#"{"id":1}"#, "String", "a"),
            (r#"{"id":1}"#, "String", "b"),
            (r#"{"id":2}"#, "String", "a"),
            (r#"{"id":1.0,"x":1}"#, "String", "a"),
        ],
    );
    let totals = node.run(&config(&queue("key: [{ attribute: event_id }, $.id]"))).unwrap();
    assert_eq!(outcome(&totals, Outcome::Delivered), 3);
    assert_eq!(outcome(&totals, Outcome::Duplicate), 1);
}

#[test]
fn a_body_is_a_key_however_it_is_spelled_or_byte_for_byte() {
    let bodies = texts(&[r#"{"a":1,"b":2}"#, r#"{ "b": 2.0, "a": 1 }"#, r#"{"a":1,"b":2}"#]);
    for (seed, key, delivered) in [(3, "body", 1), (4, "raw_body", 2), (5, "broker_id", 3)] {
        let disk = disk(seed);
        let node = Node::open(&disk, &clock()).unwrap();
        node.send("in", &bodies).unwrap();
        let totals = node.run(&config(&queue(&format!("key: {key}")))).unwrap();
        assert_eq!(outcome(&totals, Outcome::Delivered), delivered, "{key}");
        assert_eq!(outcome(&totals, Outcome::Duplicate), 3 - delivered, "{key}");
    }
}

#[test]
fn an_event_without_key_is_rejected_passes_or_is_known_by_its_body() {
    let bodies = texts(&[r#"{"a":1}"#, r#"{ "a": 1.0 }"#, r#"{"id":null,"a":1}"#, r#"{"id":5}"#]);
    for (seed, rule, delivered, duplicate, rejected) in
        [(6, "reject", 1, 0, 3), (7, "pass", 4, 0, 0), (8, "hash_body", 3, 1, 0)]
    {
        let disk = disk(seed);
        let node = Node::open(&disk, &clock()).unwrap();
        node.send("in", &bodies).unwrap();
        let config = config(&queue(&format!("key: $.id, missing_key: {rule}")));
        let totals = node.run(&config).unwrap();
        let found = [Outcome::Delivered, Outcome::Duplicate, Outcome::Rejected]
            .map(|one| outcome(&totals, one));
        assert_eq!(found, [delivered, duplicate, rejected], "{rule}");
        node.close().unwrap();
        assert!(state(&disk).imbalance().is_empty());
        if rule == "reject" {
            let rejected = lines(&disk, "/d/rejected/app.ndjson").join("\n");
            assert!(
                rejected.contains("key_missing") && rejected.contains("key_null"),
                "{rejected}"
            );
        }
    }
}

#[test]
fn a_duplicate_with_another_body_is_dropped_passes_or_dies() {
    let bodies = texts(&[
        r#"{"id":1,"v":1}"#,
        r#"{"id":1,"v":2}"#,
        r#"{"id":1,"v":2}"#,
        r#"{"id":1,"v":1}"#,
    ]);
    for (seed, rule, delivered, duplicate, dead) in
        [(9, "drop", 1, 3, 0), (10, "pass", 2, 2, 0), (11, "dead_letter", 1, 1, 2)]
    {
        let disk = disk(seed);
        let node = Node::open(&disk, &clock()).unwrap();
        node.send("in", &bodies).unwrap();
        let totals =
            node.run(&config(&queue(&format!("key: $.id, on_other_body: {rule}")))).unwrap();
        let found = [Outcome::Delivered, Outcome::Duplicate, Outcome::Dead]
            .map(|one| outcome(&totals, one));
        assert_eq!(found, [delivered, duplicate, dead], "{rule}");
        node.close().unwrap();
        let state = state(&disk);
        assert!(state.imbalance().is_empty());
        assert_eq!(state.pipes[0].letters.len() as u64, dead);
        assert!(state.pipes[0].letters.values().all(|letter| letter.key.is_none()));
    }
}
