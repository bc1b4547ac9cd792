//! The way of a batch.

use dedup::store::{BatchState, StoreFault};

use super::StoreWorld;
use super::kit::*;

pub(crate) fn a_key_is_a_duplicate_only_after_its_commit(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "commit");
    let (one, two) = (clients.client(), clients.client());
    let keys = asked_all(0..100);
    assert_reserved(&*one, batch(1, 1), &keys);
    assert_busy(&*two, batch(2, 1), &keys, batch(1, 1));
    assert_eq!(one.state(batch(1, 1)).unwrap(), BatchState::Open);
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    assert_eq!(two.state(batch(1, 1)).unwrap(), BatchState::Committed);
    assert_duplicates(&*two, batch(2, 2), &keys);
    // For its own worker, too.
    assert_duplicates(&*one, batch(1, 2), &keys);
}

pub(crate) fn a_key_is_busy_while_its_batch_is_open(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "busy");
    let (one, two) = (clients.client(), clients.client());
    assert_reserved(&*one, batch(1, 1), &asked_all(0..2));
    // Another batch of the same worker is another batch.
    assert_busy(&*one, batch(1, 2), &asked_all(0..1), batch(1, 1));
    assert_busy(&*two, batch(2, 1), &asked_all(1..2), batch(1, 1));
    // What is busy isn't held.
    assert_eq!(one.abort(batch(1, 1)).unwrap(), BatchState::Aborted);
    assert_reserved(&*one, batch(1, 3), &asked_all(0..2));
}

pub(crate) fn a_released_key_is_free(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "release");
    let (one, two) = (clients.client(), clients.client());
    assert_reserved(&*one, batch(1, 1), &asked_all(0..4));
    one.release(batch(1, 1), &asked_all(1..3)).unwrap();
    // Another batch can't release what it doesn't hold.
    two.release(batch(2, 1), &asked_all(0..1)).unwrap();
    assert_reserved(&*two, batch(2, 1), &asked_all(1..3));
    assert_busy(&*two, batch(2, 1), &[asked(0), asked(3)], batch(1, 1));
    // What was released and taken isn't its old holder's any more.
    one.release(batch(1, 1), &asked_all(1..3)).unwrap();
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    assert_busy(&*one, batch(1, 2), &asked_all(1..3), batch(2, 1));
    assert_eq!(two.abort(batch(2, 1)).unwrap(), BatchState::Aborted);
    assert_reserved(&*one, batch(1, 2), &asked_all(1..3));
    assert_duplicates(&*one, batch(1, 2), &[asked(0), asked(3)]);
}

pub(crate) fn the_same_batch_asks_again(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "again");
    let (one, two) = (clients.client(), clients.client());
    let keys = asked_all(0..50);
    for _ in 0..3 {
        assert_reserved(&*one, batch(1, 1), &keys);
    }
    // From another connection, as after an answer that got lost.
    assert_reserved(&*two, batch(1, 1), &keys);
    one.release(batch(1, 1), &keys).unwrap();
    assert_reserved(&*two, batch(2, 1), &keys);
}

pub(crate) fn an_abort_frees_its_keys(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "abort");
    let (one, two) = (clients.client(), clients.client());
    let keys = asked_all(0..20);
    assert_reserved(&*one, batch(1, 1), &keys);
    assert_eq!(two.abort(batch(1, 1)).unwrap(), BatchState::Aborted);
    assert_reserved(&*two, batch(2, 1), &keys);
    let after = one.commit(batch(1, 1)).unwrap();
    assert!(matches!(after, BatchState::Aborted | BatchState::Absent), "{after:?}");
    assert_eq!(two.commit(batch(2, 1)).unwrap(), BatchState::Committed);
    assert_eq!(one.abort(batch(2, 1)).unwrap(), BatchState::Committed);
    assert_duplicates(&*one, batch(1, 2), &keys);
}

pub(crate) fn an_absent_batch_counts_as_aborted(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "absent");
    let one = clients.client();
    assert_eq!(one.state(batch(9, 9)).unwrap(), BatchState::Absent);
    assert_eq!(one.commit(batch(9, 9)).unwrap(), BatchState::Absent);
    let after = one.abort(batch(9, 9)).unwrap();
    assert!(matches!(after, BatchState::Aborted | BatchState::Absent), "{after:?}");
    assert_eq!(one.renew(&[batch(9, 8)], LEASE_MS).unwrap(), [BatchState::Absent]);
    assert_eq!(one.commit(batch(9, 8)).unwrap(), BatchState::Absent, "renew opened it");
    one.release(batch(9, 9), &asked_all(0..2)).unwrap();
    one.settle(batch(9, 9), &asked_all(0..2)).unwrap();
    assert_reserved(&*one, batch(1, 1), &asked_all(0..2));
}

pub(crate) fn a_resolved_batch_asks_for_nothing_more(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "resolved");
    let one = clients.client();
    assert_reserved(&*one, batch(1, 1), &asked_all(0..2));
    one.commit(batch(1, 1)).unwrap();
    let refused = one.reserve(batch(1, 1), LEASE_MS, &asked_all(2..4)).unwrap_err();
    assert_eq!(refused.fault, StoreFault::NotOpen, "{refused}");
    assert_reserved(&*one, batch(1, 2), &asked_all(2..4));
    one.abort(batch(1, 2)).unwrap();
    let refused = one.reserve(batch(1, 2), LEASE_MS, &asked_all(2..4)).unwrap_err();
    assert_eq!(refused.fault, StoreFault::NotOpen, "{refused}");
    assert_reserved(&*one, batch(1, 3), &asked_all(2..4));
}

pub(crate) fn a_settled_batch_leaves_duplicates(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "settle");
    let (one, two) = (clients.client(), clients.client());
    let keys = asked_all(0..100);
    assert_reserved(&*one, batch(1, 1), &keys);
    one.commit(batch(1, 1)).unwrap();
    // In two halves: the record stays until the second.
    one.settle(batch(1, 1), &keys[..50]).unwrap();
    assert_duplicates(&*two, batch(2, 2), &keys);
    one.settle(batch(1, 1), &keys[50..]).unwrap();
    let after = one.state(batch(1, 1)).unwrap();
    assert!(matches!(after, BatchState::Committed | BatchState::Absent), "{after:?}");
    assert_duplicates(&*two, batch(2, 2), &keys);
    // Whatever is asked of the old batch.
    let after = one.abort(batch(1, 1)).unwrap();
    assert_ne!(after, BatchState::Open);
    assert_duplicates(&*two, batch(2, 3), &keys);
}

pub(crate) fn a_release_after_settle_changes_nothing(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "late-release");
    let one = clients.client();
    let keys = asked_all(0..10);
    assert_reserved(&*one, batch(1, 1), &keys);
    one.commit(batch(1, 1)).unwrap();
    one.settle(batch(1, 1), &keys).unwrap();
    one.release(batch(1, 1), &keys).unwrap();
    assert_duplicates(&*one, batch(1, 2), &keys);
}

pub(crate) fn every_call_made_twice_changes_nothing(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "twice");
    // Each second call comes from another connection, as after an answer that got lost.
    let (one, two) = (clients.client(), clients.client());
    let keys = asked_all(0..30);
    let id = batch(1, 1);
    let first = reserve(&*one, id, &keys);
    assert_eq!(reserve(&*two, id, &keys), first);
    let (gone, kept) = keys.split_at(10);
    for store in [&one, &two] {
        store.release(id, gone).unwrap();
    }
    for store in [&one, &two] {
        assert_eq!(store.renew(&[id], LEASE_MS).unwrap(), [BatchState::Open]);
    }
    for store in [&one, &two] {
        assert_eq!(store.commit(id).unwrap(), BatchState::Committed);
    }
    for store in [&one, &two, &one] {
        store.settle(id, kept).unwrap();
        assert_duplicates(&**store, batch(3, 1), kept);
    }
    assert_reserved(&*two, batch(2, 1), gone);
    for store in [&one, &two] {
        let after = store.abort(batch(2, 1)).unwrap();
        assert!(matches!(after, BatchState::Aborted | BatchState::Absent), "{after:?}");
    }
    assert_reserved(&*one, batch(2, 2), gone);
}

pub(crate) fn a_batch_that_never_asked_commits_nothing(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "never");
    let one = clients.client();
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Absent);
    // It may ask afterwards: it has no keys yet that anybody could have taken.
    let keys = asked_all(0..3);
    assert_reserved(&*one, batch(1, 2), &keys);
    assert_eq!(one.commit(batch(1, 2)).unwrap(), BatchState::Committed);
    assert_duplicates(&*one, batch(1, 3), &keys);
}
