//! Streams and queues of the embedded broker as sources.

use broker::queues::{MessageAttribute, NewMessage};
use event::Outcome;
use pipe::engine::Totals;

use super::{Node, clock};
use crate::world::{config, disk, lines, state};

fn outcome(totals: &Totals, outcome: Outcome) -> u64 {
    totals.outcomes[outcome.index()]
}

fn events(ids: std::ops::Range<usize>) -> Vec<String> {
    ids.map(|id| format!("{{\"id\":{id}}}")).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// The same for a second pipe, with files of its own.
fn second(yaml: &str) -> String {
    yaml.replace("pipe: app", "pipe: two")
        .replace("out.ndjson", "two.ndjson")
        .replace("app.ndjson", "two.ndjson")
}

const QUEUE: &str = "pipe: app\nsource: { sqs: { queue: in } }\n\
                     dedup: { key: $.id, window: 10m }\n\
                     sink: { file: { path: /c/out/out.ndjson } }\n\
                     rejected: { path: /d/rejected/app.ndjson }\n";
const PLAIN_QUEUE: &str = "pipe: app\nsource: { sqs: { queue: in } }\n\
                           sink: { file: { path: /c/out/out.ndjson } }\n";
const STREAM: &str = "pipe: app\nsource: { kinesis: { stream: in, shards: 3 } }\n\
                      dedup: { key: $.id, window: 10m }\n\
                      sink: { file: { path: /c/out/out.ndjson } }\n\
                      rejected: { path: /d/rejected/app.ndjson }\n";

#[test]
fn a_pipe_makes_the_queue_and_the_stream_that_it_names() {
    let disk = disk(1);
    let node = Node::open(&disk, &clock()).unwrap();
    node.run(&config(QUEUE)).unwrap();
    node.run(&config(&second(STREAM))).unwrap();
    assert_eq!(node.broker.queues().get("in").unwrap().name(), "in");
    assert_eq!(node.broker.streams().get("in").unwrap().shards().len(), 3);
}

#[test]
fn what_is_settled_is_deleted_and_its_id_forgotten() {
    let disk = disk(2);
    let node = Node::open(&disk, &clock()).unwrap();
    node.send("in", &events(0..20)).unwrap();
    let totals = node.run(&config(QUEUE)).unwrap();
    assert_eq!((totals.received, outcome(&totals, Outcome::Delivered)), (20, 20));
    let counts = node.queue("in").unwrap().statistics();
    assert_eq!((counts.visible, counts.in_flight, counts.deleted), (0, 0, 20));
    node.close().unwrap();
    assert!(state(&disk).pipes[0].message_ids.is_empty(), "the last record forgets them");
}

#[test]
fn a_settled_message_that_comes_again_is_a_duplicate_by_its_id_alone() {
    // The commit happened and the delete didn't: found by crashing at every operation. Without
    // keys only the id tells.
    let run = |disk: &journal::SimDisk| {
        let node = Node::open(disk, &clock())?;
        let totals = node.run(&config(PLAIN_QUEUE))?;
        node.close()?;
        Ok::<_, String>(totals)
    };
    let prepared = || {
        let disk = disk(3);
        let node = Node::open(&disk, &clock()).unwrap();
        node.send("in", &events(0..10)).unwrap();
        node.close().unwrap();
        disk
    };
    let before = prepared().ops();
    let whole = prepared();
    run(&whole).unwrap();
    let mut redelivered = 0;
    for op in before + 1..=whole.ops() {
        let crashed = prepared();
        crashed.crash_at(op);
        let _ = run(&crashed);
        let survivor = crashed.after_process_kill();
        let totals = run(&survivor).unwrap();
        redelivered = redelivered.max(outcome(&totals, Outcome::Duplicate));
        let rows = sorted(lines(&survivor, "/c/out/out.ndjson"));
        assert_eq!(rows, sorted(events(0..10)), "crash at operation {op}");
    }
    assert_eq!(redelivered, 10, "no crash fell between commit and delete");
}

#[test]
fn messages_that_were_not_settled_show_again_at_once() {
    let disk = disk(4);
    let node = Node::open(&disk, &clock()).unwrap();
    node.send("in", &events(0..10)).unwrap();
    let mut parts = node.parts(&config(QUEUE)).unwrap();
    let stop = event::source::Stop::default();
    let received = parts.source.receive(&parts.batch, &stop).unwrap();
    assert!(matches!(received, event::source::Received::Batch(batch) if batch.events.len() == 10));
    assert_eq!(node.queue("in").unwrap().statistics().in_flight, 10);
    drop(parts);
    let counts = node.queue("in").unwrap().statistics();
    assert_eq!((counts.visible, counts.in_flight), (10, 0));
}

#[test]
fn two_pipes_of_one_scope_deliver_what_comes_through_both_brokers_once() {
    let disk = disk(5);
    let clock = clock();
    let node = Node::open(&disk, &clock).unwrap();
    node.send("in", &events(0..30)).unwrap();
    node.put("in", &events(20..50)).unwrap();
    let scoped = |yaml: &str| yaml.replace("window: 10m", "window: 10m, scope: both");
    let queue = node.run(&config(&scoped(QUEUE))).unwrap();
    let stream = node.run(&config(&second(&scoped(STREAM)))).unwrap();
    assert_eq!(outcome(&queue, Outcome::Delivered), 30);
    assert_eq!(outcome(&stream, Outcome::Delivered), 20);
    assert_eq!(outcome(&stream, Outcome::Duplicate), 10);
    node.close().unwrap();
    let mut all = lines(&disk, "/c/out/out.ndjson");
    all.extend(lines(&disk, "/c/out/two.ndjson"));
    assert_eq!(sorted(all), sorted(events(0..50)));
    assert!(state(&disk).imbalance().is_empty());
}

#[test]
fn a_restart_goes_on_where_the_last_run_stopped() {
    let disk = disk(6);
    for part in 0..3 {
        let node = Node::open(&disk, &clock()).unwrap();
        node.put("in", &events(part * 10..part * 10 + 10)).unwrap();
        let totals = node.run(&config(STREAM)).unwrap();
        assert_eq!((totals.received, totals.reread), (10, 0));
        node.close().unwrap();
    }
    assert_eq!(sorted(lines(&disk, "/c/out/out.ndjson")), sorted(events(0..30)));
}

#[test]
fn start_latest_leaves_out_what_was_there_and_a_restart_does_not_begin_again() {
    let disk = disk(7);
    let yaml = STREAM.replace("shards: 3", "shards: 3, start: latest");
    let node = Node::open(&disk, &clock()).unwrap();
    node.put("in", &events(0..10)).unwrap();
    assert_eq!(node.run(&config(&yaml)).unwrap().received, 0);
    // Put after the pipe began, read by its next run.
    node.put("in", &events(10..20)).unwrap();
    node.close().unwrap();
    let node = Node::open(&disk, &clock()).unwrap();
    assert_eq!(node.run(&config(&yaml)).unwrap().received, 10);
    assert_eq!(sorted(lines(&disk, "/c/out/out.ndjson")), sorted(events(10..20)));
}

#[test]
fn a_queue_or_stream_deleted_while_a_pipe_reads_it_is_named_with_those_that_exist() {
    let disk = disk(8);
    let node = Node::open(&disk, &clock()).unwrap();
    node.queue("other").unwrap();
    let parts = node.parts(&config(QUEUE)).unwrap();
    node.broker.queues().delete("in").wait().unwrap();
    let stop = event::source::Stop::default();
    let error = pipe::engine::inline::run(parts, &stop).unwrap_err().to_string();
    assert!(error.contains("queue `in`") && error.contains("other"), "{error}");

    node.stream("another", 1).unwrap();
    let parts = node.parts(&config(&second(STREAM))).unwrap();
    node.broker.streams().delete("in").unwrap();
    let error = pipe::engine::inline::run(parts, &stop).unwrap_err().to_string();
    assert!(error.contains("stream `in`") && error.contains("another"), "{error}");
}

#[test]
fn a_queue_made_anew_under_the_same_name_is_another_one() {
    let disk = disk(9);
    for life in 0..2 {
        let node = Node::open(&disk, &clock()).unwrap();
        if life > 0 {
            node.broker.queues().delete("in").wait().unwrap();
            node.broker.streams().delete("in").unwrap();
        }
        node.send("in", &events(life * 10..life * 10 + 5)).unwrap();
        node.put("in", &events(life * 10 + 5..life * 10 + 10)).unwrap();
        assert_eq!(node.run(&config(QUEUE)).unwrap().received, 5);
        let totals = node.run(&config(&second(STREAM))).unwrap();
        assert_eq!((totals.received, totals.expired), (5, 0), "its numbers begin anew");
        node.close().unwrap();
    }
}

#[test]
fn bad_input_through_both_brokers_is_rejected_whole_and_the_rest_goes_on() {
    let bad = ["%7Bnot", "", "{\"id\":", "{\"id\":1}\n{\"id\":2}", "{\"x\":1}"].map(str::to_owned);
    for (yaml, seed) in [(QUEUE, 10), (STREAM, 11)] {
        let disk = disk(seed);
        let node = Node::open(&disk, &clock()).unwrap();
        let mut all = bad.to_vec();
        all.extend(events(5..9));
        match yaml == QUEUE {
            true => node.send("in", &all).unwrap(),
            false => {
                let mut all = all.clone();
                all.retain(|payload| !payload.is_empty());
                node.put("in", &all).unwrap();
            }
        }
        let totals = node.run(&config(yaml)).unwrap();
        assert_eq!(outcome(&totals, Outcome::Delivered), 4);
        assert_eq!(outcome(&totals, Outcome::Rejected), totals.received - 4);
        node.close().unwrap();
        let rejected = disk.read_file(std::path::Path::new("/d/rejected/app.ndjson")).unwrap();
        let rows = connect_rows(&rejected);
        assert!(rows.iter().all(|row| bad.contains(row)), "{rows:?}");
        assert_eq!(rows.len() as u64, totals.received - 4);
    }
}

/// The payloads of a rejected file.
fn connect_rows(file: &[u8]) -> Vec<String> {
    let rows = String::from_utf8(file.to_vec()).unwrap();
    let raw = |row: &str| {
        let row: serde_json::Value = serde_json::from_str(row).unwrap();
        row["raw"].as_str().unwrap().to_owned()
    };
    rows.lines().map(raw).collect()
}

#[test]
fn a_rejected_message_keeps_its_attributes_and_a_newline_inside_a_payload_stays_one_row() {
    let disk = disk(12);
    let node = Node::open(&disk, &clock()).unwrap();
    let attribute = |at: usize| MessageAttribute {
        name: format!("a{at}"),
        data_type: "String".into(),
        value: format!("v{at}").into(),
    };
    let attributes = (0..10).map(attribute).collect();
    let empty = NewMessage { attributes, ..NewMessage::default() };
    let pretty = NewMessage { body: "{\n \"id\": 1\n}".into(), ..NewMessage::default() };
    node.queue("in").unwrap().send(vec![pretty, empty]).wait().unwrap();
    let totals = node.run(&config(QUEUE)).unwrap();
    assert_eq!(outcome(&totals, Outcome::Rejected), 1);
    assert_eq!(lines(&disk, "/c/out/out.ndjson"), ["{  \"id\": 1 }"]);
    let rejected = lines(&disk, "/d/rejected/app.ndjson").remove(0);
    let row: serde_json::Value = serde_json::from_str(&rejected).unwrap();
    assert_eq!(row["attributes"].as_array().unwrap().len(), 10);
    assert_eq!(row["attributes"][3]["value"], "v3");
}
