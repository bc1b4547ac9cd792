//! The config: what each mistake looks like, and what a right one becomes.
//!
//! Each `config/NAME.yaml` (with `NAME.second.yaml`, if it is there) is loaded, and what a user
//! would see must be what `config/NAME.txt` says. `UPDATE_GOLDEN=1` rewrites those: read them then,
//! as a user in a hurry would. `UPDATE_DOCS=1` rewrites `docs/config.md`.

#![allow(clippy::disallowed_methods)] // what the tests write to disk needs no crash sweep

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use event::Outcome;
use pipe::config::{
    ClockChoice, Compression, ConfigErrors, DecodeStep, DedupKey, Endpoint, FilePattern, Given,
    KeyPart, KinesisSourceConfig, LakeTime, Late, MissingKey, OnOtherBody, Partition, PipeConfig,
    SinkKind, SourceConfig, StreamStart, TimeFormat, TransformConfig, TypePattern, docs_markdown,
    load, schema,
};

const FOLDER: &str = "tests/it/config/";

fn env(name: &str) -> Option<String> {
    match name {
        "TEXT" => Some("some text".to_owned()),
        "OUT" => Some("out: { x".to_owned()),
        "WINDOW" => Some("5m".to_owned()),
        _ => None,
    }
}

/// Loads one text as the file `pipe.yaml` of a new folder.
pub(crate) fn load_text(text: &str) -> (tempfile::TempDir, Result<Vec<PipeConfig>, ConfigErrors>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.yaml");
    std::fs::write(&path, text).unwrap();
    let loaded = load(&[path], &env);
    (folder, loaded)
}

pub(crate) fn one(text: &str) -> PipeConfig {
    let (_folder, loaded) = load_text(text);
    loaded.unwrap_or_else(|errors| panic!("{errors}")).remove(0)
}

fn cases() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".yaml").map(str::to_owned))
        .filter(|name| !name.ends_with(".second"))
        .filter(|name| cfg!(feature = "vrl") || !["programs", "vrl_program"].contains(&&**name))
        .collect();
    names.sort();
    names
}

fn shown(name: &str) -> String {
    let mut paths = vec![PathBuf::from(format!("{FOLDER}{name}.yaml"))];
    let second = PathBuf::from(format!("{FOLDER}{name}.second.yaml"));
    if second.exists() {
        paths.push(second);
    }
    match load(&paths, &env) {
        Ok(pipes) => format!("no errors, {} pipes\n", pipes.len()),
        Err(errors) => format!("{}\n", errors.to_string().replace(FOLDER, "")),
    }
}

#[test]
fn every_mistake_shows_place_and_way_out() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let names = cases();
    assert!(names.len() >= 50, "only {} cases: is the folder right?", names.len());
    let mut differences = String::new();
    for name in names {
        let found = shown(&name);
        let path = format!("{FOLDER}{name}.txt");
        if update {
            std::fs::write(&path, &found).unwrap();
            continue;
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        if found != wanted {
            let _ = writeln!(differences, "=== {name}.yaml\n{}", difference(&wanted, &found));
        }
    }
    assert!(differences.is_empty(), "{differences}\nUPDATE_GOLDEN=1 accepts them");
}

/// Line by line: `-` wanted, `+` found.
fn difference(wanted: &str, found: &str) -> String {
    let (wanted, found): (Vec<&str>, Vec<&str>) =
        (wanted.lines().collect(), found.lines().collect());
    let same_start = wanted.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let rest = wanted.len().min(found.len()) - same_start;
    let ends = wanted.iter().rev().zip(found.iter().rev());
    let same_end = ends.take(rest).take_while(|(a, b)| a == b).count();
    let mut shown = String::new();
    for line in &wanted[same_start..wanted.len() - same_end] {
        let _ = writeln!(shown, "- {line}");
    }
    for line in &found[same_start..found.len() - same_end] {
        let _ = writeln!(shown, "+ {line}");
    }
    shown
}

#[test]
fn every_error_has_help_and_a_caret_on_the_line() {
    for name in cases() {
        let path = PathBuf::from(format!("{FOLDER}{name}.yaml"));
        let Err(errors) = load(&[path], &env) else { continue };
        for error in errors.errors {
            assert!(!error.help.is_empty(), "{name}: no help: {error}");
            if error.line > 0 {
                let text = std::fs::read_to_string(&error.file).unwrap();
                let line = text.lines().nth(error.line - 1).unwrap_or("");
                assert!(error.column <= line.chars().count() + 1, "{name}: {error}");
            }
        }
    }
}

#[test]
fn the_smallest_pipe_has_the_documented_defaults() {
    let pipe = one("pipe: app\nsource: { file: { path: app.ndjson } }\n\
                    dedup: { key: $.event_uuid, window: 10m }\nsink: { file: { path: out.ndjson } }\n");
    assert_eq!(pipe.pipe, "app");
    assert_eq!(pipe.line, 1);
    let SourceConfig::File(file) = &pipe.source else { panic!("a file") };
    assert_eq!(file.path, "app.ndjson");
    assert_eq!(file.paths, FilePattern::Path(pipe.base_dir.join("app.ndjson")));
    assert_eq!(file.compression, Compression::Auto);
    assert_eq!(file.event_bytes_max, 1 << 20);
    assert_eq!(pipe.decode, [DecodeStep::Json]);
    assert_eq!(pipe.batch.bytes_max, 16 << 20);
    assert_eq!(pipe.batch.events_max, 65_536);
    assert_eq!(pipe.batch.interval_max, Duration::from_millis(200));
    let dedup = pipe.dedup.unwrap();
    assert_eq!(dedup.scope, "app");
    assert_eq!(dedup.window, Duration::from_secs(600));
    assert_eq!(dedup.clock, ClockChoice::Received);
    assert_eq!(dedup.lateness, Duration::from_secs(600));
    assert_eq!(dedup.late, Late::Reject);
    assert!(!dedup.across_types);
    assert_eq!(pipe.limits.unsettled_events_max, 100_000);
    assert_eq!(pipe.limits.unsettled_bytes_max, 64 << 20);
    assert_eq!(pipe.limits.drain_max, Duration::from_secs(20));
    assert_eq!(pipe.sinks[0].name, "file");
    assert_eq!(pipe.rejected.path, None);
}

#[test]
fn a_pipe_with_everything_that_is_built() {
    let path = PathBuf::from(format!("{FOLDER}everything.yaml"));
    let pipe = load(&[path], &env).unwrap_or_else(|errors| panic!("{errors}")).remove(0);
    let folder = Path::new(FOLDER);
    let SourceConfig::File(file) = &pipe.source else { panic!("a file") };
    let pattern = "tests/it/config/in/*.ndjson.gz".to_owned();
    assert_eq!(file.paths, FilePattern::Glob(pattern));
    assert_eq!(pipe.decode, [DecodeStep::Url, DecodeStep::Base64, DecodeStep::Json]);
    assert_eq!(pipe.envelope.time.unwrap().format, TimeFormat::EpochSeconds);
    assert!(pipe.validate.is_some());
    let pattern = r#"{"event_name":[{"prefix":"game:"}],"level":[1,2.5,null,true,"3"]}"#;
    assert_eq!(pipe.filter.unwrap().to_string(), pattern);
    let dedup = pipe.dedup.unwrap();
    assert_eq!(dedup.key.fields(), 2);
    assert_eq!(dedup.window, Duration::from_secs(300), "from the environment");
    assert_eq!(
        dedup.windows,
        [
            (TypePattern::Exact("game:resumed".to_owned()), Duration::from_secs(600)),
            (TypePattern::Prefix("payment:".to_owned()), Duration::from_secs(86_400)),
        ]
    );
    assert_eq!((dedup.clock, dedup.late), (ClockChoice::Event, Late::Pass));
    assert_eq!(pipe.transform.len(), 5);
    assert!(matches!(&pipe.transform[4], TransformConfig::Drop { fields } if fields.len() == 2));
    let names: Vec<&str> = pipe.sinks.iter().map(|sink| sink.name.as_str()).collect();
    assert_eq!(names, ["lake", "copy", "stdout"]);
    let SinkKind::Lake(lake) = &pipe.sinks[0].kind else { panic!("no lake") };
    assert_eq!((lake.by, lake.staging_files_open_max), (LakeTime::EventTime, 16));
    let SinkKind::File(file) = &pipe.sinks[1].kind else { panic!("no file") };
    assert_eq!(file.path, folder.join("out: { x.ndjson"), "text of a variable isn't YAML");
    assert!(file.append);
    assert_eq!(pipe.rejected.path, Some(folder.join("${bad}.ndjson")));
    assert_eq!(pipe.limits.storage_bytes_max, Some(1_000_000_000));
}

#[test]
fn brokers_tables_tests_and_alarms_are_read() {
    let pipe = one("pipe: app\n\
        source: { kinesis: { stream: app-events, start: at_timestamp, timestamp: 1970-01-01T00:00:01Z, \
          endpoint: http://127.0.0.1:4566/, region: eu-west-1 } }\n\
        dedup: { key: $.id }\n\
        sinks:\n\
        - lake: { path: lake, partition: [year, day, a.b, $.c], compact: on_request }\n\
        - sqs: { queue: clean }\n\
        - kinesis: { stream: clean, shards: 2, partition_key: $.user }\n\
        alarms: { webhook: http://127.0.0.1:9000/alarm }\n\
        tests:\n\
        - given: [{ id: 1 }, '%7B', { $wait: 5m }, { $wait: 1, b: 2 }]\n\
        \x20 expect: [{ id: 1 }]\n\
        \x20 outcomes: { delivered: 2, rejected: 0 }\n");
    assert_eq!(
        pipe.source,
        SourceConfig::Kinesis(KinesisSourceConfig {
            stream: "app-events".into(),
            shards: 4,
            start: StreamStart::AtTimestamp(1000),
            endpoint: Endpoint::Url {
                url: "http://127.0.0.1:4566".into(),
                region: Some("eu-west-1".into()),
            },
            event_bytes_max: 1 << 20,
        })
    );
    assert_eq!(pipe.dedup.as_ref().unwrap().clock, ClockChoice::Broker);
    assert!(pipe.needs_broker(), "its sinks are embedded");
    let SinkKind::Lake(lake) = &pipe.sinks[0].kind else { panic!("no lake") };
    let field = |path: &str| Partition::Field(path.parse().unwrap());
    assert_eq!(
        lake.table.partition,
        [Partition::Year, Partition::Day, field("$.a.b"), field("$.c")]
    );
    assert!(!lake.table.automatic);
    assert_eq!(lake.table.every, Duration::from_secs(3600));
    let SinkKind::Kinesis(stream) = &pipe.sinks[2].kind else { panic!("no stream") };
    assert_eq!((stream.shards, stream.spool_bytes_max), (2, 1 << 30));
    assert_eq!(pipe.alarms.lag_max, Duration::from_secs(300));
    let test = &pipe.tests[0];
    let event = |text: &str| Given::Event(text.as_bytes().to_vec());
    assert_eq!(
        test.given,
        [
            event(r#"{"id":1}"#),
            event("%7B"),
            Given::Wait(Duration::from_secs(300)),
            event(r#"{"$wait":1,"b":2}"#)
        ]
    );
    assert_eq!((test.name.as_str(), test.line), ("test 1", 10));
    assert_eq!(test.outcomes, [(Outcome::Delivered, 2), (Outcome::Rejected, 0)]);
}

#[test]
fn keys_windows_and_rules_of_dedup_are_read() {
    let dedup = |source: &str, rules: &str| {
        let text = format!(
            "pipe: app\nsource: {{ {source} }}\nenvelope: {{ type: $.type }}\n\
             dedup: {{ {rules} }}\nsink: stdout\n"
        );
        one(&text).dedup.unwrap()
    };
    let (file, queue) = ("file: { path: a }", "sqs: { queue: q }");
    let part = |text: &str| text.parse::<KeyPart>().unwrap();
    for (source, key, wanted, fields) in [
        (file, "$.a", DedupKey::Fields(vec![part("$.a")]), 1),
        (file, "[$.a, $.b]", DedupKey::Fields(vec![part("$.a"), part("$.b")]), 2),
        (file, "body", DedupKey::Body, 0xffff_ff01),
        (file, "[raw_body]", DedupKey::RawBody, 0xffff_ff02),
        (file, "broker_id", DedupKey::BrokerId, 0xffff_ff03),
        (queue, "{ attribute: e }", DedupKey::Fields(vec![part("attribute e")]), 1),
        (
            queue,
            "[{ attribute: e }, $.a]",
            DedupKey::Fields(vec![part("attribute e"), part("$.a")]),
            2,
        ),
    ] {
        let dedup = dedup(source, &format!("key: {key}"));
        assert_eq!((dedup.key.fields(), &dedup.key), (fields, &wanted), "{key}");
    }
    let rules = dedup(
        file,
        "key: $.a, window: forever, windows: { \"game:*:done\": forever, \"*:failed\": 1d }, \
         refresh: true, missing_key: hash_body, on_other_body: dead_letter, memory_bytes_max: 16MiB",
    );
    assert_eq!(rules.window, Duration::MAX);
    let pattern = |text: &str| TypePattern::Pattern(text.into());
    assert_eq!(
        rules.windows,
        [
            (pattern("game:*:done"), Duration::MAX),
            (pattern("*:failed"), Duration::from_secs(86_400))
        ]
    );
    assert!(rules.refresh);
    assert_eq!(rules.missing_key, MissingKey::HashBody);
    assert_eq!(rules.on_other_body, OnOtherBody::DeadLetter);
    assert_eq!(rules.memory_bytes_max, 16 << 20);
    let rules = dedup(file, "key: $.a, missing_key: pass, on_other_body: pass");
    assert_eq!((rules.missing_key, rules.on_other_body), (MissingKey::Pass, OnOtherBody::Pass));
    assert_eq!((rules.refresh, rules.memory_bytes_max), (false, 1 << 30));
}

#[test]
fn a_queue_has_batches_of_its_own_and_needs_the_broker() {
    let pipe =
        one("pipe: app\nsource: { sqs: { queue: q } }\nbatch: { events_max: 5 }\nsink: stdout\n");
    assert!(pipe.needs_broker());
    assert_eq!((pipe.batch.bytes_max, pipe.batch.events_max), (1 << 20, 5));
    assert_eq!(pipe.batch.interval_max, Duration::from_millis(50));
    let aws = one("pipe: app\nsource: { sqs: { queue: q, endpoint: aws } }\nsink: stdout\n");
    assert!(!aws.needs_broker());
    let tested = one("pipe: app\nsource: { sqs: { queue: q, endpoint: aws } }\nsink: stdout\n\
                      tests: [{ given: [{ id: 1 }], expect: [] }]\n");
    assert_eq!(aws.fingerprint, tested.fingerprint, "tests change nothing that happens");
}

#[test]
fn paths_start_from_the_file_and_several_files_make_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for name in ["a", "b"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        let path = folder.path().join(name).join("pipe.yaml");
        let text = format!(
            "---\npipe: {name}1\nsource: {{ file: {{ path: '-' }} }}\nsink: stdout\n\
             ---\npipe: {name}2\nsource: {{ file: {{ path: /x/app.ndjson }} }}\n\
             sink: {{ lake: {{ path: ../lake }} }}\n"
        );
        std::fs::write(&path, text).unwrap();
        paths.push(path);
    }
    let pipes = load(&paths, &env).unwrap();
    let names: Vec<&str> = pipes.iter().map(|pipe| pipe.pipe.as_str()).collect();
    assert_eq!(names, ["a1", "a2", "b1", "b2"]);
    let SourceConfig::File(stdin) = &pipes[0].source else { panic!("a file") };
    assert_eq!(stdin.paths, FilePattern::Stdin);
    let SourceConfig::File(absolute) = &pipes[3].source else { panic!("a file") };
    assert_eq!(absolute.paths, FilePattern::Path(PathBuf::from("/x/app.ndjson")));
    let SinkKind::Lake(lake) = &pipes[3].sinks[0].kind else { panic!("no lake") };
    assert_eq!(lake.path, folder.path().join("b").join("../lake"));
    assert_eq!((pipes[3].line, pipes[3].file.as_path()), (6, paths[1].as_path()));
}

#[test]
fn files_that_are_no_config_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("latin1.yaml"), b"pipe: app\n# caf\xe9\n").unwrap();
    std::fs::write(at("large.yaml"), vec![b'#'; 2 << 20]).unwrap();
    let paths = [at("nothing.yaml"), folder.path().to_owned(), at("latin1.yaml"), at("large.yaml")];
    let errors = load(&paths, &env).unwrap_err();
    let messages: Vec<&str> = errors.errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "this config can't be read: there is no such file",
            "this config can't be read: it is a folder",
            "line 2 isn't UTF-8",
            "a config has at most 1MiB, this file has 2097152 bytes",
        ]
    );
    assert!(errors.to_string().ends_with("4 errors in 4 files"), "{errors}");
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_fine() {
    let text = "\u{feff}pipe: app\r\nsource: { file: { path: app.ndjson } }\r\nsink: stdout\r\n";
    assert_eq!(one(text).pipe, "app");
    let (_folder, loaded) = load_text(&text.replace("stdout", "stdot"));
    let errors = loaded.unwrap_err();
    assert_eq!((errors.errors[0].line, errors.errors[0].column), (3, 7));
    assert!(!errors.to_string().contains('\r'));
}

#[test]
fn the_fingerprint_is_of_what_the_config_means() {
    let base = "pipe: app\nsource: { file: { path: a } }\n\
                dedup: { key: $.id, window: 60m }\nsink: stdout\n";
    let fingerprint = one(base).fingerprint;
    for same in [
        "# c\nsink: stdout\npipe: app\nsource: { file: { path: a } }\ndedup: { window: 1h, key: $.id }\n",
        "pipe: app\nsource: { file: { path: a } }\ndedup: { key: [$.id] }\nsink: { stdout: {} }\n",
        "pipe: app\nsource: { file: { path: a } }\ndedup: { key: \"$['id']\" }\nsink: stdout\nlimits:\n",
    ] {
        assert_eq!(one(same).fingerprint, fingerprint, "{same}");
    }
    for other in [
        base.replace("60m", "61m"),
        base.replace("$.id", "$.ix"),
        base.replace("app", "apq"),
        base.replace("stdout", "{ stdout: { name: x } }"),
        format!("{base}batch: {{ events_max: 1 }}\n"),
    ] {
        assert_ne!(one(&other).fingerprint, fingerprint, "{other}");
    }
}

#[test]
fn the_json_schema_is_one_and_agrees_with_the_checker() {
    let schema = schema();
    jsonschema::meta::validate(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let smallest = serde_json::json!({
        "pipe": "app",
        "source": { "file": { "path": "app.ndjson" } },
        "dedup": { "key": "$.event_uuid", "window": "10m" },
        "sink": { "file": { "path": "out.ndjson" } },
    });
    assert!(validator.is_valid(&smallest));
    let good = [
        ("/sink", serde_json::json!("stdout")),
        ("/sink", serde_json::json!({ "stdout": null })),
        ("/decode", serde_json::json!(["base64", "json"])),
        ("/dedup/key", serde_json::json!(["$.a", "$['b c']"])),
        ("/dedup/key", serde_json::json!("body")),
        ("/dedup/key", serde_json::json!(["broker_id"])),
        ("/dedup/window", serde_json::json!("${WINDOW}")),
        ("/dedup/window", serde_json::json!("forever")),
        ("/envelope", serde_json::json!({ "time": "$.at" })),
        ("/envelope", serde_json::json!({ "time": { "path": "$.at", "format": "epoch_millis" } })),
        ("/batch", serde_json::json!({ "bytes_max": "1MiB", "events_max": 10 })),
        ("/transform", serde_json::json!([{ "drop": { "field": "$.a" } }])),
        ("/transform", serde_json::json!([{ "template": "{\"a\": <$.a>}" }])),
        ("/retry", serde_json::json!({ "backoff": "1s..1m", "jitter": "none" })),
        ("/retry", serde_json::json!({ "backoff": "1s" })),
        ("/route", serde_json::json!({ "mode": "first" })),
        ("/archive", serde_json::Value::Null),
        ("/sink", serde_json::json!({ "stdout": { "match": { "a": [1] } } })),
        (
            "/sink",
            serde_json::json!({ "http": {
            "url": "https://a", "rate": 5, "headers": { "x-a": "b" }, "auth": { "bearer": "x" },
        } }),
        ),
    ];
    let bad = [
        ("/sink", serde_json::json!("file")),
        ("/sink", serde_json::json!({})),
        ("/sinks", serde_json::json!(["stdout"])),
        ("/decode", serde_json::json!(["avro"])),
        ("/dedup/window", serde_json::json!("10 min")),
        ("/dedup/windw", serde_json::json!("10m")),
        ("/dedup/key", serde_json::json!("id")),
        ("/dedup/key", serde_json::json!({ "attr": "id" })),
        ("/dedup/lateness", serde_json::json!("forever")),
        ("/pipe", serde_json::json!("My App")),
        ("/batch", serde_json::json!({ "events_max": 0 })),
        ("/retry", serde_json::json!({ "backoff": "fast" })),
        ("/retry", serde_json::json!({ "attempts_max": 0 })),
        ("/sink", serde_json::json!({ "http": {} })),
        ("/sink", serde_json::json!({ "http": { "url": "example.org" } })),
        ("/sink", serde_json::json!({ "http": { "url": "https://a", "rate": "1/m" } })),
        ("/sink", serde_json::json!({ "http": { "url": "https://a", "auth": { "basic": "a" } } })),
        ("/sink", serde_json::json!({ "stdout": { "retry": {} } })),
        ("/enrich", serde_json::json!([{ "into": "$.a" }])),
        ("/transform", serde_json::json!("")),
        ("/transform", serde_json::json!([{ "drop": {} }])),
    ];
    let changed = |(pointer, value): &(&str, serde_json::Value)| {
        let mut config = smallest.clone();
        let (above, name) = pointer.rsplit_once('/').unwrap();
        config.pointer_mut(above).unwrap()[name] = value.clone();
        config
    };
    // JSON is YAML: the checker must agree with the schema about each.
    for (cases, valid) in [(&good[..], true), (&bad[..], false)] {
        for case in cases {
            let config = changed(case);
            assert_eq!(validator.is_valid(&config), valid, "schema: {config}");
            let text = config.to_string().replace("${WINDOW}", "1h");
            assert_eq!(load_text(&text).1.is_ok(), valid, "checker: {config}");
        }
    }
}

#[test]
fn the_docs_page_is_what_the_code_says() {
    let path = Path::new("../../docs/config.md");
    let page = docs_markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all("../../docs").unwrap();
        std::fs::write(path, &page).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == page, "docs/config.md is old: UPDATE_DOCS=1 cargo test -p pipe config");
}
