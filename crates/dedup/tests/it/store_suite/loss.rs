//! Scopes, and stores that lose them.

use dedup::store::{BatchState, SharedScope, StoreFault};

use super::StoreWorld;
use super::kit::*;

pub(crate) fn joining_twice_gives_the_same_scope(world: &dyn StoreWorld) {
    let scope = scope("join");
    let one = world.store().join(&scope).unwrap();
    assert_eq!(one.secret, scope.secret);
    // Whoever comes second gets the secret of the first.
    let other = SharedScope { secret: [9; 16], ..scope };
    let store = world.store();
    assert_eq!(store.join(&other).unwrap(), one);
    assert_eq!(store.join(&other).unwrap(), one);
}

pub(crate) fn two_scopes_dont_see_each_other(world: &dyn StoreWorld) {
    let (one, two) = (Clients::of(world, "a"), Clients::of(world, "b"));
    let (a, b) = (one.client(), two.client());
    let keys = asked_all(0..5);
    assert_reserved(&*a, batch(1, 1), &keys);
    assert_reserved(&*b, batch(2, 1), &keys);
    a.commit(batch(1, 1)).unwrap();
    assert_eq!(b.abort(batch(2, 1)).unwrap(), BatchState::Aborted);
    assert_reserved(&*b, batch(2, 2), &keys);
    assert_duplicates(&*a, batch(1, 2), &keys);
}

pub(crate) fn another_definition_is_refused(world: &dyn StoreWorld) {
    let scope = scope("definition");
    world.store().join(&scope).unwrap();
    let fields = SharedScope { fields: 2, ..scope.clone() };
    let types = SharedScope { across_types: true, ..scope.clone() };
    for other in [fields, types] {
        let refused = world.store().join(&other).unwrap_err();
        assert_eq!(refused.fault, StoreFault::Refused, "{refused}");
    }
    world.store().join(&scope).unwrap();
}

pub(crate) fn a_store_that_lost_everything_says_so(world: &dyn StoreWorld) {
    if world.is_shared() {
        return;
    }
    let clients = Clients::of(world, "lost");
    let (store, other) = (clients.client(), clients.client());
    let before = store.join(&clients.scope).unwrap();
    let keys = asked_all(0..5);
    assert_reserved(&*store, batch(1, 1), &keys);
    world.lose_everything();
    let refused = store.reserve(batch(1, 2), LEASE_MS, &keys).unwrap_err();
    assert_eq!(refused.fault, StoreFault::Lost, "{refused}");
    match store.commit(batch(1, 1)) {
        Ok(state) => assert_eq!(state, BatchState::Absent),
        Err(error) => assert_eq!(error.fault, StoreFault::Lost, "{error}"),
    }
    let after = store.join(&clients.scope).unwrap();
    assert_eq!(after.secret, before.secret, "the worker brought it along");
    assert_ne!(after.incarnation, before.incarnation);
    // Others see it as well, although the scope is there again.
    let refused = other.reserve(batch(2, 1), LEASE_MS, &keys).unwrap_err();
    assert_eq!(refused.fault, StoreFault::Lost, "{refused}");
    assert_eq!(other.join(&clients.scope).unwrap(), after);
    assert_reserved(&*store, batch(1, 3), &keys);
    assert_busy(&*other, batch(2, 2), &keys, batch(1, 3));
}
