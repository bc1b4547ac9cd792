//! Rules of a scope that change between two runs: what an old record promised is kept, and what a
//! duplicate refreshed comes back.

use dedup::key::{FIELDS_OF_BODY, FIELDS_OF_BROKER_ID, FIELDS_OF_RAW_BODY};
use dedup::ledger::{Ledger, LedgerError, PipeDeclaration, PipeLedger};
use dedup::scope::{DedupClock, OnOtherBody, ScopeOptions};
use event::{Batch, Fate, Marks};
use journal::SimDisk;
use std::sync::Arc;

use crate::ledger_kit::*;

const MINUTE: i64 = 60_000;
const KEY: u128 = 7;
/// The other body.
const OTHER: u64 = 99;

fn declared(rules: impl FnOnce(&mut ScopeOptions)) -> PipeDeclaration {
    let mut declared = declaration("app", "app", DedupClock::Received);
    rules(&mut declared.scope.as_mut().unwrap().options);
    declared
}

fn refreshing(options: &mut ScopeOptions) {
    options.refresh = true;
}

/// A run that begins at `minute`, with these rules.
fn run(
    disk: &SimDisk,
    minute: i64,
    rules: impl FnOnce(&mut ScopeOptions),
) -> (Arc<Ledger>, Arc<PipeLedger>) {
    let ledger = open_at(disk, NOW_MS + minute * MINUTE).unwrap();
    let pipe = ledger.pipe(declared(rules)).unwrap();
    (ledger, pipe)
}

/// One event of [`KEY`], received at `minute`, decided and not committed.
fn decide(pipe: &PipeLedger, minute: i64, window_min: i64, body: u64) -> Batch {
    let number = pipe.next_batch();
    let mut batch = batch(&[KEY], number.0, NOW_MS + minute * MINUTE);
    batch.events[0].window_ms = window_min * MINUTE;
    batch.events[0].body_hash = body;
    pipe.reserve(number, &mut batch).unwrap();
    batch
}

/// One event of [`KEY`], received at `minute`, settled.
fn settle(pipe: &PipeLedger, minute: i64, window_min: i64, body: u64) -> Fate {
    let batch = decide(pipe, minute, window_min, body);
    pipe.commit(&settlement(pipe.next_batch(), &batch, Vec::new())).wait().unwrap();
    batch.events[0].fate
}

#[test]
fn a_shorter_window_readmits_nothing_that_an_old_commit_promised() {
    let disk = SimDisk::new(1);
    let (ledger, pipe) = run(&disk, 0, |_| ());
    assert_eq!(settle(&pipe, 0, 60, 1), Fate::Deliver);
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    let (_ledger, pipe) = run(&disk, 1, |_| ());
    assert_eq!(settle(&pipe, 59, 5, 1), Fate::Duplicate, "promised for an hour");
    assert_eq!(settle(&pipe, 60, 5, 1), Fate::Deliver);
    assert_eq!(settle(&pipe, 64, 5, 1), Fate::Duplicate);
    assert_eq!(settle(&pipe, 65, 5, 1), Fate::Deliver, "from then on for five minutes");
}

#[test]
fn a_longer_window_holds_for_what_comes_from_then_on() {
    let disk = SimDisk::new(1);
    let (ledger, pipe) = run(&disk, 0, |_| ());
    assert_eq!(settle(&pipe, 0, 5, 1), Fate::Deliver);
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    let (_ledger, pipe) = run(&disk, 1, |_| ());
    assert_eq!(settle(&pipe, 4, 60, 1), Fate::Duplicate);
    assert_eq!(settle(&pipe, 5, 60, 1), Fate::Deliver, "promised for five minutes only");
    assert_eq!(settle(&pipe, 64, 60, 1), Fate::Duplicate);
}

#[test]
fn a_window_without_end_outlasts_restarts_checkpoints_and_a_changed_config() {
    let disk = SimDisk::new(1);
    let forever = i64::MAX / MINUTE;
    let (ledger, pipe) = run(&disk, 0, |_| ());
    let mut batch = decide(&pipe, 0, forever, 1);
    batch.events[0].window_ms = i64::MAX;
    pipe.commit(&settlement(pipe.next_batch(), &batch, Vec::new())).wait().unwrap();
    ledger.checkpoint().unwrap();
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    let (ledger, pipe) = run(&disk, 500_000, |_| ());
    ledger.checkpoint().unwrap();
    assert_eq!(settle(&pipe, 5_000_000, 5, 1), Fate::Duplicate);
}

#[test]
fn what_a_duplicate_refreshed_survives_restart_and_checkpoint() {
    let disk = SimDisk::new(1);
    let (ledger, pipe) = run(&disk, 0, refreshing);
    assert_eq!(settle(&pipe, 0, 10, 1), Fate::Deliver);
    assert_eq!(settle(&pipe, 8, 10, 1), Fate::Duplicate);
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    // In the journal only.
    let (ledger, pipe) = run(&disk, 9, refreshing);
    assert_eq!(settle(&pipe, 16, 10, 1), Fate::Duplicate, "10 minutes from minute 8 on");
    ledger.checkpoint().unwrap();
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    // In a key run only.
    let (_ledger, pipe) = run(&disk, 17, refreshing);
    assert_eq!(settle(&pipe, 25, 10, 1), Fate::Duplicate, "from minute 16 on");
    assert_eq!(settle(&pipe, 35, 10, 1), Fate::Deliver);
}

#[test]
fn a_refresh_counts_with_its_batch_and_is_lost_with_it() {
    for committed in [false, true] {
        let disk = SimDisk::new(1);
        let (ledger, pipe) = run(&disk, 0, refreshing);
        assert_eq!(settle(&pipe, 0, 10, 1), Fate::Deliver);
        let batch = decide(&pipe, 8, 10, 1);
        assert!(batch.duplicates[0].refreshes);
        if committed {
            let done = pipe.commit(&settlement(pipe.next_batch(), &batch, Vec::new()));
            done.wait().unwrap();
        }
        let after = disk.after_power_loss(3);
        drop((pipe, ledger));
        let (_ledger, pipe) = run(&after, 9, refreshing);
        let expected = if committed { Fate::Duplicate } else { Fate::Deliver };
        assert_eq!(settle(&pipe, 12, 10, 1), expected, "committed: {committed}");
    }
}

#[test]
fn refresh_can_be_switched_on_and_off() {
    let disk = SimDisk::new(1);
    let (ledger, pipe) = run(&disk, 0, |_| ());
    assert_eq!(settle(&pipe, 0, 10, 1), Fate::Deliver);
    assert_eq!(settle(&pipe, 4, 10, 1), Fate::Duplicate);
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    let (ledger, pipe) = run(&disk, 5, refreshing);
    assert_eq!(settle(&pipe, 8, 10, 1), Fate::Duplicate, "that of minute 4 refreshed nothing");
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    let (_ledger, pipe) = run(&disk, 9, |_| ());
    assert_eq!(settle(&pipe, 17, 10, 1), Fate::Duplicate, "what was refreshed stays so");
    assert_eq!(settle(&pipe, 18, 10, 1), Fate::Deliver, "that of minute 17 refreshed nothing");
}

#[test]
fn an_update_passes_and_its_repeats_are_duplicates_also_after_a_restart() {
    let passes = |options: &mut ScopeOptions| options.on_other_body = OnOtherBody::Pass;
    let disk = SimDisk::new(1);
    let (ledger, pipe) = run(&disk, 0, passes);
    assert_eq!(settle(&pipe, 0, 60, 1), Fate::Deliver);
    // At the same time, so that only the body tells the two entries apart.
    let update = decide(&pipe, 0, 60, OTHER);
    assert_eq!(update.events[0].fate, Fate::Deliver);
    assert!(update.events[0].marks.has(Marks::UPDATE));
    pipe.commit(&settlement(pipe.next_batch(), &update, Vec::new())).wait().unwrap();
    for checkpoint in [false, true] {
        if checkpoint {
            ledger.checkpoint().unwrap();
        }
        let (_ledger, pipe) = run(&disk.after_process_kill(), 1, passes);
        let checked = format!("checkpoint: {checkpoint}");
        assert_eq!(settle(&pipe, 2, 60, 1), Fate::Duplicate, "{checked}");
        assert_eq!(settle(&pipe, 2, 60, OTHER), Fate::Duplicate, "{checked}");
        assert_eq!(settle(&pipe, 2, 60, 3), Fate::Deliver, "a third body");
    }
}

#[test]
fn on_other_body_holds_from_the_change_on() {
    let disk = SimDisk::new(1);
    let (ledger, pipe) = run(&disk, 0, |_| ());
    assert_eq!(settle(&pipe, 0, 60, 1), Fate::Deliver);
    assert_eq!(settle(&pipe, 1, 60, OTHER), Fate::Duplicate);
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    let passes = |options: &mut ScopeOptions| options.on_other_body = OnOtherBody::Pass;
    let (ledger, pipe) = run(&disk, 2, passes);
    assert_eq!(settle(&pipe, 3, 60, OTHER), Fate::Deliver, "what was dropped is not remembered");
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);
    let dies = |options: &mut ScopeOptions| options.on_other_body = OnOtherBody::DeadLetter;
    let (_ledger, pipe) = run(&disk, 4, dies);
    assert_eq!(settle(&pipe, 5, 60, OTHER), Fate::Duplicate, "what passed is remembered");
    let dead = decide(&pipe, 6, 60, 3);
    let death = dead.death(&dead.events[0]).unwrap();
    assert_eq!(
        (death.stage, death.class.as_str(), death.deterministic),
        ("dedup", "other_body", true)
    );
    assert_eq!(dead.events[0].window_ms, -1, "it holds no key");
}

#[test]
fn a_scope_whose_key_is_of_another_kind_is_another_definition() {
    let kinds = [1, 2, FIELDS_OF_BODY, FIELDS_OF_RAW_BODY, FIELDS_OF_BROKER_ID];
    for recorded in kinds {
        for wanted in kinds {
            let of = |fields| {
                let mut declared = declared(|_| ());
                declared.scope.as_mut().unwrap().fields = fields;
                declared
            };
            let disk = SimDisk::new(1);
            let ledger = open(&disk).unwrap();
            let pipe = ledger.pipe(of(recorded)).unwrap();
            ledger.checkpoint().unwrap();
            drop(pipe);
            ledger.close().unwrap();
            drop(ledger);
            let ledger = open(&disk).unwrap();
            match ledger.pipe(of(wanted)) {
                Ok(_) => assert_eq!(recorded, wanted),
                Err(LedgerError::OtherDefinition(error)) => {
                    assert_ne!(recorded, wanted);
                    let text = error.to_string();
                    let words = |fields| dedup::key::definition(fields, false);
                    assert!(
                        text.contains(&words(recorded)) && text.contains(&words(wanted)),
                        "{text}"
                    );
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
