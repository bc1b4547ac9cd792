//! `dedup simulate`: what other windows would have caught.

use serde_json::Value;

use crate::kit::World;

const EDITS: &str = "data/wikipedia-edits-2015-09-12.ndjson.gz";

fn simulated(world: &World, words: &[&str]) -> Value {
    let words = [&["dedup", "simulate"], words, &["--json"]].concat();
    serde_json::from_str(&world.ok(&words).stdout).unwrap()
}

/// The page docs/choosing-a-window.md shows what the program says.
#[test]
fn the_page_shows_what_comes_out() {
    let world = World::with_examples();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/choosing-a-window.md")).unwrap();
    let blocks: Vec<&str> = page.split("```").collect();
    let command = blocks.iter().find(|block| block.contains("$ onceflow dedup simulate")).unwrap();
    let (typed, shown) = command.trim_start_matches("console\n").split_once("\n\n").unwrap();
    let typed = typed.replace("\\\n", " ").replace('\'', "");
    let words: Vec<&str> = typed.trim_start_matches("$ onceflow").split_whitespace().collect();
    let said = world.ok(&words).stdout;
    assert_eq!(said.trim(), shown.trim(), "run the page's command again and paste what it says");
    // The drawing beside it is the one that the command made.
    let drawn = world.read("choosing-a-window.svg");
    let kept = std::fs::read(root.join("docs/choosing-a-window.svg")).unwrap();
    assert!(drawn == kept, "docs/choosing-a-window.svg is another one");
}

#[test]
fn a_run_with_that_window_delivers_as_many() {
    let world = World::new();
    let line = |i: u64| {
        let (id, at) = (i * 7 % 50, 1_700_000_000 + i * 3);
        format!("{{\"id\":{id},\"at\":{at}}}\n")
    };
    world.write("in.ndjson", (0..1000).map(line).collect::<String>());
    let config = |window: &str| {
        format!(
            "pipe: app\nsource: {{ file: {{ path: in.ndjson }} }}\n\
             envelope: {{ time: {{ path: $.at, format: epoch_seconds }} }}\n\
             dedup: {{ key: $.id, window: {window}, clock: event }}\n\
             archive: {{ path: arch }}\n\
             sink: {{ file: {{ path: out.ndjson }} }}\n"
        )
    };
    world.write("app.yaml", config("2m"));
    let from = |archive: &str| {
        simulated(&world, &["--archive", archive, "--config", "app.yaml", "--windows", "2m,5m,1h"])
    };
    let value = from("in.ndjson");
    let windows = value["windows"].as_array().unwrap().clone();
    for window in &windows {
        let name = window["window"].as_str().unwrap();
        world.write("app.yaml", config(name));
        let data = format!("data-{name}");
        std::fs::remove_file(world.path("out.ndjson")).ok();
        std::fs::remove_dir_all(world.path("arch")).ok();
        let run = world.summary(&["run", "app.yaml", "--data-dir", &data]);
        assert_eq!(run["pipes"][0]["outcomes"]["delivered"], window["delivered"], "{name}");
        assert_eq!(run["pipes"][0]["outcomes"]["duplicate"], window["caught"], "{name}");
    }
    // The archive of that run holds the same events.
    assert_eq!(from("arch")["windows"], value["windows"]);
}

#[test]
fn wrong_questions_name_the_way_out() {
    let world = World::with_examples();
    let ask = |words: &[&str]| world.run(&[&["dedup", "simulate"], words].concat());
    ask(&["--archive", "none.ndjson", "--key", "$.id"]).expect(2, &["cannot read none.ndjson"]);
    ask(&["--archive", EDITS, "--key", "$.page"]).expect(2, &["without a time", "--time"]);
    ask(&["--archive", EDITS, "--key", "$.page", "--time", "$.time", "--windows", "1x"])
        .expect(2, &["--windows: `1x` is no length of time"]);
    ask(&["--archive", "*.nothing", "--key", "$.a"]).expect(2, &["nothing is called so"]);
    ask(&["--archive", "data", "--key", "$.a"]).expect(2, &["holds no archived events"]);
    ask(&["--archive", EDITS]).expect(2, &["--key"]);
    ask(&["--archive", EDITS, "--key", "$.page", "--time", "$.time", "--format", "epoch"])
        .expect(2, &["none of rfc3339"]);
}
