//! Leases, by the store's clock.

use dedup::store::{Answer, BatchState, StoreFault};

use super::StoreWorld;
use super::kit::*;

pub(crate) fn an_expired_lease_is_taken_over_and_the_old_batch_is_aborted(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "lease");
    let (one, two) = (clients.client(), clients.client());
    let keys = asked_all(0..5);
    let answers = one.reserve(batch(1, 1), world.short_lease_ms(), &keys).unwrap();
    assert_eq!(answers, [Answer::Reserved; 5]);
    let answers = reserve_patiently(world, &*two, batch(2, 1), &keys[..2]);
    assert_eq!(answers, [Answer::Reserved; 2]);
    // The old batch is aborted as a whole.
    let after = one.commit(batch(1, 1)).unwrap();
    assert!(matches!(after, BatchState::Aborted | BatchState::Absent), "{after:?}");
    let refused = one.reserve(batch(1, 1), LEASE_MS, &keys).unwrap_err();
    assert_eq!(refused.fault, StoreFault::NotOpen, "{refused}");
    assert_reserved(&*one, batch(1, 2), &keys[2..]);
    // Its late calls change nothing.
    one.release(batch(1, 1), &keys).unwrap();
    one.settle(batch(1, 1), &keys).unwrap();
    assert_busy(&*one, batch(1, 2), &keys[..2], batch(2, 1));
    assert_eq!(two.commit(batch(2, 1)).unwrap(), BatchState::Committed);
    assert_duplicates(&*one, batch(1, 2), &keys[..2]);
}

pub(crate) fn a_renewed_lease_is_kept(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "renew");
    let (one, two) = (clients.client(), clients.client());
    let keys = asked_all(0..2);
    one.reserve(batch(1, 1), world.short_lease_ms(), &keys).unwrap();
    assert_eq!(one.renew(&[batch(1, 1)], LEASE_MS).unwrap(), [BatchState::Open]);
    world.pass_time(world.short_lease_ms());
    assert_busy(&*two, batch(2, 1), &keys, batch(1, 1));
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
}

/// A lease that ran out lets others in; until one comes, the batch is still open.
pub(crate) fn a_commit_after_the_lease_counts(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "late-commit");
    let (one, two) = (clients.client(), clients.client());
    let keys = asked_all(0..3);
    one.reserve(batch(1, 1), 1, &keys).unwrap();
    world.pass_time(1);
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    let answers = reserve_patiently(world, &*two, batch(2, 1), &keys);
    assert_eq!(answers, keys.iter().map(|key| duplicate(*key)).collect::<Vec<_>>());
}

pub(crate) fn renew_answers_with_states(world: &dyn StoreWorld) {
    let one = Clients::of(world, "states").client();
    for number in 1..=3 {
        assert_reserved(&*one, batch(1, number), &[asked(number)]);
    }
    one.commit(batch(1, 2)).unwrap();
    one.abort(batch(1, 3)).unwrap();
    let all = [batch(1, 3), batch(1, 1), batch(1, 4), batch(1, 2)];
    let states = one.renew(&all, LEASE_MS).unwrap();
    let expected =
        [BatchState::Aborted, BatchState::Open, BatchState::Absent, BatchState::Committed];
    assert_eq!(states, expected);
    assert_eq!(one.renew(&[], LEASE_MS).unwrap(), []);
}
