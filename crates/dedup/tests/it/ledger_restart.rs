//! What a restart brings back, without any crash.

use dedup::ledger::{LedgerError, read_only};
use dedup::scope::DedupClock;
use event::sink::{StagedFile, StagedOutput};
use event::{BatchNumber, Fate, Outcome};
use journal::SimDisk;

use crate::ledger_kit::*;

#[test]
fn keys_positions_counters_and_marks_come_back() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    assert_eq!(
        send(&pipe, &[1, 2, 1], 0, NOW_MS).unwrap(),
        [Fate::Deliver, Fate::Deliver, Fate::Duplicate]
    );
    assert_eq!(send(&pipe, &[2, 3], 3, NOW_MS).unwrap(), [Fate::Duplicate, Fate::Deliver]);
    let before = ledger.state();
    let secret = pipe.scope_secret().unwrap();
    drop(pipe);
    ledger.close().unwrap();
    drop(ledger);

    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    assert_eq!(ledger.id(), before.ledger_id);
    assert_eq!(ledger.epoch().0, 2);
    assert_eq!(pipe.scope_secret().unwrap(), secret);
    assert_eq!(pipe.next_batch(), BatchNumber(3));
    let shard = pipe.source_state()["shard"].clone();
    assert_eq!((shard.settled_through, shard.settled_beyond.len()), (5.into(), 0));
    assert_eq!(shard.mark, Some((5.into(), b"mark 5".to_vec())));
    assert_eq!(
        probe(&pipe, &[1, 2, 3, 4], NOW_MS),
        [Fate::Duplicate, Fate::Duplicate, Fate::Duplicate, Fate::Deliver]
    );
    let state = ledger.state();
    assert_eq!(outcome(&state, Outcome::Delivered), 3);
    assert_eq!(outcome(&state, Outcome::Duplicate), 2);
    assert_eq!(state.pipes[0].invocations, 2);
    assert_eq!(state.pipes[0].types["app"], [3, 2, 0, 0, 0, 0]);
    assert_balanced(&state);
}

#[test]
fn a_pipe_without_dedup_delivers_all_and_remembers_no_key() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let mut declared = declaration("app", "app", DedupClock::Received);
    declared.scope = None;
    let pipe = ledger.pipe(declared).unwrap();
    assert_eq!(send(&pipe, &[1, 1], 0, NOW_MS).unwrap(), [Fate::Deliver, Fate::Deliver]);
    ledger.checkpoint().unwrap();
    assert!(ledger.state().runs.is_empty() && ledger.state().scopes.is_empty());
}

#[test]
fn an_event_without_window_is_delivered_and_not_remembered() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    let mut batch = batch(&[5], 0, NOW_MS);
    batch.events[0].window_ms = -1;
    pipe.reserve(BatchNumber(1), &mut batch).unwrap();
    pipe.commit(&settlement(BatchNumber(1), &batch, Vec::new())).wait().unwrap();
    assert_eq!(ledger.state().scopes[0].keys_committed, 0);
    assert_eq!(probe(&pipe, &[5], NOW_MS), [Fate::Deliver]);
}

#[test]
fn keys_in_runs_are_remembered_across_restarts_as_long_as_their_window_lasts() {
    let disk = SimDisk::new(1);
    let keys: Vec<u128> = (0..1000).collect();
    {
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        for (i, keys) in keys.chunks(100).enumerate() {
            send(&pipe, keys, i as u64 * 100, NOW_MS).unwrap();
            if i % 2 == 1 {
                ledger.checkpoint().unwrap();
            }
        }
        let state = ledger.state();
        assert!(!state.runs.is_empty() && state.runs.len() <= 3, "{:?}", state.runs);
        assert_eq!(state.runs.iter().map(|run| run.count).sum::<u64>(), 1000);
    }
    let ledger = open_at(&disk, NOW_MS + 1).unwrap();
    let pipe = app(&ledger).unwrap();
    assert!(probe(&pipe, &keys, NOW_MS + 599_999).iter().all(|fate| *fate == Fate::Duplicate));
    assert!(probe(&pipe, &keys, NOW_MS + 600_000).iter().all(|fate| *fate == Fate::Deliver));
}

#[test]
fn the_journal_stays_small_under_checkpoints() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    for i in 0..60_u64 {
        let keys: Vec<u128> = (0..50).map(|k| u128::from(i * 50 + k)).collect();
        send(&pipe, &keys, i * 50, NOW_MS).unwrap();
        ledger.checkpoint().unwrap();
    }
    let journal: Vec<_> = disk
        .files()
        .into_iter()
        .filter(|(path, _)| path.starts_with("/data/ledger/journal"))
        .collect();
    assert!(journal.len() <= 4, "{journal:?}");
}

#[test]
fn expired_runs_are_forgotten_and_their_files_deleted() {
    let disk = SimDisk::new(1);
    let clock = event::TestClock::new(NOW_MS);
    let ledger = open_with(&disk, &clock, options()).unwrap();
    let pipe = app(&ledger).unwrap();
    send(&pipe, &[1, 2, 3], 0, NOW_MS).unwrap();
    ledger.checkpoint().unwrap();
    let first: Vec<String> = ledger.state().runs.iter().map(|run| run.name.clone()).collect();
    assert_eq!(first.len(), 1);
    clock.advance(2 * HOUR_MS);
    send(&pipe, &[4], 3, event::Clock::now_ms(&clock)).unwrap();
    ledger.checkpoint().unwrap();
    let state = ledger.state();
    assert_eq!(state.runs.iter().map(|run| run.count).sum::<u64>(), 1, "{:?}", state.runs);
    let gone = format!("/data/ledger/runs/{}", first[0]);
    assert!(disk.files().iter().all(|(path, _)| path.to_str() != Some(&gone)));
    assert_eq!(
        probe(&pipe, &[1, 4], event::Clock::now_ms(&clock)),
        [Fate::Deliver, Fate::Duplicate]
    );
}

#[test]
fn what_was_published_is_recorded_with_the_next_record_or_at_close() {
    let disk = SimDisk::new(1);
    let output = |name: &str, len, finished| StagedOutput {
        files: vec![StagedFile { name: name.into(), base_len: 0, len, finished }],
        note: b"note".to_vec(),
    };
    {
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        pipe.record_opened("out", output("a", 0, false)).unwrap();
        assert_eq!(pipe.sink_state("out").files["a"].len, 0);
        for (number, finished) in [(1, false), (2, true)] {
            let mut events = batch(&[number.into()], number - 1, NOW_MS);
            let number = BatchNumber(number);
            pipe.reserve(number, &mut events).unwrap();
            let staged = vec![(0, output("a", 8 * number.0, finished))];
            pipe.commit(&settlement(number, &events, staged)).wait().unwrap();
            pipe.published("out", BatchNumber(1));
        }
        let sink = pipe.sink_state("out");
        assert_eq!(sink.published_through, BatchNumber(1), "went along with batch 2");
        assert_eq!(sink.unpublished, [(BatchNumber(2), output("a", 16, true))]);
        assert!(sink.files["a"].finished);
        assert_eq!(pipe.sink_state("rejected"), Default::default());
        pipe.published("out", BatchNumber(2));
        ledger.close().unwrap();
    }
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    let sink = pipe.sink_state("out");
    assert_eq!(sink.published_through, BatchNumber(2), "went along with the close");
    assert!(sink.unpublished.is_empty() && sink.files.is_empty(), "{sink:?}");
}

#[test]
fn what_is_published_and_not_recorded_is_published_again() {
    let disk = SimDisk::new(1);
    {
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        let mut events = batch(&[1], 0, NOW_MS);
        pipe.reserve(BatchNumber(1), &mut events).unwrap();
        let staged = vec![(0, StagedOutput { files: Vec::new(), note: b"n".to_vec() })];
        pipe.commit(&settlement(BatchNumber(1), &events, staged)).wait().unwrap();
        pipe.published("out", BatchNumber(1));
    }
    let ledger = open(&disk).unwrap();
    let sink = app(&ledger).unwrap().sink_state("out");
    assert_eq!(sink.unpublished.len(), 1);
}

#[test]
fn commits_after_close_fail() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    ledger.close().unwrap();
    ledger.close().unwrap();
    assert!(matches!(send(&pipe, &[1], 0, NOW_MS), Err(LedgerError::Closed)));
    assert!(matches!(ledger.checkpoint(), Err(LedgerError::Closed)));
}

#[test]
fn a_report_reads_without_the_lock_while_the_owner_writes() {
    let disk = SimDisk::new(1);
    assert!(matches!(read_only(&disk, std::path::Path::new(DIR)), Err(LedgerError::NoLedger(_))));
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    for i in 0..20 {
        send(&pipe, &[i], i as u64, NOW_MS).unwrap();
        if i % 6 == 5 {
            ledger.checkpoint().unwrap();
        }
        let ops = disk.ops();
        let mut read = read_only(&disk, std::path::Path::new(DIR)).unwrap();
        assert_eq!(disk.ops(), ops, "a reader changes nothing");
        let live = ledger.state();
        read.scopes[0].keys_live = live.scopes[0].keys_live;
        assert_eq!(read, live);
    }
}

#[test]
fn what_was_in_flight_is_returned_in_its_minute_and_parked_events_stay() {
    use dedup::ledger::{MinuteBucket, ParkedChange};
    let disk = SimDisk::new(1);
    let minute = MinuteBucket::of(NOW_MS);
    {
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        let mut events = batch(&[1, 2], 0, NOW_MS);
        pipe.reserve(BatchNumber(1), &mut events).unwrap();
        let mut settlement = settlement(BatchNumber(1), &events, Vec::new());
        settlement.parked = vec![ParkedChange::Add(Box::new(crate::ledger_records::parked(3)))];
        settlement.counters.minutes[0].1.received += 4;
        settlement.counters.in_flight = vec![(minute, 4)];
        pipe.commit(&settlement).wait().unwrap();
        assert_balanced(&ledger.state());
    }
    let ledger = open_at(&disk, NOW_MS + HOUR_MS).unwrap();
    let state = ledger.state();
    assert_eq!(outcome(&state, Outcome::Returned), 3);
    assert_eq!(state.sources[0].minutes[&minute].outcome(Outcome::Returned), 3);
    assert_eq!(state.sources[0].in_flight[&minute], 1, "the parked one");
    assert_balanced(&state);
}
