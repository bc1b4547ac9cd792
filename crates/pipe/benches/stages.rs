//! How fast the stages are that look at one event at a time: decode, filter, transform, times.
//!
//! `cargo bench -p pipe --bench stages [-- PART]`: all lines, or those with PART in their name. One
//! thread; each line is the median of 7 rounds. The events are like those of the benchmark: about
//! 300 B, as the app sends them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::hint::black_box;
use std::io::Write as _;
use std::time::{Duration, Instant};

use event::json::{Found, Raw, Selection};
use event::path::FieldPath;
use pipe::config::{DecodeStep, TransformConfig};
use pipe::stage::decode::Decoder;
use pipe::stage::filter::Pattern;
use pipe::stage::time::TimeFormat;
use pipe::stage::transform::Transforms;
use pipe::stage::validate::Validator;
use serde_json::{Value, json};

const EVENTS: usize = 20_000;
const ROUNDS: usize = 7;

fn events() -> Vec<Vec<u8>> {
    let names = ["game:started", "game:resumed", "payment:failed", "lesson:finished"];
    (0..EVENTS)
        .map(|index| {
            json!({
                "event_uuid": format!("0190a6c1-7d3e-7c4a-9b1d-{index:012x}"),
                "event_name": names[index % names.len()],
                "created_at": 1_441_932_418 + index,
                "user": { "id": 100_000 + index % 5_000, "country": "NL", "tags": ["beta", "kid"] },
                "event_specifics": { "language_id": index % 40, "level": index % 100, "score": 73.5 },
                "device": "iPad13,4", "ip": format!("10.0.0.{}", index % 256), "app_version": "4.12.1", "session": format!("s-{index:08x}"),
            })
            .to_string()
            .into_bytes()
        })
        .collect()
}

/// Does something to every payload, and shows what one takes.
fn measure(name: &str, payloads: &[Vec<u8>], mut work: impl FnMut(&[u8]) -> usize) {
    let part = std::env::args().nth(1).filter(|part| !part.starts_with("--"));
    if part.is_some_and(|part| !name.contains(&part)) {
        return;
    }
    let mut rounds: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            for payload in payloads {
                black_box(work(black_box(payload)));
            }
            start.elapsed()
        })
        .collect();
    rounds.sort();
    let seconds = rounds[ROUNDS / 2].as_secs_f64();
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    let count = payloads.len() as f64;
    println!(
        "{name:<44} {:>8.0} ns {:>8.2} M/s {:>8.0} MB/s",
        seconds / count * 1e9,
        count / seconds / 1e6,
        bytes as f64 / seconds / 1e6
    );
}

fn main() {
    let events = events();
    let bytes: usize = events.iter().map(Vec::len).sum();
    println!("{EVENTS} events of {} B on average", bytes / EVENTS);
    let selection = Selection::new(&[FieldPath::parse("$.event_uuid").unwrap()]);
    let mut found = Found::default();
    measure("scan (for comparison)", &events, |payload| {
        usize::from(selection.scan(payload, &mut found).is_ok())
    });
    filters(&events);
    decoders(&events);
    transforms(&events);
    times();
    let schema = json!({ "type": "object", "required": ["event_uuid"], "properties": { "event_uuid": { "type": "string" } } });
    let validator = Validator::new(&schema).unwrap();
    measure("validate", &events, |payload| usize::from(validator.validate(payload).is_ok()));
}

fn filters(events: &[Vec<u8>]) {
    let patterns: [(&str, Value); 13] = [
        ("prefix, half match", json!({ "event_name": [{ "prefix": "game:" }] })),
        ("exact, none match", json!({ "event_name": ["nothing"] })),
        (
            "three fields",
            json!({ "event_name": [{ "anything-but": "payment:failed" }], "device": [{ "prefix": "iPad" }], "created_at": [{ "numeric": [">", 0] }] }),
        ),
        (
            "nested, numeric",
            json!({ "event_specifics": { "level": [{ "numeric": [">=", 10, "<", 20] }] } }),
        ),
        ("array of texts", json!({ "user": { "tags": ["kid"] } })),
        ("exists: false", json!({ "deleted": [{ "exists": false }] })),
        (
            "$or",
            json!({ "$or": [{ "event_name": ["payment:failed"] }, { "user": { "country": ["DE"] } }] }),
        ),
        ("suffix", json!({ "event_name": [{ "suffix": ":failed" }] })),
        (
            "equals-ignore-case",
            json!({ "event_name": [{ "equals-ignore-case": "PAYMENT:failed" }] }),
        ),
        ("wildcard", json!({ "event_name": [{ "wildcard": "*m*t:fail*" }] })),
        ("cidr", json!({ "ip": [{ "cidr": "10.0.0.0/25" }] })),
        (
            "anything-but wildcard",
            json!({ "device": [{ "anything-but": { "wildcard": "iPad*" } }] }),
        ),
        (
            "a list of 20 texts",
            json!({ "event_name": (0..20).map(|index| format!("lesson:{index}")).collect::<Vec<_>>() }),
        ),
    ];
    for (name, pattern) in patterns {
        let pattern = Pattern::compile(&pattern).unwrap();
        let matched = events.iter().filter(|event| pattern.matches(event)).count();
        let name = format!("filter: {name} ({}%)", matched * 100 / events.len());
        measure(&name, events, |payload| usize::from(pattern.matches(payload)));
    }
    let lists: Vec<Vec<u8>> = (0..1000)
        .map(|index| {
            let items: Vec<_> =
                (0..20).map(|item| json!({ "sku": item, "count": index % 3 })).collect();
            json!({ "id": index, "items": items }).to_string().into_bytes()
        })
        .collect();
    let pattern = Pattern::compile(&json!({ "items": { "sku": [7], "count": [2] } })).unwrap();
    measure("filter: array of 20 objects", &lists, |payload| usize::from(pattern.matches(payload)));
}

fn decoders(events: &[Vec<u8>]) {
    let encode = |encode: &dyn Fn(&[u8]) -> Vec<u8>| -> Vec<Vec<u8>> {
        events.iter().map(|event| encode(event)).collect()
    };
    let base64 = |event: &[u8]| base64_simd::STANDARD.encode_to_string(event).into_bytes();
    let gzip = |event: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(event).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |event: &[u8]| zstd::bulk::compress(event, 3).unwrap();
    let url = |event: &[u8]| {
        let escape = |byte: &u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => vec![*byte],
            byte => format!("%{byte:02X}").into_bytes(),
        };
        event.iter().flat_map(escape).collect()
    };
    for (step, payloads) in [
        (DecodeStep::Url, encode(&url)),
        (DecodeStep::Base64, encode(&base64)),
        (DecodeStep::Gzip, encode(&gzip)),
        (DecodeStep::Zstd, encode(&zstd)),
    ] {
        let mut decoder = Decoder::new(&[step], 1 << 20);
        let mut out = Vec::new();
        measure(&format!("decode: {}", step.name()), &payloads, |payload| {
            out.clear();
            decoder.decode(payload, &mut out).unwrap();
            out.len()
        });
    }
}

fn transforms(events: &[Vec<u8>]) {
    let path = |path| FieldPath::parse(path).unwrap();
    let split = TransformConfig::Split {
        field: path("$.event_name"),
        at: ":".to_owned(),
        into: vec!["event_type".to_owned(), "event_subtype".to_owned()],
    };
    let time = TransformConfig::Time {
        field: path("$.created_at"),
        from: TimeFormat::EpochSeconds,
        to: TimeFormat::Rfc3339,
    };
    let drop = TransformConfig::Drop { fields: vec![path("$.user.country"), path("$.session")] };
    for (name, steps) in [
        ("split", vec![split.clone()]),
        ("time", vec![time.clone()]),
        ("drop", vec![drop.clone()]),
        ("all three", vec![split, time, drop]),
        (
            "template",
            vec![TransformConfig::Template(
                r#"{"id":<$.event_uuid>,"what":"<$.event_name> by <$.user.id>","tags":<$.user.tags>}"#
                    .to_owned(),
            )],
        ),
    ] {
        let mut transforms = Transforms::new(&steps);
        let mut out = Vec::new();
        measure(&format!("transform: {name}"), events, |payload| {
            out.clear();
            transforms.apply(payload, &mut out).unwrap();
            out.len()
        });
    }
}

fn times() {
    let mut texts = Vec::new();
    for index in 0..EVENTS {
        let mut text = Vec::new();
        TimeFormat::Rfc3339
            .write(1_441_932_418_771_000_000 + index as i64 * 1_001_000_000, &mut text);
        texts.push(text);
    }
    measure("time: rfc3339 with milliseconds", &texts, |text| {
        TimeFormat::Rfc3339.parse_ms(Raw::new(text)).unwrap() as usize
    });
    let numbers: Vec<Vec<u8>> =
        (0..EVENTS).map(|index| (1_441_932_418 + index).to_string().into_bytes()).collect();
    measure("time: epoch_seconds", &numbers, |number| {
        TimeFormat::EpochSeconds.parse_ms(Raw::new(number)).unwrap() as usize
    });
    let mut out = Vec::new();
    measure("time: written as rfc3339", &numbers, |number| {
        out.clear();
        TimeFormat::Rfc3339.write(1_441_932_418_771_000_000 + number.len() as i64, &mut out);
        out.len()
    });
}
