//! SIGTERM and SIGINT drain; the second one ends at once.

use std::io::Write;
use std::process::Stdio;

use rustix::process::Signal;

use crate::kit::{FILE_PIPE, STDIN_PIPE, Said, World, signal};

#[test]
fn p1_a_signal_settles_what_was_received_and_ends_with_0() {
    for number in [Signal::TERM, Signal::INT] {
        let world = World::new();
        world.write("app.yaml", STDIN_PIPE);
        let mut child = world
            .command(&["run", "app.yaml", "--progress-lines"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"{\"id\":1}\n{\"id\":2}\n{\"id\":1}\n").unwrap();
        let mut said = Said::of(&mut child);
        said.wait_for("progress ");
        signal(&child, number);
        // Its source is still open: only the signal ends it.
        let status = child.wait().unwrap();
        drop(stdin);
        assert_eq!(status.code(), Some(0), "{}", said.rest());
        let report = world.ok(&["report", "--json"]).stdout;
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        let pipe = &report["pipes"][0];
        assert_eq!(pipe["in_flight"], 0);
        let rows = world.read("out.ndjson").iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(pipe["outcomes"]["delivered"], rows as u64);
        assert!(rows >= 1, "{report}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let world = World::new();
    // Nobody reads the sink: the drain can't end.
    world.write("app.yaml", FILE_PIPE.replace("file: { path: out.ndjson }", "stdout: {}"));
    let rows: String = (0..100_000).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    world.write("in.ndjson", rows);
    let mut child = world
        .command(&["run", "app.yaml", "-v"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0];
    std::io::Read::read_exact(&mut stdout, &mut first).unwrap();
    let mut said = Said::of(&mut child);
    signal(&child, Signal::TERM);
    said.wait_for("asked to stop");
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15), "{}", said.rest());
}
