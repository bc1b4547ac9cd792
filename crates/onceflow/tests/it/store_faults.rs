//! A shared store that fails, seen from outside: no event is lost, and none is let through unasked.

use std::io::Write as _;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::kit::{Said, World, signal};
use crate::redis::Redis;

const PATIENCE: Duration = Duration::from_secs(120);

/// A pipe from standard input into a file, with its keys in a store.
struct Fed<'a> {
    world: &'a World,
    child: Child,
    to: Option<ChildStdin>,
    said: Said,
}

impl<'a> Fed<'a> {
    fn start(world: &'a World, store: &str) -> Self {
        let config = format!(
            "pipe: app\n\
             source: {{ file: {{ path: \"-\" }} }}\n\
             batch: {{ interval_max: 20ms }}\n\
             dedup: {{ key: $.id, scope: app, window: 1h, lease: 5s, store: {store} }}\n\
             limits: {{ drain_max: 1s }}\n\
             sink: {{ file: {{ path: out.ndjson }} }}\n"
        );
        world.write("app.yaml", config);
        let mut command = world.command(&["run", "app.yaml"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, said) = (child.stdin.take(), Said::of(&mut child));
        Self { world, child, to, said }
    }

    fn feed(&mut self, ids: impl Iterator<Item = u64>) {
        let lines: String = ids.map(|id| format!("{{\"id\":{id}}}\n")).collect();
        self.to.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    fn delivered(&self) -> Vec<u64> {
        let rows = std::fs::read_to_string(self.world.path("out.ndjson")).unwrap_or_default();
        let id = |row: &str| {
            serde_json::from_str::<serde_json::Value>(row).ok().and_then(|row| row["id"].as_u64())
        };
        rows.lines().filter_map(id).collect()
    }

    fn wait_for_rows(&self, rows: usize) {
        let until = Instant::now() + PATIENCE;
        while self.delivered().len() < rows {
            assert!(Instant::now() < until, "{} of {rows} rows", self.delivered().len());
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// No more comes: it ends well, and everything up to `count` is there once.
    fn ends_with(mut self, count: u64) {
        drop(self.to.take());
        let ended = self.child.wait().unwrap();
        let mut rows = self.delivered();
        rows.sort_unstable();
        assert!(ended.success(), "{ended}");
        assert_eq!(rows, (0..count).collect::<Vec<_>>(), "each once");
        let report = self.world.ok(&["report", "app.yaml", "--json"]);
        let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
        assert_eq!(report["imbalances"], serde_json::json!([]));
    }
}

impl Drop for Fed<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_store_that_is_down_at_the_start_is_waited_for() {
    let world = World::new();
    let Some(mut redis) = Redis::start(&world, "a store that is down") else { return };
    redis.kill();
    let mut fed = Fed::start(&world, &redis.url());
    fed.said.wait_for("paused");
    redis.run();
    fed.feed((0..50).chain(0..50));
    fed.wait_for_rows(50);
    fed.ends_with(50);
}

#[test]
fn a_pipe_that_waits_for_its_store_can_be_stopped() {
    let world = World::new();
    let Some(mut redis) = Redis::start(&world, "a store that stays down") else { return };
    redis.kill();
    let mut fed = Fed::start(&world, &redis.url());
    fed.said.wait_for("paused");
    signal(&fed.child, Signal::TERM);
    assert!(fed.child.wait().unwrap().success());
}

#[test]
fn p1_p2_a_store_that_goes_away_and_comes_back_loses_and_doubles_nothing() {
    let world = World::new();
    let Some(mut redis) = Redis::start(&world, "a store that goes away") else { return };
    let mut fed = Fed::start(&world, &redis.url());
    fed.feed(0..50);
    fed.wait_for_rows(50);
    redis.kill();
    fed.feed((0..100).chain(50..100));
    fed.said.wait_for("paused");
    assert_eq!(fed.delivered().len(), 50, "nothing is let through unasked");
    redis.run();
    fed.wait_for_rows(100);
    fed.ends_with(100);
}

#[test]
fn p1_p2_a_store_that_is_slow_loses_and_doubles_nothing() {
    let world = World::new();
    let Some(redis) = Redis::start(&world, "a slow store") else { return };
    let store = format!("{{ redis: {{ url: \"{}\", timeout: 200ms }} }}", redis.url());
    let mut fed = Fed::start(&world, &store);
    fed.feed(0..50);
    fed.wait_for_rows(50);
    redis.signal(Signal::STOP);
    fed.feed((0..100).chain(50..100));
    fed.said.wait_for("paused");
    redis.signal(Signal::CONT);
    fed.wait_for_rows(100);
    fed.ends_with(100);
}

#[test]
fn p1_p2_a_store_that_is_full_pauses_the_pipe_until_it_has_room() {
    let world = World::new();
    let Some(redis) = Redis::start(&world, "a full store") else { return };
    let mut fed = Fed::start(&world, &redis.url());
    fed.feed(0..50);
    fed.wait_for_rows(50);
    redis.say("CONFIG SET maxmemory 1").unwrap();
    fed.feed((0..100).chain(50..100));
    fed.said.wait_for("paused");
    assert_eq!(fed.delivered().len(), 50, "nothing is let through unasked");
    redis.say("CONFIG SET maxmemory 0").unwrap();
    fed.wait_for_rows(100);
    fed.ends_with(100);
}

#[test]
fn a_store_that_lost_its_data_is_reported_and_what_this_worker_knows_stays_known() {
    let world = World::new();
    let Some(redis) = Redis::start(&world, "a store that lost its data") else { return };
    let mut fed = Fed::start(&world, &redis.url());
    fed.feed(0..50);
    fed.wait_for_rows(50);
    redis.say("FLUSHALL").unwrap();
    fed.feed((0..100).chain(50..100));
    fed.said.wait_for("lost what it knew of the scope");
    fed.wait_for_rows(100);
    fed.ends_with(100);
    let report = world.ok(&["report", "app.yaml"]);
    assert!(report.stdout.contains("lost its data 1 time"), "{}", report.stdout);
}

#[test]
fn a_store_that_may_throw_keys_away_is_refused() {
    let world = World::new();
    let Some(redis) = Redis::start(&world, "a store that evicts") else { return };
    redis.say("CONFIG SET maxmemory-policy allkeys-lru").unwrap();
    let mut fed = Fed::start(&world, &redis.url());
    fed.said.wait_for("maxmemory-policy");
    assert!(!fed.child.wait().unwrap().success());
}
