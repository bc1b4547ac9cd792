//! P3 and P5: what a dead event's key means for its copies, and its letter for its replay.

use std::sync::Arc;

use dedup::ledger::{
    Ledger, LetterChange, MinuteBucket, PipeDeclaration, PipeLedger, Settlement, Tally,
};
use dedup::scope::{DedupClock, OnDuplicateOfDead};
use event::batch::Offsets;
use event::{Batch, BatchNumber, Death, Fate, Marks, Outcome, Replay, Replayed, TestClock};
use journal::SimDisk;

use crate::ledger_kit::*;

const ALL: u64 = 0b111;

fn declared(fingerprint: u64, sinks: [&str; 3]) -> PipeDeclaration {
    let mut declared = declaration("app", "app", DedupClock::Event);
    declared.config_fingerprint = fingerprint;
    declared.sinks = sinks.map(String::from).to_vec();
    declared
}

fn start(disk: &SimDisk) -> (Arc<Ledger>, Arc<PipeLedger>) {
    start_with(disk, declared(99, ["a", "b", "c"]))
}

fn start_with(disk: &SimDisk, declared: PipeDeclaration) -> (Arc<Ledger>, Arc<PipeLedger>) {
    let ledger = open(disk).unwrap();
    let pipe = ledger.pipe(declared).unwrap();
    (ledger, pipe)
}

/// Event `key` with a body, at a time; it goes to all sinks.
fn copy(key: u128, body_hash: u64, at_ms: i64) -> Batch {
    let mut batch = batch(&[key], at_ms.unsigned_abs(), NOW_MS);
    let event = &mut batch.events[0];
    (event.body_hash, event.event_ms, event.routes) = (body_hash, at_ms, ALL);
    batch
}

fn kill(batch: &mut Batch) {
    batch.kill(0, Death { stage: "deliver", class: "http_400".into(), ..Death::default() });
}

/// Event `key` with body 1 dies at `NOW_MS`; its letter has the id of the key.
fn die(pipe: &PipeLedger, key: u128, deterministic: bool, sinks: u64) {
    let number = pipe.next_batch();
    let mut events = copy(key, 1, NOW_MS);
    pipe.reserve(number, &mut events).unwrap();
    assert_eq!(events.events[0].fate, Fate::Deliver);
    kill(&mut events);
    let mut settlement = settlement(number, &events, Vec::new());
    settlement.letters = vec![LetterChange::Add { id: key, event: 0, deterministic, sinks }];
    pipe.commit(&settlement).wait().unwrap();
}

/// What would become of a copy; nothing stays reserved.
fn try_copy(pipe: &PipeLedger, mut batch: Batch) -> (Fate, u64, bool) {
    let number = BatchNumber(pipe.next_batch().0 + 1_000);
    pipe.reserve(number, &mut batch).unwrap();
    pipe.release(number, &batch);
    let event = batch.events[0];
    (event.fate, event.routes, event.marks.has(Marks::COPY_OF_DEAD))
}

fn deliver(pipe: &PipeLedger, mut batch: Batch) -> Fate {
    let number = pipe.next_batch();
    pipe.reserve(number, &mut batch).unwrap();
    pipe.commit(&settlement(number, &batch, Vec::new())).wait().unwrap();
    batch.events[0].fate
}

/// The letter `id` of event `key` comes again.
fn replay(id: u128, key: u128, recorded_ms: Option<i64>, sinks: u64) -> Batch {
    let mut batch = copy(key, 1, NOW_MS);
    batch.extents[0].offsets = Offsets::Nowhere(vec![1.into()]);
    batch.extents[0].received_ms = NOW_MS + 7 * HOUR_MS;
    let events =
        vec![Replayed { letter: Some(id), count: 1, recorded_ms, sinks, ..Replayed::default() }];
    batch.replay = Some(Box::new(Replay { id: "r".into(), events }));
    batch
}

/// What settles a replay, and ends its letter.
fn settled(number: BatchNumber, batch: &Batch, letter: u128) -> Settlement<'_> {
    let mut settlement = settlement(number, batch, Vec::new());
    settlement.positions = Vec::new();
    settlement.letters = vec![LetterChange::Remove { id: letter }];
    settlement
}

#[test]
fn p3_a_copy_of_what_would_die_again_is_a_duplicate_under_the_same_plan_only() {
    let disk = SimDisk::new(1);
    {
        let (ledger, pipe) = start(&disk);
        die(&pipe, 7, true, 0);
        die(&pipe, 8, false, 0);
        assert_eq!(pipe.letters_open(), 2);
        assert_eq!(ledger.state().scopes[0].keys_committed, 0, "letters have them");
        let again = |key| try_copy(&pipe, copy(key, 1, NOW_MS)).0;
        assert_eq!((again(7), again(8)), (Fate::Duplicate, Fate::Deliver));
        ledger.checkpoint().unwrap();
        die(&pipe, 9, true, 0);
    }
    {
        let (_ledger, pipe) = start(&disk);
        let again = |key| try_copy(&pipe, copy(key, 1, NOW_MS)).0;
        assert_eq!([7, 8, 9].map(again), [Fate::Duplicate, Fate::Deliver, Fate::Duplicate]);
    }
    let (_ledger, pipe) = start_with(&disk, declared(100, ["a", "b", "c"]));
    let again = |key| try_copy(&pipe, copy(key, 1, NOW_MS)).0;
    assert_eq!([7, 8, 9].map(again), [Fate::Deliver; 3], "as transient under another plan");
}

#[test]
fn p3_a_copy_with_another_body_is_admitted_everywhere_and_marked() {
    let (_ledger, pipe) = start(&SimDisk::new(1));
    die(&pipe, 7, true, 0b11);
    assert_eq!(try_copy(&pipe, copy(7, 2, NOW_MS)), (Fate::Deliver, ALL, true));
}

#[test]
fn p2_an_admitted_copy_goes_only_to_the_sinks_that_lack_it() {
    let disk = SimDisk::new(1);
    {
        let (_ledger, pipe) = start(&disk);
        die(&pipe, 7, false, 0b101);
        assert_eq!(try_copy(&pipe, copy(7, 1, NOW_MS)), (Fate::Deliver, 0b010, false));
    }
    // By name, whatever the order of the config: a and c hold it.
    let (ledger, pipe) = start_with(&disk, declared(99, ["c", "new", "a"]));
    assert_eq!(try_copy(&pipe, copy(7, 1, NOW_MS)), (Fate::Deliver, 0b010, false));
    // In another pipe of the scope it goes everywhere, and says so.
    let mut other = declared(98, ["a", "b", "c"]);
    other.pipe = "other".into();
    let other = ledger.pipe(other).unwrap();
    assert_eq!(try_copy(&other, copy(7, 1, NOW_MS)), (Fate::Deliver, ALL, true));
}

#[test]
fn a_dead_key_reaches_as_far_as_a_delivered_one_for_as_long_as_its_letter_is_open() {
    let disk = SimDisk::new(1);
    let clock = TestClock::new(NOW_MS);
    let ledger = open_with(&disk, &clock, options()).unwrap();
    let pipe = ledger.pipe(declared(99, ["a", "b", "c"])).unwrap();
    die(&pipe, 7, true, 0);
    assert_eq!(try_copy(&pipe, copy(7, 1, NOW_MS + 599_999)).0, Fate::Duplicate);
    assert_eq!(try_copy(&pipe, copy(7, 1, NOW_MS + 600_000)).0, Fate::Deliver);
    clock.advance(100 * HOUR_MS);
    ledger.checkpoint().unwrap();
    assert!(pipe.is_letter_open(7));
    assert_eq!(pipe.letters()[&7].recorded_ms, NOW_MS);
    drop((pipe, ledger));
    assert_eq!(start(&disk).1.letters_open(), 1);
}

#[test]
fn policies_admit_or_suppress_every_copy() {
    for (policy, fate) in
        [(OnDuplicateOfDead::Admit, Fate::Deliver), (OnDuplicateOfDead::Suppress, Fate::Duplicate)]
    {
        let mut declared = declared(99, ["a", "b", "c"]);
        declared.scope.as_mut().unwrap().options.on_duplicate_of_dead = policy;
        let (_ledger, pipe) = start_with(&SimDisk::new(1), declared);
        die(&pipe, 7, true, 1);
        die(&pipe, 8, false, 1);
        for (key, body) in [(7, 1), (7, 2), (8, 1), (8, 2)] {
            assert_eq!(try_copy(&pipe, copy(key, body, NOW_MS)).0, fate, "{policy:?} {key} {body}");
        }
    }
}

#[test]
fn a_purged_letter_takes_its_key_along() {
    let disk = SimDisk::new(1);
    {
        let (ledger, pipe) = start(&disk);
        die(&pipe, 7, true, 0);
        die(&pipe, 8, true, 0);
        assert_eq!(ledger.remove_letters("app", &[7, 7, 99]).unwrap(), 1);
        assert_eq!(ledger.remove_letters("app", &[7]).unwrap(), 0);
        assert!(ledger.remove_letters("nobody", &[7]).unwrap_err().to_string().contains("nobody"));
        assert_eq!(try_copy(&pipe, copy(7, 1, NOW_MS)).0, Fate::Deliver);
        assert_eq!(try_copy(&pipe, copy(8, 1, NOW_MS)).0, Fate::Duplicate);
    }
    for _ in 0..2 {
        let (ledger, pipe) = start(&disk);
        assert_eq!(pipe.letters().keys().copied().collect::<Vec<_>>(), [8]);
        assert_eq!(try_copy(&pipe, copy(7, 1, NOW_MS)).0, Fate::Deliver);
        ledger.checkpoint().unwrap();
    }
}

#[test]
fn p5_a_replay_goes_where_it_lacks_keeps_its_time_and_ends_its_letter() {
    let disk = SimDisk::new(1);
    {
        let (ledger, pipe) = start(&disk);
        die(&pipe, 7, true, 0b001);
        // The watermark goes far beyond, and the key would be late.
        deliver(&pipe, copy(50, 1, NOW_MS + HOUR_MS));
        let watermarks = ledger.state().scopes[0].watermarks.clone();
        let number = pipe.next_batch();
        let mut again = replay(7, 7, Some(NOW_MS), 0b011);
        again.events[0].event_ms = NOW_MS + 5 * HOUR_MS;
        pipe.reserve(number, &mut again).unwrap();
        let event = again.events[0];
        assert_eq!((event.fate, event.recorded_ms, event.routes), (Fate::Deliver, NOW_MS, 0b010));
        assert!(event.marks.has(Marks::REPLAYED) && !event.marks.has(Marks::LATE));
        pipe.commit(&settled(number, &again, 7)).wait().unwrap();
        let scope = &ledger.state().scopes[0];
        assert_eq!(scope.watermarks, watermarks, "a replay moves none");
        assert_eq!(scope.recorded_max_ms, NOW_MS + HOUR_MS);
        assert_eq!(pipe.letters_open(), 0);
        assert!(!pipe.is_letter_open(7));
    }
    let (ledger, _) = start(&disk);
    assert_eq!(ledger.state().pipes[0].letters.len(), 0);
    assert_eq!(ledger.state().scopes[0].keys_committed, 2);
}

#[test]
fn p2_a_replay_is_a_duplicate_once_a_copy_was_delivered_however_long_ago() {
    for restarts in [false, true] {
        let disk = SimDisk::new(1);
        let (mut ledger, mut pipe) = start(&disk);
        die(&pipe, 7, false, 0);
        assert_eq!(deliver(&pipe, copy(7, 1, NOW_MS + 1_000)), Fate::Deliver);
        assert!(pipe.letters()[&7].superseded);
        // The copy's key is forgotten.
        deliver(&pipe, copy(50, 1, NOW_MS + 9 * HOUR_MS));
        ledger.checkpoint().unwrap();
        deliver(&pipe, copy(51, 1, NOW_MS + 9 * HOUR_MS));
        if restarts {
            drop((pipe, ledger));
            (ledger, pipe) = start(&disk);
        }
        let runs = ledger.state().runs;
        assert_eq!(runs.iter().map(|run| run.count).sum::<u64>(), 1, "{runs:?}");
        let number = pipe.next_batch();
        let mut again = replay(7, 7, Some(NOW_MS), ALL);
        pipe.reserve(number, &mut again).unwrap();
        assert_eq!(again.events[0].fate, Fate::Duplicate, "restarts: {restarts}");
        pipe.commit(&settled(number, &again, 7)).wait().unwrap();
        assert_eq!(pipe.letters_open(), 0);
    }
}

#[test]
fn p2_a_copy_that_is_withdrawn_supersedes_nothing() {
    let (_ledger, pipe) = start(&SimDisk::new(1));
    die(&pipe, 7, false, 0);
    let number = pipe.next_batch();
    let mut events = copy(7, 1, NOW_MS);
    pipe.reserve(number, &mut events).unwrap();
    kill(&mut events);
    let mut dies_too = settlement(number, &events, Vec::new());
    dies_too.letters = vec![LetterChange::Add { id: 70, event: 0, deterministic: false, sinks: 0 }];
    pipe.commit(&dies_too).wait().unwrap();
    assert!(!pipe.letters()[&7].superseded);
    assert_eq!(try_copy(&pipe, replay(7, 7, Some(NOW_MS), ALL)).0, Fate::Deliver);
}

#[test]
fn a_copy_in_flight_holds_the_key_and_its_letter_cannot_be_replayed_past_it() {
    let (_ledger, pipe) = start(&SimDisk::new(1));
    die(&pipe, 7, false, 0);
    let mut admitted = copy(7, 1, NOW_MS);
    pipe.reserve(pipe.next_batch(), &mut admitted).unwrap();
    assert_eq!(admitted.events[0].fate, Fate::Deliver);
    let mut again = replay(7, 7, Some(NOW_MS), ALL);
    pipe.reserve(pipe.next_batch().next(), &mut again).unwrap();
    assert_eq!(again.events[0].fate, Fate::Duplicate);
}

#[test]
fn a_replay_without_time_goes_without_dedup() {
    let (ledger, pipe) = start(&SimDisk::new(1));
    assert_eq!(deliver(&pipe, copy(7, 1, NOW_MS)), Fate::Deliver);
    let number = pipe.next_batch();
    let mut again = replay(1, 7, None, 0b100);
    pipe.reserve(number, &mut again).unwrap();
    let event = again.events[0];
    assert_eq!((event.fate, event.routes), (Fate::Deliver, 0b100));
    pipe.commit(&settled(number, &again, 1)).wait().unwrap();
    assert_eq!(ledger.state().scopes[0].keys_committed, 1, "it leaves no key");
}

#[test]
fn p4_replays_are_a_source_of_their_own() {
    let disk = SimDisk::new(1);
    let minute = MinuteBucket::of(NOW_MS);
    {
        let (ledger, pipe) = start(&disk);
        die(&pipe, 7, false, 0);
        assert_eq!(ledger.state().sources.len(), 1, "not before the first replay");
        let number = pipe.next_batch();
        let events = copy(60, 1, NOW_MS);
        let mut some = settlement(number, &events, Vec::new());
        some.counters.minutes = vec![(minute, Tally { received: 2, ..Tally::default() })];
        some.counters.in_flight = vec![(minute, 2)];
        pipe.commit(&some).wait().unwrap();
        for id in [7, 8] {
            let number = pipe.next_batch();
            let mut again = replay(id, 7, Some(NOW_MS), ALL);
            pipe.reserve(number, &mut again).unwrap();
            let mut settlement = settled(number, &again, id);
            settlement.counters.minutes[0].1.received += 1;
            settlement.counters.in_flight[0].1 += id as u64 - 6;
            pipe.commit(&settlement).wait().unwrap();
        }
        let state = ledger.state();
        let names: Vec<_> = state.sources.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(names, ["source of app", "replay:app"]);
        assert_eq!(state.sources[0].in_flight[&minute], 2, "of its own source only");
        let replays = &state.sources[1];
        assert_eq!(replays.total().received, 4);
        assert_eq!(replays.total().outcome(Outcome::Delivered), 1);
        assert_eq!(replays.total().outcome(Outcome::Duplicate), 1);
        assert_eq!(replays.in_flight_total(), 2);
        assert_balanced(&state);
        ledger.checkpoint().unwrap();
    }
    let (ledger, pipe) = start(&disk);
    let state = ledger.state();
    assert_eq!(outcome(&state, Outcome::Returned), 4, "of both");
    assert_balanced(&state);
    let number = pipe.next_batch();
    let again = Batch { extents: replay(9, 9, None, ALL).extents, ..Batch::default() };
    let again = Batch { replay: Some(Box::default()), ..again };
    pipe.commit(&settled(number, &again, 9)).wait().unwrap();
    assert_eq!(ledger.state().sources.len(), 2, "the same one again");
}

#[test]
fn a_pipe_without_dedup_has_letters_without_keys() {
    let mut declared = declared(99, ["a", "b", "c"]);
    declared.scope = None;
    let (_ledger, pipe) = start_with(&SimDisk::new(1), declared);
    die(&pipe, 7, true, 0b010);
    assert_eq!(pipe.letters()[&7].key, None);
    let mut again = replay(7, 7, Some(NOW_MS), ALL);
    pipe.reserve(pipe.next_batch(), &mut again).unwrap();
    assert_eq!((again.events[0].fate, again.events[0].routes), (Fate::Deliver, 0b101));
}

#[test]
fn a_letter_of_an_event_that_lives_is_refused() {
    let (_ledger, pipe) = start(&SimDisk::new(1));
    let number = pipe.next_batch();
    let mut events = copy(7, 1, NOW_MS);
    pipe.reserve(number, &mut events).unwrap();
    for event in [0, 5] {
        let mut wrong = settlement(number, &events, Vec::new());
        wrong.letters = vec![LetterChange::Add { id: 1, event, deterministic: true, sinks: 0 }];
        assert!(pipe.commit(&wrong).wait().is_err());
    }
    pipe.commit(&settlement(number, &events, Vec::new())).wait().unwrap();
}

#[test]
fn p3_a_withdrawn_batch_lets_go_of_what_died_in_it() {
    let (_ledger, pipe) = start(&SimDisk::new(1));
    let number = pipe.next_batch();
    let mut events = copy(7, 1, NOW_MS);
    pipe.reserve(number, &mut events).unwrap();
    kill(&mut events);
    pipe.release(number, &events);
    assert_eq!(deliver(&pipe, copy(7, 1, NOW_MS)), Fate::Deliver);
}

#[test]
fn p2_the_letter_of_a_copy_that_dies_too_knows_all_sinks_that_hold_the_body() {
    let (_ledger, pipe) = start(&SimDisk::new(1));
    die(&pipe, 7, false, 0b001);
    let dies_again = |mut events: Batch, id: u128, ends: Option<u128>| {
        let number = pipe.next_batch();
        pipe.reserve(number, &mut events).unwrap();
        assert_eq!(events.events[0].fate, Fate::Deliver);
        kill(&mut events);
        let mut dies = settlement(number, &events, Vec::new());
        dies.letters = vec![LetterChange::Add { id, event: 0, deterministic: false, sinks: 0b010 }];
        dies.letters.extend(ends.map(|id| LetterChange::Remove { id }));
        pipe.commit(&dies).wait().unwrap();
    };
    dies_again(copy(7, 1, NOW_MS), 70, None);
    assert_eq!(pipe.letters()[&70].sinks, [0, 1]);
    // The replay of the first one dies; its new letter takes the place of the old.
    dies_again(replay(7, 7, Some(NOW_MS), ALL), 71, Some(7));
    assert_eq!(pipe.letters()[&71].sinks, [0, 1]);
    // Another body is nowhere yet.
    dies_again(copy(7, 2, NOW_MS), 72, None);
    assert_eq!(pipe.letters()[&72].sinks, [1]);
    assert_eq!(try_copy(&pipe, copy(7, 1, NOW_MS)).1, 0b100);
}

#[test]
fn p6_more_letters_than_a_checkpoint_takes_stop_nothing() {
    let mut small = options();
    small.journal.record_bytes_max = 4096;
    let disk = SimDisk::new(1);
    let open = || open_with(&disk, &TestClock::new(NOW_MS), small.clone()).unwrap();
    let ids: Vec<u128> = (1..=80).collect();
    {
        let ledger = open();
        let pipe = ledger.pipe(declared(99, ["a", "b", "c"])).unwrap();
        ids.iter().for_each(|&id| die(&pipe, id, true, 0));
        let refused = ledger.checkpoint().unwrap_err().to_string();
        assert!(refused.contains("purge dead letters"), "{refused}");
        assert_eq!(deliver(&pipe, copy(500, 1, NOW_MS)), Fate::Deliver);
    }
    let ledger = open();
    let pipe = ledger.pipe(declared(99, ["a", "b", "c"])).unwrap();
    assert_eq!(pipe.letters_open(), 80);
    ledger.remove_letters("app", &ids[..70]).unwrap();
    ledger.checkpoint().unwrap();
    assert_eq!(try_copy(&pipe, copy(80, 1, NOW_MS)).0, Fate::Duplicate);
}
