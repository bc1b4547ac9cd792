//! `prove`: a short proof of the examples with each sort of fault, and every breakage found.

use serde_json::Value;

use crate::kit::World;

/// A short proof; `make prove` takes longer ones.
const TIME: &str = "15s";
/// By then a breakage is found, on a slow machine, too.
const FOUND_BY: &str = "90s";

/// A file that goes to a file, a queue, a stream and a receiver over HTTP.
const EVERY_SINK: &str = "pipe: every-sink
source: { file: { path: in.ndjson } }
dedup: { key: $.id, window: 10m }
sinks:
  - file: { path: out.ndjson }
  - sqs: { queue: out }
  - kinesis: { stream: out, shards: 2 }
  - http: { url: \"http://127.0.0.1:9/nobody\" }
";

/// A queue that goes to a queue.
const QUEUES: &str = "pipe: queues
source: { sqs: { queue: in } }
dedup: { key: $.id, window: 10m }
sink: { sqs: { queue: out } }
";

fn time() -> String {
    std::env::var("ONCEFLOW_PROVE_TIME").unwrap_or_else(|_| TIME.to_owned())
}

/// Proves, and says what came of it.
fn prove(world: &World, words: &[&str]) -> (i32, Value) {
    let words: Vec<&str> = ["prove", "--json"].iter().chain(words).copied().collect();
    let ended = world.run(&words);
    let proof = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.code, proof)
}

/// Everything is 0 that must be, and each of `sorts` was done.
fn holds((code, proof): &(i32, Value), sorts: &[&str]) {
    for count in ["lost", "twice", "shadowed", "imbalance", "strange"] {
        assert_eq!(proof[count], 0, "{count}: {proof:#}");
    }
    assert_eq!((*code, &proof["holds"]), (0, &Value::Bool(true)), "{proof:#}");
    for sort in sorts {
        let done = &proof.pointer(sort).and_then(Value::as_u64);
        assert!(done.is_some_and(|done| done > 0), "{sort} was never done: {proof:#}");
    }
    assert!(proof["acknowledged"].as_u64().unwrap() > 100, "{proof:#}");
}

const SORTS: [&str; 7] = [
    "/kills/power_loss",
    "/kills/in_an_operation",
    "/kills/at_a_random_time",
    "/faults/io_error",
    "/faults/io_error_stopped",
    "/faults/full_disk",
    "/faults/clock_jumps",
];

#[test]
fn p1_p2_p3_p4_p7_hold_for_the_queue_example() {
    let world = World::with_examples();
    holds(&prove(&world, &["iot.yaml", "--time", &time()]), &SORTS);
}

#[test]
fn p1_p2_p3_p4_p7_hold_for_the_stream_example() {
    let world = World::with_examples();
    let words = ["learning-app.yaml", "--generate", "event_config.yml", "--time", &time()];
    holds(&prove(&world, &words), &SORTS);
}

#[test]
fn p1_p2_p3_p4_p7_hold_for_every_sort_of_sink() {
    let world = World::new();
    world.write("every-sink.yaml", EVERY_SINK);
    let proof = prove(&world, &["every-sink.yaml", "--time", &time()]);
    holds(&proof, &[&SORTS[..], &["/faults/failed_calls"]].concat());
    let notes = proof.1["notes"].to_string();
    assert!(notes.contains("in.ndjson") && notes.contains("127.0.0.1:9/nobody"), "{notes}");
    assert!(!world.path("out.ndjson").exists(), "the user's own sink was written to");
}

/// A breakage must be found, and what is said of it must hold one of `words`.
fn is_found(plant: &str, pipe: &str, words: &[&str]) {
    let world = World::with_examples();
    world.write("queues.yaml", QUEUES);
    let (code, proof) = prove(&world, &[pipe, "--plant", plant, "--time", FOUND_BY]);
    assert_eq!(code, 1, "{plant} was not found: {proof:#}");
    let said = format!("{} {}", proof["named"], proof["trouble"]);
    assert!(words.iter().any(|word| said.contains(word)), "{plant}: {proof:#}");
    assert!(proof["again"].as_str().unwrap().contains("--seed 1"), "{proof:#}");
    println!(
        "{plant}: found after {} runs, {} kills, {} s",
        proof["runs"], proof["kills"]["all"], proof["seconds"]
    );
}

#[test]
fn acknowledging_before_the_commit_is_found() {
    is_found("ack_before_commit", "iot.yaml", &["lost:"]);
}

#[test]
fn a_missing_sync_is_found() {
    is_found("no_sync", "iot.yaml", &["lost:", "can't be read", "is corrupt"]);
}

#[test]
fn publishing_before_the_commit_is_found() {
    is_found("publish_before_commit", "iot.yaml", &["twice:", "is gone"]);
}

#[test]
fn a_reservation_that_counts_as_a_commit_is_found() {
    is_found("reserve_is_commit", "iot.yaml", &["lost:"]);
}

#[test]
fn a_cut_that_is_left_out_is_found() {
    is_found("no_truncate", "iot.yaml", &["twice:", "bytes"]);
}

#[test]
fn counters_that_are_derived_are_found() {
    is_found("derived_counters", "learning-app.yaml", &["accounted for"]);
}

/// Conservation names the batch that broke the balance.
#[test]
fn p4_an_event_that_is_dropped_between_two_steps_is_found() {
    is_found("drop_event", "learning-app.yaml", &["batch: BatchNumber("]);
}

#[test]
fn a_proof_goes_on_from_a_copy_and_leaves_the_original_alone() {
    let world = World::new();
    let config = "pipe: app\nsource: { file: { path: in.ndjson } }\n\
                  dedup: { key: $.id, window: 10m }\nsink: { file: { path: out.ndjson } }\n";
    world.write("app.yaml", config);
    world.write("in.ndjson", "{\"id\":\"mine-1\"}\n{\"id\":\"mine-2\"}\n");
    world.ok(&["run", "app.yaml"]);
    let before: Vec<_> = crate::kit::files(&world.path("onceflow-data"))
        .into_iter()
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let proof = prove(&world, &["app.yaml", "--time", "3s"]);
    holds(&proof, &["/kills/power_loss"]);
    assert!(proof.1["notes"].to_string().contains("a copy of"), "{:#}", proof.1);
    for (path, bytes) in before {
        assert!(std::fs::read(&path).unwrap() == bytes, "{} was changed", path.display());
    }
    assert_eq!(world.read("out.ndjson"), world.read("in.ndjson"));
}

#[test]
fn recorded_events_are_fed_as_they_came() {
    let world = World::new();
    world.write("queues.yaml", QUEUES);
    let events: String =
        (0..2_000).map(|id| format!("{{\"id\":{id},\"from\":\"a log\"}}\n")).collect();
    world.write("events.ndjson", events);
    let words = ["queues.yaml", "--events", "events.ndjson", "--kills", "20", "--faults", "4"];
    let proof = prove(&world, &words);
    holds(&proof, &["/kills/power_loss"]);
    assert!(proof.1["kills"]["all"].as_u64().unwrap() >= 20, "{:#}", proof.1);
    assert!(proof.1["faults"]["all"].as_u64().unwrap() >= 4, "{:#}", proof.1);
}

#[test]
fn what_can_not_be_asked_for_is_refused_by_name() {
    let world = World::with_examples();
    let plant = world.run(&["prove", "iot.yaml", "--plant", "gremlins"]);
    plant.expect(2, &["there is no `gremlins`", "ack_before_commit", "drop_event"]);
    let time = world.run(&["prove", "iot.yaml", "--time", "soon"]);
    time.expect(2, &["--time: `soon` is no length of time"]);
}
