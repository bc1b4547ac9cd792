//! Several workers, one queue, one store: each a real process with a data folder and an output of
//! its own, killed and started at random. What all of them together wrote is every key, once.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;

use crate::kit::{World, signal};
use crate::redis::Redis;
use crate::served::{Sdk, Served};

const QUEUE: &str = "events";

/// Chance that can be had again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % below
    }
}

/// The workers of a queue, those that live and those that don't.
struct Workers<'a> {
    world: &'a World,
    living: Vec<Option<Child>>,
}

impl<'a> Workers<'a> {
    fn new(world: &'a World, count: usize, endpoint: &str, store: &str) -> Self {
        for worker in 0..count {
            let config = format!(
                "pipe: app\n\
                 source:\n  sqs: {{ queue: {QUEUE}, endpoint: \"{endpoint}\", visibility_timeout: 10s }}\n\
                 batch: {{ interval_max: 20ms, events_max: 50 }}\n\
                 dedup: {{ key: $.id, scope: app, window: 1h, lease: 2s, store: {store} }}\n\
                 sink: {{ file: {{ path: out-{worker}.ndjson }} }}\n"
            );
            world.write(&format!("worker-{worker}.yaml"), config);
        }
        Self { world, living: (0..count).map(|_| None).collect() }
    }

    fn start(&mut self, worker: usize) {
        let (config, data) = (format!("worker-{worker}.yaml"), format!("data-{worker}"));
        let mut command = self.world.command(&["run", &config, "--data-dir", &data]);
        for (name, value) in [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")] {
            command.env(name, value);
        }
        let log = self.world.path(&format!("log-{worker}.txt"));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        command.env("AWS_REGION", "us-east-1").stdout(Stdio::null()).stderr(log);
        self.living[worker] = Some(command.spawn().unwrap());
    }

    fn kill(&mut self, worker: usize) {
        if let Some(mut child) = self.living[worker].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Ends all in order.
    fn stop(&mut self) {
        for child in self.living.iter().flatten() {
            signal(child, Signal::TERM);
        }
        for (worker, child) in self.living.iter_mut().enumerate() {
            let Some(mut child) = child.take() else { continue };
            let ended = child.wait().unwrap();
            let log = self.world.read(&format!("log-{worker}.txt"));
            assert!(ended.success(), "{ended}: {}", String::from_utf8_lossy(&log));
        }
    }

    /// How often each key is in the outputs of all.
    fn delivered(&self) -> BTreeMap<u64, u32> {
        let mut found = BTreeMap::new();
        for worker in 0..self.living.len() {
            let rows = std::fs::read(self.world.path(&format!("out-{worker}.ndjson")));
            for row in rows.unwrap_or_default().split(|b| *b == b'\n').filter(|row| !row.is_empty())
            {
                let row: serde_json::Value = serde_json::from_slice(row).unwrap();
                *found.entry(row["id"].as_u64().unwrap()).or_default() += 1;
            }
        }
        found
    }

    fn assert_balanced(&self) {
        for worker in 0..self.living.len() {
            let (config, data) = (format!("worker-{worker}.yaml"), format!("data-{worker}"));
            if !self.world.path(&data).exists() {
                continue;
            }
            let report = self.world.ok(&["report", &config, "--data-dir", &data, "--json"]);
            let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
            assert_eq!(report["imbalances"], serde_json::json!([]), "worker {worker}");
        }
    }
}

impl Drop for Workers<'_> {
    fn drop(&mut self) {
        for child in self.living.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn is_drained(served: &Served) -> bool {
    ["visible", "in_flight", "delayed"].iter().all(|state| {
        let of = format!("onceflow_queue_messages{{queue=\"{QUEUE}\",state=\"{state}\"}}");
        served.metric(&of) == 0.0
    })
}

/// Kills and starts `count` workers for a while, and looks at what they wrote.
fn killed_and_started(world: &World, count: usize, store: &str) {
    let seconds = std::env::var("ONCEFLOW_WORKERS_TIME").ok();
    let seconds: u64 = seconds.map_or(12, |text| text.parse().expect("a number of seconds"));
    let seed = match std::env::var("ONCEFLOW_SEED") {
        Ok(text) => text.parse().expect("ONCEFLOW_SEED is a number"),
        Err(_) => SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
    };
    println!("ONCEFLOW_SEED={seed}");
    let mut chance = Chance(seed);
    let served = Served::start(world, &[]);
    let sdk = Sdk::new(&served);
    sdk.create_queue(QUEUE, &[]);
    let queue = sdk.queue_url(QUEUE);
    let mut workers = Workers::new(world, count, &served.endpoint(), store);
    (0..count).for_each(|worker| workers.start(worker));
    let (mut sent, mut next, mut kills, mut messages) = (BTreeSet::new(), 0, 0, 0_u64);
    let until = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < until {
        for _ in 0..20 {
            // Every other one is a copy of something recent.
            let old = next > 0 && chance.below(2) == 0;
            let id = if old { next - 1 - chance.below(next.min(200)) } else { next };
            next = next.max(id + 1);
            sdk.send(&queue, &format!("{{\"id\":{id}}}")).unwrap();
            sent.insert(id);
            messages += 1;
        }
        let worker = chance.below(count as u64) as usize;
        if workers.living[worker].is_none() {
            workers.start(worker);
        } else if chance.below(4) == 0 {
            workers.kill(worker);
            kills += 1;
        }
        std::thread::park_timeout(Duration::from_millis(chance.below(200)));
    }
    for worker in 0..count {
        if workers.living[worker].is_none() {
            workers.start(worker);
        }
    }
    served.wait_until("drained", is_drained);
    workers.stop();
    // Nothing came back from a worker that ended.
    assert!(is_drained(&served), "a worker ended and gave something back");
    let delivered = workers.delivered();
    let lost: Vec<&u64> = sent.iter().filter(|id| !delivered.contains_key(id)).collect();
    let twice: Vec<_> = delivered.iter().filter(|(_, times)| **times > 1).collect();
    assert!(lost.is_empty(), "P1: {} lost of {}: {lost:?}", lost.len(), sent.len());
    assert!(twice.is_empty(), "P2: twice: {twice:?}");
    workers.assert_balanced();
    println!("{count} workers, {kills} kills, {messages} messages, {} keys: each once", sent.len());
}

#[test]
fn p1_p2_three_workers_that_are_killed_and_started_share_a_queue_and_redis() {
    let world = World::new();
    let Some(redis) = Redis::start(&world, "workers with Redis") else { return };
    killed_and_started(&world, 3, &redis.url());
}
