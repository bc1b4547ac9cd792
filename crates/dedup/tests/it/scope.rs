//! What a scope promises, one test a promise.

use dedup::scope::{
    CommittedKey, DedupClock, FOREVER_MS, KeyState, LatePolicy, Scope, ScopeOptions, SourceId,
};
use event::batch::{Extent, NO_TIME, Offsets};
use event::{Batch, BatchNumber, Event, Fate, Marks, Offset, ShardId};

use crate::scope_kit::{A, B, Bench, C, Incoming, fates};

const MINUTE_MS: i64 = 60_000;

fn event(key: u128) -> Incoming {
    Incoming::new(key, 5 * MINUTE_MS)
}

// P2: once.

#[test]
fn p2_a_committed_key_is_a_duplicate_within_its_window() {
    let mut bench = Bench::received();
    assert_eq!(bench.fates(A, 1, &[event(7).at(0)]), ["deliver"]);
    bench.commit(A, 1);
    assert_eq!(bench.fates(A, 2, &[event(7).at(5 * MINUTE_MS - 1)]), ["duplicate"]);
    assert_eq!(bench.fates(B, 1, &[event(7).at(5 * MINUTE_MS - 1)]), ["duplicate"]);
    assert_eq!(bench.fates(A, 3, &[event(7).at(5 * MINUTE_MS)]), ["deliver"]);
}

#[test]
fn p2_two_batches_cannot_both_reserve_a_key() {
    let mut bench = Bench::received();
    let (first, ..) = bench.reserve(A, 1, &[event(7)]);
    let (second, ..) = bench.reserve(B, 1, &[event(7)]);
    let (third, ..) = bench.reserve(A, 2, &[event(7)]);
    assert_eq!((first[0], second[0], third[0]), ("deliver", "waits", "duplicate"));
}

#[test]
fn p2_a_key_is_not_in_flight_for_ever_after_a_commit() {
    // SET and EXPIRE as two steps can leave a key without end; here the expiry is the key's.
    let mut bench = Bench::received();
    for number in 1..=100 {
        let at = number as i64 * 5 * MINUTE_MS;
        assert_eq!(bench.fates(A, number, &[event(7).at(at)]), ["deliver"]);
        bench.commit(A, number);
    }
    assert!(bench.scope.live_keys() <= 2, "expired entries of a key give their place");
}

#[test]
fn p2_what_is_loaded_counts_as_committed_once_or_twice() {
    let mut bench = Bench::received();
    let (recorded_ms, window_ms) = (1_000, 5 * MINUTE_MS);
    let key = CommittedKey {
        key: 7,
        recorded_ms,
        window_ms,
        body_hash: 1,
        state: KeyState::Delivered,
        by: Default::default(),
    };
    let shorter = CommittedKey { window_ms: 1, ..key };
    bench.scope.load_all(&[key, key]);
    bench.scope.load(&shorter);
    assert_eq!(bench.scope.live_keys(), 1);
    assert_eq!(bench.fates(A, 1, &[event(7).at(1_000 + 5 * MINUTE_MS - 1)]), ["duplicate"]);
    assert_eq!(bench.fates(A, 2, &[event(7).at(1_000 + 5 * MINUTE_MS)]), ["deliver"]);
}

#[test]
fn p2_what_a_crash_cut_off_is_not_remembered() {
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[event(1), event(2)]);
    bench.commit(A, 1);
    bench.reserve(A, 2, &[event(3)]);
    // Only what was committed comes back.
    let mut after = Bench::received();
    for key in [1, 2] {
        after.scope.load(&CommittedKey {
            key,
            recorded_ms: 0,
            window_ms: 5 * MINUTE_MS,
            body_hash: 0,
            state: KeyState::Delivered,
            by: Default::default(),
        });
    }
    let again = after.fates(A, 3, &[event(1), event(2), event(3)]);
    assert_eq!(again, ["duplicate", "duplicate", "deliver"]);
}

// P3: no shadow.

#[test]
fn p3_a_duplicate_of_an_event_in_flight_waits_for_it() {
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[event(7)]);
    let duplicate = [event(7).at(10).from(40)];
    assert_eq!(bench.fates(B, 1, &duplicate), ["waits"]);
    assert_eq!(bench.scope.waiting(), 1);

    let before = bench.scope.wakeups();
    assert_eq!(bench.fates(B, 2, &duplicate), ["waits"], "not before it is settled");
    assert_eq!(bench.scope.wakeups(), before, "nothing was settled");
    bench.commit(A, 1);
    assert_ne!(bench.scope.wakeups(), before);
    assert_eq!(bench.fates(B, 3, &duplicate), ["duplicate"]);
    assert_eq!(bench.scope.waiting(), 0);
}

#[test]
fn p3_a_duplicate_never_shadows_an_undelivered_original() {
    // The sample marks a key before its event is processed: a crash, and the event is gone.
    let mut bench = Bench::received();
    let (_, _, original) = bench.reserve(A, 1, &[event(7)]);
    assert_eq!(bench.fates(B, 1, &[event(7).from(1)]), ["waits"]);
    bench.release(A, 1, &original);
    assert_eq!(bench.fates(B, 2, &[event(7).from(1)]), ["deliver"]);
}

#[test]
fn p3_released_original_lets_the_first_waiter_through() {
    let mut bench = Bench::received();
    let (_, _, original) = bench.reserve(A, 1, &[event(7).at(100)]);
    // By time of receipt, not of registration; within a pipe in order.
    let late = [event(7).at(120).from(1)];
    let early = [event(7).at(110).from(2), event(7).at(110).from(3)];
    assert_eq!(bench.fates(B, 1, &late), ["waits"]);
    assert_eq!(bench.fates(C, 1, &early), ["waits", "waits"]);
    let before = bench.scope.wakeups();
    bench.release(A, 1, &original);
    assert_ne!(bench.scope.wakeups(), before);

    assert_eq!(bench.fates(B, 2, &late), ["waits"], "one that was received earlier goes first");
    let (fate, _, first) = bench.reserve(C, 2, &early);
    assert_eq!(fate, ["deliver", "duplicate"]);
    let before = bench.scope.wakeups();
    assert_eq!(bench.fates(B, 3, &late), ["waits"]);
    // And so on, down the line.
    bench.release(C, 2, &first);
    assert_ne!(bench.scope.wakeups(), before);
    assert_eq!(bench.fates(B, 4, &late), ["deliver"]);
    assert_eq!(bench.scope.waiting(), 0);
}

#[test]
fn p3_nobody_slips_in_between_a_release_and_the_first_waiter() {
    let mut bench = Bench::received();
    let (_, _, original) = bench.reserve(A, 1, &[event(7).at(100)]);
    assert_eq!(bench.fates(B, 1, &[event(7).at(110).from(1)]), ["waits"]);
    bench.release(A, 1, &original);
    assert_eq!(bench.fates(C, 1, &[event(7).at(120).from(2)]), ["waits"]);
    assert_eq!(bench.fates(B, 2, &[event(7).at(110).from(1)]), ["deliver"]);
}

#[test]
fn p3_a_duplicate_of_an_own_event_that_waits_waits_too() {
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[Incoming::new(7, 100).at(1_000)]);
    // The window of what is in flight doesn't reach the third one, that of the second does.
    let own = [Incoming::new(7, 100).at(1_050).from(1), Incoming::new(7, 100).at(1_120).from(2)];
    assert_eq!(bench.fates(B, 1, &own), ["waits", "waits"]);
    bench.commit(A, 1);
    assert_eq!(bench.fates(B, 2, &own), ["duplicate", "deliver"]);
}

#[test]
fn p3_a_waiter_is_as_old_as_when_it_came() {
    // The original takes longer than the window to settle; it was the same event all the same.
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[event(7).at(0)]);
    assert_eq!(bench.fates(B, 1, &[event(7).at(10).from(1)]), ["waits"]);
    bench.reserve(A, 2, &[event(8).at(60 * MINUTE_MS)]);
    bench.commit(A, 2);
    bench.now_ms += 60 * MINUTE_MS;
    assert!(bench.scope.forgotten_through_ms(bench.now_ms) <= 10, "it holds what it waits for");
    let (fate, _, batch) = bench.reserve(B, 2, &[event(7).at(10).from(1)]);
    assert_eq!(fate, ["duplicate"]);
    assert_eq!(batch.events[0].recorded_ms, 10);
}

#[test]
fn p3_a_forgotten_waiter_holds_nobody_back() {
    let mut bench = Bench::received();
    let (_, _, original) = bench.reserve(A, 1, &[event(7)]);
    bench.reserve(B, 1, &[event(7).at(1).from(1)]);
    bench.reserve(C, 1, &[event(7).at(2).from(2)]);
    bench.release(A, 1, &original);
    assert_eq!(bench.fates(C, 2, &[event(7).at(2).from(2)]), ["waits"]);
    let before = bench.scope.wakeups();
    bench.scope.forget_waiter(B, &ShardId::from("shard"), Offset::from(1));
    assert_ne!(bench.scope.wakeups(), before);
    assert_eq!(bench.fates(C, 3, &[event(7).at(2).from(2)]), ["deliver"]);

    bench.reserve(B, 2, &[event(7).at(3).from(3), event(9).at(3).from(4)]);
    assert_eq!(bench.scope.waiting(), 1);
    bench.scope.forget_waiters(B);
    assert_eq!(bench.scope.waiting(), 0);
}

#[test]
fn p3_a_waiter_is_known_by_where_it_stands_in_its_shard() {
    // As the pipe carries it over: an extent of its own, its bytes at the front of a new buffer.
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[event(7)]);
    let carried = |first: u32, base: u64| {
        let raw = event::Span { start: first, len: 10 };
        let event = Event { raw, key: 7, window_ms: MINUTE_MS, ..Event::default() };
        let extent = Extent {
            shard: "file".into(),
            first_event: 0,
            events_received: 1,
            received_ms: 5,
            broker_ms: Vec::new(),
            offsets: Offsets::Contiguous { base },
            start: Offset::from(500),
            end: Offset::from(511),
            mark: None,
        };
        Batch { events: vec![event], extents: vec![extent], ..Batch::default() }
    };
    for (number, mut batch) in [(1, carried(100, 400)), (2, carried(0, 500)), (3, carried(9, 491))]
    {
        bench.scope.reserve(B, SourceId(2), BatchNumber(number), &mut batch, 0);
        assert_eq!(fates(&batch), ["waits"]);
        assert_eq!(bench.scope.waiting(), 1, "the same one");
    }
}

// Windows.

#[test]
fn windows_reach_in_both_directions() {
    let mut bench = Bench::event_time(LatePolicy::Reject);
    let at = |time: i64| Incoming::new(7, 50).stated(1_000_000 + time);
    assert_eq!(bench.fates(A, 1, &[at(0)]), ["deliver"]);
    bench.commit(A, 1);
    let around = [at(-49), at(49), at(-50), at(50)];
    assert_eq!(bench.fates(A, 2, &around), ["duplicate", "duplicate", "deliver", "deliver"]);
}

#[test]
fn shortening_a_window_never_readmits() {
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[Incoming::new(7, 10 * MINUTE_MS).at(0)]);
    bench.commit(A, 1);
    let shortened = Incoming::new(7, MINUTE_MS).at(10 * MINUTE_MS - 1);
    assert_eq!(bench.fates(A, 2, &[shortened]), ["duplicate"]);
    // Nor does a longer one reach back beyond what was promised.
    let longer = Incoming::new(7, 60 * MINUTE_MS).at(10 * MINUTE_MS);
    assert_eq!(bench.fates(A, 3, &[longer]), ["deliver"]);
}

#[test]
fn windows_differ_by_type() {
    // The published sample's: 300 s, 600 s, 180 s.
    let mut bench = Bench::received();
    let of = |key, seconds: i64| Incoming::new(key, seconds * 1_000);
    bench.reserve(A, 1, &[of(1, 300), of(2, 600), of(3, 180)]);
    bench.commit(A, 1);
    let at = |seconds: i64| [of(1, 300), of(2, 600), of(3, 180)].map(|e| e.at(seconds * 1_000));
    let mut number = 1;
    for (seconds, expected) in [
        (179, ["duplicate", "duplicate", "duplicate"]),
        (180, ["duplicate", "duplicate", "deliver"]),
        (300, ["deliver", "duplicate", "duplicate"]),
        (599, ["duplicate", "duplicate", "deliver"]),
    ] {
        number += 1;
        assert_eq!(bench.fates(A, number, &at(seconds)), expected, "after {seconds} s");
    }
}

#[test]
fn a_window_without_end_never_ends() {
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[Incoming::new(7, FOREVER_MS)]);
    bench.commit(A, 1);
    let later = Incoming::new(7, FOREVER_MS).at(i64::MAX / 2);
    assert_eq!(bench.fates(A, 2, &[later]), ["duplicate"]);
    bench.scope.forgotten_through_ms(i64::MAX / 2);
    assert_eq!(bench.fates(A, 3, &[Incoming::new(7, 1).at(i64::MAX / 2)]), ["duplicate"]);
}

#[test]
fn without_a_window_an_event_needs_no_key() {
    let mut bench = Bench::received();
    let (fates, counts, batch) =
        bench.reserve(A, 1, &[Incoming::new(7, -1).at(5), Incoming::new(7, -1).at(5)]);
    assert_eq!(fates, ["deliver", "deliver"]);
    assert_eq!((counts.reserved, bench.scope.live_keys()), (0, 0));
    assert_eq!(batch.events[1].recorded_ms, 5);
    assert_eq!(bench.scope.recorded_max_ms(), i64::MIN);
}

// Batches.

#[test]
fn a_duplicate_in_a_batch_does_not_drop_the_rest() {
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[event(1)]);
    bench.commit(A, 1);
    let keys = [1, 2, 3, 2, 4, 1, 5];
    let (fates, counts, _) = bench.reserve(A, 2, &keys.map(event));
    let expected =
        ["duplicate", "deliver", "deliver", "duplicate", "deliver", "duplicate", "deliver"];
    assert_eq!(fates, expected);
    assert_eq!((counts.reserved, counts.duplicates), (4, 3));
}

#[test]
fn what_is_decided_already_stays_and_needs_no_key() {
    let mut bench = Bench::received();
    let mut batch = crate::scope_kit::batch(&[event(1), event(2), event(3), event(3)]);
    batch.reject(0, "json_broken", String::new());
    batch.events[1].fate = Fate::Filtered;
    bench.scope.reserve(A, SourceId(1), BatchNumber(1), &mut batch, 0);
    assert!(matches!(batch.events[0].fate, Fate::Rejected(0)));
    assert_eq!(batch.events[1].fate, Fate::Filtered);
    assert_eq!(bench.scope.live_keys(), 1);
    assert_eq!(bench.fates(B, 1, &[event(1), event(2)]), ["deliver", "deliver"]);
}

#[test]
fn a_release_takes_back_only_what_its_batch_reserved() {
    let mut bench = Bench::received();
    let (_, _, first) = bench.reserve(A, 1, &[event(1), event(2)]);
    bench.reserve(A, 2, &[event(2), event(3)]);
    bench.release(A, 1, &first);
    assert_eq!(bench.fates(B, 1, &[event(1), event(3)]), ["deliver", "waits"]);
    // What is committed can't be released any more.
    let (_, _, third) = bench.reserve(C, 1, &[event(9)]);
    bench.commit(C, 1);
    bench.release(C, 1, &third);
    assert_eq!(bench.fates(B, 2, &[event(9)]), ["duplicate"]);
}

#[test]
fn a_later_batch_of_the_same_pipe_is_waited_for() {
    // A batch that is retried may find a key that one behind it took.
    let mut bench = Bench::received();
    bench.reserve(A, 1, &[event(1)]);
    bench.reserve(A, 3, &[event(7)]);
    assert_eq!(bench.fates(A, 2, &[event(7).from(1)]), ["waits"]);
    bench.commit(A, 3);
    assert_eq!(bench.fates(A, 4, &[event(7).from(1)]), ["duplicate"]);
}

#[test]
fn batch_numbers_are_told_apart_beyond_32_bits() {
    for first in [1, (1 << 31) - 2, (1 << 31) + 5, (1 << 32) - 2, 1 << 32, u64::MAX >> 1] {
        let mut bench = Bench::received();
        for number in first..first + 5 {
            let own = u128::from(number);
            assert_eq!(bench.fates(A, number, &[event(own)]), ["deliver"]);
            assert_eq!(bench.fates(B, number, &[event(own).from(number)]), ["waits"], "{number}");
            bench.commit(A, number);
            assert_eq!(bench.fates(B, number, &[event(own).from(number)]), ["duplicate"]);
            bench.commit(B, number);
        }
    }
}

// Time.

#[test]
fn received_time_never_runs_backwards() {
    let mut bench = Bench::received();
    let (_, _, batch) = bench.reserve(A, 1, &[event(1).at(1_000), event(2).at(400)]);
    assert_eq!(batch.events.iter().map(|e| e.recorded_ms).collect::<Vec<_>>(), [1_000, 1_000]);
    let (_, _, batch) = bench.reserve(B, 1, &[event(3).at(700)]);
    assert_eq!(batch.events[0].recorded_ms, 1_000);
    assert_eq!(bench.scope.recorded_max_ms(), 1_000);

    let mut after = Scope::new(ScopeOptions::default());
    after.restore_recorded_max(1_000);
    let mut batch = crate::scope_kit::batch(&[event(4).at(10)]);
    after.reserve(A, SourceId(1), BatchNumber(2), &mut batch, 10);
    assert_eq!(batch.events[0].recorded_ms, 1_000);
}

#[test]
fn each_clock_takes_its_own_time() {
    for (clock, expected) in
        [(DedupClock::Received, 30), (DedupClock::Broker, 20), (DedupClock::Event, 10)]
    {
        let mut bench = Bench::new(ScopeOptions { clock, ..ScopeOptions::default() });
        let mut batch = crate::scope_kit::batch(&[event(1).at(30)]);
        batch.events[0].event_ms = 10;
        batch.extents[0].broker_ms = vec![20];
        bench.scope.reserve(A, SourceId(1), BatchNumber(1), &mut batch, 100);
        assert_eq!(batch.events[0].recorded_ms, expected);
    }
}

#[test]
fn an_event_without_the_time_that_counts_is_rejected() {
    for clock in [DedupClock::Broker, DedupClock::Event] {
        let mut bench = Bench::new(ScopeOptions { clock, ..ScopeOptions::default() });
        let fates = bench.fates(A, 1, &[event(1).stated(NO_TIME), event(2).stated(999_000)]);
        assert_eq!(fates, ["time_missing", "deliver"]);
    }
}

#[test]
fn late_is_what_is_beyond_the_watermark_less_lateness() {
    let mut bench = Bench::event_time(LatePolicy::Reject);
    let at = |key, time: i64| event(key).stated(1_000_000 + time);
    let (fates, counts, batch) = bench.reserve(A, 1, &[at(1, 0), at(2, -100), at(3, -101)]);
    assert_eq!(fates, ["deliver", "deliver", "late"]);
    assert_eq!((counts.late, counts.reserved), (1, 2));
    let detail = &batch.rejection(&batch.events[2]).unwrap().detail;
    assert!(detail.contains("`lateness` (100 ms)"), "{detail}");
    // Every source has a watermark of its own.
    assert_eq!(bench.fates(B, 1, &[at(3, -5_000)]), ["deliver"]);
}

#[test]
fn late_may_pass_and_is_marked_and_still_deduplicated() {
    let mut bench = Bench::event_time(LatePolicy::Pass);
    let at = |key, time: i64| event(key).stated(1_000_000 + time);
    let (_, counts, batch) = bench.reserve(A, 1, &[at(1, 0), at(2, -101), at(2, -102)]);
    assert_eq!(fates(&batch), ["deliver", "deliver late", "duplicate"]);
    assert!(batch.events[1].marks.has(Marks::LATE));
    assert_eq!(counts.late, 2);
    assert_eq!(bench.scope.watermarks().collect::<Vec<_>>(), [(SourceId(1), 1_000_000)]);
}

#[test]
fn late_is_what_may_have_been_forgotten_whoever_gives_it() {
    // A second source joins with older events, when the first one's keys of then are gone.
    let mut bench = Bench::event_time(LatePolicy::Reject);
    let at = |key, time: i64| Incoming::new(key, 10).stated(1_000_000 + time);
    bench.reserve(A, 1, &[at(7, -900), at(8, 0)]);
    bench.commit(A, 1);
    assert_eq!(bench.scope.forgotten_through_ms(bench.now_ms), 999_900);
    assert_eq!(bench.fates(B, 1, &[at(7, -900), at(9, -100)]), ["late", "deliver"]);
}

#[test]
fn a_declared_source_holds_what_it_may_still_need() {
    let mut bench = Bench::event_time(LatePolicy::Reject);
    bench.scope.declare_source(SourceId(B.0));
    let at = |key, time: i64| Incoming::new(key, 10).stated(1_000_000 + time);
    bench.reserve(A, 1, &[at(7, -900), at(8, 0)]);
    bench.commit(A, 1);
    assert_eq!(bench.scope.forgotten_through_ms(bench.now_ms), i64::MIN);
    assert_eq!(bench.fates(B, 1, &[at(7, -900)]), ["duplicate"]);
}

#[test]
fn an_idle_source_holds_nothing_back_in_the_end() {
    let mut bench = Bench::event_time(LatePolicy::Reject);
    let at = |key, time: i64| Incoming::new(key, 10).stated(1_000_000 + time);
    bench.reserve(A, 1, &[at(7, 0)]);
    bench.reserve(B, 1, &[at(8, -500)]);
    let least = 1_000_000 - 500 - 100;
    assert_eq!(bench.scope.forgotten_through_ms(1_000_000 + 59_999), least);
    bench.now_ms += 50_000;
    bench.reserve(A, 2, &[at(9, 50_000)]);
    assert_eq!(bench.scope.forgotten_through_ms(1_000_000 + 59_999), least);
    // B is idle for a minute: the wall clock less a minute stands for it, once it is settled.
    assert_eq!(bench.scope.forgotten_through_ms(1_000_000 + 61_000), 1_000_000 - 500);
    bench.commit(A, 2);
    bench.commit(B, 1);
    assert_eq!(bench.scope.forgotten_through_ms(1_000_000 + 61_000), 1_000_000 + 1_000 - 100);
    // Nothing brings it back.
    assert_eq!(bench.scope.forgotten_through_ms(0), 1_000_000 + 1_000 - 100);
}

#[test]
fn a_time_too_far_ahead_moves_no_watermark() {
    for (late, expected) in
        [(LatePolicy::Reject, "too_far_ahead"), (LatePolicy::Pass, "deliver late")]
    {
        let mut bench = Bench::event_time(late);
        let at = |key, time: i64| event(key).stated(1_000_000 + time);
        let (fates, counts, _) = bench.reserve(A, 1, &[at(1, 0), at(2, 1_001), at(3, -100)]);
        assert_eq!(fates, ["deliver", expected, "deliver"]);
        assert_eq!(counts.late, 1);
        assert_eq!(bench.scope.recorded_max_ms(), 1_000_000);
        assert_eq!(bench.scope.watermarks().collect::<Vec<_>>(), [(SourceId(1), 1_000_000)]);
        assert_eq!(bench.fates(A, 2, &[at(4, 1_000)]), ["deliver"], "just not too far");
        assert_eq!(bench.scope.recorded_max_ms(), 1_001_000);
    }
}

#[test]
fn catching_up_decides_as_it_would_have_then() {
    // After an outage of a day, the recorded times decide, not the clock at lookup.
    let options = ScopeOptions { clock: DedupClock::Broker, ..ScopeOptions::default() };
    let mut bench = Bench::new(options);
    bench.now_ms = 100_000_000;
    let at = |time: i64| Incoming::new(7, 300_000).stated(10_000_000 + time);
    let fates = bench.fates(A, 1, &[at(0), at(299_999), at(300_000), at(599_999)]);
    assert_eq!(fates, ["deliver", "duplicate", "deliver", "duplicate"]);
}

// P6: bounded.

#[test]
fn p6_what_expired_gives_its_place_back() {
    let mut bench = Bench::received();
    let mut most = 0;
    for number in 1..=400 {
        let events: Vec<Incoming> = (0..1_000)
            .map(|index| Incoming::new(u128::from(number * 1_000 + index), 10).at(number as i64))
            .collect();
        bench.reserve(A, number, &events);
        bench.commit(A, number);
        most = most.max(bench.scope.memory_bytes());
    }
    // Ten thousand keys are remembered at a time, of 400,000.
    assert!(most < 40_000 * 48, "{most} bytes");
    assert!(bench.scope.live_keys() < 30_000);
}
