//! The Redis store against real servers.

use dedup::store::{Answer, BatchState, Store as _, StoreFault};

use super::redis_kit::{LEASE_MS, Server, WINDOW_MS, asked, batch, have, many};

const T: i64 = 1_760_000_000_000;

#[test]
fn keys_are_reserved_committed_and_remembered() {
    if !have("keys_are_reserved_committed_and_remembered") {
        return;
    }
    let server = Server::start(&[]);
    let (a, b) = (server.store(), server.store());
    let (first, second) = (batch(1, 1), batch(2, 1));
    let keys = many(0..5_000, T);
    let answers = a.reserve(first, LEASE_MS, &keys).unwrap();
    assert!(answers.iter().all(|answer| *answer == Answer::Reserved));
    assert_eq!(a.reserve(first, LEASE_MS, &keys).unwrap(), answers, "held already");
    for answer in b.reserve(second, LEASE_MS, &keys).unwrap() {
        let Answer::Busy { by, lease_left_ms } = answer else { panic!("{answer:?}") };
        assert_eq!(by, first);
        assert!((1..=LEASE_MS).contains(&lease_left_ms), "{lease_left_ms}");
    }
    assert_eq!(a.commit(first).unwrap(), BatchState::Committed);
    let third = batch(2, 2);
    let later = many(0..5_000, T + WINDOW_MS - 1);
    for (answer, key) in b.reserve(third, LEASE_MS, &later).unwrap().iter().zip(&keys) {
        let told =
            Answer::Duplicate { recorded_ms: T, window_ms: WINDOW_MS, body_hash: key.body_hash };
        assert_eq!(*answer, told);
    }
    let beyond = [asked(1, T + WINDOW_MS), asked(2, T - WINDOW_MS), asked(3, T - WINDOW_MS + 1)];
    let answers = b.reserve(third, LEASE_MS, &beyond).unwrap();
    assert_eq!(answers[..2], [Answer::Reserved, Answer::Reserved]);
    assert!(matches!(answers[2], Answer::Duplicate { .. }));
    a.settle(first, &keys).unwrap();
    let answers = b.reserve(batch(2, 3), LEASE_MS, &keys[4..]).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Duplicate { .. })));
    assert_eq!(a.reserve(first, LEASE_MS, &keys).unwrap_err().fault, StoreFault::NotOpen);
    let stats = a.stats().unwrap();
    assert!(stats.keys.is_some_and(|keys| (4_000..6_000).contains(&keys)), "{stats:?}");
}
