//! Bad input: each case is handled by a named rule, counted, kept whole in the rejected file with
//! its reason, and never stops the pipe or vanishes.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::kit::World;

const PIPE: &str = "pipe: app\n\
    source: { file: { path: in.ndjson } }\n\
    envelope: { type: $.type, time: { path: $.at, format: epoch_seconds } }\n\
    dedup: { key: $.id, window: 1h }\n\
    sink: { file: { path: out.ndjson } }\n\
    limits: { types_max: 2 }\n";

fn good(id: u32, event_type: &str) -> String {
    format!("{{\"id\":{id},\"type\":\"{event_type}\",\"at\":1793520000}}")
}

/// The payload of a rejected row, as it came.
fn payload(row: &serde_json::Value) -> Vec<u8> {
    match row.get("raw").and_then(serde_json::Value::as_str) {
        Some(raw) => raw.as_bytes().to_vec(),
        None => base64(row["raw_base64"].as_str().unwrap()),
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let padding = four.iter().filter(|byte| **byte == b'=').count();
        let bits = four
            .iter()
            .fold(0, |bits, byte| bits << 6 | if *byte == b'=' { 0 } else { value(*byte) });
        out.extend(&bits.to_be_bytes()[1..4 - padding]);
    }
    out
}

#[test]
fn every_case_is_counted_and_kept_whole_with_its_reason() {
    let long = format!("{{\"id\":90,\"type\":\"a\",\"pad\":\"{}\"}}", "x".repeat(10 << 20));
    let nul = "{\"id\":91,\"type\":\"a\",\"note\":\"\0\"}";
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("json_broken", b"{\"id\":1,\"type\":\"a\"".to_vec()),
        ("json_not_an_object", b"garbage".to_vec()),
        ("json_broken", b"{\"id\":NaN,\"type\":\"a\"}".to_vec()),
        ("json_not_an_object", b"[1,2]".to_vec()),
        ("json_not_an_object", b"\"text\"".to_vec()),
        ("json_not_an_object", b"7".to_vec()),
        ("json_trailing_bytes", b"{\"id\":1,\"type\":\"a\"} {}".to_vec()),
        ("key_missing", b"{\"type\":\"a\"}".to_vec()),
        ("key_null", b"{\"id\":null,\"type\":\"a\"}".to_vec()),
        ("key_not_scalar", b"{\"id\":{},\"type\":\"a\"}".to_vec()),
        ("key_not_scalar", b"{\"id\":[1],\"type\":\"a\"}".to_vec()),
        ("invalid_utf8", b"{\"id\":\"\xff\",\"type\":\"a\"}".to_vec()),
        ("invalid_utf8", b"{\"id\":2,\"type\":\"a\",\"elsewhere\":\"\xc3\x28\"}".to_vec()),
        ("empty", b"".to_vec()),
        ("json_control_character", nul.as_bytes().to_vec()),
        ("json_ambiguous_field", b"{\"id\":1,\"id\":2,\"type\":\"a\"}".to_vec()),
        ("time_wrong_unit", b"{\"id\":3,\"type\":\"a\",\"at\":1793520000000}".to_vec()),
        ("time_broken", b"{\"id\":4,\"type\":\"a\",\"at\":\"yesterday\"}".to_vec()),
        ("type_missing", b"{\"id\":5}".to_vec()),
        ("type_not_a_string", b"{\"id\":6,\"type\":7}".to_vec()),
        ("event_too_large", long.into_bytes()),
    ];
    let world = World::new();
    world.write("app.yaml", PIPE);
    let mut input = Vec::new();
    let mut expected = Vec::new();
    for (number, (_, case)) in cases.iter().enumerate() {
        let row = good(1000 + number as u32, "a");
        input.extend_from_slice(case);
        input.extend_from_slice(format!("\n{row}\n").as_bytes());
        expected.extend_from_slice(format!("{row}\n").as_bytes());
    }
    world.write("in.ndjson", &input);
    let summary = world.summary(&["run", "app.yaml"]);
    let pipe = &summary["pipes"][0];
    assert_eq!(pipe["received"], 2 * cases.len() as u64, "{summary}");
    assert_eq!(pipe["outcomes"]["rejected"], cases.len() as u64, "{summary}");
    assert_eq!(pipe["outcomes"]["delivered"], cases.len() as u64, "{summary}");
    assert!(world.read("out.ndjson") == expected, "good events were changed or lost");

    let mut rows: Vec<(String, Vec<u8>)> = world
        .rejected("app")
        .iter()
        .map(|row| (row["reason"].as_str().unwrap().to_owned(), payload(row)))
        .collect();
    let mut wanted: Vec<(String, Vec<u8>)> =
        cases.iter().map(|(reason, case)| ((*reason).to_owned(), case.clone())).collect();
    rows.sort();
    wanted.sort();
    for (row, wanted) in rows.iter().zip(&wanted) {
        let shown = String::from_utf8_lossy(&wanted.1[..wanted.1.len().min(60)]);
        assert_eq!(row.0, wanted.0, "{shown}");
        assert!(row.1 == wanted.1, "not whole: {} {shown}", wanted.0);
    }
    assert_eq!(rows.len(), wanted.len());
    for (reason, count) in pipe["rejected_by_reason"].as_object().unwrap() {
        let cases = cases.iter().filter(|(name, _)| name == reason).count();
        assert_eq!(count, cases, "{reason}");
    }
    let left = world.path("onceflow-data/spill");
    let spilled = if left.exists() { crate::kit::files(&left) } else { Vec::new() };
    assert!(spilled.is_empty(), "{spilled:?}");
}

#[test]
fn p6_a_type_that_nobody_named_is_counted_and_past_types_max_it_is_other() {
    let world = World::new();
    world.write("app.yaml", PIPE);
    let rows: String = ["a", "b", "c", "d"]
        .iter()
        .enumerate()
        .map(|(id, name)| good(id as u32, name) + "\n")
        .collect();
    world.write("in.ndjson", rows);
    world.ok(&["run", "app.yaml"]);
    let report: serde_json::Value =
        serde_json::from_str(&world.ok(&["report", "--json"]).stdout).unwrap();
    let types = report["pipes"][0]["types"].as_array().unwrap();
    let count = |name: &str| {
        types.iter().find(|one| one["type"] == name).map(|one| one["outcomes"]["delivered"].clone())
    };
    assert_eq!(count("a"), Some(1.into()));
    assert_eq!(count("b"), Some(1.into()));
    assert_eq!(count("other"), Some(2.into()), "{types:?}");
}

#[test]
fn p1_a_truncated_gzip_delivers_what_is_whole_and_is_not_taken_as_read() {
    let rows: Vec<String> = (0..20_000).map(|id| good(id, "a") + "\n").collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(rows.concat().as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let world = World::new();
    world.write("app.yaml", PIPE.replace("in.ndjson", "in.ndjson.gz"));
    world.write("in.ndjson.gz", &whole[..whole.len() / 2]);
    let ended = world.run(&["run", "app.yaml"]);
    ended.expect(4, &["in.ndjson.gz"]);
    let before = world.read("out.ndjson").len();
    assert!(before > 0 && before < rows.concat().len(), "{before}");
    // The same file, grown to its whole length.
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).open(world.path("in.ndjson.gz")).unwrap();
    file.write_all(&whole[whole.len() / 2..]).unwrap();
    drop(file);
    let summary = world.summary(&["run", "app.yaml"]);
    assert_eq!(summary["pipes"][0]["outcomes"]["duplicate"], 0, "{summary}");
    assert!(world.read("out.ndjson") == rows.concat().as_bytes());
}
