//! The store in memory: the suite, and what only it can do.

use std::sync::Arc;

use dedup::store::memory::{Call, MemoryStore, When};
use dedup::store::{Answer, BatchState, Store, StoreFault};
use event::TestClock;

use crate::store_suite::kit::{Clients, LEASE_MS, asked_all, batch, scope};
use crate::store_suite::{StoreWorld, store_suite};

struct MemoryWorld {
    clock: TestClock,
    store: MemoryStore,
}

impl StoreWorld for MemoryWorld {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    fn pass_time(&self, ms: u64) {
        self.clock.advance(ms as i64);
    }

    fn short_lease_ms(&self) -> u64 {
        1_000
    }

    fn lose_everything(&self) {
        self.store.lose_everything();
    }
}

fn world() -> Option<MemoryWorld> {
    let clock = TestClock::new(0);
    Some(MemoryWorld { store: MemoryStore::new(Arc::new(clock.clone())), clock })
}

store_suite!(world);

#[test]
fn calls_fail_before_or_after_they_took_effect() {
    let world = world().unwrap();
    let store = Clients::of(&world, "faults").client();
    let keys = asked_all(0..2);
    world.store.fail_next(1, StoreFault::Away, When::Before);
    assert_eq!(store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap_err().fault, StoreFault::Away);
    assert_eq!(store.state(batch(1, 1)).unwrap(), BatchState::Absent);
    world.store.fail_next(1, StoreFault::Away, When::After);
    assert_eq!(store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap_err().fault, StoreFault::Away);
    assert_eq!(store.state(batch(1, 1)).unwrap(), BatchState::Open);
    world.store.fail_next(2, StoreFault::Full, When::Before);
    for _ in 0..2 {
        assert_eq!(store.commit(batch(1, 1)).unwrap_err().fault, StoreFault::Full);
    }
    assert_eq!(store.commit(batch(1, 1)).unwrap(), BatchState::Committed);
}

#[test]
fn keys_and_records_get_lost() {
    let world = world().unwrap();
    let store = Clients::of(&world, "lose").client();
    let keys = asked_all(0..2);
    store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    store.commit(batch(1, 1)).unwrap();
    world.store.lose_key(keys[0].key);
    let answers = store.reserve(batch(1, 2), LEASE_MS, &keys).unwrap();
    assert_eq!(answers[0], Answer::Reserved);
    assert!(matches!(answers[1], Answer::Duplicate { .. }));
    world.store.lose_record(batch(1, 1));
    let answers = store.reserve(batch(1, 2), LEASE_MS, &keys).unwrap();
    assert_eq!(answers, [Answer::Reserved; 2]);
}

#[test]
fn something_else_may_happen_first() {
    let world = world().unwrap();
    let store = Clients::of(&world, "slow").client();
    let keys = asked_all(0..1);
    store.reserve(batch(1, 1), LEASE_MS, &keys).unwrap();
    let clock = world.clock.clone();
    world.store.on_call(move |call| {
        if call == Call::Reserve {
            clock.advance(LEASE_MS as i64);
        }
    });
    let answers = store.reserve(batch(2, 1), LEASE_MS, &keys).unwrap();
    assert_eq!(answers, [Answer::Reserved], "the lease ran out while it was asked");
    assert_eq!(store.commit(batch(1, 1)).unwrap(), BatchState::Aborted);
}

#[test]
fn a_client_that_joined_nothing_is_refused() {
    let world = world().unwrap();
    let store = world.store();
    assert_eq!(store.state(batch(1, 1)).unwrap_err().fault, StoreFault::Refused);
    store.join(&scope("later")).unwrap();
    assert_eq!(store.state(batch(1, 1)).unwrap(), BatchState::Absent);
}
