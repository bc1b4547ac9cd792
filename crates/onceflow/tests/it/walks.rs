//! What a new user does with the two examples, with the tools that they have: the AWS CLI, DuckDB.

use std::process::Command;

use crate::kit::World;
use crate::served::{Served, python};

const MESSAGE: &str = "%7B%22id%22%3A%221%22%2C%22eventType%22%3A%22IOT_EVENT%22%2C%22eventId%22\
    %3A%22Event1%22%2C%22createdAt%22%3A11999111%2C%22body%22%3A%22Testevent%22%7D";

/// Runs the AWS CLI, which lies next to the interpreter.
fn aws(python: &str, served: &Served, words: &[&str]) -> String {
    let cli = std::path::Path::new(python).with_file_name("aws");
    let ended = Command::new(cli)
        .args(["--endpoint-url", &served.endpoint(), "--output", "text"])
        .args(words)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .output()
        .unwrap();
    assert!(ended.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}

#[test]
fn iot_first_delivered_then_duplicate_after_five_minutes_delivered_again() {
    let Some(python) = python("the IoT walk with the AWS CLI") else { return };
    let world = World::with_examples();
    world.write("clock", "0");
    let served = Served::start(&world, &["iot.yaml", "--test-clock", "clock"]);
    let queue = aws(&python, &served, &["sqs", "get-queue-url", "--queue-name", "iot-queue"]);
    let send = |body: &str| {
        let words = ["sqs", "send-message", "--queue-url", &queue, "--message-body", body];
        aws(&python, &served, &words);
    };
    let wait = |delivered: u64, duplicate: u64| {
        served.wait_until(&format!("{delivered} + {duplicate}"), |served| {
            served.outcome("iot", "delivered") == delivered
                && served.outcome("iot", "duplicate") == duplicate
        });
    };
    send(MESSAGE);
    wait(1, 0);
    send(MESSAGE);
    wait(1, 1);
    world.write("clock", "300000");
    send(MESSAGE);
    wait(2, 1);
    send(&MESSAGE.replace("IOT_EVENT", "IPHONE_EVENT"));
    wait(3, 1);
    assert_eq!(served.stop().0, 0);
    let row = "{\"id\":\"1\",\"eventType\":\"IOT_EVENT\",\"eventId\":\"Event1\",\
        \"createdAt\":11999111,\"body\":\"Testevent\"}\n";
    let mut rows = vec![row.to_owned(), row.to_owned(), row.replace("IOT_EVENT", "IPHONE_EVENT")];
    rows.sort();
    let found: Vec<String> = world
        .lake_rows("lake/iot")
        .into_iter()
        .map(|row| String::from_utf8(row).unwrap())
        .collect();
    assert_eq!(found, rows);
}

#[test]
fn learning_app_generated_events_over_the_wire_end_as_parquet_that_duckdb_reads() {
    let Some(python) = python("the learning app's walk with DuckDB") else { return };
    // A million by hand or in a release build; the way is the same.
    let events: u64 = match std::env::var("ONCEFLOW_WALK_EVENTS") {
        Ok(text) => text.parse().expect("ONCEFLOW_WALK_EVENTS is a number"),
        Err(_) => 20_000,
    };
    let world = World::with_examples();
    // The limits of a shard are off: they would take an hour for an hour's events.
    let words = ["learning-app.yaml", "--shard-records-in-per-s", "0"];
    let served = Served::start(&world, &words);
    let generate = |extra: &[&str]| {
        let count = events.to_string();
        let words = ["generate", "event_config.yml", "--events", &count, "--duplicates", "10%"];
        let words: Vec<&str> = words.iter().chain(extra).copied().collect();
        world.ok(&words)
    };
    generate(&["--to", "stream:app-events", "--endpoint", &served.endpoint()]);
    // The same seed, so the same events: what was sent, for whoever checks.
    generate(&["--out", "sent.ndjson"]);
    served.wait_until("settled", |served| {
        let outcomes = ["delivered", "duplicate", "filtered"];
        let settled: u64 =
            outcomes.iter().map(|outcome| served.outcome("learning-app", outcome)).sum();
        settled >= events
    });
    assert_eq!(served.stop().0, 0);
    let said = world.ok(&["compact", "learning-app.yaml"]).stdout;
    assert!(said.contains("Parquet files"), "{said}");
    let report = world.ok(&["report", "learning-app.yaml"]).stdout;
    assert!(report.contains("app-events"), "{report}");

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/python/learning_app.py");
    let checked = Command::new(python)
        .args([script, "sent.ndjson", "lake/learning-app/table"])
        .current_dir(world.path(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert!(checked.status.success(), "{said}{wrong}");
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), 6, "{said}");
}
