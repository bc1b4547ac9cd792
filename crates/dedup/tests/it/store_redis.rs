//! The Redis store against real servers.

use dedup::store::{Answer, BatchState, Store as _, StoreFault};

use super::redis_kit::{LEASE_MS, Server, WINDOW_MS, asked, batch, have, joined, many, scope};

const T: i64 = 1_760_000_000_000;

#[test]
fn keys_are_reserved_committed_and_remembered() {
    if !have("keys_are_reserved_committed_and_remembered") {
        return;
    }
    let server = Server::start(&[]);
    let (a, b) = (server.store(), server.store());
    let (first, second) = (batch(1, 1), batch(2, 1));
    let keys = many(0..5_000, T);
    let answers = a.reserve(first, LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
    assert_eq!(a.reserve(first, LEASE_MS, &keys).unwrap(), answers, "held already");
    for answer in b.reserve(second, LEASE_MS, &keys).unwrap() {
        let Answer::Busy { by, lease_left_ms } = answer else { panic!("{answer:?}") };
        assert_eq!(by, first);
        assert!((1..=LEASE_MS).contains(&lease_left_ms), "{lease_left_ms}");
    }
    assert_eq!(a.commit(first).unwrap(), BatchState::Committed);
    let third = batch(2, 2);
    let later = many(0..5_000, T + WINDOW_MS - 1);
    for (answer, key) in b.reserve(third, LEASE_MS, &later).unwrap().iter().zip(&keys) {
        let told =
            Answer::Duplicate { recorded_ms: T, window_ms: WINDOW_MS, body_hash: key.body_hash };
        assert_eq!(*answer, told);
    }
    let beyond = [asked(1, T + WINDOW_MS), asked(2, T - WINDOW_MS), asked(3, T - WINDOW_MS + 1)];
    let answers = b.reserve(third, LEASE_MS, &beyond).unwrap();
    assert_eq!(answers[..2], [Answer::Reserved, Answer::Reserved]);
    assert!(matches!(answers[2], Answer::Duplicate { .. }));
    a.settle(first, &keys).unwrap();
    let answers = b.reserve(batch(2, 3), LEASE_MS, &keys[4..]).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
    assert_eq!(a.reserve(first, LEASE_MS, &keys).unwrap_err().fault, StoreFault::NotOpen);
    let stats = a.stats().unwrap();
    assert!(stats.keys.is_some_and(|keys| (4_000..6_000).contains(&keys)), "{stats:?}");
}

/// DESIGN §2, a defect of the published sample: GET-then-SET lets two workers pass.
#[test]
fn get_then_set_two_workers_that_race_never_both_get_a_key() {
    if !have("get_then_set_two_workers_that_race_never_both_get_a_key") {
        return;
    }
    let server = Server::start(&[]);
    let keys = many(0..2_000, T);
    let workers = 6_usize;
    let barrier = std::sync::Barrier::new(workers);
    let got: Vec<Vec<u64>> = std::thread::scope(|scope| {
        let run = |worker: usize| {
            let (server, keys, barrier) = (&server, &keys, &barrier);
            scope.spawn(move || {
                let store = server.store();
                let mut mine = Vec::new();
                for round in 0..keys.len() / 50 {
                    barrier.wait();
                    let asked = &keys[round * 50..][..50];
                    let name = batch(worker as u128 + 1, round as u64 + 1);
                    let answers = store.reserve(name, LEASE_MS, asked).unwrap();
                    for (answer, key) in answers.iter().zip(asked) {
                        if *answer == Answer::Reserved {
                            mine.push(key.body_hash);
                        }
                    }
                    assert_eq!(store.commit(name).unwrap(), BatchState::Committed);
                    store.settle(name, asked).unwrap();
                }
                mine
            })
        };
        let threads: Vec<_> = (0..workers).map(run).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all: Vec<u64> = got.concat();
    all.sort_unstable();
    assert_eq!(all, (0..2_000).collect::<Vec<_>>(), "each key exactly once");
    assert!(got.iter().filter(|mine| !mine.is_empty()).count() > 1, "they did race");
}

/// The client of the test below: it works until it is killed. Without the variable it does nothing.
#[test]
fn set_then_expire_the_client_that_is_killed() {
    let Ok(url) = std::env::var("ONCEFLOW_TEST_REDIS") else { return };
    let store = joined(dedup::store::redis::RedisOptions::parse(&url).unwrap());
    let worker = u128::from(std::process::id());
    for n in 1.. {
        let from = n * 300;
        let asked = many(from..from + 300, T);
        store.reserve(batch(worker, n), LEASE_MS, &asked).unwrap();
        match n % 4 {
            0 => store.release(batch(worker, n), &asked[..100]).unwrap(),
            1 => drop(store.abort(batch(worker, n)).unwrap()),
            2 => drop(store.commit(batch(worker, n)).unwrap()),
            _ => {
                store.commit(batch(worker, n)).unwrap();
                store.settle(batch(worker, n), &asked).unwrap();
            }
        }
    }
}

/// DESIGN §2, a defect of the published sample: SET-then-EXPIRE can leave a key forever.
#[test]
fn set_then_expire_no_key_is_without_expiry_whenever_a_client_dies() {
    if !have("set_then_expire_no_key_is_without_expiry_whenever_a_client_dies") {
        return;
    }
    let server = Server::start(&[]);
    let mut admin = server.admin();
    let program = std::env::current_exe().unwrap();
    let mut seen = 0;
    for life in 0..12_u64 {
        let mut client = std::process::Command::new(&program)
            .args(["--exact", "store_redis::set_then_expire_the_client_that_is_killed"])
            .env("ONCEFLOW_TEST_REDIS", server.url())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // The moment: after so many commands of the client, counted by the server.
        let calls = |admin: &mut redis::Connection| -> u64 {
            let info: String = redis::cmd("INFO").arg("stats").query(admin).unwrap();
            let line = info.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
            line.unwrap().trim().parse().unwrap()
        };
        let until = calls(&mut admin) + 150 * (life + 1);
        let limit = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while calls(&mut admin) < until && std::time::Instant::now() < limit {
            std::thread::yield_now();
        }
        client.kill().unwrap();
        client.wait().unwrap();
        let names: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut admin).unwrap();
        for name in &names {
            let left: i64 = redis::cmd("PTTL").arg(name).query(&mut admin).unwrap();
            assert!(left > 0, "{:?} has no expiry: {left}", String::from_utf8_lossy(name));
        }
        seen = seen.max(names.len());
    }
    assert!(seen > 500, "the clients did work: {seen}");
}

#[test]
fn a_batch_whose_lease_ran_out_is_taken_over_and_cant_commit() {
    if !have("a_batch_whose_lease_ran_out_is_taken_over_and_cant_commit") {
        return;
    }
    let server = Server::start(&[]);
    let (a, b) = (server.store(), server.store());
    let keys = many(0..500, T);
    a.reserve(batch(1, 1), 40, &keys).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut number = 0;
    loop {
        number += 1;
        let answers = b.reserve(batch(2, number), LEASE_MS, &keys).unwrap();
        if answers.iter().all(|answer| *answer == Answer::Reserved) {
            break;
        }
        assert!(std::time::Instant::now() < until);
        b.abort(batch(2, number)).unwrap();
    }
    assert_eq!(a.commit(batch(1, 1)).unwrap(), BatchState::Aborted);
    assert_eq!(a.renew(&[batch(1, 1)], LEASE_MS).unwrap(), [BatchState::Aborted]);
    assert_eq!(a.reserve(batch(1, 1), 40, &keys).unwrap_err().fault, StoreFault::NotOpen);
    assert_eq!(b.commit(batch(2, number)).unwrap(), BatchState::Committed);
    // Committed, and not yet told to the keys: a duplicate all the same.
    let answers = a.reserve(batch(1, 2), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
}

#[test]
fn keys_that_are_released_are_free_and_others_stay() {
    if !have("keys_that_are_released_are_free_and_others_stay") {
        return;
    }
    let server = Server::start(&[]);
    let (a, b) = (server.store(), server.store());
    let keys = many(0..3_000, T);
    a.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    a.release(batch(1, 1), &keys[..1_000]).unwrap();
    // Not its own.
    b.reserve(batch(2, 9), LEASE_MS, &many(9_000..9_001, T)).unwrap();
    b.release(batch(2, 9), &keys).unwrap();
    let answers = b.reserve(batch(2, 1), LEASE_MS, &keys).unwrap();
    let free = answers.iter().filter(|answer| **answer == Answer::Reserved).count();
    assert_eq!(free, 1_000);
    a.commit(batch(1, 1)).unwrap();
    a.release(batch(1, 1), &keys).unwrap();
    let answers = b.reserve(batch(2, 2), LEASE_MS, &keys[1_000..]).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
}

/// Windows that differ by type, and one that was changed: every entry that reaches the event counts.
#[test]
fn entries_of_a_key_count_whatever_their_windows() {
    if !have("entries_of_a_key_count_whatever_their_windows") {
        return;
    }
    let server = Server::start(&[]);
    let store = server.store();
    let at = |recorded_ms, window_ms| dedup::store::Asked { window_ms, ..asked(1, recorded_ms) };
    let mut number = 0;
    let mut ask = |asked| {
        number += 1;
        let answer = store.reserve(batch(1, number), LEASE_MS, &[asked]).unwrap()[0];
        store.commit(batch(1, number)).unwrap();
        match answer {
            Answer::Duplicate { recorded_ms, window_ms, .. } => Some((recorded_ms, window_ms)),
            Answer::Reserved => None,
            Answer::Busy { .. } => panic!("{answer:?}"),
        }
    };
    let day = 86_400_000;
    assert_eq!(ask(at(T, 1_000)), None);
    assert_eq!(ask(at(T + 1_000, day)), None);
    // The long one reaches back over the short one, and far ahead whatever the event's own window.
    assert_eq!(ask(at(T - 5_000, 10)), Some((T + 1_000, day)));
    assert_eq!(ask(at(T + day, 10)), Some((T + 1_000, day)));
    assert_eq!(ask(at(T + 1_000 + day, 10)), None);
    assert_eq!(ask(at(T + 1_000 - day, i64::MAX)), None);
    assert_eq!(ask(at(0, 10)), Some((T + 1_000 - day, i64::MAX)));
    assert_eq!(ask(at(i64::MIN, 10)), Some((T + 1_000 - day, i64::MAX)));
}

/// Places are split while keys are asked for: none is forgotten, none is let in twice.
#[test]
fn a_shard_whose_places_are_doubled_forgets_nothing() {
    if !have("a_shard_whose_places_are_doubled_forgets_nothing") {
        return;
    }
    let server = Server::start(&[]);
    let (a, b) = (server.store(), server.store());
    let mut admin = server.admin();
    // 90 keys in each of 300 places of the first shard.
    let keys: Vec<_> = (0..27_000_u64)
        .map(|n| dedup::store::Asked {
            key: u128::from(n % 300) << 112 | (asked(n, T).key >> 16),
            ..asked(n, T)
        })
        .collect();
    let head = "onceflow:{test/00}";
    let field = |admin: &mut redis::Connection, field: &str| -> Option<u32> {
        redis::cmd("HGET").arg(head).arg(field).query(admin).unwrap()
    };
    for (n, keys) in (1..).zip(keys.chunks(1_000)) {
        let name = batch(1, n);
        let answers = a.reserve(name, LEASE_MS, keys).unwrap();
        assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
        a.commit(name).unwrap();
    }
    for n in 1_000..1_040 {
        let chunk = &keys[(n as usize - 1_000) * 500..][..500];
        for (store, worker) in [(&a, 1), (&b, 2)] {
            let answers = store.reserve(batch(worker, n), LEASE_MS, chunk).unwrap();
            assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
            store.abort(batch(worker, n)).unwrap();
        }
    }
    assert!(field(&mut admin, "b").unwrap() > 10, "it was doubled");
    assert_eq!(field(&mut admin, "o"), None, "and that came to an end");
    let answers = b.reserve(batch(2, 1), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
    // A doubling whose worker died in the middle is carried on by another.
    let bits = field(&mut admin, "b").unwrap();
    let begin = |admin: &mut redis::Connection| {
        let mut command = redis::cmd("HSET");
        command.arg(head).arg("b").arg(bits + 1).arg("o").arg(bits).exec(admin).unwrap();
    };
    begin(&mut admin);
    let c = server.store();
    let mut number = 0;
    while field(&mut admin, "o").is_some() {
        number += 1;
        assert!(number < 200, "nobody ends it");
        let chunk = &keys[(number as usize * 100) % 26_000..][..100];
        let answers = c.reserve(batch(3, number), LEASE_MS, chunk).unwrap();
        assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
    }
    let answers = b.reserve(batch(2, 2), LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
}

#[test]
fn a_scope_of_another_layout_or_definition_is_refused_by_name() {
    if !have("a_scope_of_another_layout_or_definition_is_refused_by_name") {
        return;
    }
    let server = Server::start(&[]);
    let first = server.store();
    let other = dedup::store::SharedScope { secret: [9; 16], ..scope() };
    assert_eq!(first.join(&other).unwrap().secret, [7; 16], "the store's secret counts");
    let wider = dedup::store::SharedScope { fields: 2, ..scope() };
    let error = first.join(&wider).unwrap_err();
    assert_eq!(error.fault, StoreFault::Refused);
    assert!(error.to_string().contains("1 field(s)"), "{error}");
    let mut admin = server.admin();
    redis::cmd("HSET").arg("onceflow:{test}").arg("v").arg("2").exec(&mut admin).unwrap();
    let error = first.join(&scope()).unwrap_err();
    assert_eq!(error.fault, StoreFault::Refused);
    assert!(error.to_string().contains("version 2"), "{error}");
}
