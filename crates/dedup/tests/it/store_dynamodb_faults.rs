//! The store in DynamoDB when requests and answers get lost, come late, or are refused.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use dedup::store::dynamodb::{DynamoEndpoint, DynamoOptions, DynamoStore};
use dedup::store::{Answer, BatchState, Store, StoreFault};

use crate::dynamodb_kit::{
    LONG_MS, TABLE, ask, asks, batch, database, duplicate, fault, free_port, scope, settle, wait,
};
use crate::dynamodb_proxy::{Fate, Proxy};

const THROTTLED: &str =
    r#"{"__type":"com.amazonaws.dynamodb.v20120810#ThrottlingException","message":"slower"}"#;

/// Every action once; panics where an answer isn't what it has to be.
fn walk(store: &DynamoStore, round: u128) {
    let base = round * 100;
    let (mine, other) = (batch(base + 1, 1), batch(base + 1, 2));
    store.join(&scope()).unwrap();
    let keys = asks(base..base + 3, 1_000);
    assert_eq!(store.reserve(mine, LONG_MS, &keys).unwrap(), [Answer::Reserved; 3], "{round}");
    store.release(mine, &keys[2..]).unwrap();
    assert_eq!(store.renew(&[mine], LONG_MS).unwrap(), [BatchState::Open], "{round}");
    assert_eq!(store.commit(mine).unwrap(), BatchState::Committed, "{round}");
    let answers = store.reserve(other, LONG_MS, &keys).unwrap();
    let expected = [duplicate(keys[0]), duplicate(keys[1]), Answer::Reserved];
    assert_eq!(answers, expected, "{round}");
    assert_eq!(store.abort(other).unwrap(), BatchState::Aborted, "{round}");
    assert_eq!(store.state(mine).unwrap(), BatchState::Committed, "{round}");
}

/// Walks once for each request that a walk makes, and does `fate` to that one.
fn walk_through(test: &str, fate: fn() -> Fate) {
    let Some(database) = database(test) else { return };
    // Made before: that one request is about the table.
    database.store();
    let target = Arc::new(AtomicUsize::new(usize::MAX));
    let aim = Arc::clone(&target);
    let proxy = Proxy::start(&database.url, move |request| {
        if request.number == aim.load(Ordering::Relaxed) { fate() } else { Fate::Pass }
    });
    let store = DynamoStore::connect(database.at(&proxy.url()).options()).unwrap();
    walk(&store, 0);
    let requests = proxy.count.load(Ordering::Relaxed);
    assert!(requests > 15, "{requests}");
    for number in 0..requests {
        let round = 1 + number as u128;
        target.store(proxy.count.load(Ordering::Relaxed) + number, Ordering::Relaxed);
        walk(&store, round);
    }
}

#[test]
fn dynamodb_any_answer_may_get_lost_after_its_request_took_effect() {
    walk_through("loseanswer", || Fate::LoseAnswer);
}

#[test]
fn dynamodb_any_request_may_get_lost() {
    walk_through("loserequest", || Fate::LoseRequest);
}

#[test]
fn dynamodb_any_request_may_be_throttled() {
    walk_through("throttleone", || Fate::Answer(400, THROTTLED.into()));
}

#[test]
fn dynamodb_the_server_may_fail_at_any_request() {
    walk_through("failone", || Fate::Answer(500, r#"{"__type":"InternalServerError"}"#.into()));
}

#[test]
fn dynamodb_throttling_is_waited_out_and_then_named() {
    let Some(database) = database("throttled") else { return };
    let store = database.store();
    let left = Arc::new(AtomicUsize::new(5));
    let times = Arc::clone(&left);
    let proxy = Proxy::start(&database.url, move |_| {
        let before = times.load(Ordering::Relaxed);
        if before == 0 {
            return Fate::Pass;
        }
        times.store(before - 1, Ordering::Relaxed);
        Fate::Answer(400, THROTTLED.into())
    });
    let mut options = database.at(&proxy.url()).options();
    options.patience = Duration::from_millis(1_500);
    let slow = DynamoStore::connect(options).unwrap();
    slow.join(&scope()).unwrap();
    assert_eq!(slow.consumed().throttled, 5);
    left.store(usize::MAX, Ordering::Relaxed);
    let began = Instant::now();
    let error = slow.reserve(batch(1, 1), LONG_MS, &asks(0..3, 1)).unwrap_err();
    assert_eq!(error.fault, StoreFault::Away);
    assert!(error.to_string().contains("ThrottlingException"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // And nothing was held by it.
    assert_eq!(store.reserve(batch(2, 1), LONG_MS, &asks(0..3, 1)).unwrap(), [Answer::Reserved; 3]);
}

#[test]
fn dynamodb_away_at_the_start_is_said_in_time_and_passes() {
    let mut options = DynamoOptions::new(TABLE);
    options.endpoint = DynamoEndpoint::Url(format!("http://127.0.0.1:{}", free_port()));
    options.patience = Duration::from_millis(800);
    let store = DynamoStore::connect(options).unwrap();
    let began = Instant::now();
    let error = store.join(&scope()).unwrap_err();
    assert_eq!(error.fault, StoreFault::Away, "{error}");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    // Nothing can be asked before a scope is joined.
    assert_eq!(fault(store.reserve(batch(1, 1), LONG_MS, &[])), StoreFault::Lost);
}

/// A request that is held back until told.
#[derive(Default)]
struct Gate {
    // Requests held so far; whether they may go on; requests let through.
    state: Mutex<(usize, bool, usize)>,
    changed: Condvar,
}

impl Gate {
    fn hold(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        while !state.1 {
            state = self.changed.wait(state).unwrap();
        }
        state.2 += 1;
        self.changed.notify_all();
    }

    fn open_and_wait(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 = true;
        self.changed.notify_all();
        while state.2 < state.0 {
            state = self.changed.wait(state).unwrap();
        }
    }
}

#[test]
fn p3_dynamodb_a_write_that_lands_after_its_release_holds_nothing() {
    let Some(database) = database("late") else { return };
    let other = database.store();
    let gate = Arc::new(Gate::default());
    let (held, first) = (Arc::clone(&gate), AtomicUsize::new(0));
    // The first write of a key is under way for long; the store doesn't wait for it and writes
    // again.
    let proxy = Proxy::start(&database.url, move |request| {
        if request.action == "PutItem" && first.fetch_add(1, Ordering::Relaxed) == 0 {
            held.hold();
        }
        Fate::Pass
    });
    let mut options = database.at(&proxy.url()).options();
    options.attempt_max = Duration::from_secs(2);
    let store = DynamoStore::connect(options).unwrap();
    store.join(&scope()).unwrap();
    let keys = [ask(1, 1_000, 60_000), ask(2, 1_000, 60_000)];
    assert_eq!(store.reserve(batch(1, 1), LONG_MS, &keys[..1]).unwrap(), [Answer::Reserved]);
    store.release(batch(1, 1), &keys[..1]).unwrap();
    gate.open_and_wait();
    store.commit(batch(1, 1)).unwrap();
    // The proxy passes it on right after the gate; asking again and again meets it in any order.
    for number in 0..50 {
        let answer = other.reserve(batch(2, number), LONG_MS, &keys[..1]).unwrap();
        assert_eq!(answer, [Answer::Reserved], "an event that was let go of shadows another");
        other.release(batch(2, number), &keys[..1]).unwrap();
    }
}

#[test]
fn p3_dynamodb_a_key_that_its_batch_let_go_of_before_its_commit_is_no_duplicate() {
    let Some(database) = database("relook") else { return };
    let owner = Arc::new(database.store());
    let key = ask(1, 1_000, 60_000);
    owner.reserve(batch(1, 1), LONG_MS, &[key]).unwrap();
    // Between the rival's look at the key and its look at the batch, the owner lets go of the key
    // and commits: so the batch is committed, without the key.
    let (acts, done) = (Arc::clone(&owner), AtomicUsize::new(0));
    let proxy = Proxy::start(&database.url, move |request| {
        if request.action == "BatchGetItem" && done.fetch_add(1, Ordering::Relaxed) == 0 {
            acts.release(batch(1, 1), &[key]).unwrap();
            assert_eq!(acts.commit(batch(1, 1)).unwrap(), BatchState::Committed);
        }
        Fate::Pass
    });
    let rival = database.at(&proxy.url()).store();
    let answer = rival.reserve(batch(2, 1), LONG_MS, &[key]).unwrap();
    assert_eq!(answer, [Answer::Reserved], "nobody delivered it");
}

#[test]
fn dynamodb_a_batch_that_is_renewed_while_it_is_taken_over_stays() {
    let Some(database) = database("renewedmeanwhile") else { return };
    let owner = Arc::new(database.store());
    let key = ask(1, 1_000, 60_000);
    owner.reserve(batch(1, 1), 1, &[key]).unwrap();
    let acts = Arc::clone(&owner);
    let proxy = Proxy::start(&database.url, move |request| {
        if request.action == "UpdateItem" && request.body.contains(":seen") {
            assert_eq!(acts.renew(&[batch(1, 1)], 1).unwrap(), [BatchState::Open]);
        }
        Fate::Pass
    });
    let rival = database.at(&proxy.url()).store();
    for _ in 0..5 {
        let answer = rival.reserve(batch(2, 1), LONG_MS, &[key]).unwrap();
        assert!(matches!(answer[..], [Answer::Busy { .. }]), "{answer:?}");
    }
    assert_eq!(owner.commit(batch(1, 1)).unwrap(), BatchState::Committed);
}

#[test]
fn p2_dynamodb_a_key_that_is_taken_between_look_and_write_is_decided_again() {
    let Some(database) = database("between") else { return };
    let other = Arc::new(database.store());
    let key = ask(1, 1_000, 60_000);
    // An aborted batch holds it, so it is free for whoever is first.
    other.reserve(batch(9, 1), LONG_MS, &[key]).unwrap();
    other.abort(batch(9, 1)).unwrap();
    let (acts, puts) = (Arc::clone(&other), AtomicUsize::new(0));
    let proxy = Proxy::start(&database.url, move |request| {
        // The second write of the key is the one that names what was seen.
        if request.action == "PutItem" && puts.fetch_add(1, Ordering::Relaxed) == 1 {
            settle(&*acts, batch(8, 1), &[key]);
        }
        Fate::Pass
    });
    let store = database.at(&proxy.url()).store();
    assert_eq!(store.reserve(batch(1, 1), LONG_MS, &[key]).unwrap(), [duplicate(key)]);
}

#[test]
fn dynamodb_no_clock_of_anybody_decides_over_keys_and_leases() {
    let Some(database) = database("clocks") else { return };
    // Two workers whose server says that it is 1994, and 2094. (The store reads no clock of this
    // machine at all; this is the only one it knows.)
    let past = Proxy::start(&database.url, |_| Fate::Date("Sun, 06 Nov 1994 08:49:37 GMT"));
    let future = Proxy::start(&database.url, |_| Fate::Date("Sat, 06 Nov 2094 08:49:37 GMT"));
    let (one, two) = (database.at(&past.url()).store(), database.at(&future.url()).store());
    let now_ms = 1_795_000_000_000;
    let keys = asks(0..3, now_ms);
    one.reserve(batch(1, 1), LONG_MS, &keys).unwrap();
    let answers = two.reserve(batch(2, 1), LONG_MS, &keys).unwrap();
    let is_busy = |answer: &Answer| matches!(answer, Answer::Busy { lease_left_ms, .. } if *lease_left_ms > LONG_MS / 2);
    assert!(answers.iter().all(is_busy), "{answers:?}");
    one.commit(batch(1, 1)).unwrap();
    for store in [&one, &two] {
        let answers = store.reserve(batch(3, 1), LONG_MS, &keys).unwrap();
        assert_eq!(answers, keys.iter().map(|key| duplicate(*key)).collect::<Vec<_>>());
        // Written again by both: no entry goes for the clock's sake.
        let later = asks(0..3, now_ms + 60_000);
        assert_eq!(store.reserve(batch(3, 1), LONG_MS, &later).unwrap(), [Answer::Reserved; 3]);
        store.release(batch(3, 1), &later).unwrap();
    }
    assert_eq!(one.reserve(batch(3, 2), LONG_MS, &keys).unwrap()[0], duplicate(keys[0]));
    // TTL: the later of both, never before window and margin have ended.
    let end_s = (now_ms + 60_000) / 1_000 + 15 * 86_400;
    let items = wait(database.client().scan().table_name(TABLE).send()).unwrap();
    for item in items.items() {
        if let Some(expires) = item.get("expires_s") {
            let expires: i64 = expires.as_n().unwrap().parse().unwrap();
            assert!(expires >= end_s || !item.contains_key("entries"), "{expires}");
        }
    }
}
