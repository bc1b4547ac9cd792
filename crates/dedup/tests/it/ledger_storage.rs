//! P7: a full disk makes commits fail that may be made again; failed storage stops the ledger.

use dedup::ledger::{LedgerError, LedgerState};
use event::{BatchNumber, Fate, Outcome};
use journal::{Fault, SimDisk};

use crate::ledger_kit::*;

fn keys(range: std::ops::Range<u128>) -> Vec<u128> {
    range.collect()
}

/// Nothing was applied.
fn assert_same(state: &LedgerState, before: &LedgerState) {
    assert_eq!((&state.pipes, &state.sources), (&before.pipes, &before.sources));
    assert_eq!(state.scopes[0].keys_committed, before.scopes[0].keys_committed);
}

/// A pipe whose next big record has no room, and whose next small one has.
fn full() -> (SimDisk, std::sync::Arc<dedup::ledger::Ledger>) {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    send(&pipe, &[1], 0, NOW_MS).unwrap();
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    let ledger = open(&disk).unwrap();
    let used: u64 = disk.files().iter().map(|(_, len)| len).sum();
    disk.set_capacity(used);
    (disk, ledger)
}

#[test]
fn p7_a_commit_without_room_applies_nothing_and_may_be_made_again() {
    let (disk, ledger) = full();
    let pipe = app(&ledger).unwrap();
    let before = ledger.state();
    let mut big = batch(&keys(100..1100), 1, NOW_MS);
    pipe.reserve(BatchNumber(2), &mut big).unwrap();
    let commit = || pipe.commit(&settlement(BatchNumber(2), &big, Vec::new())).wait();
    for _ in 0..3 {
        assert!(commit().unwrap_err().is_disk_full());
        assert_same(&ledger.state(), &before);
    }
    disk.set_capacity(u64::MAX);
    commit().unwrap();
    assert_eq!(outcome(&ledger.state(), Outcome::Delivered), 1001);
    assert_balanced(&ledger.state());
    drop((pipe, ledger));
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    assert!(probe(&pipe, &keys(100..1100), NOW_MS).iter().all(|fate| *fate == Fate::Duplicate));
}

#[test]
fn p7_a_later_batch_does_not_count_where_an_earlier_one_had_no_room() {
    for checkpoint in [false, true] {
        let (disk, ledger) = full();
        let pipe = app(&ledger).unwrap();
        assert!(begin(&pipe, 2, &keys(100..1100), 1).wait().unwrap_err().is_disk_full());
        let error = begin(&pipe, 3, &[7, 8], 1001).wait().unwrap_err();
        assert!(error.is_disk_full(), "its record is there, and must not count: {error}");
        assert_eq!(pipe.next_batch(), BatchNumber(2));
        disk.set_capacity(u64::MAX);
        if checkpoint {
            // The first one moves the keys of what counts, the second one drops its segments.
            ledger.checkpoint().unwrap();
            ledger.checkpoint().unwrap();
        }
        drop((pipe, ledger));
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        assert_eq!(pipe.next_batch(), BatchNumber(2));
        let fates = probe(&pipe, &[1, 7, 8, 100], NOW_MS);
        let free = Fate::Deliver;
        assert_eq!(fates, [Fate::Duplicate, free, free, free], "no shadow (P3)");
        assert_balanced(&ledger.state());
    }
}

#[test]
fn p7_both_batches_commit_once_there_is_room() {
    let (disk, ledger) = full();
    let pipe = app(&ledger).unwrap();
    let (mut big, mut small) = (batch(&keys(100..1100), 1, NOW_MS), batch(&[7, 100], 1001, NOW_MS));
    pipe.reserve(BatchNumber(2), &mut big).unwrap();
    pipe.reserve(BatchNumber(3), &mut small).unwrap();
    assert_eq!(small.events[1].fate, Fate::Duplicate, "of a batch that isn't committed yet");
    let begin = |number, batch| pipe.commit(&settlement(BatchNumber(number), batch, Vec::new()));
    assert!(begin(2, &big).wait().unwrap_err().is_disk_full());
    assert!(begin(3, &small).wait().unwrap_err().is_disk_full());
    disk.set_capacity(u64::MAX);
    let (first, second) = (begin(2, &big), begin(3, &small));
    // Whoever waits first applies for all before it.
    second.wait().unwrap();
    assert_eq!(pipe.next_batch(), BatchNumber(4));
    first.wait().unwrap();
    let live = ledger.state();
    drop((pipe, ledger));
    let again = open(&disk).unwrap().state();
    assert_eq!(again.pipes, live.pipes);
    assert_eq!(again.sources, live.sources);
}

#[test]
fn p7_a_checkpoint_without_room_loses_nothing_and_is_made_later() {
    let (disk, ledger) = full();
    let pipe = app(&ledger).unwrap();
    let files = disk.files();
    assert!(ledger.checkpoint().unwrap_err().is_disk_full());
    assert_eq!(disk.files(), files, "nothing is left behind");
    send(&pipe, &[2], 1, NOW_MS).unwrap();
    disk.set_capacity(u64::MAX);
    ledger.checkpoint().unwrap();
    assert_eq!(ledger.state().runs.iter().map(|run| run.count).sum::<u64>(), 2);
}

#[test]
fn p7_after_a_failed_sync_nothing_is_acknowledged_until_a_restart() {
    for fails in 0..2 {
        let disk = SimDisk::new(1);
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        send(&pipe, &[1], 0, NOW_MS).unwrap();
        disk.fail_at(disk.ops() + fails, Fault::Io);
        let before = ledger.state();
        let error = send(&pipe, &[2], 1, NOW_MS).unwrap_err();
        assert!(matches!(error, LedgerError::Stopped { .. }), "{error}");
        assert!(error.to_string().contains("start again"), "{error}");
        assert_same(&ledger.state(), &before);
        for outcome in [
            send(&pipe, &[3], 2, NOW_MS).map(drop),
            ledger.checkpoint(),
            pipe.record_opened("out", Default::default()),
            ledger.pipe(declaration("b", "b", dedup::scope::DedupClock::Received)).map(drop),
        ] {
            assert!(matches!(outcome, Err(LedgerError::Stopped { .. })), "{outcome:?}");
        }
        assert!(ledger.close().is_err());
        drop((pipe, ledger));
        let ledger = open(&disk.after_process_kill()).unwrap();
        let pipe = app(&ledger).unwrap();
        assert_eq!(probe(&pipe, &[1], NOW_MS), [Fate::Duplicate]);
        assert_balanced(&ledger.state());
    }
}

#[test]
fn p7_a_failed_write_in_a_checkpoint_stops_the_ledger_and_loses_nothing() {
    let mut stopped = 0;
    for op in 0..40 {
        let disk = SimDisk::new(op);
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        for i in 0..6 {
            send(&pipe, &keys(i * 40..i * 40 + 40), i as u64 * 40, NOW_MS).unwrap();
        }
        disk.fail_at(disk.ops() + op, Fault::Io);
        if ledger.checkpoint().is_err() {
            stopped += 1;
            let error = send(&pipe, &[9_999], 240, NOW_MS).unwrap_err();
            assert!(matches!(error, LedgerError::Stopped { .. }), "operation {op}: {error}");
        }
        drop((pipe, ledger));
        for found in [disk.after_process_kill(), disk.after_power_loss(op)] {
            let ledger = open(&found).unwrap();
            let pipe = app(&ledger).unwrap();
            let fates = probe(&pipe, &keys(0..240), NOW_MS);
            assert!(fates.iter().all(|fate| *fate == Fate::Duplicate), "operation {op}");
        }
    }
    assert!(stopped > 5, "{stopped}");
}
