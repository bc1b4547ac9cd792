//! `generate`: what comes out, and what is said of mistakes.

use crate::kit::{FILE_PIPE, World};

const SMALL: &str = "common:\n  id: uuid\n  at: epoch_seconds\ntypes:\n  game: { subtypes: [] }\n";

#[test]
fn the_sample_makes_events_of_about_308_bytes_the_same_for_the_same_seed() {
    let world = World::with_examples();
    let words = ["generate", "event_config.yml", "--events", "20k", "--duplicates", "10%"];
    let first = world.ok(&words).stdout;
    assert_eq!(first, world.ok(&words).stdout);
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines.len(), 20_000);
    let different: std::collections::HashSet<_> = lines.iter().collect();
    assert_eq!(different.len(), 18_000);
    let bytes = first.len() / lines.len();
    assert!((300..316).contains(&bytes), "{bytes}");
    for line in &lines[..500] {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["event_name"].as_str().unwrap().contains(':'), "{line}");
        assert!(event["event_specifics"]["language_id"].is_string(), "{line}");
    }
    let other = [&words[..], &["--seed", "2", "--out", "other.ndjson"]].concat();
    assert_eq!(world.ok(&other).stdout, "");
    assert_ne!(world.read("other.ndjson"), first.as_bytes());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let world = World::with_examples();
    let mut command = world.command(&["generate", "event_config.yml", "--events", "1M"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// What is said of a file; each mistake by its place, message and first help.
fn said(text: &str) -> Vec<String> {
    let world = World::new();
    world.write("e.yml", text);
    let ended = world.run(&["generate", "e.yml", "--events", "3"]);
    assert_eq!(ended.code, 2, "{text}\n{ended:?}");
    let errors = ended.stderr.split("\n\n").filter(|part| part.starts_with("error: "));
    let errors = errors.map(|part| {
        let mut lines = part.lines();
        let message = lines.next().unwrap().trim_start_matches("error: ");
        let place = lines.next().unwrap().trim_start().trim_start_matches("--> e.yml:");
        let help = lines.find_map(|line| line.split_once("= help: ")).map_or("", |(_, help)| help);
        format!("{place} {message} | {help}")
    });
    errors.collect()
}

#[test]
fn every_mistake_is_shown_where_it_stands() {
    let with = |field: &str| format!("common:\n  f: {field}\ntypes: {{ a: 1 }}\n");
    for (text, expected) in [
        ("", "1:1 this file is empty | `types:` says what to generate"),
        ("common: {}\n", "1:1 `types` is missing | `types: { game: {} }` is the least"),
        ("types: {}\n", "1:8 no type of event | `types: { game: {} }` is the least"),
        ("types: { a: 0 }\n", "1:8 every weight is 0 | `types: { game: {} }` is the least"),
        ("typs: { a: 1 }\ntypes: { a: 1 }\n", "1:1 unknown key `typs` | did you mean `types`?"),
        ("types: { a: { wieght: 1 } }\n", "1:15 unknown key `wieght` | did you mean `weight`?"),
        (
            "types: { a: { weight: many } }\n",
            "1:23 a weight is a whole number from 0 to 1000000 | a weight of 2 comes twice as often as a weight of 1",
        ),
        (
            "types: { \"a:b\": 1 }\n",
            "1:10 a type's name has at least one character, and no `:` | the event's name is `type:subtype`; subtypes stand under `subtypes`",
        ),
        (
            "start: today\ntypes: { a: 1 }\n",
            "1:8 `start` is a time | write it like 2026-11-01T08:00:00Z",
        ),
        (
            "events_per_second: 0\ntypes: { a: 1 }\n",
            "1:20 `events_per_second` is a number from 0.001 to 1000000000 | it says how far apart the events' times are; the output is as fast as it goes",
        ),
        (SMALL, "5:21 `subtypes` is a map | write `name: …` lines below it, or `{ name: … }`"),
        (&with("uid"), "2:6 `uid` is no way to make a value | did you mean `uuid`?"),
        (
            &with("integer"),
            "2:6 `integer` needs to be told more | write `{ integer: [1, 100] }`: a whole number between the two",
        ),
        (
            &with("{ integr: [1, 2] }"),
            "2:8 `integr` is no way to make a value | did you mean `integer`?",
        ),
        (
            &with("{ uuid: 4 }"),
            "2:8 `uuid` is no way to make a value | `uuid` stands alone: `field: uuid`",
        ),
        (
            &with("{ integer: [3, 1] }"),
            "2:17 `integer` can't be made of this | write `{ integer: [1, 100] }`: a whole number between the two",
        ),
        (
            &with("{ decimal: [1, x] }"),
            "2:17 `decimal` can't be made of this | write `{ decimal: [0.00, 9.99] }`: a number with as many digits",
        ),
        (
            &with("{ chance: 120% }"),
            "2:16 `chance` can't be made of this | write `{ chance: 20% }`: true in one of five events",
        ),
        (
            &with("{ choice: [] }"),
            "2:16 a choice is made among 1 to 10000 values | write `{ choice: [en, de] }`, or with weights `{ choice: { en: 3, de: 1 } }`",
        ),
        (
            &with("[a, b]"),
            "2:6 a list doesn't say how the value is made | to choose one of them, write `{ choice: […] }`",
        ),
        (
            &with("{ integer: [1, 2], value: 3 }"),
            "2:6 a field is made in exactly one way | for an object with fields of its own write dotted names: `a.b: uuid`",
        ),
        (
            "common: { a: 1, a.b: 2 }\ntypes: { a: 1 }\n",
            "1:17 `a.b` and `a` can't both be there | a field holds a value or an object, not both",
        ),
        (
            "common: { a..b: 1 }\ntypes: { a: 1 }\n",
            "1:11 `a..b` isn't a field's name | `a.b` is the field b inside the object a",
        ),
        (
            "key: uid\ncommon: { id: uuid }\ntypes: { a: 1 }\n",
            "1:6 `a` has no field `uid` | every type has every field of the key: put it under `common`",
        ),
        (
            "key: { id: 1 }\ncommon: { id: uuid }\ntypes: { a: 1 }\n",
            "1:6 `key` is a field's name, or a list of them | write `key: event_uuid`, or `key: [id, device.os]`",
        ),
        (
            "other_body: n\ncommon: { n: sequence }\ntypes: { a: 1 }\n",
            "1:13 `other_body` is a field that isn't always the same | a copy with another body differs from its original in this field",
        ),
        (
            "key: id\nother_body: id\ncommon: { id: uuid }\ntypes: { a: 1 }\n",
            "2:13 `id` is part of the key | a copy with another body has the same key: name another field",
        ),
        (
            "encode: [zip]\ntypes: { a: 1 }\n",
            "1:9 `encode` is a list of `url` and `base64` | `encode: [url]` percent-encodes each event's JSON; leave it out for JSON",
        ),
        (
            "types: { a: 1 }\n---\ntypes: { a: 1 }\n",
            "3:1 a second document begins here | one file describes one stream of events: take the `---` out",
        ),
    ] {
        assert_eq!(said(text), [expected], "{text}");
    }
}

#[test]
fn options_are_checked_before_anything_is_written() {
    let world = World::with_examples();
    let generate =
        |more: &[&str]| world.run(&[&["generate", "event_config.yml"][..], more].concat());
    generate(&["--events", "many"]).expect(2, &["--events: `many`"]);
    generate(&["--events", "5", "--duplicates", "10"]).expect(2, &["--duplicates: `10`", "10%"]);
    generate(&["--events", "5", "--out", "no/such/folder"]).expect(1, &["no/such/folder"]);
    world.run(&["generate", "none.yml", "--events", "5"]).expect(2, &["none.yml"]);
}

#[test]
fn what_the_options_ask_of_the_description_is_checked() {
    let world = World::with_examples();
    world.write("bare.yml", "common: { id: uuid }\ntypes: { a: 1 }\n");
    world.write("fixed.yml", "key: id\ncommon: { id: uuid, n: sequence }\ntypes: { a: 1 }\n");
    let other = |file: &str| {
        world.run(&["generate", file, "--events", "100", "--duplicates-other-body", "10%"])
    };
    other("bare.yml").expect(2, &["bare.yml doesn't say what stays the same", "key: FIELD"]);
    other("fixed.yml").expect(2, &["`a` has no field outside of its key"]);
    let generate = |more: &[&str]| {
        world.run(&[&["generate", "event_config.yml", "--events", "100"][..], more].concat())
    };
    for (words, said) in [
        (&["--duplicates", "60%", "--duplicates-other-body", "40%"][..], "leave no event"),
        (&["--late", "5%"], "--late and --late-by belong together"),
        (&["--late", "5%", "--late-by", "soon"], "--late-by: `soon` is no length of time"),
        (&["--rate", "fast"], "--rate: `fast`"),
        (&["--to", "topic:x"], "neither stream:NAME nor queue:NAME"),
        (&["--to", "queue:a b"], "`a b` can't be a name"),
        (&["--to", "queue:a", "--endpoint", "localhost"], "neither an http address nor `aws`"),
        (&["--to", "queue:a", "--connections", "0"], "--connections: from 1 to 256"),
        (&["--to", "queue:a", "--out", "x"], "--out"),
        (&["--to", "queue:a", "--format", "kinesis-lambda"], "leave --to out"),
        (&["--connections", "4"], "--connections belongs to --to"),
        (&["--partition-key", "city"], "--partition-key belongs to"),
        (&["--partition-key", "city", "--to", "queue:a"], "a queue has no partitions"),
        (&["--acknowledged", "x"], "--acknowledged belongs to --to"),
        (&["--records-per-payload", "4"], "belongs to --format kinesis-lambda"),
        (&["--json"], "--json prints the summary to standard output"),
    ] {
        generate(words).expect(2, &[said]);
    }
}

#[test]
fn a_file_summary_counts_every_sort() {
    let world = World::with_examples();
    let shares = ["--duplicates", "10%", "--duplicates-other-body", "2%", "--late", "20%"];
    let words = ["generate", "event_config.yml", "--events", "10k", "--out", "out", "--json"];
    let words = [&words[..], &shares, &["--late-by", "1h"]].concat();
    let summary: serde_json::Value = serde_json::from_str(&world.ok(&words).stdout).unwrap();
    assert_eq!((&summary["events"], &summary["new"]), (&10_000.into(), &8800.into()));
    assert_eq!(summary["duplicates"], 1000);
    assert_eq!(summary["duplicates_other_body"], 200);
    let late = summary["late"].as_u64().unwrap();
    assert!((1700..2300).contains(&late), "{late}");
    let text = world.read("out");
    assert_eq!(summary["bytes"], text.len());
    let different: std::collections::HashSet<_> = text.split(|byte| *byte == b'\n').collect();
    assert!((8900..=9001).contains(&different.len()), "{}", different.len());
}

#[test]
fn url_encoded_events_are_read_back_by_a_pipe() {
    let world = World::with_examples();
    world.ok(&["generate", "iot_config.yml", "--events", "500", "--out", "in.ndjson"]);
    world.write("decoded.yml", {
        let config = String::from_utf8(world.read("iot_config.yml")).unwrap();
        config.replace("encode: [url]", "encode: []")
    });
    let plain = world.ok(&["generate", "decoded.yml", "--events", "500"]).stdout;
    world.write("app.yaml", FILE_PIPE.replace("dedup:", "decode: [url, json]\ndedup:"));
    world.ok(&["run", "app.yaml"]);
    assert_eq!(String::from_utf8(world.read("out.ndjson")).unwrap(), plain);
    let one = &world.read("in.ndjson")[..20];
    assert!(one.starts_with(b"%7B%22id%22%3A%22"), "{}", String::from_utf8_lossy(one));
}
