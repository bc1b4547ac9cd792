//! The archive, from outside: everything that came is kept, and comes again when it is asked for.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use event::Marks;
use serde_json::Value;

use crate::kit::{Said, World, files};

const PIPE: &str = "pipe: app\n\
    source: { file: { path: in.ndjson } }\n\
    dedup: { key: $.id, window: 1h }\n\
    filter: { kind: [{ anything-but: noise }] }\n\
    archive: {}\n\
    sinks:\n\
    - file: { path: out.ndjson }\n\
    - lake: { path: copy, compact: on_request, name: copy }\n";

/// Six events, two of them noise, a duplicate and a broken one.
fn input() -> String {
    let mut lines = String::new();
    for (id, kind) in [(1, "a"), (2, "noise"), (3, "b"), (4, "a"), (4, "a"), (5, "noise"), (6, "b")]
    {
        writeln!(lines, r#"{{"id":{id},"kind":"{kind}"}}"#).unwrap();
    }
    lines + "{\"id\":\n"
}

fn ran() -> World {
    let world = World::new();
    world.write("app.yaml", PIPE);
    world.write("in.ndjson", input());
    world.ok(&["run", "app.yaml"]);
    world
}

fn json(world: &World, words: &[&str], code: i32) -> Value {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    let ended = world.run(&words);
    assert_eq!(ended.code, code, "{words:?}: {ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn replay(world: &World, more: &[&str], code: i32) -> Value {
    let words: Vec<&str> = ["archive", "replay", "app.yaml"].iter().chain(more).copied().collect();
    json(world, &words, code)
}

/// Keys of the copy's rows by whether they are marked as replayed, from its sidecars.
fn marks(world: &World) -> (usize, usize) {
    let sidecars = files(&world.path("copy")).into_iter();
    let sidecars = sidecars.filter(|path| path.to_string_lossy().ends_with(".keys"));
    let rows =
        sidecars.flat_map(|path| lake::sidecar::read(&std::fs::read(path).unwrap()).unwrap());
    let (replayed, first): (Vec<_>, Vec<_>) = rows.partition(|row| row.marks.has(Marks::REPLAYED));
    (first.len(), replayed.len())
}

fn archives(world: &World) -> Vec<PathBuf> {
    let all = files(&world.path("onceflow-data/archive/app")).into_iter();
    all.filter(|path| path.to_string_lossy().ends_with(".archive")).collect()
}

#[test]
fn everything_that_came_is_listed_and_whole() {
    let world = ran();
    let listed = json(&world, &["archive", "list", "app.yaml"], 0);
    assert_eq!(listed["summary"]["events"], 8, "{listed}");
    assert_eq!(listed["files"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["files"][0]["finished"], true);
    let text = world.ok(&["archive", "list", "app.yaml"]).stdout;
    assert!(text.contains("8 events in 1 file"), "{text}");
    let verified = json(&world, &["archive", "verify", "app.yaml"], 0);
    assert_eq!((&verified["events"], &verified["damages"]), (&8.into(), &Value::Array(vec![])));
}

#[test]
fn a_replay_reaches_one_sink_marked_and_nothing_else() {
    let world = ran();
    let before = world.read("out.ndjson");
    assert_eq!(marks(&world), (4, 0));
    let options = ["--to-sink", "copy", "--filter", r#"{"kind":["b","noise"]}"#];
    let dry = replay(&world, &[&options[..], &["--dry-run"]].concat(), 0);
    assert_eq!((&dry["events_taken"], &dry["events_in_range"]), (&4.into(), &8.into()), "{dry}");
    assert_eq!(marks(&world), (4, 0), "a dry run delivers nothing");

    let done = replay(&world, &options, 0);
    // The pipe's own filter holds for replayed events as well.
    let tally = &done["tally"];
    assert_eq!((&tally["delivered"], &tally["filtered"]), (&2.into(), &2.into()), "{done}");
    assert_eq!(marks(&world), (4, 2));
    assert_eq!(world.read("out.ndjson"), before);

    // Around dedup it is delivered as often as it is asked for; through it, only once.
    replay(&world, &options, 0);
    assert_eq!(marks(&world), (4, 4));
    let done = replay(&world, &[&options[..], &["--dedup"]].concat(), 0);
    assert_eq!(done["tally"]["duplicate"], 2, "{done}");
    assert_eq!(marks(&world), (4, 4));

    let listed = json(&world, &["archive", "list", "app.yaml"], 0);
    assert_eq!(listed["summary"]["events"], 8, "what was replayed is not archived again");
    let report = json(&world, &["report", "app.yaml"], 0).to_string();
    assert!(report.contains("replay:app"), "a replay is a source of its own: {report}");
}

#[test]
fn all_sinks_get_it_and_what_is_broken_is_rejected_again() {
    let world = ran();
    let done = replay(&world, &["--all-sinks", "--speed", "1000"], 1);
    let tally = &done["tally"];
    // Around dedup also the duplicate of the first time is delivered.
    assert_eq!((&tally["delivered"], &tally["rejected"]), (&5.into(), &1.into()), "{done}");
    let problems = done["report"]["problems"].to_string();
    assert!(problems.contains("1 event: json_"), "{problems}");
    assert_eq!(world.read("out.ndjson").split(|byte| *byte == b'\n').count() - 1, 4 + 5);
    assert_eq!(marks(&world), (4, 5));
}

#[test]
fn a_damaged_block_is_named_and_the_rest_is_replayed() {
    let world = ran();
    world.write("in.ndjson", input() + "{\"id\":9,\"kind\":\"b\"}\n");
    world.ok(&["run", "app.yaml"]);
    let [first, _second] = &archives(&world)[..] else { panic!("{:?}", archives(&world)) };
    let mut bytes = std::fs::read(first).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    world.write(first.to_str().unwrap(), bytes);

    let words = ["archive", "replay", "app.yaml", "--to-sink", "copy"];
    let ended = world.run(&words);
    let named = format!("{}, byte ", first.file_name().unwrap().to_str().unwrap());
    ended.expect(1, &[&named, "the block's checksum is wrong", "with 8 events"]);
    assert!(ended.stdout.contains("1 event: 1 delivered"), "{ended:?}");
    assert_eq!(marks(&world), (5, 1));
    let verified = json(&world, &["archive", "verify", "app.yaml"], 1);
    assert_eq!(verified["damages"][0]["events"], 8, "{verified}");
    let dry = world.run(&[&words[..], &["--dry-run"]].concat());
    dry.expect(1, &["the block's checksum is wrong"]);
}

#[test]
fn an_empty_range_is_said() {
    let world = ran();
    let from_to = ["--from", "2001-01-01", "--to", "2001-01-02T00:00:00Z"];
    let words = ["archive", "replay", "app.yaml", "--all-sinks"];
    let ended = world.ok(&[&words[..], &from_to].concat());
    ended.expect(0, &["the archive holds no events of this range; it holds 8 events"]);
    assert!(ended.stdout.contains("0 events"), "{ended:?}");
    let listed = json(&world, &[&["archive", "list", "app.yaml"], &from_to[..]].concat(), 0);
    assert_eq!(listed["summary"]["events"], 0);
    let whole = replay(&world, &["--all-sinks", "--dry-run", "--from", "1h"], 0);
    assert_eq!(whole["events_in_range"], 8);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let world = ran();
    let refused = |more: &[&str], said: &str| {
        let words: Vec<&str> =
            ["archive", "replay", "app.yaml"].iter().chain(more).copied().collect();
        world.run(&words).expect(2, &[said]);
    };
    refused(&[], "--to-sink NAME, or --all-sinks");
    refused(&["--to-sink", "nowhere"], "has no sink `nowhere`; it has: file, copy");
    refused(&["--all-sinks", "--filter", "{"], "--filter isn't JSON");
    refused(&["--all-sinks", "--filter", r#"{"a":1}"#], "--filter: ");
    refused(&["--all-sinks", "--speed", "fast"], "--speed: `fast` is no speed");
    refused(&["--all-sinks", "--from", "soon"], "--from: `soon` is no time");
    refused(
        &["--all-sinks", "--from", "2026-01-02", "--to", "2026-01-01"],
        "--from must be before",
    );
    refused(&["--all-sinks", "--pipe", "other"], "there is no pipe `other`; there are: app");
    world.write("none.yaml", PIPE.replace("archive: {}\n", ""));
    world.run(&["archive", "list", "none.yaml"]).expect(2, &["keeps no archive", "none.yaml:1"]);
    let fresh = World::new();
    fresh.write("app.yaml", PIPE);
    fresh.run(&["archive", "list", "app.yaml"]).expect(3, &["there is no archive in"]);
}

/// The run that owns the data folder does it; the archive is read up to what it has written.
#[test]
fn the_owner_replays_while_it_runs() {
    let world = World::new();
    let pipe = PIPE.replace("in.ndjson", "\"-\"") + "batch: { interval_max: 20ms }\n";
    world.write("app.yaml", pipe);
    let mut child = world
        .command(&["run", "app.yaml", "--progress-lines"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut said = Said::of(&mut child);
    for id in 1..=3 {
        writeln!(stdin, r#"{{"id":{id},"kind":"a"}}"#).unwrap();
        said.wait_for(&format!("progress {id}"));
    }
    let listed = json(&world, &["archive", "list", "app.yaml"], 0);
    let file = &listed["files"][0];
    assert_eq!((&file["finished"], &file["events"]), (&false.into(), &3.into()), "{listed}");
    let done = replay(&world, &["--to-sink", "file"], 0);
    assert_eq!(done["tally"]["delivered"], 3, "{done}");
    // And the source goes on.
    writeln!(stdin, r#"{{"id":4,"kind":"a"}}"#).unwrap();
    said.wait_for("progress 7");
    drop(stdin);
    assert!(child.wait().unwrap().success(), "{}", said.rest());
    let rows = String::from_utf8(world.read("out.ndjson")).unwrap();
    assert_eq!(rows.lines().count(), 7, "{rows}");
    assert_eq!(marks(&world), (4, 0));
}
