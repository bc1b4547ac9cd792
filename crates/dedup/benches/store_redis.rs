//! The Redis store next to plain `SET NX EX`, on one server of its own, in turns.
//!
//! Needs `redis-server` and `redis-benchmark`. `ONCEFLOW_BENCH_KEYS`: keys of the measurement of
//! memory (10,000,000).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use dedup::store::redis::{RedisOptions, RedisStore};
use dedup::store::{Answer, Asked, BatchRef, BatchState, SharedScope, Store as _};
use event::{BatchNumber, Epoch, LedgerId};

const TURNS: usize = 5;
const KEYS_A_TURN: u64 = 600_000;
const WINDOW_MS: i64 = 600_000;

struct Server {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .args(["--dir", folder.path().to_str().unwrap(), "--daemonize", "no"])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let server = Self { child, port, _folder: folder };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Some(server)
    }

    fn admin(&self) -> redis::Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_connection().unwrap()
    }

    fn info(&self, section: &str, field: &str) -> f64 {
        let info: String = redis::cmd("INFO").arg(section).query(&mut self.admin()).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        line.unwrap().trim().parse().unwrap()
    }

    fn cpu(&self) -> f64 {
        self.info("cpu", "used_cpu_user") + self.info("cpu", "used_cpu_sys")
    }

    fn flush(&self) {
        redis::cmd("FLUSHALL").exec(&mut self.admin()).unwrap();
    }

    fn store(&self) -> RedisStore {
        let url = format!("redis://127.0.0.1:{}", self.port);
        let store = RedisStore::connect(RedisOptions::parse(&url).unwrap()).unwrap();
        let scope = SharedScope {
            name: "bench".to_owned(),
            fields: 1,
            across_types: false,
            secret: [7; 16],
        };
        store.join(&scope).unwrap();
        store
    }
}

fn asked(n: u64) -> Asked {
    let mixed = (u128::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let key =
        (mixed ^ mixed.rotate_left(61)).wrapping_mul(0xd6e8_feb8_6659_fd93_0123_4567_89ab_cdef);
    Asked { key, recorded_ms: 1_760_000_000_000, window_ms: WINDOW_MS, body_hash: n }
}

/// Keys per second of reserve and commit, counted as one, by `workers` threads.
fn ours(
    server: &Server,
    keys: std::ops::Range<u64>,
    batch: u64,
    workers: u64,
    settle: bool,
) -> f64 {
    let stores: Vec<_> = (0..workers).map(|_| server.store()).collect();
    let next = AtomicU64::new(keys.start);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (worker, store) in (1..).zip(&stores) {
            let (next, end) = (&next, keys.end);
            scope.spawn(move || {
                loop {
                    let from = next.fetch_add(batch, Ordering::Relaxed);
                    if from >= end {
                        break;
                    }
                    let asked: Vec<_> = (from..(from + batch).min(end)).map(asked).collect();
                    let name = BatchRef {
                        worker: LedgerId(worker),
                        pipe: 0,
                        epoch: Epoch(1),
                        number: BatchNumber(from + 1),
                    };
                    let answers = store.reserve(name, 30_000, &asked).unwrap();
                    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
                    assert_eq!(store.commit(name).unwrap(), BatchState::Committed);
                    if settle {
                        store.settle(name, &asked).unwrap();
                    }
                }
            });
        }
    });
    (keys.end - keys.start) as f64 / started.elapsed().as_secs_f64()
}

/// Requests per second of plain `SET NX EX`.
fn plain(server: &Server, keys: u64) -> f64 {
    let output = Command::new("redis-benchmark")
        .args(["-p", &server.port.to_string(), "-P", "64", "-q", "-n", &keys.to_string()])
        .args(["-r", "1000000000", "SET", "key:__rand_int__", "x", "NX", "EX", "600"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
    let line = text.lines().rev().find(|line| line.contains("requests per second")).unwrap();
    let before = line.split(" requests per second").next().unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let Some(server) = Server::start() else {
        println!("skipped: store_redis (redis-server isn't installed)");
        return;
    };
    println!(
        "| batch | workers | SET NX EX/s | ours/s | ratio | server CPU us a key: SET | ours |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (batch, workers) in [(10_000, 1), (10_000, 2), (65_536, 2)] {
        let (mut theirs, mut mine, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut their_cpu, mut my_cpu) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            server.flush();
            let before = server.cpu();
            let plain = plain(&server, KEYS_A_TURN);
            their_cpu.push((server.cpu() - before) * 1e6 / KEYS_A_TURN as f64);
            server.flush();
            let before = server.cpu();
            let ours = ours(&server, 0..KEYS_A_TURN, batch, workers, true);
            my_cpu.push((server.cpu() - before) * 1e6 / KEYS_A_TURN as f64);
            theirs.push(plain);
            mine.push(ours);
            ratios.push(ours / plain);
        }
        println!(
            "| {batch} | {workers} | {:.0} | {:.0} | {:.2} | {:.2} | {:.2} |",
            median(theirs),
            median(mine),
            median(ratios),
            median(their_cpu),
            median(my_cpu)
        );
    }
    let keys = std::env::var("ONCEFLOW_BENCH_KEYS").ok().and_then(|keys| keys.parse().ok());
    memory(&server, keys.unwrap_or(10_000_000));
}

fn memory(server: &Server, keys: u64) {
    server.flush();
    let empty = server.info("memory", "used_memory");
    let mut filled = 0;
    println!("| keys | keys/s while filling | server CPU us a key | bytes a key |");
    println!("| --- | --- | --- | --- |");
    for step in [10, 4, 2, 1] {
        let to = keys / step;
        let before = server.cpu();
        let rate = ours(server, filled..to, 10_000, 2, true);
        let cpu = (server.cpu() - before) * 1e6 / (to - filled) as f64;
        filled = to;
        let bytes = (server.info("memory", "used_memory") - empty) / to as f64;
        println!("| {to} | {rate:.0} | {cpu:.2} | {bytes:.1} |");
    }
}
