//! The exit codes of docs/cli.md, and the messages that come with them.

use crate::kit::{FILE_PIPE, World};

#[test]
fn words_of_the_design_that_are_not_there_say_so() {
    let world = World::new();
    for word in ["top", "sql"] {
        world
            .run(&[word, "--anything"])
            .expect(2, &[&format!("`onceflow {word}` isn't built yet")]);
    }
    world.run(&["rnu"]).expect(2, &["no command `rnu`", "did you mean `run`?"]);
    world.run(&["run", "--no-such"]).expect(2, &["--no-such"]);
    world.run(&["run"]).expect(2, &["PIPE.yaml"]);
}

#[test]
fn a_config_mistake_is_2_and_nothing_is_started() {
    let world = World::new();
    world.write("in.ndjson", "{\"id\":1}\n");
    world.write("app.yaml", FILE_PIPE.replace("window", "widow"));
    for command in ["run", "check"] {
        world.run(&[command, "app.yaml"]).expect(2, &["app.yaml:3:", "did you mean `window`?"]);
    }
    assert!(!world.path("onceflow-data").exists() && !world.path("out.ndjson").exists());
    world.run(&["check", "none.yaml"]).expect(2, &["none.yaml"]);
    world.write("app.yaml", FILE_PIPE);
    assert_eq!(world.ok(&["check", "app.yaml"]).stdout, "1 good pipe: app\n");
    assert!(!world.path("onceflow-data").exists(), "check touches nothing");
}

#[test]
fn a_source_that_is_not_there_is_4() {
    let world = World::new();
    world.write("app.yaml", FILE_PIPE);
    world.run(&["run", "app.yaml"]).expect(4, &["in.ndjson"]);
}

#[test]
fn a_sink_that_is_somebody_elses_is_4_and_stays_as_it_was() {
    let world = World::new();
    world.write("app.yaml", FILE_PIPE);
    world.write("in.ndjson", "{\"id\":1}\n");
    world.write("out.ndjson", "precious\n");
    world.run(&["run", "app.yaml"]).expect(4, &["out.ndjson", "append"]);
    assert_eq!(world.read("out.ndjson"), b"precious\n");
}

#[test]
fn schema_and_config_docs_come_from_the_same_table() {
    let world = World::new();
    let schema: serde_json::Value = serde_json::from_str(&world.ok(&["schema"]).stdout).unwrap();
    assert!(schema["$schema"].is_string());
    let docs = world.ok(&["config-docs"]).stdout;
    for key in ["event_bytes_max", "unsettled_events_max", "storage_bytes_max"] {
        assert!(docs.contains(key) && schema.to_string().contains(key), "{key}");
    }
    let file = include_str!("../../../../docs/config.md");
    assert!(docs == file, "docs/config.md is out of date: run `make docs`");
}

#[test]
fn json_and_a_sink_on_standard_output_do_not_mix() {
    let world = World::new();
    world.write("in.ndjson", "{\"id\":1}\n{\"id\":1}\n{\"id\":2}\n");
    world.write("app.yaml", FILE_PIPE.replace("file: { path: out.ndjson }", "stdout: {}"));
    world.run(&["run", "app.yaml", "--json"]).expect(2, &["standard output"]);
    let ended = world.ok(&["run", "app.yaml"]);
    assert_eq!(ended.stdout, "{\"id\":1}\n{\"id\":2}\n");
    assert!(ended.stderr.contains("3 received = 2 delivered + 1 duplicate"), "{}", ended.stderr);
}

#[test]
fn logs_are_quiet_by_default_and_json_on_request() {
    let world = World::new();
    world.write("in.ndjson", "{\"id\":1}\n");
    world.write("app.yaml", FILE_PIPE);
    let ended = world.ok(&["run", "app.yaml", "--json"]);
    assert_eq!(ended.stderr, "", "a good run says nothing but its summary");
    world.write("in.ndjson", "{\"id\":2}\n");
    let ended = world.run(&["run", "app.yaml", "-vv", "--json", "--log-format", "json"]);
    let lines = ended.stderr.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = lines.collect();
    let ends = lines.iter().find(|line| line["fields"]["message"] == "ended").unwrap();
    assert_eq!((&ends["level"], &ends["fields"]["pipe"]), (&"INFO".into(), &"app".into()));
    assert_eq!(ends["fields"]["received"], 1);
}
