//! P3 where an event leaves its batch and comes again: nobody is called a duplicate of it meanwhile.

use dedup::ledger::Left;
use dedup::scope::LatePolicy;
use event::{Batch, BatchNumber, Fate};

use crate::scope_kit::{A, B, Bench, C, Incoming};

fn event(key: u128) -> Incoming {
    Incoming::new(key, 300_000)
}

/// Event `index` of a batch, as it leaves.
fn left(batch: &Batch, events: &[Incoming], index: usize, holds: bool) -> Left {
    Left {
        event: batch.events[index],
        shard: events[index].shard.into(),
        start: events[index].start.into(),
        received_ms: events[index].received_ms,
        holds,
    }
}

#[test]
fn p3_a_duplicate_waits_for_a_retrying_original() {
    let mut bench = Bench::received();
    let original = [event(7).at(10).from(1)];
    let (_, _, batch) = bench.reserve(A, 1, &original);
    // Decided while the original was in flight: it is called a duplicate too early.
    let early = [event(7).at(20).from(2)];
    let (fates, _, later) = bench.reserve(A, 2, &early);
    assert_eq!(fates, ["duplicate"]);
    bench.scope.leave(A, BatchNumber(1), &[left(&batch, &original, 0, true)]);
    bench.scope.leave(A, BatchNumber(2), &[left(&later, &early, 0, false)]);
    bench.commit(A, 2);

    // Of its own pipe or another one, whenever received: all wait.
    assert_eq!(bench.fates(A, 3, &early), ["waits"]);
    assert_eq!(bench.fates(B, 1, &[event(7).at(0).from(3)]), ["waits"], "although received before");
    assert_eq!(bench.fates(A, 4, &[event(7).at(40).from(4)]), ["waits"]);
    assert_eq!(bench.scope.waiting(), 4);

    let (fates, _, again) = bench.reserve(A, 5, &original);
    assert_eq!(fates, ["deliver"]);
    assert_eq!(again.events[0].recorded_ms, 10, "the time that it had");
    assert_eq!(bench.fates(A, 6, &early), ["duplicate"]);
    assert_eq!(bench.fates(B, 2, &[event(7).at(0).from(3)]), ["waits"]);
    let before = bench.scope.wakeups();
    bench.commit(A, 6);
    assert_ne!(bench.scope.wakeups(), before);
    assert_eq!(bench.fates(B, 3, &[event(7).at(0).from(3)]), ["duplicate"]);
}

#[test]
fn p3_who_waits_for_a_retry_gets_its_turn_when_the_retry_is_given_up() {
    let mut bench = Bench::received();
    let original = [event(7).from(1)];
    let (_, _, batch) = bench.reserve(A, 1, &original);
    bench.scope.leave(A, BatchNumber(1), &[left(&batch, &original, 0, true)]);
    assert_eq!(bench.fates(B, 1, &[event(7).from(2)]), ["waits"]);
    let before = bench.scope.wakeups();
    bench.scope.forget_waiters(A);
    assert_ne!(bench.scope.wakeups(), before);
    assert_eq!(bench.fates(B, 2, &[event(7).from(2)]), ["deliver"]);
}

#[test]
fn the_same_message_received_again_is_not_the_one_that_retries() {
    let mut bench = Bench::received();
    let original = [event(7).at(10).from(1)];
    let (_, _, batch) = bench.reserve(A, 1, &original);
    bench.scope.leave(A, BatchNumber(1), &[left(&batch, &original, 0, true)]);
    let again = [event(7).at(30).from(1)];
    assert_eq!(bench.fates(A, 2, &again), ["waits"], "it doesn't take the other's claim");
    assert_eq!(bench.fates(A, 3, &original), ["deliver"]);
    assert_eq!(bench.fates(A, 4, &again), ["duplicate"]);
}

#[test]
fn a_paused_pipe_gives_up_keys_it_has_not_staged() {
    let mut bench = Bench::received();
    let events = [event(7).at(10).from(1), event(8).at(10).from(2), event(9).at(10).from(3)];
    let (_, _, mut paused) = bench.reserve(A, 1, &events);
    assert!(bench.scope.awaited(A, &paused).is_empty());
    let duplicate = [event(8).at(12).from(7)];
    let (_, _, of_paused) = bench.reserve(A, 2, &duplicate);
    assert_eq!(of_paused.events[0].fate, Fate::Duplicate);
    assert_eq!(bench.fates(B, 1, &[event(8).at(20).from(5)]), ["waits"]);
    assert_eq!(bench.fates(C, 1, &[event(8).at(30).from(6)]), ["waits"]);
    assert_eq!(bench.scope.awaited(A, &paused), [1]);
    assert_eq!(bench.scope.waiting(), 2);

    let before = bench.scope.wakeups();
    bench.scope.leave(A, BatchNumber(1), &[left(&paused, &events, 1, false)]);
    paused.events[1].fate = Fate::Waits;
    assert_ne!(bench.scope.wakeups(), before, "those that wait are woken");
    assert!(bench.scope.awaited(A, &paused).is_empty());
    // A duplicate of its own pipe doesn't take the key back for the pipe.
    bench.scope.leave(A, BatchNumber(2), &[left(&of_paused, &duplicate, 0, false)]);

    assert_eq!(bench.fates(C, 2, &[event(8).at(30).from(6)]), ["waits"]);
    assert_eq!(bench.fates(A, 4, &[event(8).at(10).from(2)]), ["waits"], "it goes last");
    assert_eq!(bench.fates(A, 5, &duplicate), ["waits"]);
    assert_eq!(bench.fates(B, 2, &[event(8).at(20).from(5)]), ["deliver"]);
    bench.commit(B, 2);
    assert_eq!(bench.fates(C, 3, &[event(8).at(30).from(6)]), ["duplicate"]);
    assert_eq!(bench.fates(A, 6, &[event(8).at(10).from(2)]), ["duplicate"]);
    assert_eq!(bench.fates(A, 7, &duplicate), ["duplicate"]);
    assert_eq!(bench.scope.waiting(), 0);
}

#[test]
fn p2_what_takes_longer_than_its_window_is_remembered_for_those_that_left_with_it() {
    let mut bench = Bench::received();
    let of = |start: u64| Incoming::new(7, 100).at(0).from(start);
    let (_, _, batch) = bench.reserve(A, 1, &[of(1)]);
    let (fates, _, later) = bench.reserve(A, 2, &[of(2)]);
    assert_eq!(fates, ["duplicate"]);
    // Time goes on beyond their window while they are in flight, and then they leave.
    bench.reserve(B, 1, &[Incoming::new(8, 100).at(5_000).from(3)]);
    bench.commit(B, 1);
    bench.reserve(B, 2, &[Incoming::new(9, 100).at(9_000).from(4)]);
    bench.scope.leave(A, BatchNumber(1), &[left(&batch, &[of(1)], 0, true)]);
    bench.scope.leave(A, BatchNumber(2), &[left(&later, &[of(2)], 0, false)]);
    bench.commit(A, 2);
    assert_eq!(bench.fates(A, 3, &[of(1)]), ["deliver"]);
    bench.commit(A, 3);
    bench.commit(B, 2);
    assert_eq!(bench.fates(A, 4, &[of(2)]), ["duplicate"]);
    bench.commit(A, 4);
    assert_eq!(bench.scope.forgotten_through_ms(0), 9_000, "nothing is held any more");
}

#[test]
fn what_waits_behind_a_retry_of_the_same_pipe_is_not_helped_by_giving_up() {
    let mut bench = Bench::event_time(LatePolicy::Pass);
    let at = |time: i64, window_ms| Incoming::new(7, window_ms).stated(1_000_000 + time);
    let first = [at(0, 100).from(1)];
    let (_, _, batch) = bench.reserve(A, 1, &first);
    bench.scope.leave(A, BatchNumber(1), &[left(&batch, &first, 0, true)]);
    // Beyond the window of the first one; its own reaches farther.
    let (fates, _, second) = bench.reserve(A, 2, &[at(150, 500).from(2)]);
    assert_eq!(fates, ["deliver"]);
    assert_eq!(bench.fates(B, 1, &[at(90, 100).from(3)]), ["waits"]);
    assert!(bench.scope.awaited(A, &second).is_empty(), "it would wait for the first one");
    assert_eq!(bench.fates(C, 1, &[at(200, 100).from(4)]), ["waits"]);
    assert_eq!(bench.scope.awaited(A, &second), [0]);
}

#[test]
fn what_is_late_may_die_and_holds_no_key() {
    let mut bench = Bench::event_time(LatePolicy::DeadLetter);
    let at = |time: i64| event(7).stated(1_000_000 + time);
    let mut number = 0;
    let mut decide = |bench: &mut Bench, time: i64| {
        number += 1;
        bench.reserve(A, number, &[at(time).from(number)])
    };
    assert_eq!(decide(&mut bench, 500).0, ["deliver"]);
    for (time, class) in [(399, "late"), (1_001, "too_far_ahead")] {
        let (fates, reserved, batch) = decide(&mut bench, time);
        assert_eq!((fates[0], reserved.late, reserved.reserved), ("dead", 1, 0));
        let event = &batch.events[0];
        let death = batch.death(event).unwrap();
        assert_eq!(
            (death.stage, death.class.as_str(), death.deterministic),
            ("dedup", class, true)
        );
        assert_eq!((event.window_ms, event.recorded_ms), (-1, 1_000_000 + time));
    }
    assert_eq!(bench.scope.live_keys(), 1);
}

#[test]
fn a_replay_is_no_copy_of_its_own_letter() {
    use dedup::state::{Letter, LetterKey};
    let mut bench = Bench::received();
    let key = LetterKey { scope: 0, key: 7, window_ms: 300_000, body_hash: 1 };
    let letter = Letter { recorded_ms: 10, deterministic_under: Some(5), ..Letter::default() };
    let letter = Letter { key: Some(key), ..letter };
    bench.scope.declare_pipe(A, 5, &[]);
    bench.scope.letter_open(A, 1, &letter);
    bench.scope.letter_open(A, 2, &letter);
    let copy = event(7).body(1).at(20);
    assert_eq!(bench.fates(A, 1, std::slice::from_ref(&copy)), ["duplicate"]);
    // Another letter of the same event says that it would die again.
    let replay = copy.from(1).replay_of(1, Some(10));
    assert_eq!(bench.fates(A, 2, std::slice::from_ref(&replay)), ["duplicate"]);
    bench.scope.letter_removed(A, 2);
    let (fates, _, batch) = bench.reserve(A, 3, &[replay]);
    assert_eq!((fates[0], batch.events[0].recorded_ms), ("deliver", 10));
    assert!(bench.scope.watermarks().all(|(_, watermark_ms)| watermark_ms == 20));
}
