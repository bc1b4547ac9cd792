//! The config of delivery: what a right one becomes, what it warns of, and that it shows no secret.

use std::path::PathBuf;
use std::time::Duration;

use pipe::config::{
    AfterReplay, ArchiveConfig, DeadLetterConfig, EnrichFrom, EnrichMissing, HttpAuth, HttpBody,
    HttpConfig, Late, OnDuplicateOfDead, OrderConfig, PatternKind, PipeConfig, RouteConfig,
    SinkConfig, SinkKind, TransformConfig,
};

use crate::config::{load_text, one};

const HEAD: &str = "pipe: app\nsource: { file: { path: app.ndjson } }\n";

fn with(rest: &str) -> PipeConfig {
    one(&format!("{HEAD}{rest}"))
}

fn http(sink: &SinkConfig) -> &HttpConfig {
    match &sink.kind {
        SinkKind::Http(http) => http,
        other => panic!("no http: {other:?}"),
    }
}

fn warnings(pipe: &PipeConfig) -> Vec<&str> {
    pipe.warnings.iter().map(|warning| warning.message.as_str()).collect()
}

#[test]
fn an_http_sink_has_the_documented_defaults() {
    let pipe = with("sink: { http: { url: 'https://example.org/x' } }\n");
    assert_eq!(pipe.sinks[0].name, "http");
    assert_eq!(http(&pipe.sinks[0]), &HttpConfig::new("https://example.org/x".into()));
    assert_eq!(pipe.sinks[0].retry, Default::default());
    assert_eq!(pipe.sinks[0].circuit, Default::default());
    assert_eq!(pipe.sinks[0].dead_letter, None);
    assert_eq!(pipe.dead_letter, DeadLetterConfig::default());
    assert_eq!((pipe.route, pipe.order), (RouteConfig::default(), OrderConfig::None));
    assert_eq!((pipe.archive, pipe.enrich.len()), (None, 0));
    assert_eq!(pipe.limits.park_after, Duration::from_secs(10));
    assert_eq!(pipe.limits.parked_bytes_max, 256 << 20);
    assert_eq!(pipe.limits.dead_letters_max, 1_000_000);
    assert!(pipe.warnings.is_empty(), "{:?}", pipe.warnings);
}

#[test]
fn an_http_sink_with_everything() {
    let pipe = with(
        "sinks:\n\
        - http:\n\
        \x20   url: http://127.0.0.1:9/x?y=1\n\
        \x20   name: payments\n\
        \x20   method: PATCH\n\
        \x20   headers: { x-team: data, X-Text: ${TEXT} }\n\
        \x20   auth: { api_key: { header: x-key, value: '${TEXT}' } }\n\
        \x20   rate: 100/s\n\
        \x20   connections_max: 3\n\
        \x20   timeout: 2s\n\
        \x20   batch: { events_max: 10, bytes_max: 2MiB, body: ndjson, failures: $.failed }\n\
        \x20   idempotency_header: none\n\
        \x20   ca_file: ca.pem\n\
        \x20   match: { event_name: [\"payment:failed\"] }\n\
        \x20   retry: { attempts_max: 7, jitter: none }\n\
        \x20   circuit: { pause: 5s }\n\
        \x20   dead_letter: { queue: payments-dead, after_replay: remove }\n\
        retry: { attempts_max: 3, age_max: 2h, backoff: 1s..1m }\n\
        circuit: { failures_max: 4 }\n\
        dead_letter: { store: dead, replays_max: 9 }\n",
    );
    let sink = &pipe.sinks[0];
    assert_eq!(sink.name, "payments");
    assert_eq!(sink.matches.as_ref().unwrap().to_string(), r#"{"event_name":["payment:failed"]}"#);
    let found = http(sink);
    assert_eq!((found.method.as_str(), found.calls_per_second_max), ("PATCH", Some(100)));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(found.headers, [header("x-team", "data"), header("X-Text", "some text")]);
    let key = HttpAuth::ApiKey { header: "x-key".into(), value: "some text".into() };
    assert!(found.auth == key, "{:?}", found.auth);
    assert_eq!((found.connections_max, found.timeout), (3, Duration::from_secs(2)));
    assert_eq!((found.events_max, found.bytes_max, found.body), (10, 2 << 20, HttpBody::Ndjson));
    assert_eq!(found.failures, Some("$.failed".parse().unwrap()));
    assert_eq!(found.idempotency_header, None);
    assert_eq!(found.ca_file, Some(pipe.base_dir.join("ca.pem")));
    // What a sink doesn't say is the pipe's.
    assert_eq!((sink.retry.attempts_max, sink.retry.jitter), (7, false));
    assert_eq!(sink.retry.age_max, Duration::from_secs(7200));
    assert_eq!(sink.retry.backoff_min, Duration::from_secs(1));
    assert_eq!(sink.retry.backoff_max, Duration::from_secs(60));
    assert_eq!((sink.circuit.failures_max, sink.circuit.pause_min), (4, Duration::from_secs(5)));
    assert_eq!(sink.circuit.pause_max, Duration::from_secs(5));
    let letters = sink.dead_letter.as_ref().unwrap();
    assert_eq!(letters.store, Some(pipe.base_dir.join("dead")));
    assert_eq!(letters.queue.as_deref(), Some("payments-dead"));
    assert_eq!((letters.after_replay, letters.replays_max), (AfterReplay::Remove, 9));
    assert_eq!(pipe.dead_letter.queue, None);
}

#[test]
fn every_kind_of_auth_is_read_and_none_is_shown() {
    let auths = [
        ("{ basic: { user: hunter1, password: hunter2 } }", "Basic"),
        ("{ bearer: hunter2 }", "Bearer"),
        ("{ bearer: { token: hunter2 } }", "Bearer"),
        ("{ api_key: { value: hunter2 } }", "ApiKey"),
        (
            "{ oauth: { token_url: 'https://a/t', client_id: hunter1, client_secret: hunter2, \
             scope: a b } }",
            "OAuth",
        ),
        ("{ hmac: { secret: hunter2 } }", "Hmac"),
    ];
    let mut fingerprints = Vec::new();
    for (auth, kind) in auths {
        let pipe = with(&format!("sink: {{ http: {{ url: 'https://a', auth: {auth} }} }}\n"));
        assert_eq!(format!("{:?}", http(&pipe.sinks[0]).auth), kind);
        assert!(!format!("{pipe:?}").contains("hunter2"), "{auth}");
        fingerprints.push(pipe.fingerprint);
    }
    assert_eq!(fingerprints[1], fingerprints[2], "a short form means the same");
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), 5);
}

#[test]
fn no_mistake_shows_a_secret() {
    let right = "sink: { http: { url: 'https://a', timeout: 1x, auth: AUTH } }\n";
    for auth in [
        "{ basic: { user: a, password: hunter2 } }",
        "{ basic: { user: a, pasword: x, password: hunter2 } }",
        "{ basic: hunter2 }",
        "{ basic: [hunter2] }",
        "hunter2",
        "{ bearer: { token: { x: hunter2 } } }",
        "{ bearer: \"hunter2\\n\" }",
        "{ api_key: { value: \" hunter2\" } }",
        "{ hmac: { secret: hunter2, algorithm: sha1 } }",
        "{ oauth: { client_secret: hunter2 } }",
        "{ basic: { user: a, passwort: hunter2 } }",
        "{ digest: { user: a, pass: [hunter2] } }",
        "[hunter2]",
        "{ basic: { user: a, password: hunter2 }", // not YAML
    ] {
        let text = format!("{HEAD}{}", right.replace("AUTH", auth));
        let (_folder, loaded) = load_text(&text);
        let shown = loaded.unwrap_err().to_string();
        assert!(!shown.contains("hunter2"), "{auth}: {shown}");
    }
    // What comes from the environment stands in no line, and in no message.
    for url in ["http://some ${TEXT}", "${TEXT}", "ftp://${TEXT}", "https://a:${TEXT}@b/"] {
        let (_folder, loaded) = load_text(&format!("{HEAD}sink: {{ http: {{ url: '{url}' }} }}\n"));
        let shown = loaded.unwrap_err().to_string();
        assert!(!shown.contains("some text"), "{shown}");
    }
}

#[test]
fn routes_order_archive_and_limits_are_read() {
    let pipe = with(
        "sinks:\n\
        - file: { path: a.ndjson, match: { a: [1] }, dead_letter: { store: other } }\n\
        - stdout: { name: rest }\n\
        route: { mode: first, default: rest }\n\
        order_by: $.user\n\
        archive: { path: kept, events: filtered, retention: 30d, level: 3 }\n\
        limits: { park_after: 1s, parked_bytes_max: 1GiB, dead_letters_max: 5 }\n\
        dedup: { key: $.id, late: dead_letter, on_duplicate_of_dead: suppress }\n\
        filter_kind: pipes\n\
        filter: { a: [1, 2] }\n",
    );
    assert_eq!(pipe.route, RouteConfig { first: true, default: Some("rest".into()) });
    assert_eq!(pipe.order, OrderConfig::PerPartitionKey { by: Some("$.user".parse().unwrap()) });
    assert_eq!(
        pipe.archive,
        Some(ArchiveConfig {
            path: Some(pipe.base_dir.join("kept")),
            after_filter: true,
            retention: Some(Duration::from_secs(30 * 86_400)),
            level: 3,
            ..ArchiveConfig::default()
        })
    );
    assert_eq!(
        (pipe.limits.park_after, pipe.limits.parked_bytes_max),
        (Duration::from_secs(1), 1 << 30)
    );
    assert_eq!(pipe.limits.dead_letters_max, 5);
    let dedup = pipe.dedup.unwrap();
    assert_eq!(
        (dedup.late, dedup.on_duplicate_of_dead),
        (Late::DeadLetter, OnDuplicateOfDead::Suppress)
    );
    assert_eq!(pipe.filter_kind, PatternKind::Pipes);
    assert!(pipe.sinks[0].matches.is_some() && pipe.sinks[1].matches.is_none());
    let stream = one(
        "pipe: a\nsource: { kinesis: { stream: s } }\nsink: stdout\norder: per_partition_key\n",
    );
    assert_eq!(stream.order, OrderConfig::PerPartitionKey { by: None });
}

#[test]
fn enrichments_and_programs_are_read() {
    let pipe = with(
        "sink: stdout\n\
        enrich:\n\
        - lookup: { file: users.csv, key: $.user_id, on: id }\n\
        \x20 into: $.user\n\
        - http: { url: 'https://a', key: $.user_id, headers: { x-a: b }, cache: { entries_max: 0 } }\n\
        \x20 into: $.profile\n\
        \x20 missing: reject\n\
        transform:\n\
        - template: '{\"id\": \"<$.id>\"}'\n\
        - drop: { field: $.a }\n",
    );
    let EnrichFrom::Lookup { file, on, rows_max, .. } = &pipe.enrich[0].from else {
        panic!("no lookup")
    };
    assert_eq!((file, on.as_str(), *rows_max), (&pipe.base_dir.join("users.csv"), "id", 1_000_000));
    assert_eq!(pipe.enrich[0].missing, EnrichMissing::Pass);
    let EnrichFrom::Http { http, cache_entries_max, cache_age_max, .. } = &pipe.enrich[1].from
    else {
        panic!("no call")
    };
    assert_eq!((http.events_max, http.timeout), (100, Duration::from_secs(2)));
    assert_eq!((*cache_entries_max, *cache_age_max), (0, Duration::from_secs(600)));
    assert_eq!((http.headers.len(), &http.idempotency_header), (1, &None));
    assert_eq!(pipe.enrich[1].missing, EnrichMissing::Reject);
    assert_eq!(pipe.transform[0], TransformConfig::Template("{\"id\": \"<$.id>\"}".into()));
}

#[test]
fn a_dead_letter_queue_needs_the_broker_as_a_sink_does() {
    let at_the_pipe = with("sink: stdout\ndead_letter: { queue: dead }\n");
    assert!(at_the_pipe.needs_broker());
    let at_a_sink = with("sink: { stdout: { dead_letter: { queue: dead } } }\n");
    assert!(at_a_sink.needs_broker());
    assert_eq!(at_a_sink.dead_letter_queues().collect::<Vec<_>>(), ["dead"]);
    assert!(!with("sink: stdout\ndead_letter: { store: dead }\n").needs_broker());
    // A queue of that name at another service is another queue.
    let elsewhere = "pipe: a\nsource: { sqs: { queue: q, endpoint: aws } }\nsink: stdout\n\
                     dead_letter: { queue: q }\n";
    assert!(one(elsewhere).needs_broker());
}

#[test]
fn what_does_nothing_or_harms_is_warned_of() {
    for (rest, warning) in [
        ("sink: stdout\nretry: { attempts_max: 2 }\n", "`retry` does nothing here"),
        ("sink: stdout\nfilter_kind: pipes\n", "there is no `filter`"),
        (
            "sink: { http: { url: 'http://example.org', auth: { bearer: x } } }\n",
            "`auth` goes over the network in plain text",
        ),
        (
            "sink: { http: { url: 'https://a', batch: { body: ndjson } } }\n",
            "`body` does nothing: a call has one event",
        ),
        (
            "sinks: [stdout, { file: { path: a } }]\nroute: { mode: first }\n",
            "`stdout` takes every event, so no sink after it gets any",
        ),
        (
            "sinks: [stdout, { file: { path: a } }]\nroute: { default: file }\n",
            "no sink has a `match`, so the default route gets every event",
        ),
        (
            "sink: stdout\narchive: { retention: 2m }\n",
            "files are finished after a longer time than they are kept",
        ),
    ] {
        let pipe = with(rest);
        let found = warnings(&pipe);
        assert!(found.len() == 1 && found[0].starts_with(warning), "{rest}: {found:?}");
        let shown = pipe.warnings[0].to_string();
        assert!(shown.starts_with("warning: ") && shown.contains(" = help: "), "{shown}");
    }
    for harmless in [
        "sink: { http: { url: 'http://127.0.0.1:9', auth: { bearer: x } } }\n",
        "sinks: [{ file: { path: a, match: { a: [1] } } }, stdout]\nroute: { mode: first }\n",
    ] {
        assert!(with(harmless).warnings.is_empty(), "{harmless}");
    }
}

#[test]
fn an_archive_is_there_on_request_only_and_changes_the_fingerprint() {
    let without = with("sink: stdout\n");
    let by_default = with("sink: stdout\narchive:\n");
    assert_eq!(by_default.archive, Some(ArchiveConfig::default()));
    assert_ne!(without.fingerprint, by_default.fingerprint);
    let inherited = with("sink: { http: { url: 'https://a', retry: { attempts_max: 9 } } }\n");
    let pipes = with("sink: { http: { url: 'https://a' } }\nretry: { attempts_max: 9 }\n");
    assert_eq!(inherited.sinks[0].retry, pipes.sinks[0].retry);
}

#[test]
fn warnings_stay_with_their_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("pipe.yaml");
    let text =
        format!("{HEAD}sink: stdout\nretry:\n---\n{}sink: stdout\n", HEAD.replace("app\n", "b\n"));
    std::fs::write(&path, text).unwrap();
    let pipes = pipe::config::load(&[path], &|_| None).unwrap();
    assert_eq!((pipes[0].warnings.len(), pipes[1].warnings.len()), (1, 0));
    assert_eq!(pipes[0].warnings[0].line, 4);
}
