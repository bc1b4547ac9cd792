//! The store in DynamoDB: what it answers. Faults of the server and the network are in
//! `store_dynamodb_faults.rs`.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dedup::scope::FOREVER_MS;
use dedup::store::dynamodb::DynamoStore;
use dedup::store::{Answer, BatchState, Store, StoreFault};

use crate::dynamodb_kit::{
    LONG_MS, ask, asks, batch, database, duplicate, fault, joined, scope, settle, until_not_busy,
};

#[test]
fn dynamodb_a_key_goes_from_reserved_to_duplicate() {
    let Some(database) = database("gofrom") else { return };
    let (one, two) = (database.store(), database.store());
    let keys = asks(0..5, 1_000);
    assert_eq!(one.reserve(batch(1, 1), LONG_MS, &keys).unwrap(), [Answer::Reserved; 5]);
    // The same batch holds it already.
    assert_eq!(one.reserve(batch(1, 1), LONG_MS, &keys).unwrap(), [Answer::Reserved; 5]);
    for answer in two.reserve(batch(2, 1), LONG_MS, &keys).unwrap() {
        let Answer::Busy { by, lease_left_ms } = answer else { panic!("{answer:?}") };
        assert_eq!(by, batch(1, 1));
        assert!((1..=LONG_MS).contains(&lease_left_ms), "{lease_left_ms}");
    }
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    let answers = two.reserve(batch(2, 2), LONG_MS, &keys).unwrap();
    assert_eq!(answers, keys.iter().map(|key| duplicate(*key)).collect::<Vec<_>>());
    one.settle(batch(1, 1), &keys).unwrap();
    let answers = two.reserve(batch(2, 2), LONG_MS, &keys).unwrap();
    assert_eq!(answers, keys.iter().map(|key| duplicate(*key)).collect::<Vec<_>>());
}

#[test]
fn dynamodb_windows_reach_in_both_directions_from_every_entry() {
    let Some(database) = database("windows") else { return };
    let store = database.store();
    let (first, second) = (ask(1, 100_000, 1_000), ask(1, 200_000, 50_000));
    settle(&store, batch(1, 1), &[first]);
    settle(&store, batch(1, 2), &[second]);
    for (number, (recorded_ms, expected)) in [
        (99_000, Answer::Reserved),
        (99_001, duplicate(first)),
        (100_999, duplicate(first)),
        (101_000, Answer::Reserved),
        (150_000, Answer::Reserved),
        (150_001, duplicate(second)),
        (249_999, duplicate(second)),
        (250_000, Answer::Reserved),
    ]
    .into_iter()
    .enumerate()
    {
        // Its own window doesn't matter; each batch is aborted again.
        let batch = batch(2, number as u64);
        let answer = store.reserve(batch, LONG_MS, &[ask(1, recorded_ms, 1)]).unwrap();
        assert_eq!(answer, [expected], "{recorded_ms}");
        assert_eq!(store.abort(batch).unwrap(), BatchState::Aborted);
    }
    let forever = ask(2, 5, FOREVER_MS);
    settle(&store, batch(3, 1), &[forever]);
    let late = store.reserve(batch(3, 2), LONG_MS, &[ask(2, i64::MAX, 1)]).unwrap();
    assert_eq!(late, [duplicate(forever)]);
}

#[test]
fn dynamodb_an_aborted_batch_leaves_its_keys_free() {
    let Some(database) = database("aborted") else { return };
    let (one, two) = (database.store(), database.store());
    let keys = asks(0..3, 1_000);
    one.reserve(batch(1, 1), LONG_MS, &keys).unwrap();
    assert_eq!(one.abort(batch(1, 1)).unwrap(), BatchState::Aborted);
    assert_eq!(one.abort(batch(1, 1)).unwrap(), BatchState::Aborted);
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Aborted);
    assert_eq!(two.reserve(batch(2, 1), LONG_MS, &keys).unwrap(), [Answer::Reserved; 3]);
    // It doesn't come back to life.
    assert_eq!(fault(one.reserve(batch(1, 1), LONG_MS, &keys)), StoreFault::NotOpen);
    assert_eq!(one.renew(&[batch(1, 1)], LONG_MS).unwrap(), [BatchState::Aborted]);
    assert_eq!(two.commit(batch(2, 1)).unwrap(), BatchState::Committed);
    assert_eq!(two.abort(batch(2, 1)).unwrap(), BatchState::Committed);
    assert_eq!(fault(two.reserve(batch(2, 1), LONG_MS, &keys)), StoreFault::NotOpen);
}

#[test]
fn dynamodb_states_of_batches() {
    let Some(database) = database("states") else { return };
    let store = database.store();
    assert_eq!(store.state(batch(1, 1)).unwrap(), BatchState::Absent);
    assert_eq!(store.commit(batch(1, 1)).unwrap(), BatchState::Absent);
    assert_eq!(store.abort(batch(1, 1)).unwrap(), BatchState::Absent);
    store.reserve(batch(1, 1), LONG_MS, &[]).unwrap();
    assert_eq!(store.state(batch(1, 1)).unwrap(), BatchState::Open);
    store.reserve(batch(1, 2), LONG_MS, &asks(0..1, 1)).unwrap();
    store.commit(batch(1, 2)).unwrap();
    let renewed = store.renew(&[batch(1, 2), batch(1, 3), batch(1, 1)], LONG_MS).unwrap();
    assert_eq!(renewed, [BatchState::Committed, BatchState::Absent, BatchState::Open]);
    // Another object knows nothing but what is in the table.
    let other = database.store();
    assert_eq!(other.state(batch(1, 2)).unwrap(), BatchState::Committed);
    assert_eq!(other.state(batch(1, 1)).unwrap(), BatchState::Open);
}

#[test]
fn dynamodb_a_key_that_is_let_go_of_is_free_at_once() {
    let Some(database) = database("letgo") else { return };
    let (one, two) = (database.store(), database.store());
    let keys = asks(0..4, 1_000);
    one.reserve(batch(1, 1), LONG_MS, &keys).unwrap();
    one.release(batch(1, 1), &keys[..2]).unwrap();
    // Not its own: stays.
    two.release(batch(2, 1), &keys).unwrap();
    let answers = two.reserve(batch(2, 1), LONG_MS, &keys).unwrap();
    assert_eq!(answers[..2], [Answer::Reserved; 2]);
    assert!(answers[2..].iter().all(|answer| matches!(answer, Answer::Busy { .. })), "{answers:?}");
    one.commit(batch(1, 1)).unwrap();
    // What is committed stays, too.
    one.release(batch(1, 1), &keys).unwrap();
    let answers = two.reserve(batch(2, 1), LONG_MS, &keys).unwrap();
    assert_eq!(answers[2..], [duplicate(keys[2]), duplicate(keys[3])]);
}

#[test]
fn dynamodb_a_worker_that_dies_before_its_commit_is_taken_over_after_its_lease() {
    let Some(database) = database("dies") else { return };
    let (dead, heir) = (database.store(), database.store());
    let key = ask(1, 1_000, 60_000);
    dead.reserve(batch(1, 1), 300, &[key]).unwrap();
    let first = heir.reserve(batch(2, 1), LONG_MS, &[key]).unwrap();
    // Whoever has just come waits a whole lease by its own watch.
    assert_eq!(first, [Answer::Busy { by: batch(1, 1), lease_left_ms: 300 }]);
    assert_eq!(until_not_busy(&heir, batch(2, 1), LONG_MS, key), Answer::Reserved);
    assert_eq!(heir.state(batch(1, 1)).unwrap(), BatchState::Aborted);
    // It wasn't dead after all: its commit comes too late, and it hears of it.
    assert_eq!(dead.commit(batch(1, 1)).unwrap(), BatchState::Aborted);
    assert_eq!(heir.commit(batch(2, 1)).unwrap(), BatchState::Committed);
    assert_eq!(dead.reserve(batch(1, 2), LONG_MS, &[key]).unwrap(), [duplicate(key)]);
}

#[test]
fn dynamodb_a_take_over_that_finds_the_batch_committed_says_duplicate() {
    let Some(database) = database("takeovercommitted") else { return };
    let (one, two) = (database.store(), database.store());
    let key = ask(1, 1_000, 60_000);
    one.reserve(batch(1, 1), 1, &[key]).unwrap();
    // The first look begins the lease; the commit comes before the second.
    let first = two.reserve(batch(2, 1), LONG_MS, &[key]).unwrap();
    assert!(matches!(first[..], [Answer::Busy { .. }]), "{first:?}");
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    assert_eq!(two.reserve(batch(2, 1), LONG_MS, &[key]).unwrap(), [duplicate(key)]);
}

#[test]
fn dynamodb_whoever_renews_is_not_taken_over() {
    let Some(database) = database("renews") else { return };
    let (one, two) = (database.store(), database.store());
    let key = ask(1, 1_000, 60_000);
    one.reserve(batch(1, 1), 2_000, &[key]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert_eq!(one.renew(&[batch(1, 1)], 2_000).unwrap(), [BatchState::Open]);
            }
        });
        let began = std::time::Instant::now();
        while began.elapsed().as_millis() < 5_000 {
            let answer = two.reserve(batch(2, 1), LONG_MS, &[key]).unwrap();
            assert!(matches!(answer[..], [Answer::Busy { .. }]), "{answer:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
}

#[test]
fn p2_dynamodb_workers_that_race_for_a_key_get_it_once() {
    let Some(database) = database("race") else { return };
    let stores: Vec<DynamoStore> = (0..4).map(|_| database.store()).collect();
    let rounds = 25;
    let winners: Vec<AtomicUsize> = (0..rounds).map(|_| AtomicUsize::new(0)).collect();
    let barrier = std::sync::Barrier::new(stores.len());
    std::thread::scope(|threads| {
        for (worker, store) in stores.iter().enumerate() {
            let (winners, barrier) = (&winners, &barrier);
            threads.spawn(move || {
                for (round, winners) in winners.iter().enumerate() {
                    let mine = batch(worker as u128, round as u64);
                    let key = ask(round as u128, 1_000 + worker as i64, 60_000);
                    barrier.wait();
                    let answer = store.reserve(mine, LONG_MS, &[key]).unwrap()[0];
                    match answer {
                        Answer::Reserved if round % 3 == 0 => {
                            // Sometimes the first one fails, and somebody else gets it.
                            store.abort(mine).unwrap();
                            let again = batch(worker as u128, 1_000 + round as u64);
                            let answer = store.reserve(again, LONG_MS, &[key]).unwrap()[0];
                            if answer == Answer::Reserved {
                                assert_eq!(store.commit(again).unwrap(), BatchState::Committed);
                                winners.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Answer::Reserved => {
                            assert_eq!(store.commit(mine).unwrap(), BatchState::Committed);
                            winners.fetch_add(1, Ordering::Relaxed);
                        }
                        Answer::Duplicate { .. } | Answer::Busy { .. } => {}
                    }
                }
            });
        }
    });
    for (round, winners) in winners.iter().enumerate() {
        let winners = winners.load(Ordering::Relaxed);
        assert!(winners <= 1, "round {round}: {winners} committed the same key");
        assert!(round % 3 == 0 || winners == 1, "round {round}: nobody got it");
    }
}

#[test]
fn dynamodb_ten_thousand_keys_in_one_call() {
    let Some(database) = database("tenthousand") else { return };
    let (one, two) = (database.store(), database.store());
    let mut keys = asks(0..10_000, 1_000);
    // In no order, and some of them twice.
    keys.sort_unstable_by_key(|asked| asked.key.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    keys.extend_from_within(..50);
    let answers = one.reserve(batch(1, 1), LONG_MS, &keys).unwrap();
    assert!(answers.len() == 10_050 && answers.iter().all(|it| *it == Answer::Reserved));
    let some = &keys[9_000..];
    let answers = two.reserve(batch(2, 1), LONG_MS, some).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Busy { .. })));
    one.commit(batch(1, 1)).unwrap();
    let answers = two.reserve(batch(2, 1), LONG_MS, some).unwrap();
    assert!(answers.iter().zip(some).all(|(answer, key)| *answer == duplicate(*key)));
}

#[test]
fn dynamodb_scopes_of_one_table_share_nothing() {
    let Some(database) = database("scopes") else { return };
    let store = database.store();
    let other = DynamoStore::connect(database.options()).unwrap();
    let mine = other.join(&dedup::store::SharedScope { name: "other".into(), ..scope() }).unwrap();
    assert_ne!(mine.incarnation, joined(&store).incarnation);
    let keys = asks(0..3, 1_000);
    settle(&store, batch(1, 1), &keys);
    // Nor do batches of one name.
    settle(&other, batch(1, 1), &keys);
}

#[test]
fn dynamodb_who_joins_first_gives_the_secret() {
    let Some(database) = database("secret") else { return };
    let stores: Vec<DynamoStore> =
        (0..4).map(|_| DynamoStore::connect(database.options()).unwrap()).collect();
    let joined: HashSet<([u8; 16], u128)> = std::thread::scope(|threads| {
        let join = |(worker, store): (usize, &'static DynamoStore)| {
            let scope = dedup::store::SharedScope { secret: [worker as u8; 16], ..scope() };
            let joined = store.join(&scope).unwrap();
            (joined.secret, joined.incarnation)
        };
        let stores: &'static [DynamoStore] = Box::leak(stores.into_boxed_slice());
        let threads: Vec<_> =
            stores.iter().enumerate().map(|it| threads.spawn(move || join(it))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(joined.len(), 1, "all have the same");
}
