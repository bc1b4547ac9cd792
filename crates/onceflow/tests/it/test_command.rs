//! `onceflow test`: what passes, what fails and how it is shown, and that nothing is on disk.

use serde_json::{Value, json};

use crate::kit::World;

const PIPE: &str = "pipe: app\n\
    source: { sqs: { queue: app } }\n\
    envelope: { type: $.type }\n\
    dedup: { key: $.id, window: 5m }\n\
    filter: { type: [{ anything-but: noise }] }\n\
    transform:\n  - rename: { from: $.n, to: number }\n\
    sink: { lake: { path: lake } }\n\
    tests:\n";

fn with(tests: &str) -> World {
    let world = World::new();
    world.write("app.yaml", format!("{PIPE}{tests}"));
    world
}

#[test]
fn tests_that_pass_are_listed_and_nothing_is_on_disk() {
    let world = with(
        "- name: once\n  given: [{ id: 1, type: a, n: 2.50 }, { id: 1, type: a, n: 2.50 }]\n  \
           expect: [{ type: a, number: 2.5, id: 1.0 }]\n\
         - given: [{ id: 1, type: a }, { $wait: 5m }, { id: 1, type: a }, { id: 2, type: noise }]\n  \
           outcomes: { delivered: 2, duplicate: 0, filtered: 1 }\n",
    );
    let ended = world.ok(&["test", "app.yaml"]);
    assert_eq!(ended.stdout, "app:\n  ok      once\n  ok      test 2\n2 tests passed\n");
    assert_eq!(ended.stderr, "");
    let left: Vec<_> = std::fs::read_dir(world.path("")).unwrap().collect();
    assert_eq!(left.len(), 1, "only the config is there: {left:?}");
}

#[test]
fn every_test_begins_with_an_empty_ledger() {
    let test = "- given: [{ id: 1, type: a }]\n  outcomes: { delivered: 1 }\n";
    assert!(with(&test.repeat(3)).ok(&["test", "app.yaml"]).stdout.contains("3 tests passed"));
}

#[test]
fn a_test_that_fails_shows_what_was_expected_and_what_came() {
    let world = with(
        "- name: good\n  given: [{ id: 1, type: a }]\n  expect: [{ id: 1, type: a }]\n\
         - name: bad\n  given:\n  - { id: 1, type: a, n: 7, in: { x: 1 } }\n  - { id: 1, type: a }\n  \
           - \"{broken\"\n  - { id: 2, type: a }\n  - { id: 3, type: a }\n  \
           expect: [{ id: 1, type: a, number: 8, in: { x: 2 } }, { id: 3, type: a }, { id: 4, type: a }]\n  \
           outcomes: { duplicate: 2, rejected: 1 }\n",
    );
    let ended = world.run(&["test", "app.yaml"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let expected = "app:\n\
        \x20 ok      good\n\
        \x20 FAILED  bad (app.yaml:13)\n\
        \x20   delivered, - expected, + came:\n\
        \x20     - {\"id\":1,\"type\":\"a\",\"number\":8,\"in\":{\"x\":2}}\n\
        \x20     + {\"id\":1,\"type\":\"a\",\"number\":7,\"in\":{\"x\":1}}\n\
        \x20         $.number: 8 expected, 7 came\n\
        \x20         $.in.x: 2 expected, 1 came\n\
        \x20     + {\"id\":2,\"type\":\"a\"}\n\
        \x20       {\"id\":3,\"type\":\"a\"}\n\
        \x20     - {\"id\":4,\"type\":\"a\"}\n\
        \x20   duplicate: 2 expected, 1 came\n\
        \x20   given 2: duplicate: {\"id\":1,\"type\":\"a\"}\n\
        \x20   given 3: rejected (json_broken: ";
    assert!(ended.stdout.starts_with(expected), "{}\ninstead of\n{expected}", ended.stdout);
    assert!(ended.stdout.ends_with("1 test passed, 1 FAILED\n"), "{}", ended.stdout);
}

#[test]
fn json_says_the_same_for_scripts() {
    let world = with(
        "- name: bad\n  given: [{ id: 1, type: a }, \"{broken\"]\n  \
           expect: []\n  outcomes: { rejected: 2 }\n",
    );
    let ended = world.run(&["test", "app.yaml", "--json"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&json["passed"], &json["failed"]), (&json!(0), &json!(1)));
    let test = &json["pipes"][0]["tests"][0];
    assert_eq!(test["passed"], false);
    assert_eq!(
        (&test["outcomes"]["delivered"], &test["outcomes"]["rejected"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(test["given"][0], json!({ "outcome": "delivered", "type": "a", "reason": null }));
    assert!(test["given"][1]["reason"].as_str().unwrap().starts_with("json_broken: "));
    let delivered = json!({ "delivered": [{ "extra": { "id": 1, "type": "a" } }] });
    let rejected = json!({ "outcome": "rejected", "expected": 2, "came": 1 });
    assert_eq!(test["differences"], json!([delivered, rejected]));
}

#[test]
fn a_pipe_without_tests_says_so_and_others_go_on() {
    let world = with("- given: [{ id: 1, type: a }]\n  outcomes: { delivered: 1 }\n");
    let without = "pipe: bare\nsource: { file: { path: none.ndjson } }\nsink: { stdout: {} }\n";
    world.write("bare.yaml", without);
    let ended = world.ok(&["test", "bare.yaml", "app.yaml"]);
    assert!(ended.stdout.starts_with("bare: no tests"), "{}", ended.stdout);
    assert!(ended.stdout.ends_with("1 test passed\n"), "{}", ended.stdout);
}

#[test]
fn a_text_is_sent_as_it_is() {
    let world = World::new();
    let pipe = "pipe: app\nsource: { sqs: { queue: app } }\ndecode: [base64, json]\n\
        dedup: { key: $.id, window: 5m }\nsink: { stdout: {} }\ntests:\n\
        - given: [eyJpZCI6MX0=, \"{\\\"id\\\":1}\"]\n  expect: [{ id: 1 }]\n  \
          outcomes: { delivered: 1, rejected: 1 }\n";
    world.write("app.yaml", pipe);
    world.ok(&["test", "app.yaml"]);
}

#[test]
fn events_have_the_times_that_they_have() {
    let world = World::new();
    let pipe = "pipe: app\nsource: { kinesis: { stream: app } }\n\
        envelope: { time: { path: $.at, format: epoch_seconds } }\n\
        dedup: { key: $.id, window: 10m, clock: event, lateness: 1m }\nsink: { stdout: {} }\ntests:\n\
        - given: [{ id: 1, at: 4000000000 }, { id: 1, at: 4000000599 }, { id: 1, at: 4000000600 },\n  \
             { id: 2, at: 4000000500 }]\n  \
          outcomes: { delivered: 2, duplicate: 1, rejected: 1 }\n";
    world.write("app.yaml", pipe);
    let ended = world.ok(&["test", "app.yaml", "--json"]);
    assert!(ended.stdout.contains("late: "), "{}", ended.stdout);
}

#[test]
fn a_mistake_in_a_test_is_one_of_the_config() {
    let world = with("- given: [{ id: 1, type: a }]\n  outcomes: { deliverd: 1 }\n");
    world.run(&["test", "app.yaml"]).expect(2, &["app.yaml:", "did you mean `delivered`?"]);
    let world = with("- given: [{ id: 1, type: a }]\n");
    world.run(&["test", "app.yaml"]).expect(2, &["this test compares nothing"]);
    let world = with("- given: [{ $wait: soon }]\n  expect: []\n");
    world.run(&["test", "app.yaml"]).expect(2, &["`$wait: \"soon\"`", "{ $wait: 5m }"]);
    World::new().run(&["test"]).expect(2, &["PIPE.yaml"]);
}
