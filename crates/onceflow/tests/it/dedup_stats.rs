//! `dedup stats`: keys, disk and duplicates by scope, from real runs.

use serde_json::Value;

use crate::kit::World;

const PIPE: &str = "pipe: app\n\
    source: { file: { path: in.ndjson } }\n\
    envelope: { type: $.kind, time: { path: $.at, format: epoch_seconds } }\n\
    dedup: { key: $.id, scope: s, window: 1h, clock: event, windows: { slow: 1d } }\n\
    sink: { file: { path: out.ndjson } }\n";

fn event(id: u64, kind: &str, at: u64, n: u64) -> String {
    format!("{{\"id\":{id},\"kind\":\"{kind}\",\"at\":{},\"n\":{n}}}\n", 1_700_000_000 + at)
}

fn stats(world: &World, words: &[&str]) -> Value {
    let words = [&["dedup", "stats", "app.yaml", "--json"], words].concat();
    serde_json::from_str(&world.ok(&words).stdout).unwrap()
}

#[test]
fn keys_duplicates_and_lags_are_counted_by_scope_and_type() {
    let world = World::new();
    world.write("app.yaml", PIPE);
    let mut lines: String = (0..100).map(|id| event(id, "fast", id, 0)).collect();
    lines.extend((100..110).map(|id| event(id, "slow", id, 0)));
    // 1 s later with the same body is impossible, since the time is part of it: another body.
    lines.extend((0..25).map(|id| event(id, "fast", id + 110, 0)));
    world.write("in.ndjson", lines);
    world.ok(&["run", "app.yaml"]);
    let value = stats(&world, &[]);
    let scope = &value["scopes"][0];
    assert_eq!((&scope["scope"], &scope["fields"]), (&"s".into(), &1.into()), "{value:#}");
    let keys = |name: &str| scope[name].as_u64().unwrap();
    assert_eq!(keys("keys_in_runs") + keys("keys_in_journal"), 110, "{value:#}");
    assert_eq!(scope["keys_committed"], 110);
    assert_eq!(scope["windows"].as_array().unwrap().len(), 2, "an hour and a day are two classes");
    assert_eq!(
        (&scope["oldest_ms"], &scope["newest_ms"]),
        (&1_700_000_000_000_u64.into(), &1_700_000_109_000_u64.into())
    );
    let fast = &scope["types"][0];
    assert_eq!(
        (&fast["type"], &fast["delivered"], &fast["duplicate"]),
        (&"fast".into(), &100.into(), &25.into())
    );
    assert_eq!(fast["share"], 0.2);
    assert_eq!((&scope["sightings"], &scope["other_body"]), (&25.into(), &25.into()));
    assert_eq!(scope["lags"], serde_json::json!([{ "below_ms": 131_072, "events": 25 }]));
    assert_eq!(scope["held_by"], "file:in.ndjson of pipe app");
    assert_eq!(scope["held_by_watermark_ms"], 1_700_000_134_000_u64);
    let text = world.ok(&["dedup", "stats", "app.yaml"]).stdout;
    for words in [
        "scope s (1 field and the type)",
        "20.00%",
        "waits for file:in.ndjson of pipe app",
        "< 2.2m",
    ] {
        assert!(text.contains(words), "`{words}` isn't in {text}");
    }
}

#[test]
fn one_scope_may_be_asked_for_and_an_unknown_one_is_named() {
    let world = World::new();
    world.write("app.yaml", PIPE);
    world.write("in.ndjson", event(1, "fast", 0, 0));
    world.run(&["dedup", "stats", "app.yaml"]).expect(3, &["holds no ledger", "--data-dir"]);
    world.ok(&["run", "app.yaml"]);
    assert_eq!(stats(&world, &["--scope", "s"])["scopes"].as_array().unwrap().len(), 1);
    world
        .run(&["dedup", "stats", "app.yaml", "--scope", "t"])
        .expect(2, &["no scope `t`; it has: s"]);
}
