//! Large calls, and many workers at random.

use std::collections::HashMap;
use std::sync::Mutex;

use dedup::store::{Answer, Asked, BatchState};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::StoreWorld;
use super::kit::*;

pub(crate) fn a_large_call_with_repeats(world: &dyn StoreWorld) {
    let clients = Clients::of(world, "large");
    let (one, two) = (clients.client(), clients.client());
    let count = world.effort().large_call_keys;
    // Every fourth key stands there twice.
    let repeated =
        |key: u64| std::iter::repeat_n(asked(key), if key.is_multiple_of(4) { 2 } else { 1 });
    let keys: Vec<Asked> = (0..count).flat_map(repeated).collect();
    assert_reserved(&*one, batch(1, 1), &keys);
    let half = &keys[..keys.len() / 2];
    assert_busy(&*two, batch(2, 1), half, batch(1, 1));
    assert_eq!(one.commit(batch(1, 1)).unwrap(), BatchState::Committed);
    // Half of them committed, half of them new.
    let mixed: Vec<Asked> = (count / 2..count + count / 2).map(asked).collect();
    let answers = reserve(&*two, batch(2, 2), &mixed);
    for (number, (answer, key)) in (count / 2..).zip(answers.into_iter().zip(&mixed)) {
        assert_eq!(answer, if number < count { duplicate(*key) } else { Answer::Reserved });
    }
    one.settle(batch(1, 1), &keys).unwrap();
    assert_duplicates(&*two, batch(2, 3), &keys);
}

pub(crate) fn a_call_with_no_keys(world: &dyn StoreWorld) {
    let store = Clients::of(world, "none").client();
    assert_eq!(store.reserve(batch(1, 1), LEASE_MS, &[]).unwrap(), []);
    store.release(batch(1, 1), &[]).unwrap();
    store.settle(batch(1, 1), &[]).unwrap();
    assert_ne!(store.abort(batch(1, 1)).unwrap(), BatchState::Committed);
}

const KEYS: u64 = 12;
const RANDOM_WINDOW_MS: i64 = 1_000;

/// What a worker was told: which batches committed with which keys, and what it was told to be a
/// duplicate of what.
#[derive(Default)]
struct Told {
    committed: Vec<Asked>,
    duplicates: Vec<(Asked, Answer)>,
}

/// Against the simplest reference that there is: of each key, no two committed entries reach each
/// other, and every duplicate is one of a committed entry that reaches it.
pub(crate) fn random_workers_never_hold_a_key_twice(world: &dyn StoreWorld) {
    let seed = 0x5eed;
    let clients = Clients::of(world, "random");
    let told = Mutex::new(Told::default());
    std::thread::scope(|threads| {
        for worker in 1..=4_u64 {
            let (clients, told) = (&clients, &told);
            threads.spawn(move || random_worker(clients, told, worker, seed + worker));
        }
    });
    let told = told.into_inner().unwrap();
    let mut by_key: HashMap<u128, Vec<Asked>> = HashMap::new();
    for entry in &told.committed {
        let others = by_key.entry(entry.key).or_default();
        for other in others.iter() {
            let apart = other.recorded_ms.abs_diff(entry.recorded_ms);
            let twice = apart < RANDOM_WINDOW_MS.unsigned_abs();
            assert!(!twice, "{entry:?} and {other:?} (seed {seed})");
        }
        others.push(*entry);
    }
    for (event, answer) in &told.duplicates {
        let originals = by_key.get(&event.key).map_or(&[][..], Vec::as_slice);
        let original = originals.iter().find(|original| duplicate(**original) == *answer);
        let original = original.unwrap_or_else(|| panic!("{event:?}: {answer:?} (seed {seed})"));
        assert!(
            original.recorded_ms.abs_diff(event.recorded_ms) < original.window_ms.unsigned_abs()
        );
    }
    assert!(!told.committed.is_empty() && !told.duplicates.is_empty());
}

fn random_worker(clients: &Clients<'_>, told: &Mutex<Told>, worker: u64, seed: u64) {
    let store = clients.client();
    let mut random = StdRng::seed_from_u64(seed);
    for number in 0..clients.world.effort().operations as u64 {
        let id = batch(u128::from(worker), number + 1);
        let mut keys: Vec<Asked> = Vec::new();
        for _ in 0..random.random_range(1..5) {
            let key = random.random_range(0..KEYS);
            let recorded_ms = T + random.random_range(0..40) * 250;
            let body_hash = worker << 32 | number;
            let asked = asked_in(key, recorded_ms, RANDOM_WINDOW_MS);
            // Once a batch: its worker tells repeats apart itself.
            if keys.iter().all(|other| other.key != asked.key) {
                keys.push(Asked { body_hash, ..asked });
            }
        }
        let answers = reserve(&*store, id, &keys);
        let mut held = Vec::new();
        for (key, answer) in keys.iter().zip(answers) {
            match answer {
                Answer::Reserved => held.push(*key),
                Answer::Duplicate { .. } => told.lock().unwrap().duplicates.push((*key, answer)),
                Answer::Busy { by, .. } => assert_ne!(by, id),
            }
        }
        if random.random_bool(0.2) && !held.is_empty() {
            let left = held.swap_remove(random.random_range(0..held.len()));
            store.release(id, &[left]).unwrap();
        }
        // A fifth is aborted. The rest commits, and most of it is settled.
        if random.random_bool(0.2) {
            assert_ne!(store.abort(id).unwrap(), BatchState::Committed);
        } else {
            assert_eq!(store.commit(id).unwrap(), BatchState::Committed);
            told.lock().unwrap().committed.extend(&held);
            if random.random_bool(0.7) {
                store.settle(id, &held).unwrap();
            }
        }
    }
}
