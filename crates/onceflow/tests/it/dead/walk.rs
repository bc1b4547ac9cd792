//! docs/dead-letters.md, step by step.

use super::{Receiver, config, dead, letters, listed};
use crate::kit::World;

#[test]
fn p5_a_dead_event_is_found_replayed_delivered_once_and_marked() {
    // A sink fails for one event.
    let receiver = Receiver::refusing(&[2]);
    let world = World::new();
    world.write("app.yaml", config(&receiver, ""));
    let lines = "{\"id\":1}\n{\"id\":2,\"text\":\"\u{fc} \\u0000\"}\n{\"id\":3}\n";
    world.write("app.ndjson", lines);
    let summary = world.summary(&["run", "app.yaml"]);
    assert_eq!(summary["pipes"][0]["outcomes"]["dead"], 1, "{summary}");
    assert_eq!(receiver.taken(), [1, 3]);

    // Its letter is found by its name alone.
    let found = letters(&world);
    assert_eq!(found.len(), 1, "{found:?}");
    let path = found[0].to_string_lossy().into_owned();
    assert!(path.starts_with("app/20") && path.contains("/-/"), "{path}");
    let text = String::from_utf8(world.read(&format!("onceflow-data/dead/{path}"))).unwrap();
    let letter: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(letter["raw"], lines.lines().nth(1).unwrap());
    assert_eq!(letter["class"], "http_400");

    // list and show say the same.
    let list = listed(&world, &[]);
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0]["class"], &list[0]["sink"]), (&"http_400".into(), &"http".into()));
    let id = list[0]["id"].as_str().unwrap();
    let shown = dead(&world, &["show", &id[..8], "app.yaml"]);
    shown.expect(0, &[]);
    assert!(shown.stdout.contains("http_400") && shown.stdout.contains(&path), "{shown:?}");
    let raw = dead(&world, &["show", id, "app.yaml", "--raw"]);
    assert_eq!(raw.stdout, lines.lines().nth(1).unwrap());

    // The sink is repaired; the event goes through its pipe again, once.
    receiver.repair();
    let tried = dead(&world, &["replay", "app.yaml", "--dry-run"]);
    assert_eq!((tried.code, tried.stdout.as_str()), (0, "1 letter would be replayed\n"));
    assert_eq!(receiver.taken(), [1, 3]);
    let replayed = dead(&world, &["replay", "app.yaml"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(replayed.stdout.contains("1 event: 1 delivered"), "{replayed:?}");
    assert_eq!(receiver.taken(), [1, 2, 3]);

    // Its letter is marked, and nothing is left to do.
    assert_eq!(letters(&world)[0].to_string_lossy(), path.replace(".json", ".done.json"));
    assert!(listed(&world, &[]).is_empty());
    let processed = listed(&world, &["--processed"]);
    assert_eq!(processed[0]["processed"], true);
    let again = dead(&world, &["replay", "app.yaml"]);
    assert!(again.code == 0 && again.stdout.contains("0 events"), "{again:?}");
    assert_eq!(receiver.taken(), [1, 2, 3]);

    let purged = dead(&world, &["purge", "app.yaml", "--processed"]);
    assert_eq!((purged.code, purged.stdout.as_str()), (0, "1 letter purged\n"));
    assert!(letters(&world).is_empty());

    // Dedup knows it now: a copy is a duplicate.
    world.write("app.ndjson", format!("{lines}{}\n", lines.lines().nth(1).unwrap()));
    let summary = world.summary(&["run", "app.yaml"]);
    assert_eq!(summary["pipes"][0]["outcomes"]["duplicate"], 1, "{summary}");
    assert_eq!(receiver.taken(), [1, 2, 3]);
    assert_eq!(world.run(&["report", "app.yaml"]).code, 0, "the counts balance");
}
