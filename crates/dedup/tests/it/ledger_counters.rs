//! P4 and P6 for counters: they balance, they fold, and they don't grow.

use dedup::ledger::{LedgerOptions, MinuteBucket};
use event::{BatchNumber, TestClock};
use journal::SimDisk;

use crate::ledger_kit::*;

fn small() -> LedgerOptions {
    LedgerOptions { counter_minutes_max: 10, types_max: 3, ..options() }
}

#[test]
fn p4_an_event_that_vanishes_between_two_stages_is_an_imbalance_for_good() {
    let disk = SimDisk::new(1);
    {
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        let mut events = batch(&[1, 2, 3], 0, NOW_MS);
        pipe.reserve(BatchNumber(1), &mut events).unwrap();
        let mut settlement = settlement(BatchNumber(1), &events, Vec::new());
        settlement.counters.minutes[0].1.outcomes[0] -= 1;
        pipe.commit(&settlement).wait().unwrap();
    }
    for _ in 0..2 {
        let ledger = open(&disk).unwrap();
        let imbalance = ledger.state().imbalance();
        let [found] = imbalance.as_slice() else { panic!("{imbalance:?}") };
        assert_eq!((found.received, found.accounted), (3, 2));
        assert_eq!(found.start_ms, MinuteBucket::of(NOW_MS).start_ms());
        assert_eq!((found.pipe.as_str(), found.source.as_str()), ("app", "source of app"));
        ledger.checkpoint().unwrap();
    }
}

#[test]
fn p6_old_minutes_fold_and_come_back_folded() {
    let disk = SimDisk::new(1);
    let clock = TestClock::new(NOW_MS);
    let open = || open_with(&disk, &clock, small()).unwrap();
    let mut first = 0;
    for life in 0..3 {
        let ledger = open();
        let pipe = app(&ledger).unwrap();
        for _ in 0..100 {
            clock.advance(60_000);
            let now_ms = event::Clock::now_ms(&clock);
            send(&pipe, &[first, first], first as u64 * 2, now_ms).unwrap();
            first += 1;
        }
        if life == 1 {
            ledger.checkpoint().unwrap();
        }
    }
    let state = open().state();
    let source = &state.sources[0];
    assert!(source.minutes.len() <= 11, "{} minutes", source.minutes.len());
    assert!(source.hours.len() <= 6, "{} hours", source.hours.len());
    assert_eq!(source.total().received, 600);
    assert_balanced(&state);
}

#[test]
fn p6_types_past_the_limit_count_as_other() {
    let disk = SimDisk::new(1);
    {
        let ledger = open_with(&disk, &TestClock::new(NOW_MS), small()).unwrap();
        let pipe = app(&ledger).unwrap();
        for (number, name) in (1..).zip(["a", "b", "c", "d", "e", "a"]) {
            let mut events = batch(&[number.into()], number, NOW_MS);
            let number = BatchNumber(number);
            pipe.reserve(number, &mut events).unwrap();
            let mut settlement = settlement(number, &events, Vec::new());
            settlement.counters.types[0].0 = name.into();
            pipe.commit(&settlement).wait().unwrap();
        }
    }
    let state = open_with(&disk, &TestClock::new(NOW_MS), small()).unwrap().state();
    let types: Vec<(&str, u64)> =
        state.pipes[0].types.iter().map(|(name, counts)| (name.as_str(), counts[0])).collect();
    assert_eq!(types, [("a", 2), ("b", 1), ("c", 1), ("other", 2)]);
}

#[test]
fn a_settlement_of_a_sink_that_was_never_declared_is_refused() {
    let ledger = open(&SimDisk::new(1)).unwrap();
    let pipe = app(&ledger).unwrap();
    let events = batch(&[], 0, NOW_MS);
    let settlement = settlement(BatchNumber(1), &events, vec![(2, Default::default())]);
    let error = pipe.commit(&settlement).wait().unwrap_err();
    assert!(error.to_string().contains("pipe app: a sink"), "{error}");
    assert!(pipe.record_opened("nope", Default::default()).is_err());
}

#[test]
fn counters_of_another_source_are_kept_apart() {
    let disk = SimDisk::new(1);
    for source in ["a", "b", "a"] {
        let ledger = open(&disk).unwrap();
        let mut declared = declaration("app", "app", dedup::scope::DedupClock::Received);
        declared.source = source.into();
        let pipe = ledger.pipe(declared).unwrap();
        let first = pipe.next_batch().0;
        send(&pipe, &[first.into()], first, NOW_MS).unwrap();
    }
    let state = open(&disk).unwrap().state();
    let (pipe, _) = state.pipe("app").unwrap();
    let counted: Vec<(&str, u64)> =
        state.sources_of(pipe).map(|(_, s)| (s.name.as_str(), s.total().received)).collect();
    assert_eq!(counted, [("a", 2), ("b", 1)]);
}

/// A batch of three events of which `lost` vanish.
fn commit_with_loss(pipe: &dedup::ledger::PipeLedger, number: u64, now_ms: i64, lost: u64) {
    let keys = [1, 2, 3].map(|key| u128::from(number) << 8 | key);
    let mut events = batch(&keys, number * 3, now_ms);
    let number = BatchNumber(number);
    pipe.reserve(number, &mut events).unwrap();
    let mut settlement = settlement(number, &events, Vec::new());
    settlement.counters.minutes[0].1.outcomes[0] -= lost;
    pipe.commit(&settlement).wait().unwrap();
}

#[test]
fn p4_an_imbalance_names_the_first_batch_that_left_it() {
    let disk = SimDisk::new(1);
    let clock = TestClock::new(NOW_MS);
    let now = || event::Clock::now_ms(&clock);
    {
        let ledger = open_with(&disk, &clock, small()).unwrap();
        let pipe = app(&ledger).unwrap();
        for (number, lost) in [(1, 0), (2, 0), (3, 1), (4, 0), (5, 2), (6, 0)] {
            commit_with_loss(&pipe, number, NOW_MS, lost);
        }
        let imbalance = ledger.state().imbalance();
        assert_eq!((imbalance.len(), imbalance[0].batch), (1, BatchNumber(3)));
    }
    for _ in 0..2 {
        let ledger = open_with(&disk, &clock, small()).unwrap();
        assert_eq!(ledger.state().imbalance()[0].batch, BatchNumber(3));
        ledger.checkpoint().unwrap();
    }
    // Far more unbalanced minutes than are kept: they fold, and their hour names the first.
    let ledger = open_with(&disk, &clock, small()).unwrap();
    let pipe = app(&ledger).unwrap();
    for number in 7..107 {
        clock.advance(60_000);
        commit_with_loss(&pipe, number, now(), 1);
    }
    let found = ledger.state().imbalance();
    let hours: Vec<_> = found.iter().filter(|found| found.minutes == 60).collect();
    assert!(!hours.is_empty() && hours[0].batch == BatchNumber(3), "{found:?}");
    assert!(found.iter().all(|found| found.batch.0 >= 3), "{found:?}");
    assert!(ledger.state().sources[0].broken.len() <= 45, "bounded as minutes are");
    drop((pipe, ledger));
    assert_eq!(open_with(&disk, &clock, small()).unwrap().state().imbalance(), found);
}

#[test]
fn p4_a_minute_that_balances_again_is_forgiven() {
    let ledger = open(&SimDisk::new(1)).unwrap();
    let pipe = app(&ledger).unwrap();
    commit_with_loss(&pipe, 1, NOW_MS, 1);
    assert_eq!(ledger.state().imbalance()[0].batch, BatchNumber(1));
    let events = batch(&[], 0, NOW_MS);
    let mut found = settlement(BatchNumber(2), &events, Vec::new());
    found.counters.minutes[0].1.outcomes[0] += 1;
    pipe.commit(&found).wait().unwrap();
    assert_balanced(&ledger.state());
    commit_with_loss(&pipe, 3, NOW_MS, 1);
    assert_eq!(ledger.state().imbalance()[0].batch, BatchNumber(3));
}
