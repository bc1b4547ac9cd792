//! What makes two events the same: recorded times and the entry's window.

use dedup::scope::FOREVER_MS;
use dedup::store::{Answer, Asked, BatchState, Store};

use super::StoreWorld;
use super::kit::*;

fn commit(store: &dyn Store, number: u64, keys: &[Asked]) {
    assert_reserved(store, batch(1, number), keys);
    assert_eq!(store.commit(batch(1, number)).unwrap(), BatchState::Committed);
}

/// What is said to an event at `recorded_ms`, whether the entries are told or not.
fn answer(store: &dyn Store, number: u64, key: u64, recorded_ms: i64) -> Answer {
    let id = batch(2, number);
    let answers = reserve(store, id, &[asked_in(key, recorded_ms, 1)]);
    assert_eq!(store.abort(id).unwrap(), BatchState::Aborted);
    answers[0]
}

pub(crate) fn a_window_reaches_in_either_direction(world: &dyn StoreWorld) {
    let store = Clients::of(world, "window").client();
    let entry = asked(1);
    commit(&*store, 1, &[entry]);
    for (round, settled) in [false, true].into_iter().enumerate() {
        if settled {
            store.settle(batch(1, 1), &[entry]).unwrap();
        }
        for (at, (apart, same)) in [
            (0, true),
            (1, true),
            (-1, true),
            (WINDOW_MS - 1, true),
            (1 - WINDOW_MS, true),
            (WINDOW_MS, false),
            (-WINDOW_MS, false),
            (10 * WINDOW_MS, false),
        ]
        .into_iter()
        .enumerate()
        {
            let expected = if same { duplicate(entry) } else { Answer::Reserved };
            let number = (round * 100 + at) as u64;
            assert_eq!(answer(&*store, number, 1, T + apart), expected, "{apart} ms apart");
        }
    }
}

pub(crate) fn the_window_of_the_entry_counts(world: &dyn StoreWorld) {
    let store = Clients::of(world, "entry-window").client();
    let (short, long) = (asked_in(1, T, 1_000), asked_in(2, T, 1_000_000));
    commit(&*store, 1, &[short, long]);
    // Not the window of the event that asks.
    let asks = [asked_in(1, T + 5_000, 1_000_000), asked_in(2, T + 5_000, 1_000)];
    assert_eq!(reserve(&*store, batch(2, 1), &asks), [Answer::Reserved, duplicate(long)]);
    store.commit(batch(2, 1)).unwrap();
    // The longer entry of the first key reaches back now, and both stay.
    // Where both reach, either may be named.
    let said = answer(&*store, 10, 1, T - 500);
    assert!([duplicate(short), duplicate(asks[0])].contains(&said), "{said:?}");
    assert_eq!(answer(&*store, 11, 1, T + 900_000), duplicate(asks[0]));
    assert_eq!(answer(&*store, 12, 2, T + 999_999), duplicate(long));
}

pub(crate) fn forever_reaches_everything(world: &dyn StoreWorld) {
    let store = Clients::of(world, "forever").client();
    let entry = asked_in(1, T, FOREVER_MS);
    commit(&*store, 1, &[entry]);
    for (number, recorded_ms) in [0, 1, T, T + 1, T * 2].into_iter().enumerate() {
        assert_eq!(answer(&*store, number as u64, 1, recorded_ms), duplicate(entry));
    }
    store.settle(batch(1, 1), &[entry]).unwrap();
    assert_eq!(answer(&*store, 10, 1, T * 2), duplicate(entry));
}

pub(crate) fn several_entries_of_one_key(world: &dyn StoreWorld) {
    let store = Clients::of(world, "entries").client();
    let entries: Vec<Asked> = (0..4).map(|at| asked_in(1, T + at * 10_000, 2_000)).collect();
    // Two in one batch, and two in batches of their own.
    commit(&*store, 1, &entries[..2]);
    commit(&*store, 2, &entries[2..3]);
    commit(&*store, 3, &entries[3..]);
    let check = |from: u64| {
        for (at, entry) in entries.iter().enumerate() {
            let number = from + at as u64 * 2;
            assert_eq!(answer(&*store, number, 1, entry.recorded_ms + 1_999), duplicate(*entry));
            let between = answer(&*store, number + 1, 1, entry.recorded_ms + 5_000);
            assert_eq!(between, Answer::Reserved);
        }
    };
    check(0);
    store.settle(batch(1, 1), &entries[..2]).unwrap();
    store.settle(batch(1, 2), &entries[2..3]).unwrap();
    check(100);
}

pub(crate) fn a_duplicate_says_what_it_is_a_duplicate_of(world: &dyn StoreWorld) {
    let store = Clients::of(world, "of").client();
    let entry = Asked { body_hash: u64::MAX - 5, ..asked_in(1, T + 123, 456_789) };
    commit(&*store, 1, &[entry]);
    assert_eq!(answer(&*store, 1, 1, T + 100_000), duplicate(entry));
    store.settle(batch(1, 1), &[entry]).unwrap();
    assert_eq!(answer(&*store, 2, 1, T + 100_000), duplicate(entry));
}
