//! The examples behind the front door: the IoT walk-through, and generated events over the wire
//! into the lake.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::kit::World;
use crate::served::{Sdk, Served, python};

/// The published message, and the same as another type of event.
const IOT: &str = "%7B%22id%22%3A%221%22%2C%22eventType%22%3A%22IOT_EVENT%22%2C\
    %22eventId%22%3A%22Event1%22%2C%22createdAt%22%3A11999111%2C%22body%22%3A%22Testevent%22%7D";

/// Sends through `send`, moves the clock, and looks at what became of each message.
fn walk_through(world: &World, send: &dyn Fn(&Served, &str)) {
    world.write("clock", "0");
    let served = Served::start(world, &["iot.yaml", "--test-clock", "clock"]);
    served.wait_until("ready", |served| served.page("/readyz").0 == 200);
    let settled = |delivered: u64, duplicate: u64| {
        served.wait_until("settled", |served| {
            let now = (served.outcome("iot", "delivered"), served.outcome("iot", "duplicate"));
            assert!(now.0 <= delivered && now.1 <= duplicate, "{now:?}");
            now == (delivered, duplicate)
        });
    };
    send(&served, IOT);
    settled(1, 0);
    send(&served, IOT);
    settled(1, 1);
    // Who looks at the clock 20 ms after its file changed sees the new time, or a little later if
    // the file was read while it was written.
    world.write("clock", "301000");
    let written = Instant::now();
    served.wait_until("later", |_| written.elapsed() > Duration::from_millis(100));
    send(&served, IOT);
    settled(2, 1);
    send(&served, &IOT.replace("IOT_EVENT", "IPHONE_EVENT"));
    settled(3, 1);
    let (code, said) = served.stop();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("iot: 4 received = 3 delivered + 1 duplicate"), "{said}");
}

#[test]
fn the_iot_walk_through_with_an_sdk() {
    let world = World::with_examples();
    walk_through(&world, &|served, body| {
        let sdk = Sdk::new(served);
        sdk.send(&sdk.queue_url("iot-queue"), body).unwrap();
    });
}

#[test]
fn the_iot_walk_through_with_the_aws_command_line() {
    let Some(python) = python("the_iot_walk_through_with_the_aws_command_line") else { return };
    let aws = Path::new(&python).with_file_name("aws");
    let world = World::with_examples();
    walk_through(&world, &|served, body| {
        let sqs = |words: &[&str]| {
            let endpoint = served.endpoint();
            let mut command = Command::new(&aws);
            command.args(["--endpoint-url", &endpoint, "--output", "text", "sqs"]).args(words);
            command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
            let output = command.env("AWS_DEFAULT_REGION", "us-east-1").output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{words:?}: {said}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let url = sqs(&["get-queue-url", "--queue-name", "iot-queue"]);
        sqs(&["send-message", "--queue-url", &url, "--message-body", body]);
    });
}

/// The lines of a file, each once.
fn lines(world: &World, file: &str) -> BTreeSet<String> {
    String::from_utf8(world.read(file)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn generated_events_go_over_the_wire_into_the_lake_each_once() {
    let world = World::with_examples();
    let pipes = ["learning-app.yaml", "iot.yaml"];
    let words = [&pipes[..], &["--shard-records-in-per-s", "0"]].concat();
    let served = Served::start(&world, &words);
    served.wait_until("ready", |served| served.page("/readyz").0 == 200);
    let endpoint = served.endpoint();
    for (config, to, acknowledged) in [
        ("event_config.yml", "stream:app-events", "stream.txt"),
        ("iot_config.yml", "queue:iot-queue", "queue.txt"),
    ] {
        let words = ["generate", config, "--events", "2k", "--duplicates", "10%", "--to", to];
        let more = ["--endpoint", &endpoint, "--acknowledged", acknowledged, "--json"];
        let summary = world.ok(&[&words[..], &more].concat()).stdout;
        let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["acknowledged"], 2000, "{summary:#}");
        assert_eq!(lines(&world, acknowledged).len(), 1800);
    }
    served.wait_until("settled", |served| {
        let of = |pipe: &str| {
            ["delivered", "duplicate", "filtered"].map(|outcome| served.outcome(pipe, outcome))
        };
        of("learning-app").iter().sum::<u64>() == 2000 && of("iot") == [1800, 200, 0]
    });
    let (delivered, filtered) =
        (served.outcome("learning-app", "delivered"), served.outcome("learning-app", "filtered"));
    let (code, said) = served.stop();
    assert_eq!(code, 0, "{said}");
    world.ok(&[&["compact"][..], &pipes].concat());

    // Heartbeats of the stream aren't there; everything else that was acknowledged is.
    let file = world.ok(&["generate", "event_config.yml", "--events", "2k", "--duplicates", "10%"]);
    let (mut wanted, mut heartbeats) = (BTreeSet::new(), 0);
    for line in file.stdout.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        if event["event_name"] == "app:heartbeat" {
            heartbeats += 1;
        } else {
            wanted.insert(event["event_uuid"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!((wanted.len() as u64, heartbeats), (delivered, filtered));
    assert!(wanted.is_subset(&lines(&world, "stream.txt")));

    let name = "generated_events_go_over_the_wire_into_the_lake_each_once (DuckDB's part)";
    let Some(python) = python(name) else { return };
    let script = r#"
import duckdb
table = "read_parquet('lake/learning-app/table/**/*.parquet', hive_partitioning=true)"
q = f"""select count(*), count(distinct event_uuid),
  count(*) filter (language_id != event_specifics.language_id), count(distinct language_id),
  min(year), max(month), any_value(typeof(created_at)) from {table}"""
print(*duckdb.sql(q).fetchall()[0])
"#;
    let mut command = Command::new(python);
    let output = command.args(["-c", script]).current_dir(world.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with(&format!("{delivered} {delivered} 0 8 2026 11 ")), "{said}");
}
