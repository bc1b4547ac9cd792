//! `dedup explain`: everything that is known of one key, from real runs.

use std::io::Write as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::kit::{Said, World, signal};

/// Two pipes of one scope: `a` into a lake, `b` into a file.
const TWO_PIPES: &str = "pipe: a\n\
    source: { file: { path: a.ndjson } }\n\
    envelope: { type: $.kind }\n\
    dedup: { key: $.id, scope: shared, window: 1h }\n\
    archive: { path: arch }\n\
    sink: { lake: { path: lake/a, compact: on_request } }\n\
    ---\n\
    pipe: b\n\
    source: { file: { path: b.ndjson } }\n\
    envelope: { type: $.kind }\n\
    dedup: { key: $.id, scope: shared, window: 1h }\n\
    sink: { file: { path: b.out.ndjson } }\n";

fn explained(world: &World, words: &[&str]) -> Value {
    let words = [&["dedup", "explain"], words, &["--data-dir", "onceflow-data", "--json"]].concat();
    let ended = world.run(&words);
    assert!([0, 1].contains(&ended.code), "{words:?}: {ended:?}");
    let value: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(value["found"], ended.code == 0, "{value:#}");
    value
}

/// Both pipes ran: `a` first, so that `b` gets duplicates, one of them with another body.
fn two_pipes() -> World {
    let world = World::new();
    world.write("two.yaml", TWO_PIPES);
    world.write("b.ndjson", "");
    world.write(
        "a.ndjson",
        "{\"id\":\"x1\",\"kind\":\"opened\",\"n\":1}\n\
         {\"id\":\"x2\",\"kind\":\"opened\",\"n\":2}\n\
         {\"id\":\"x1\",\"kind\":\"opened\",\"n\":9}\n\
         {\"id\":\"x1\",\"kind\":\"closed\",\"n\":1}\n\
         {\"id\":7,\"kind\":\"opened\"}\n",
    );
    world.ok(&["run", "two.yaml"]);
    world.write(
        "b.ndjson",
        "{\"id\":\"x1\",\"kind\":\"opened\",\"n\":1}\n{\"id\":\"x3\",\"kind\":\"opened\"}\n",
    );
    world.ok(&["run", "two.yaml"]);
    world
}

#[test]
fn the_first_sighting_and_all_later_ones_are_told_with_their_places() {
    let world = two_pipes();
    let value =
        explained(&world, &["x1", "--type", "opened", "--config", "two.yaml", "--pipe", "a"]);
    let key = &value["keys"][0];
    assert_eq!((&key["scope"], &key["type"]), (&"shared".into(), &"opened".into()), "{value:#}");
    assert_eq!((&key["state"], &key["fields"][0]), (&"delivered".into(), &"\"x1\"".into()));
    let first = &key["entries"][0];
    assert_eq!((&first["pipe"], &first["batch"]), (&"a".into(), &1.into()), "{value:#}");
    assert_eq!(first["window_ms"], 3_600_000);
    let left = first["left_ms"].as_i64().unwrap();
    assert!((1..=3_600_000).contains(&left), "{left}");
    let sightings = key["sightings"].as_array().unwrap();
    assert_eq!(sightings.len(), 2, "{value:#}");
    assert_eq!((&sightings[0]["pipe"], &sightings[0]["other_body"]), (&"a".into(), &true.into()));
    assert_eq!((&sightings[1]["pipe"], &sightings[1]["other_body"]), (&"b".into(), &false.into()));
    assert_eq!(sightings[1]["source"], "file:b.ndjson");
    assert_eq!((&sightings[1]["offset"], &sightings[1]["type"]), (&"0".into(), &"opened".into()));
    assert_eq!(sightings[1]["original_ms"], first["recorded_ms"]);
    let places = key["places"].as_array().unwrap();
    let of = |place: &str| places.iter().find(|it| it["in"] == place).unwrap().clone();
    assert_eq!((&of("lake")["offset"], &of("lake")["batch"]), (&"0".into(), &1.into()));
    assert_eq!(of("archive")["source"], "file:a.ndjson");
    let changed = &key["differences"][0]["fields"][0];
    assert_eq!(
        (&changed["path"], &changed["kind"]),
        (&"$.n".into(), &"changed".into()),
        "{value:#}"
    );
    assert_eq!((&changed["before"], &changed["after"]), (&1.into(), &9.into()));
    // In words, too.
    let text = world
        .ok(&["dedup", "explain", "x1", "--type", "opened", "--config", "two.yaml", "--pipe", "a"]);
    for words in ["first sighting", "pipe a, batch 1", "duplicate, other body", "~ $.n: 1 -> 9"] {
        assert!(text.stdout.contains(words), "`{words}` isn't in {}", text.stdout);
    }
}

#[test]
fn a_key_is_found_by_hash_by_field_and_by_event() {
    let world = two_pipes();
    let by_value = explained(&world, &["x2"]);
    let hash = by_value["keys"][0]["key"].as_str().unwrap().to_owned();
    assert_eq!(explained(&world, &[&hash])["keys"][0]["entries"], by_value["keys"][0]["entries"]);
    let of_pipe = ["--config", "two.yaml", "--pipe", "a"];
    let by_field = explained(&world, &[&["id=x2"], &of_pipe[..]].concat());
    assert_eq!(by_field["keys"][0]["key"], hash.as_str());
    world.write("one.json", "{\"kind\":\"opened\", \"id\":\"x\\u0032\"}");
    let by_event = explained(&world, &[&["--event", "one.json"], &of_pipe[..]].concat());
    assert_eq!(by_event["keys"][0]["key"], hash.as_str());
    // A number is tried as a text and as a number.
    let number = explained(&world, &["7"]);
    assert_eq!(number["keys"][0]["fields"][0], "7", "{number:#}");
    // The sidecar shows the same hash.
    let places = by_value["keys"][0]["places"].as_array().unwrap().clone();
    assert!(places.iter().any(|place| place["in"] == "lake"), "the last run's lake is looked into");
}

#[test]
fn what_was_never_seen_is_1_and_what_is_near_is_named() {
    let world = two_pipes();
    let never = explained(&world, &["x9"]);
    assert_eq!((&never["found"], &never["keys"]), (&false.into(), &Value::Array(vec![])));
    let near = explained(&world, &["x2", "--type", "closed"]);
    assert_eq!(near["found"], false);
    assert_eq!(
        (&near["near"][0]["type"], &near["near"][0]["state"]),
        (&"opened".into(), &"delivered".into())
    );
}

#[test]
fn wrong_questions_name_the_way_out() {
    let world = two_pipes();
    let ask = |words: &[&str]| world.run(&[&["dedup", "explain"], words].concat());
    ask(&["x", "--data-dir", "none"]).expect(3, &["none holds no ledger", "--data-dir"]);
    ask(&["x", "--pipe", "c"]).expect(2, &["no pipe `c`; it has: a, b"]);
    ask(&["x", "--scope", "c"]).expect(2, &["no scope `c`; it has: shared"]);
    ask(&["x", "y", "--scope", "shared"]).expect(2, &["have 1 fields, and 2 were given"]);
    ask(&["x", "y", "--config", "two.yaml", "--pipe", "a"])
        .expect(2, &["give a value for each of $.id"]);
    ask(&["--event", "a.ndjson"]).expect(2, &["--event needs --config"]);
    ask(&[]).expect(2, &["KEY"]);
}

/// The table says of a row what the sidecar said.
#[test]
fn after_compaction_the_place_is_read_from_the_table() {
    let world = two_pipes();
    world.ok(&["compact", "two.yaml"]);
    let value = explained(&world, &["x2", "--lake", "lake/a"]);
    let places = value["keys"][0]["places"].as_array().unwrap();
    let place = places.iter().find(|place| place["in"] == "lake").unwrap();
    assert!(place["file"].as_str().unwrap().ends_with(".parquet"), "{place:#}");
    assert_eq!(place["batch"], 1);
    assert_ne!(place["offset"], "0");
}

/// A lake that is gone is said, and the ledger answers as before.
#[test]
fn what_isn_t_kept_any_more_is_said() {
    let world = two_pipes();
    std::fs::remove_dir_all(world.path("lake")).unwrap();
    std::fs::remove_dir_all(world.path("arch")).unwrap();
    let text =
        world.ok(&["dedup", "explain", "x1", "--type", "opened", "--data-dir", "onceflow-data"]);
    assert!(text.stdout.contains("where it came from isn't kept any more"), "{}", text.stdout);
    assert!(text.stdout.contains("lake"), "{}", text.stdout);
}

#[test]
fn sightings_that_made_room_are_said_to_be_gone() {
    let world = World::new();
    world.write(
        "app.yaml",
        "pipe: app\nsource: { file: { path: in.ndjson } }\n\
         batch: { events_max: 500 }\n\
         dedup: { key: $.id, window: 1h }\nlimits: { sightings_bytes_max: 65536 }\n\
         sink: { file: { path: out.ndjson } }\n",
    );
    let lines: String =
        (0..20_000).map(|i| format!("{{\"id\":{},\"n\":{i}}}\n", i % 100)).collect();
    world.write("in.ndjson", lines);
    world.ok(&["run", "app.yaml"]);
    let value = explained(&world, &["42"]);
    assert!(value["sightings_dropped"].as_u64().unwrap() > 1_000, "{}", value["sightings_dropped"]);
    let kept = value["keys"][0]["sightings"].as_array().unwrap();
    assert!(!kept.is_empty() && kept.len() < 199, "{}", kept.len());
    let text = world.ok(&["dedup", "explain", "42", "--data-dir", "onceflow-data"]);
    assert!(text.stdout.contains("older ones are gone"), "{}", text.stdout);
}

/// While a run lives, and after it was killed.
#[test]
fn it_works_beside_a_living_run_and_after_its_kill() {
    let world = World::new();
    world.write("app.yaml", crate::kit::STDIN_PIPE);
    let mut command = world.command(&["run", "app.yaml", "--progress-lines"]);
    command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = Said::of(&mut child);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"{\"id\":\"k1\"}\n{\"id\":\"k2\"}\n").unwrap();
    said.wait_for("progress 2");
    stdin.write_all(b"{\"id\":\"k1\"}\n").unwrap();
    said.wait_for("progress 3");
    let living = explained(&world, &["k1"]);
    assert_eq!(living["keys"][0]["sightings"].as_array().unwrap().len(), 1, "{living:#}");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    let killed = explained(&world, &["k1"]);
    assert_eq!(killed["keys"][0]["entries"], living["keys"][0]["entries"]);
    assert_eq!(killed["keys"][0]["sightings"], living["keys"][0]["sightings"]);
}
