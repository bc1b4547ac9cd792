//! The examples keep what they promise, and the sample data is what `generate` makes.

use std::path::Path;

use crate::kit::{Ended, World};

#[test]
fn the_examples_pass_their_own_tests() {
    let world = World::with_examples();
    for (pipe, tests) in [("iot", 5), ("learning-app", 4)] {
        let file = format!("{pipe}.yaml");
        assert_eq!(world.ok(&["check", &file]).stdout, format!("1 good pipe: {pipe}\n"));
        let said = world.ok(&["test", &file]).stdout;
        assert!(said.ends_with(&format!("{tests} tests passed\n")), "{said}");
    }
}

#[test]
fn the_example_with_a_service_needs_its_address_and_passes_its_tests() {
    let world = World::with_examples();
    let ended = world.run(&["check", "payments.yaml"]);
    ended.expect(2, &["`PAYMENTS_URL` isn't set"]);
    let with = |words: &[&str], url: &str| {
        let mut command = world.command(words);
        command.env("PAYMENTS_URL", url).env("PAYMENTS_TOKEN", "hunter2");
        Ended::new(command.output().unwrap())
    };
    let said = with(&["test", "payments.yaml"], "https://example.org/failed");
    assert!(said.code == 0 && said.stdout.ends_with("1 test passed\n"), "{said:?}");
    // A warning is no error, and shows no secret.
    let said = with(&["check", "payments.yaml"], "http://example.org/failed");
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.starts_with("warning: `auth` goes over the network"), "{said:?}");
    assert!(said.stdout.ends_with("1 good pipe: payments\n"), "{said:?}");
    assert!(!format!("{said:?}").contains("hunter2"), "{said:?}");
}

#[test]
fn an_example_that_forgets_a_window_or_a_decoder_fails_its_tests() {
    let world = World::with_examples();
    let text = String::from_utf8(world.read("iot.yaml")).unwrap();
    for (was, becomes) in [
        ("IPHONE_EVENT: 180s", "IPHONE_EVENT: 181s"),
        ("IOT_EVENT: 300s", "IOT_EVENT: 299s"),
        ("decode: [url, json]", "decode: [json]"),
        ("  key: $.id ", "  across_types: true\n  key: $.id "),
    ] {
        assert!(text.contains(was), "{was}");
        world.write("iot.yaml", text.replacen(was, becomes, 1));
        let ended = world.run(&["test", "iot.yaml"]);
        assert_eq!(ended.code, 1, "{was} as {becomes}: {ended:?}");
    }
}

#[test]
fn the_sample_data_is_what_its_readme_says() {
    let world = World::with_examples();
    let readme = String::from_utf8(world.read("data/README.md")).unwrap();
    let mut made = 0;
    for line in readme.lines().filter_map(|line| line.strip_prefix("onceflow ")) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        let file = words.pop().unwrap();
        world.ok(&[&words[..], &["again"]].concat());
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(file);
        assert_eq!(world.read("again"), std::fs::read(kept).unwrap(), "{file}");
        made += 1;
    }
    assert_eq!(made, 3);
}

#[test]
fn the_sample_data_goes_through_the_examples() {
    let world = World::with_examples();
    for (pipe, source, file, delivered) in [
        ("iot", "sqs: { queue: iot-queue }", "iot-events.txt", 102),
        (
            "learning-app",
            "kinesis: { stream: app-events, shards: 4, start: trim_horizon }",
            "app-events.ndjson",
            91,
        ),
    ] {
        let text = String::from_utf8(world.read(&format!("{pipe}.yaml"))).unwrap();
        assert!(text.contains(source));
        let from_file = text.replace(source, &format!("file: {{ path: data/{file} }}"));
        world.write("pipe.yaml", from_file);
        let summary = world.summary(&["run", "pipe.yaml", "--data-dir", pipe]);
        let outcomes = &summary["pipes"][0]["outcomes"];
        assert_eq!(summary["pipes"][0]["received"], 120, "{summary:#}");
        assert_eq!(outcomes["rejected"], 0, "{summary:#}");
        assert_eq!(outcomes["delivered"], delivered, "{summary:#}");
    }
}
