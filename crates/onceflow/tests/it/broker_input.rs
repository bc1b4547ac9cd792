//! Bad input through both brokers: each case is counted and kept whole with its reason, or refused
//! by the service with its own error; nothing stops the pipe.

use crate::kit::World;
use crate::served::{Sdk, Served};

fn pipe(name: &str, source: &str, decode: &str) -> String {
    format!(
        "pipe: {name}\n\
         source: {source}\n\
         decode: {decode}\n\
         envelope: {{ type: $.type }}\n\
         dedup: {{ key: $.id, window: 1h }}\n\
         sink: {{ file: {{ path: {name}.ndjson }} }}\n"
    )
}

/// Payloads that no pipe can use, and the rule that says so. The first are text, as queues want it.
fn cases() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("json_broken", b"{\"id\":1,\"type\":\"a\"".to_vec()),
        ("json_not_an_object", b"garbage".to_vec()),
        ("json_not_an_object", b"[1,2]".to_vec()),
        ("json_trailing_bytes", b"{\"id\":1,\"type\":\"a\"} {}".to_vec()),
        ("key_missing", b"{\"type\":\"a\"}".to_vec()),
        ("key_null", b"{\"id\":null,\"type\":\"a\"}".to_vec()),
        ("key_not_scalar", b"{\"id\":{},\"type\":\"a\"}".to_vec()),
        ("json_ambiguous_field", b"{\"id\":1,\"id\":2,\"type\":\"a\"}".to_vec()),
        ("type_missing", b"{\"id\":5}".to_vec()),
        ("type_not_a_string", b"{\"id\":6,\"type\":7}".to_vec()),
        ("invalid_utf8", b"{\"id\":\"\xff\",\"type\":\"a\"}".to_vec()),
        ("json_control_character", b"{\"id\":91,\"type\":\"a\",\"note\":\"\0\"}".to_vec()),
    ]
}

/// Whether a queue takes it: text without control characters.
fn is_text(case: &[u8]) -> bool {
    std::str::from_utf8(case).is_ok_and(|text| !text.contains('\0'))
}

fn rejected(served: &Served, pipe: &str) -> u64 {
    served.outcome(pipe, "rejected")
}

fn assert_kept(world: &World, pipe: &str, wanted: &[(&str, Vec<u8>)]) {
    let mut found: Vec<(String, String)> = world
        .rejected(pipe)
        .iter()
        .map(|row| {
            let payload = row.get("raw").or(row.get("raw_base64")).unwrap();
            (row["reason"].as_str().unwrap().to_owned(), payload.as_str().unwrap().to_owned())
        })
        .collect();
    found.sort();
    let mut reasons: Vec<&str> = wanted.iter().map(|(reason, _)| *reason).collect();
    reasons.sort_unstable();
    let of_found: Vec<&str> = found.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(of_found, reasons, "{pipe}");
    for (reason, case) in wanted.iter().filter(|(_, case)| is_text(case)) {
        let text = String::from_utf8(case.clone()).unwrap();
        let kept = found.iter().any(|(of, raw)| of == reason && *raw == text);
        assert!(kept, "{pipe}: not whole: {reason} {text}");
    }
}

#[test]
fn every_case_is_counted_and_kept_whole_through_stream_and_queue() {
    let world = World::new();
    let stream = pipe("stream", "{ kinesis: { stream: in, shards: 2 } }", "[json]");
    let queue = pipe("queue", "{ sqs: { queue: in } }", "[json]");
    world.write("app.yaml", format!("{stream}---\n{queue}"));
    let served = Served::start(&world, &["app.yaml"]);
    let sdk = Sdk::new(&served);
    let url = sdk.queue_url("in");
    let good = |number: usize| format!("{{\"id\":{},\"type\":\"a\"}}", 1000 + number);
    let cases = cases();
    let mut into_queue = Vec::new();
    for (number, (reason, case)) in cases.iter().enumerate() {
        sdk.put("in", case).unwrap();
        sdk.put("in", good(number).as_bytes()).unwrap();
        if is_text(case) {
            sdk.send(&url, std::str::from_utf8(case).unwrap()).unwrap();
            into_queue.push((*reason, case.clone()));
        }
        sdk.send(&url, &good(number)).unwrap();
    }
    // What isn't text is refused by the queue, not taken and lost.
    let refused = sdk.send(&url, "{\"id\":91,\"type\":\"a\",\"note\":\"\u{1}\"}").unwrap_err();
    assert!(refused.contains("InvalidMessageContents"), "{refused}");
    served.wait_until("settled", |served| {
        rejected(served, "stream") == cases.len() as u64
            && rejected(served, "queue") == into_queue.len() as u64
            && ["stream", "queue"]
                .iter()
                .all(|pipe| served.outcome(pipe, "delivered") == cases.len() as u64)
    });
    assert_eq!(served.stop().0, 0);
    assert_kept(&world, "stream", &cases);
    assert_kept(&world, "queue", &into_queue);
}

#[test]
fn garbage_under_url_and_base64_is_kept_as_it_came() {
    let world = World::new();
    let url_pipe = pipe("urls", "{ sqs: { queue: urls } }", "[url, json]");
    let base64_pipe = pipe("base64s", "{ sqs: { queue: base64s } }", "[base64, json]");
    world.write("app.yaml", format!("{url_pipe}---\n{base64_pipe}"));
    let served = Served::start(&world, &["app.yaml"]);
    let sdk = Sdk::new(&served);
    let cases = [
        ("urls", "%7B%22id%22%3A%2"),
        ("urls", "%ZZ"),
        ("urls", "%7B%22id%22%3A"),
        ("base64s", "not base64!"),
        ("base64s", "eyJpZCI6MX0=="),
        ("base64s", "eyJpZCI6"),
    ];
    for (queue, body) in cases {
        sdk.send(&sdk.queue_url(queue), body).unwrap();
    }
    sdk.send(&sdk.queue_url("urls"), "%7B%22id%22%3A1%2C%22type%22%3A%22a%22%7D").unwrap();
    served.wait_until("settled", |served| {
        rejected(served, "urls") == 3
            && rejected(served, "base64s") == 3
            && served.outcome("urls", "delivered") == 1
    });
    assert_eq!(served.stop().0, 0);
    for pipe in ["urls", "base64s"] {
        let mut kept: Vec<String> = world
            .rejected(pipe)
            .iter()
            .map(|row| row["raw"].as_str().unwrap().to_owned())
            .collect();
        kept.sort();
        let mut sent: Vec<&str> =
            cases.iter().filter(|(queue, _)| *queue == pipe).map(|(_, body)| *body).collect();
        sent.sort_unstable();
        assert_eq!(kept, sent);
    }
}

/// A record of the largest size goes through; a larger one is refused with the service's error.
#[test]
fn p6_a_record_of_1_mib_goes_through_and_a_larger_one_is_refused() {
    let world = World::new();
    world.write("app.yaml", pipe("stream", "{ kinesis: { stream: in } }", "[json]"));
    let served = Served::start(&world, &["app.yaml", "--shard-records-in-per-s", "0"]);
    let sdk = Sdk::new(&served);
    let record = |bytes: usize| {
        let frame = "{\"id\":1,\"type\":\"a\",\"pad\":\"\"}";
        let pad = "x".repeat(bytes - frame.len());
        frame.replace("\"pad\":\"", &format!("\"pad\":\"{pad}"))
    };
    // The partition key, `k`, counts as well.
    sdk.put("in", record((1 << 20) - 1).as_bytes()).unwrap();
    let refused = sdk.put("in", record((1 << 20) + 1).as_bytes()).unwrap_err();
    assert!(refused.contains("ValidationException") || refused.contains("1048576"), "{refused}");
    served.wait_until("settled", |served| served.outcome("stream", "delivered") == 1);
    assert_eq!(served.stop().0, 0);
    assert_eq!(world.read("stream.ndjson").len(), 1 << 20);
}

/// Retention passes the position of a pipe that doesn't run: named, counted, and the pipe goes on.
#[test]
fn p1_records_that_the_retention_removed_unread_are_counted_as_expired() {
    let world = World::new();
    world.write("app.yaml", pipe("stream", "{ kinesis: { stream: in, shards: 1 } }", "[json]"));
    world.write("clock", "0");
    let words = ["app.yaml", "--test-clock", "clock"];
    let served = Served::start(&world, &words);
    let sdk = Sdk::new(&served);
    sdk.put("in", b"{\"id\":1,\"type\":\"a\"}").unwrap();
    served.wait_until("settled", |served| served.outcome("stream", "delivered") == 1);
    assert_eq!(served.stop().0, 0);
    // Only the broker runs: nobody reads.
    let served = Served::start(&world, &["--test-clock", "clock"]);
    let sdk = Sdk::new(&served);
    for id in 2..=4 {
        sdk.put("in", format!("{{\"id\":{id},\"type\":\"a\"}}").as_bytes()).unwrap();
    }
    world.write("clock", (25 * 3_600_000_i64).to_string());
    served.wait_until("time passes", |served| {
        served.metric("onceflow_stream_records{stream=\"in\"}") == 0.0
    });
    sdk.put("in", b"{\"id\":5,\"type\":\"a\"}").unwrap();
    assert_eq!(served.stop().0, 0);
    let served = Served::start(&world, &words);
    served.wait_until("settled", |served| {
        served.outcome("stream", "delivered") == 2
            && served.metric("onceflow_events_expired_total{pipe=\"stream\"}") == 3.0
    });
    served.wait_until("alarm", |served| served.page("/alarms").1.contains("retention"));
    let (code, said) = served.stop();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("retention"), "{said}");
    let report = world.ok(&["report", "app.yaml"]).stdout;
    assert!(report.contains("3 events passed the source's retention"), "{report}");
}
