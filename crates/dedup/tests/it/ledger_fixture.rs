//! A ledger of format 1, frozen: whatever changes, this program goes on reading it.
//!
//! It was written by this test with `DEDUP_WRITE_FIXTURE=1`; never write it again over an old one.
//! Beside it lies one with what came later: letters, a source of replays, minutes that don't
//! balance.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dedup::ledger::{
    Ledger, LedgerOptions, LedgerState, LetterChange, MessageIdChange, MinuteBucket, ParkedChange,
    PipeLedger, Settlement, Tally, read_only,
};
use dedup::state::{Letter, LetterKey};
use event::sink::{FileState, StagedFile, StagedOutput};
use event::{BatchNumber, Death, Epoch, Fate, LedgerId, Replay, Replayed, TestClock};
use journal::RealDisk;

use crate::ledger_kit::*;
use crate::ledger_records::parked;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

fn open_real(dir: &Path) -> Arc<Ledger> {
    let options = LedgerOptions { lock: true, ..options() };
    Ledger::open(Arc::new(RealDisk::new()), dir, options, Arc::new(TestClock::new(NOW_MS))).unwrap()
}

fn staged(name: &str, len: u64, finished: bool) -> StagedOutput {
    let files = vec![StagedFile { name: name.into(), base_len: 0, len, finished }];
    StagedOutput { files, note: b"note".to_vec() }
}

/// Everything that a ledger can hold: keys in a run and in the journal, gaps, message ids, a parked
/// event, finished and unfinished files, something in flight.
fn write(dir: &Path) {
    let ledger = open_real(dir);
    let pipe = app(&ledger).unwrap();
    send(&pipe, &(0..20).collect::<Vec<_>>(), 0, NOW_MS).unwrap();
    ledger.checkpoint().unwrap();
    pipe.record_opened("out", staged("a", 0, false)).unwrap();
    for (number, keys, first, name, len, finished) in
        [(2, [20, 21], 20, "a", 16, true), (3, [22, 3], 30, "b", 8, false)]
    {
        let mut events = batch(&keys, first, NOW_MS + 1_000);
        let number = BatchNumber(number);
        pipe.reserve(number, &mut events).unwrap();
        let mut settlement = settlement(number, &events, vec![(0, staged(name, len, finished))]);
        settlement.message_ids =
            vec![MessageIdChange::Add { id: number.0.into(), until_ms: i64::MAX }];
        settlement.parked = vec![ParkedChange::Add(Box::new(parked(7)))];
        settlement.counters.reread = 1;
        if number.0 == 3 {
            settlement.counters.minutes[0].1.received += 3;
            settlement.counters.in_flight[0].1 = 3;
        }
        pipe.commit(&settlement).wait().unwrap();
        pipe.published("out", BatchNumber(1));
    }
    drop(pipe);
    ledger.close().unwrap();
}

fn assert_holds(state: &LedgerState) {
    assert_eq!(state.ledger_id, LedgerId(0xc125_6dcd_7653_b88c_b65b_1c72_dd72_21cf));
    let pipe = &state.pipes[0];
    assert_eq!((pipe.name.as_str(), pipe.committed), ("app", BatchNumber(3)));
    assert_eq!((pipe.config_fingerprint, pipe.scope), (99, Some(0)));
    let shard = &pipe.positions["shard"];
    assert_eq!(shard.settled_through, 22.into());
    assert_eq!(shard.settled_beyond, [(30.into(), 32.into())]);
    assert_eq!(shard.mark, Some((32.into(), b"mark 32".to_vec())));
    assert_eq!(pipe.message_ids.keys().copied().collect::<Vec<_>>(), [2, 3]);
    assert_eq!(pipe.parked[&7], (0, parked(7)));
    assert_eq!(pipe.types["app"], [23, 1, 0, 0, 0, 0]);
    let sink = &pipe.sinks[0];
    assert_eq!((sink.name.as_str(), sink.published_through), ("out", BatchNumber(1)));
    assert_eq!(sink.unpublished[&BatchNumber(2)], staged("a", 16, true));
    assert_eq!(sink.unpublished[&BatchNumber(3)], staged("b", 8, false));
    let scope = &state.scopes[0];
    assert_eq!((scope.name.as_str(), scope.fields, scope.across_types), ("app", 1, false));
    assert_eq!(scope.keys_committed, 23);
    assert_eq!((state.runs.len(), state.runs[0].count), (1, 20));
    let source = &state.sources[0];
    assert_eq!((source.name.as_str(), source.reread), ("source of app", 2));
    assert_eq!(source.total().received, 27);
    assert_balanced(state);
}

#[test]
fn a_ledger_of_format_1_is_read() {
    if std::env::var_os("DEDUP_WRITE_FIXTURE").is_some() {
        write(&folder());
    }
    let state = read_only(&RealDisk::new(), &folder()).unwrap();
    assert_eq!(state.epoch, Epoch(1));
    assert_holds(&state);
    let minute = MinuteBucket::of(NOW_MS);
    assert_eq!(state.sources[0].in_flight[&minute], 3);
    assert_eq!(
        state.sources[0].minutes[&minute],
        Tally { received: 27, outcomes: [23, 1, 0, 0, 0, 0] }
    );
}

#[test]
fn a_ledger_of_format_1_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    copy(&folder(), dir.path());
    let ledger = open_real(dir.path());
    assert_eq!(ledger.epoch(), Epoch(2));
    assert_holds(&ledger.state());
    let pipe = app(&ledger).unwrap();
    assert_eq!(pipe.scope_secret().unwrap().definition, "1 field and the type, encoding 1");
    let file = |len, finished| FileState { len, finished };
    let files: Vec<_> = pipe.sink_state("out").files.into_iter().collect();
    assert_eq!(files, [("a".into(), file(16, true)), ("b".into(), file(8, false))]);
    let fates = probe(&pipe, &(0..24).collect::<Vec<_>>(), NOW_MS);
    assert!(fates[..23].iter().all(|fate| *fate == Fate::Duplicate), "{fates:?}");
    assert_eq!(fates[23], Fate::Deliver);
    send(&pipe, &[100], 32, NOW_MS).unwrap();
    ledger.checkpoint().unwrap();
    ledger.close().unwrap();
}

fn folder_with_letters() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1-letters")
}

fn open_for_letters(dir: &Path) -> Arc<Ledger> {
    let options = LedgerOptions { lock: true, onceflow_version: "0.5.0".into(), ..options() };
    Ledger::open(Arc::new(RealDisk::new()), dir, options, Arc::new(TestClock::new(NOW_MS))).unwrap()
}

/// Commits a batch of three events of which the last dies, and what its record says besides.
fn commit_dead(pipe: &PipeLedger, first: u64, more: impl FnOnce(&mut Settlement<'_>)) {
    let number = pipe.next_batch();
    let mut events = batch(&[u128::from(first), 2000, 1000 + u128::from(first)], first, NOW_MS);
    pipe.reserve(number, &mut events).unwrap();
    events.kill(2, Death::default());
    let mut settlement = settlement(number, &events, Vec::new());
    let (id, deterministic) = (first.into(), first.is_multiple_of(20));
    settlement.letters = vec![LetterChange::Add { id, event: 2, deterministic, sinks: 0b10 }];
    more(&mut settlement);
    pipe.commit(&settlement).wait().unwrap();
}

fn write_with_letters(dir: &Path) {
    let ledger = open_for_letters(dir);
    let pipe = app(&ledger).unwrap();
    commit_dead(&pipe, 10, |_| ());
    commit_dead(&pipe, 20, |settlement| settlement.counters.minutes[0].1.received += 1);
    // A copy of the first one is delivered.
    send(&pipe, &[1010], 30, NOW_MS).unwrap();
    ledger.checkpoint().unwrap();
    commit_dead(&pipe, 40, |settlement| settlement.counters.expired = 3);
    commit_dead(&pipe, 50, |_| ());
    ledger.remove_letters("app", &[50]).unwrap();
    let mut again = batch(&[1020], 60, NOW_MS);
    let replayed = Replayed { letter: Some(20), recorded_ms: Some(NOW_MS), ..Replayed::default() };
    again.replay = Some(Box::new(Replay { id: "r".into(), events: vec![replayed] }));
    let number = pipe.next_batch();
    pipe.reserve(number, &mut again).unwrap();
    let mut replay = settlement(number, &again, Vec::new());
    replay.letters = vec![LetterChange::Remove { id: 20 }];
    pipe.commit(&replay).wait().unwrap();
    drop(pipe);
    ledger.close().unwrap();
}

#[test]
fn a_ledger_with_letters_is_read_and_goes_on() {
    let folder = folder_with_letters();
    if std::env::var_os("DEDUP_WRITE_FIXTURE").is_some() {
        write_with_letters(&folder);
    }
    let state = read_only(&RealDisk::new(), &folder).unwrap();
    let letters = &state.pipes[0].letters;
    assert_eq!(letters.keys().copied().collect::<Vec<_>>(), [10, 40]);
    let key = |key, body_hash| LetterKey { scope: 0, key, window_ms: 600_000, body_hash };
    let expected = |number: u64, deterministic_under, superseded| Letter {
        received_ms: NOW_MS,
        recorded_ms: NOW_MS,
        key: Some(key(1000 + u128::from(number), 1000 + number)),
        deterministic_under,
        sinks: vec![1],
        superseded,
    };
    assert_eq!(letters[&10], expected(10, None, true));
    assert_eq!(letters[&40], expected(40, Some(99), false));
    let names: Vec<_> = state.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["source of app", "replay:app"]);
    assert_eq!(state.sources[0].expired, 3);
    let imbalance = state.imbalance();
    assert_eq!((imbalance.len(), imbalance[0].batch), (1, BatchNumber(2)));

    let dir = tempfile::tempdir().unwrap();
    copy(&folder, dir.path());
    let ledger = open_for_letters(dir.path());
    let pipe = app(&ledger).unwrap();
    assert_eq!(pipe.letters(), *letters);
    let fates = probe(&pipe, &[1010, 1020, 1040, 1050], NOW_MS);
    assert_eq!(fates, [Fate::Duplicate, Fate::Duplicate, Fate::Duplicate, Fate::Deliver]);
    ledger.checkpoint().unwrap();
    ledger.close().unwrap();
}

/// The records of a folder's journal, and its key runs.
fn bytes(dir: &Path) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut records = Vec::new();
    let journal = dir.join("ledger/journal");
    journal::read_only(&RealDisk::new(), &journal, &mut |_, bytes| {
        records.push(bytes.to_vec());
        Ok(())
    })
    .unwrap();
    (records, std::fs::read(dir.join("ledger/runs/1-0.run")).unwrap())
}

/// The same ledger as [`folder_with_letters`], its key run of format 2.
fn folder_with_run_2() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1-run2")
}

#[test]
fn a_ledger_with_key_runs_of_both_formats_goes_on() {
    for folder in [folder_with_letters(), folder_with_run_2()] {
        let dir = tempfile::tempdir().unwrap();
        copy(&folder, dir.path());
        let version = bytes(dir.path()).1[8];
        let ledger = open_for_letters(dir.path());
        let pipe = app(&ledger).unwrap();
        assert_eq!(probe(&pipe, &[2000, 2001], NOW_MS), [Fate::Duplicate, Fate::Deliver]);
        // A checkpoint for each batch, until runs of both formats are merged.
        for i in 0..4 {
            let first = 5000 + 10 * i;
            let keys: Vec<u128> = (first..first + 8).collect();
            send(&pipe, &keys, first as u64, NOW_MS).unwrap();
            ledger.checkpoint().unwrap();
        }
        drop(pipe);
        ledger.close().unwrap();
        drop(ledger);
        let ledger = open_for_letters(dir.path());
        assert!(ledger.state().runs.iter().all(|run| run.name != "1-0.run"), "version {version}");
        let pipe = app(&ledger).unwrap();
        let fates = probe(&pipe, &[2000, 5000, 5033, 6000], NOW_MS);
        assert_eq!(fates[..3], [Fate::Duplicate; 3], "version {version}");
        assert_eq!(fates[3], Fate::Deliver);
    }
}

#[test]
fn what_is_written_today_is_the_frozen_ledger_byte_for_byte() {
    if std::env::var("DEDUP_WRITE_FIXTURE").is_ok_and(|what| what == "run2") {
        write_with_letters(&folder_with_run_2());
    }
    let dir = tempfile::tempdir().unwrap();
    write_with_letters(dir.path());
    let ((records, run), (frozen, frozen_run)) = (bytes(dir.path()), bytes(&folder_with_run_2()));
    assert_eq!((records.len(), &run), (frozen.len(), &frozen_run));
    for (number, (written, frozen)) in records.iter().zip(&frozen).enumerate() {
        assert_eq!(written, frozen, "record {number}");
    }
    assert!(records.len() >= 9);
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}
