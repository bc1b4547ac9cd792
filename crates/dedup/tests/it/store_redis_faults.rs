//! The Redis store when its server dies, forgets, is full, is slow, or its clock jumps.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dedup::store::redis::{RedisOptions, RedisStore};
use dedup::store::{Answer, Asked, BatchRef, BatchState, Store as _, StoreError, StoreFault};

use super::redis_kit::{Cluster, LEASE_MS, Server, batch, have, joined, many};

const T: i64 = 1_760_000_000_000;

/// Tries until it is no longer away.
fn patiently<T>(mut call: impl FnMut() -> Result<T, StoreError>) -> T {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match call() {
            Ok(value) => return value,
            Err(error) => {
                assert_eq!(error.fault, StoreFault::Away, "{error}");
                assert!(Instant::now() < until, "{error}");
            }
        }
    }
}

/// Two workers deliver the same keys while `disturb` does something to the servers: each key is
/// committed by exactly one of them.
fn under_load(options: &RedisOptions, disturb: impl FnOnce(&dyn Fn(u64))) {
    let keys = 6_000_u64;
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let delivered: Mutex<BTreeMap<u64, Vec<BatchRef>>> = Mutex::default();
    let mut options = options.clone();
    options.call_timeout_ms = 1_000;
    std::thread::scope(|scope| {
        for worker in 1..=2_u128 {
            let (stop, done, delivered, options) = (&stop, &done, &delivered, &options);
            scope.spawn(move || {
                let store = joined(options.clone());
                let mut number = 0;
                'all: for from in (0..keys).step_by(100) {
                    let mut left = many(from..from + 100, T);
                    while !left.is_empty() && !stop.load(Ordering::Relaxed) {
                        number += 1;
                        let name = batch(worker, number);
                        let asked = left.clone();
                        let Some(answers) = asked_for(&store, name, &asked) else { continue };
                        let mine: Vec<&Asked> = (answers.iter().zip(&asked))
                            .filter(|(answer, _)| **answer == Answer::Reserved)
                            .map(|(_, key)| key)
                            .collect();
                        left = (answers.iter().zip(&asked))
                            .filter(|(answer, _)| matches!(answer, Answer::Busy { .. }))
                            .map(|(_, key)| *key)
                            .collect();
                        if patiently(|| store.commit(name)) == BatchState::Committed {
                            let mut delivered = delivered.lock().unwrap();
                            for key in mine {
                                delivered.entry(key.body_hash).or_default().push(name);
                            }
                        } else {
                            left = asked;
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    if stop.load(Ordering::Relaxed) {
                        break 'all;
                    }
                }
            });
        }
        disturb(&|batches| {
            let until = Instant::now() + Duration::from_secs(60);
            while done.load(Ordering::Relaxed) < batches && Instant::now() < until {
                std::thread::yield_now();
            }
        });
    });
    let delivered = delivered.into_inner().unwrap();
    assert_eq!(delivered.len() as u64, keys, "each key is delivered");
    for (key, by) in delivered {
        assert_eq!(by.len(), 1, "key {key} was delivered by {by:?}");
    }
}

fn asked_for(store: &RedisStore, name: BatchRef, asked: &[Asked]) -> Option<Vec<Answer>> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match store.reserve(name, LEASE_MS, asked) {
            Ok(answers) => return Some(answers),
            Err(error) if error.fault == StoreFault::NotOpen => return None,
            Err(error) => {
                assert_eq!(error.fault, StoreFault::Away, "{error}");
                assert!(Instant::now() < until, "{error}");
            }
        }
    }
}

#[test]
fn a_server_with_a_synced_log_that_is_killed_under_load_loses_and_doubles_nothing() {
    if !have("a_server_with_a_synced_log_that_is_killed_under_load_loses_and_doubles_nothing") {
        return;
    }
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let options = server.options();
    under_load(&options, |after| {
        for kill in 1..=3 {
            after(kill * 15);
            server.kill();
            server.run();
        }
    });
}

#[test]
fn a_node_of_a_cluster_that_is_killed_under_load_loses_and_doubles_nothing() {
    if !have("a_node_of_a_cluster_that_is_killed_under_load_loses_and_doubles_nothing") {
        return;
    }
    let mut cluster = Cluster::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let options = cluster.options();
    under_load(&options, |after| {
        for kill in 0..3 {
            after(15 * (kill + 1));
            cluster.nodes[kill as usize].kill();
            cluster.nodes[kill as usize].run();
        }
    });
}

#[test]
fn a_server_that_lost_its_data_is_noticed_at_the_next_call() {
    if !have("a_server_that_lost_its_data_is_noticed_at_the_next_call") {
        return;
    }
    let mut server = Server::start(&[]);
    let store = server.store();
    let before = store.join(&super::redis_kit::scope()).unwrap();
    let keys = many(0..100, T);
    store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    store.commit(batch(1, 1)).unwrap();
    store.reserve(batch(1, 2), LEASE_MS, &many(100..200, T)).unwrap();
    server.kill();
    server.run();
    assert_eq!(store.commit(batch(1, 2)).unwrap(), BatchState::Absent);
    let error = store.reserve(batch(1, 3), LEASE_MS, &keys).unwrap_err();
    assert_eq!(error.fault, StoreFault::Lost, "{error}");
    let after = store.join(&super::redis_kit::scope()).unwrap();
    assert_ne!(before.incarnation, after.incarnation);
    assert_eq!(before.secret, after.secret);
    let answers = store.reserve(batch(1, 4), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
}

#[test]
fn a_part_that_was_lost_is_noticed_by_every_worker_and_the_rest_stays() {
    if !have("a_part_that_was_lost_is_noticed_by_every_worker_and_the_rest_stays") {
        return;
    }
    let server = Server::start(&[]);
    let (a, b) = (server.store(), server.store());
    let keys = many(0..2_000, T);
    a.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    a.commit(batch(1, 1)).unwrap();
    let mut admin = server.admin();
    redis::cmd("DEL").arg("onceflow:{test/05}").exec(&mut admin).unwrap();
    assert_eq!(a.reserve(batch(1, 2), LEASE_MS, &keys).unwrap_err().fault, StoreFault::Lost);
    let joined = a.join(&super::redis_kit::scope()).unwrap();
    assert_eq!(b.reserve(batch(2, 1), LEASE_MS, &keys).unwrap_err().fault, StoreFault::Lost);
    assert_eq!(b.join(&super::redis_kit::scope()).unwrap(), joined);
    let answers = b.reserve(batch(2, 2), LEASE_MS, &keys).unwrap();
    for (answer, key) in answers.iter().zip(&keys) {
        let free = *answer == Answer::Reserved;
        assert_eq!(free, key.key >> 122 == 5, "{answer:?}");
    }
}

#[test]
fn scripts_that_the_server_forgot_are_loaded_again() {
    if !have("scripts_that_the_server_forgot_are_loaded_again") {
        return;
    }
    let server = Server::start(&[]);
    let store = server.store();
    let mut admin = server.admin();
    for n in 1..5 {
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut admin).unwrap();
        let answers = store.reserve(batch(1, n), LEASE_MS, &many(0..200, T)).unwrap();
        let wanted = |answer: &Answer| (n == 1) == (*answer == Answer::Reserved);
        assert!(answers.iter().all(wanted));
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut admin).unwrap();
        assert_eq!(store.commit(batch(1, n)).unwrap(), BatchState::Committed);
    }
}

#[test]
fn a_full_server_takes_no_keys_but_commits_and_goes_on_with_room() {
    if !have("a_full_server_takes_no_keys_but_commits_and_goes_on_with_room") {
        return;
    }
    let server = Server::start(&[]);
    let store = server.store();
    let mut admin = server.admin();
    store.reserve(batch(1, 1), LEASE_MS, &many(0..1_000, T)).unwrap();
    let limit = |admin: &mut redis::Connection, bytes: &str| {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(admin).unwrap();
    };
    limit(&mut admin, "1mb");
    let error = store.reserve(batch(1, 2), LEASE_MS, &many(1_000..2_000, T)).unwrap_err();
    assert_eq!(error.fault, StoreFault::Full, "{error}");
    assert_eq!(store.renew(&[batch(1, 1)], LEASE_MS).unwrap(), [BatchState::Open]);
    assert_eq!(store.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    store.settle(batch(1, 1), &[]).unwrap();
    limit(&mut admin, "0");
    let answers = store.reserve(batch(1, 2), LEASE_MS, &many(500..1_500, T)).unwrap();
    let duplicates = answers.iter().filter(|answer| matches!(answer, Answer::Duplicate { .. }));
    assert_eq!(duplicates.count(), 500);
}

#[test]
fn a_server_that_does_not_answer_is_away_in_time() {
    if !have("a_server_that_does_not_answer_is_away_in_time") {
        return;
    }
    let server = Server::start(&[]);
    let mut options = server.options();
    options.call_timeout_ms = 300;
    options.connect_timeout_ms = 300;
    let store = joined(options);
    let keys = many(0..100, T);
    store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    let mut admin = server.admin();
    redis::cmd("CLIENT").arg("PAUSE").arg(4_000).arg("ALL").exec(&mut admin).unwrap();
    for _ in 0..3 {
        let started = Instant::now();
        let error = store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap_err();
        assert_eq!(error.fault, StoreFault::Away, "{error}");
        assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    }
    let answers = patiently(|| store.reserve(batch(1, 1), LEASE_MS, &keys));
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
    drop(server);
    let started = Instant::now();
    assert_eq!(store.commit(batch(1, 1)).unwrap_err().fault, StoreFault::Away);
    assert!(started.elapsed() < Duration::from_secs(3));
}

/// A server whose clock is what a file says: milliseconds more than the machine's.
struct Skewed {
    server: Server,
    file: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Skewed {
    fn start(test: &str) -> Option<Self> {
        if !have(test) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/redis_clock.c");
        let built = std::process::Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .status();
        if !built.is_ok_and(|status| status.success()) {
            let _ = writeln!(std::io::stderr(), "skipped: {test} (cc isn't installed)");
            return None;
        }
        let file = folder.path().join("offset");
        put(&file, 0);
        let mut server = Server::new(&[])
            .with_env("LD_PRELOAD", &library)
            .with_env("ONCEFLOW_TEST_CLOCK", &file);
        server.run();
        Some(Self { server, file, _folder: folder })
    }

    /// Moves the clock, and waits until the server sees it.
    fn jump(&self, by: i64) {
        let mut admin = self.server.admin();
        let mut now = || -> i64 {
            let (s, us): (i64, i64) = redis::cmd("TIME").query(&mut admin).unwrap();
            s * 1000 + us / 1000
        };
        put(&self.file, by);
        let until = Instant::now() + Duration::from_secs(10);
        let real = || event::Clock::now_ms(&event::SystemClock);
        while (now() - real() - by).abs() > 2_000 {
            assert!(Instant::now() < until, "the server's clock can't be moved");
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "not the program's data")]
fn put(file: &std::path::Path, offset_ms: i64) {
    let next = file.with_extension("next");
    std::fs::write(&next, offset_ms.to_string()).unwrap();
    std::fs::rename(&next, file).unwrap();
}

#[test]
fn a_clock_that_leaps_ahead_ends_leases_and_nothing_else() {
    let Some(skewed) = Skewed::start("a_clock_that_leaps_ahead_ends_leases_and_nothing_else")
    else {
        return;
    };
    let (a, b) = (skewed.server.store(), skewed.server.store());
    let keys = many(0..300, T);
    let done = many(300..600, T);
    a.reserve(batch(1, 9), LEASE_MS, &done).unwrap();
    a.commit(batch(1, 9)).unwrap();
    a.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    // Less than the margin of an hour.
    skewed.jump(50 * 60_000);
    let answers = b.reserve(batch(2, 1), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved), "taken over");
    assert_eq!(a.commit(batch(1, 1)).unwrap(), BatchState::Aborted, "and by one alone");
    assert_eq!(b.commit(batch(2, 1)).unwrap(), BatchState::Committed);
    for keys in [&keys, &done] {
        let answers = a.reserve(batch(1, 2), LEASE_MS, keys).unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
    }
    // More than the margin: what ran out too early may be let in again, and that is said.
    skewed.jump(50 * 60_000 + 3 * 3_600_000);
    let error = a.reserve(batch(1, 3), LEASE_MS, &keys).unwrap_err();
    assert_eq!(error.fault, StoreFault::Lost, "{error}");
    assert!(error.to_string().contains("leapt"), "{error}");
    a.join(&super::redis_kit::scope()).unwrap();
    a.reserve(batch(1, 4), LEASE_MS, &keys).unwrap();
}

#[test]
fn a_clock_that_goes_back_makes_no_lease_longer_than_its_length() {
    let test = "a_clock_that_goes_back_makes_no_lease_longer_than_its_length";
    let Some(skewed) = Skewed::start(test) else { return };
    let (a, b) = (skewed.server.store(), skewed.server.store());
    let keys = many(0..300, T);
    a.reserve(batch(1, 1), 5_000, &keys).unwrap();
    skewed.jump(-3 * 3_600_000);
    let busy = b.reserve(batch(2, 1), LEASE_MS, &keys).unwrap();
    for answer in busy {
        let Answer::Busy { lease_left_ms, .. } = answer else { panic!("{answer:?}") };
        assert!(lease_left_ms <= 5_000, "{lease_left_ms}");
    }
    skewed.jump(-3 * 3_600_000 + 10_000);
    let answers = b.reserve(batch(2, 2), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
    assert_eq!(a.commit(batch(1, 1)).unwrap(), BatchState::Aborted);
    assert_eq!(b.commit(batch(2, 2)).unwrap(), BatchState::Committed);
}
