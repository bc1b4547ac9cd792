//! `tap` shows events as they settle, and costs nothing when nobody looks.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, ChildStdin, Stdio};

use crate::kit::{STDIN_PIPE, Said, World};

struct Running {
    world: World,
    child: Child,
    stdin: ChildStdin,
    said: Said,
    sent: u64,
}

impl Running {
    /// A run that has settled one event.
    fn new() -> Running {
        Running::within(World::new())
    }

    fn within(world: World) -> Running {
        world.write("app.yaml", STDIN_PIPE);
        let mut child = world
            .command(&["run", "app.yaml", "--progress-lines"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let said = Said::of(&mut child);
        let mut running = Running { world, child, stdin, said, sent: 0 };
        running.send("{\"id\":0}");
        running
    }

    /// Sends an event and waits until it is settled.
    fn send(&mut self, event: &str) {
        writeln!(self.stdin, "{event}").unwrap();
        self.sent += 1;
        self.said.wait_for(&format!("progress {}", self.sent));
    }

    fn end(self) -> String {
        let Running { mut child, stdin, said, .. } = self;
        drop(stdin);
        assert!(child.wait().unwrap().success());
        said.rest()
    }
}

#[test]
fn a_tap_sees_what_became_of_each_event() {
    let mut running = Running::new();
    let socket = running.world.path("onceflow-data/onceflow.sock");
    assert_eq!(socket.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(b"{}\n").unwrap();
    let mut lines = BufReader::new(stream).lines();
    assert_eq!(lines.next().unwrap().unwrap(), r#"{"dropped":0,"error":null}"#);
    for event in ["{\"id\":1}", "{\"id\":1}", "{\"id\":", "{\"id\":[]}"] {
        running.send(event);
    }
    let events =
        lines.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let events: Vec<_> = events.filter(|line| line.get("dropped").is_none()).take(4).collect();
    let outcomes: Vec<_> = events.iter().map(|event| event["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["delivered", "duplicate", "rejected", "rejected"]);
    assert_eq!(events[0]["payload"]["id"], 1);
    assert_eq!(events[0]["key"], events[1]["key"]);
    assert_eq!(events[2]["payload_text"], "{\"id\":");
    assert!(events[3]["reason"].as_str().unwrap().starts_with("key_not_scalar"), "{}", events[3]);
    running.end();
    assert!(!socket.exists(), "the socket is gone after the run");
}

#[test]
fn the_command_filters_counts_and_ends_with_the_run() {
    let mut running = Running::new();
    let words = ["tap", "--outcome", "delivered", "--limit", "2"];
    let mut tap = running.world.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    // Until the tap has its two: how soon it listens is its own affair.
    let mut id = 1;
    while tap.try_wait().unwrap().is_none() {
        running.send(&format!("{{\"id\":{id}}}"));
        running.send(&format!("{{\"id\":{id}}}"));
        id += 1;
    }
    let shown = BufReader::new(tap.stdout.take().unwrap()).lines();
    let shown: Vec<String> = shown.map(Result::unwrap).collect();
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown.iter().all(|line| line.contains("\"outcome\":\"delivered\"")), "{shown:?}");
    running.end();
}

#[test]
fn without_a_run_tap_says_what_to_do() {
    let world = World::new();
    world.run(&["tap"]).expect(3, &["nobody runs pipes", "--data-dir"]);
}

#[test]
fn a_stale_socket_is_replaced() {
    let world = World::new();
    let socket = world.path("onceflow-data/onceflow.sock");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists() && UnixStream::connect(&socket).is_err());
    let running = Running::within(world);
    assert!(UnixStream::connect(&socket).is_ok());
    let said = running.end();
    assert!(!said.contains("socket"), "{said}");
    assert!(!socket.exists());
}

#[test]
fn a_bad_request_is_refused_and_harms_nobody() {
    let running = Running::new();
    let socket = running.world.path("onceflow-data/onceflow.sock");
    for request in ["{\"outcome\":\"lost\"}\n", "{\"what\":1}\n", "\u{0}\n"] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["error"].is_string(), "{request}: {answer}");
    }
    running.end();
}
