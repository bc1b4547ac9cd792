//! Calls that meet.

use std::sync::Barrier;

use dedup::store::{Answer, BatchRef, BatchState, Store, StoreFault};

use super::StoreWorld;
use super::kit::*;

/// Runs both at the same moment.
fn at_once<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let barrier = &Barrier::new(2);
    std::thread::scope(|threads| {
        let other = threads.spawn(move || {
            barrier.wait();
            b()
        });
        barrier.wait();
        (a(), other.join().unwrap())
    })
}

pub(crate) fn exactly_one_of_commit_and_abort_wins(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "race");
    let (one, two) = (clients.client(), clients.client());
    let mut committed = 0;
    let races = world.effort().races;
    for number in 0..races as u64 {
        let id = batch(1, number + 1);
        assert_reserved(&*one, id, &[asked(number)]);
        let (said, other) = at_once(|| one.commit(id).unwrap(), || two.abort(id).unwrap());
        assert_eq!(said, other, "both see how it ended");
        assert!(matches!(said, BatchState::Committed | BatchState::Aborted), "{said:?}");
        let answer = reserve(&*two, batch(2, number + 1), &[asked(number)])[0];
        if said == BatchState::Committed {
            committed += 1;
            assert_eq!(answer, duplicate(asked(number)));
        } else {
            assert_eq!(answer, Answer::Reserved);
        }
    }
    assert!(committed <= races);
}

pub(crate) fn two_workers_that_ask_at_once_get_a_key_once(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "ask");
    let (one, two) = (clients.client(), clients.client());
    for number in 0..world.effort().races as u64 / 4 {
        let keys = asked_all(number * 8..number * 8 + 8);
        let reversed: Vec<_> = keys.iter().rev().copied().collect();
        let (a, b) = (batch(1, number + 1), batch(2, number + 1));
        let (mine, mut theirs) =
            at_once(|| reserve(&*one, a, &keys), || reserve(&*two, b, &reversed));
        theirs.reverse();
        for pair in mine.iter().zip(&theirs) {
            let held = [pair.0, pair.1].into_iter().filter(|it| **it == Answer::Reserved).count();
            assert_eq!(held, 1, "{pair:?}");
        }
        one.abort(a).unwrap();
        two.abort(b).unwrap();
    }
}

/// Takes over what `old` holds, as soon as its lease is over.
fn take_over(
    world: &dyn StoreWorld,
    store: &dyn Store,
    new: BatchRef,
    key: dedup::store::Asked,
) -> Answer {
    reserve_patiently(world, store, new, &[key])[0]
}

/// A commit that comes as its batch is taken over: the key is taken, or it is a duplicate.
pub(crate) fn a_take_over_and_a_commit_agree(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "take-over");
    let (one, two) = (clients.client(), clients.client());
    for number in 0..world.effort().races as u64 / 20 {
        let (old, new) = (batch(1, number + 1), batch(2, number + 1));
        let key = asked(number);
        match one.reserve(old, world.short_lease_ms(), &[key]) {
            Ok(answers) => assert_eq!(answers, [Answer::Reserved]),
            // With a lease this short it may be over before the call is.
            Err(error) => assert_eq!(error.fault, StoreFault::NotOpen),
        }
        let (committed, taken) =
            at_once(|| one.commit(old).unwrap(), || take_over(world, &*two, new, key));
        match committed {
            BatchState::Committed => assert_eq!(taken, duplicate(key)),
            _ => assert_eq!(taken, Answer::Reserved),
        }
    }
}
