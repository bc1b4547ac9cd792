//! The store in DynamoDB when the server is killed, stands still, or loses its data.

use std::time::{Duration, Instant};

use dedup::store::dynamodb::DynamoStore;
use dedup::store::{Answer, BatchState, Store, StoreFault};

use crate::dynamodb_kit::{
    Database, LONG_MS, Server, TABLE, ask, asks, batch, duplicate, fault, joined, scope, settle,
    skip, wait,
};

/// A server of the test's own, in memory or in the folder.
fn own(test: &str, folder: Option<&std::path::Path>) -> Option<(Server, Database)> {
    let server = Server::start(folder);
    if server.is_none() {
        skip(test);
    }
    let server = server?;
    let database = Database::new(&server.url(), test);
    Some((server, database))
}

#[test]
fn p2_dynamodb_what_was_committed_outlives_a_killed_server() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut server, database)) = own("killed", Some(folder.path())) else { return };
    let store = database.store();
    let before = joined(&store);
    let (done, held) = (asks(0..20, 1_000), asks(20..40, 1_000));
    settle(&store, batch(1, 1), &done);
    store.reserve(batch(1, 2), LONG_MS, &held).unwrap();
    server.kill_and_start_again();
    // The same object goes on.
    assert_eq!(store.commit(batch(1, 2)).unwrap(), BatchState::Committed);
    let all = asks(0..40, 1_000);
    let answers = store.reserve(batch(1, 3), LONG_MS, &all).unwrap();
    assert_eq!(answers, all.iter().map(|key| duplicate(*key)).collect::<Vec<_>>());
    assert_eq!(joined(&store), before);
}

#[test]
fn p2_dynamodb_a_server_killed_under_load_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut server, database)) = own("underload", Some(folder.path())) else { return };
    let stores = [database.store(), database.store()];
    let won = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|threads| {
        let workers: Vec<_> = stores
            .iter()
            .enumerate()
            .map(|(worker, store)| {
                let won = &won;
                threads.spawn(move || {
                    for number in 0..15u64 {
                        let mine = batch(worker as u128, number);
                        let from = u128::from(number) * 10;
                        let keys = asks(from..from + 10, 1_000);
                        let answers = until_answered(|| store.reserve(mine, LONG_MS, &keys));
                        let state = until_answered(|| store.commit(mine));
                        if state == BatchState::Committed {
                            let mine = keys.iter().zip(&answers);
                            let mine = mine.filter(|(_, answer)| **answer == Answer::Reserved);
                            won.lock().unwrap().extend(mine.map(|(key, _)| key.key));
                        }
                    }
                })
            })
            .collect();
        while workers.iter().any(|worker| !worker.is_finished()) && won.lock().unwrap().len() < 40 {
            std::thread::yield_now();
        }
        server.kill_and_start_again();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    let mut won = won.into_inner().unwrap();
    won.sort_unstable();
    assert_eq!(won, (0..150).collect::<Vec<u128>>(), "each key by exactly one worker");
}

/// Calls that end as away are made again, as the pipe does.
fn until_answered<T>(call: impl Fn() -> Result<T, dedup::store::StoreError>) -> T {
    let began = Instant::now();
    loop {
        match call() {
            Ok(answer) => return answer,
            Err(error) if error.fault == StoreFault::Away => {
                assert!(began.elapsed() < Duration::from_secs(120), "{error}");
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn dynamodb_a_server_that_lost_its_data_is_noticed_by_every_call() {
    let Some((mut server, database)) = own("lost", None) else { return };
    let store = database.store();
    let before = joined(&store);
    let keys = asks(0..3, 1_000);
    settle(&store, batch(1, 1), &keys);
    store.reserve(batch(1, 2), LONG_MS, &asks(3..5, 1)).unwrap();
    server.kill_and_start_again();
    // No table at all.
    assert_eq!(fault(store.reserve(batch(1, 3), LONG_MS, &keys)), StoreFault::Lost);
    assert_eq!(fault(store.commit(batch(1, 2))), StoreFault::Lost);
    assert_eq!(fault(store.renew(&[batch(1, 2)], LONG_MS)), StoreFault::Lost);
    // Another worker makes the table and the scope anew: still not what this one joined.
    let other = database.store();
    assert_eq!(fault(store.reserve(batch(1, 3), LONG_MS, &keys)), StoreFault::Lost);
    assert_eq!(fault(store.commit(batch(1, 2))), StoreFault::Lost);
    assert_eq!(fault(store.abort(batch(1, 2))), StoreFault::Lost);
    assert_eq!(fault(store.state(batch(1, 2))), StoreFault::Lost);
    assert_eq!(fault(store.renew(&[batch(1, 2)], LONG_MS)), StoreFault::Lost);
    let after = joined(&store);
    assert_ne!(after.incarnation, before.incarnation);
    assert_eq!(after, joined(&other));
    // A batch of before must be withdrawn, whatever it asks now.
    assert_eq!(fault(store.reserve(batch(1, 2), LONG_MS, &keys)), StoreFault::NotOpen);
    assert_eq!(store.commit(batch(1, 2)).unwrap(), BatchState::Absent);
    assert_eq!(store.reserve(batch(1, 3), LONG_MS, &keys).unwrap(), [Answer::Reserved; 3]);
}

#[test]
fn dynamodb_a_scope_or_table_that_somebody_deleted_is_noticed() {
    let Some(database) = crate::dynamodb_kit::database("deleted") else { return };
    let store = database.store();
    let keys = asks(0..3, 1_000);
    let client = database.client();
    let pk = aws_sdk_dynamodb::types::AttributeValue::B(b"sorders"[..].into());
    wait(client.delete_item().table_name(TABLE).key("pk", pk).send()).unwrap();
    assert_eq!(fault(store.reserve(batch(1, 1), LONG_MS, &keys)), StoreFault::Lost);
    joined(&store);
    store.reserve(batch(1, 2), LONG_MS, &keys).unwrap();
    wait(client.delete_table().table_name(TABLE).send()).unwrap();
    assert_eq!(fault(store.commit(batch(1, 2))), StoreFault::Lost);
    assert_eq!(fault(store.stats()), StoreFault::Lost);
}

#[test]
fn dynamodb_a_server_that_stands_still_is_away_in_time_and_goes_on() {
    let Some((server, database)) = own("standsstill", None) else { return };
    let store = database.store();
    settle(&store, batch(1, 1), &[ask(1, 1_000, 60_000)]);
    let mut options = database.options();
    options.attempt_max = Duration::from_millis(400);
    options.patience = Duration::from_millis(1_200);
    let hasty = DynamoStore::connect(options).unwrap();
    until_answered(|| hasty.join(&scope()));
    server.signal("STOP");
    let began = Instant::now();
    let error = hasty.reserve(batch(2, 1), LONG_MS, &asks(2..30, 1_000)).unwrap_err();
    let took = began.elapsed();
    server.signal("CONT");
    assert_eq!(error.fault, StoreFault::Away, "{error}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    // What was under way lands now, under the batch that asked for it; asking again is harmless.
    let again = until_answered(|| store.reserve(batch(2, 1), LONG_MS, &asks(2..30, 1_000)));
    assert_eq!(again, [Answer::Reserved; 28]);
    assert_eq!(store.commit(batch(2, 1)).unwrap(), BatchState::Committed);
}
