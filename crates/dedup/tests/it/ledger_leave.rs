//! A pipe tells its ledger that events leave their batch, and hears how far it must look for
//! duplicates of them.

use dedup::ledger::Left;
use dedup::scope::DedupClock;
use event::{BatchNumber, Fate};
use journal::SimDisk;

use crate::ledger_kit::*;

#[test]
fn p3_leaving_names_the_last_batch_that_may_hold_duplicates() {
    for scope in [true, false] {
        let ledger = open(&SimDisk::new(1)).unwrap();
        let mut declared = declaration("app", "app", DedupClock::Received);
        declared.scope = declared.scope.filter(|_| scope);
        let pipe = ledger.pipe(declared).unwrap();
        let mut first = batch(&[1, 2], 0, NOW_MS);
        pipe.reserve(BatchNumber(1), &mut first).unwrap();
        pipe.reserve(BatchNumber(2), &mut batch(&[3], 2, NOW_MS)).unwrap();
        let mut third = batch(&[1], 3, NOW_MS);
        pipe.reserve(BatchNumber(3), &mut third).unwrap();
        let left = Left {
            event: first.events[0],
            shard: first.extents[0].shard.clone(),
            start: 0.into(),
            received_ms: NOW_MS,
            holds: true,
        };
        assert_eq!(pipe.leave(BatchNumber(1), &[left]), BatchNumber(3), "scope: {scope}");
        assert_eq!(pipe.leave(BatchNumber(1), &[]), BatchNumber(3));
        let mut later = batch(&[1], 4, NOW_MS);
        pipe.reserve(BatchNumber(4), &mut later).unwrap();
        let fates = (third.events[0].fate, later.events[0].fate);
        let expected =
            if scope { (Fate::Duplicate, Fate::Waits) } else { (Fate::Deliver, Fate::Deliver) };
        assert_eq!(fates, expected, "whoever is decided later waits by itself");
    }
}

#[test]
fn a_pipe_hears_which_of_its_keys_others_wait_for() {
    let ledger = open(&SimDisk::new(1)).unwrap();
    let pipe = app(&ledger).unwrap();
    let other = ledger.pipe(declaration("other", "app", DedupClock::Received)).unwrap();
    let mut held = batch(&[1, 2], 0, NOW_MS);
    pipe.reserve(BatchNumber(1), &mut held).unwrap();
    assert!(pipe.awaited(&held).is_empty());
    other.reserve(BatchNumber(1), &mut batch(&[2, 5], 0, NOW_MS)).unwrap();
    assert_eq!(pipe.awaited(&held), [1]);
    let wakeups = other.wakeups();
    let left = Left {
        event: held.events[1],
        shard: held.extents[0].shard.clone(),
        start: 1.into(),
        received_ms: NOW_MS,
        holds: false,
    };
    pipe.leave(BatchNumber(1), &[left]);
    assert_ne!(other.wakeups(), wakeups);
    other.forget_waiters();
    assert!(pipe.awaited(&held).is_empty());
}
