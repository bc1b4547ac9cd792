//! What a user may do to a data folder, and the named error that says what to do.

use std::path::Path;
use std::sync::Arc;

use dedup::ledger::{Ledger, LedgerError, LedgerOptions, read_only};
use dedup::scope::{DedupClock, LatePolicy};
use event::{Fate, TestClock};
use journal::{Disk, Journal, JournalConfig, RealDisk, SimDisk};

use crate::ledger_kit::*;

/// A ledger with 50 keys in a run and 10 in the journal, closed in order.
fn ledger() -> SimDisk {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    send(&pipe, &(0..50).collect::<Vec<_>>(), 0, NOW_MS).unwrap();
    ledger.checkpoint().unwrap();
    send(&pipe, &(50..60).collect::<Vec<_>>(), 50, NOW_MS).unwrap();
    drop(pipe);
    ledger.close().unwrap();
    disk
}

fn run_file(disk: &SimDisk) -> std::path::PathBuf {
    let runs = Path::new("/data/ledger/runs");
    disk.files().into_iter().map(|(path, _)| path).find(|path| path.starts_with(runs)).unwrap()
}

fn assert_says<T>(outcome: Result<T, LedgerError>, words: &[&str]) {
    let text = outcome.err().expect("an error").to_string();
    for word in words {
        assert!(text.contains(word), "{text:?} lacks {word:?}");
    }
}

#[test]
fn a_folder_of_a_newer_version_names_the_program_that_wrote_it() {
    let disk = ledger();
    let journal = Journal::open(
        Arc::new(disk.clone()),
        Path::new("/data/ledger/journal"),
        JournalConfig::default(),
        &mut |_, _| Ok(()),
    );
    let journal = journal.unwrap();
    journal.append(vec![2, 1, 5, b'9', b'.', b'4', b'.', b'2', 77]).unwrap();
    journal.close().unwrap();
    let before = disk.ops();
    assert_says(open(&disk), &["format 2", "up to 1", "onceflow 9.4.2", "/data/ledger"]);
    assert_eq!(disk.ops(), before, "nothing was changed");
    assert_says(read_only(&disk, Path::new(DIR)), &["onceflow 9.4.2"]);
}

#[test]
fn a_flipped_bit_in_the_journal_is_named_with_its_place() {
    let disk = ledger();
    let journal = Path::new("/data/ledger/journal");
    let (file, _) = disk.files().into_iter().find(|(path, _)| path.starts_with(journal)).unwrap();
    assert!(disk.flip_bit(&file, 200));
    let outcome = open(&disk);
    assert!(matches!(outcome, Err(LedgerError::Journal(_))));
    assert_says(outcome, &["corrupt at byte", file.to_str().unwrap(), "Restore"]);
}

#[test]
fn a_flipped_bit_in_a_key_run_is_named_and_no_event_of_its_batch_decided() {
    let disk = ledger();
    let file = run_file(&disk);
    assert!(disk.flip_bit(&file, 300));
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    let decided = try_probe(&pipe, &(0..61).collect::<Vec<_>>(), NOW_MS);
    assert_says(decided, &["damaged at byte", file.to_str().unwrap(), "Restore"]);
}

#[test]
fn a_listed_run_that_is_missing_or_cut_is_corruption() {
    let disk = ledger();
    let file = run_file(&disk);
    let cut = disk.after_process_kill();
    cut.open(&file).unwrap().set_len(100).unwrap();
    assert_says(open(&cut), &["damaged", file.to_str().unwrap(), "100 bytes"]);
    disk.unlink(&file).unwrap();
    assert_says(open(&disk), &["missing", file.to_str().unwrap(), "Restore"]);
}

#[test]
fn an_unlisted_run_is_removed() {
    let disk = ledger();
    let stray = Path::new("/data/ledger/runs/9-9.run");
    disk.create_new(stray).unwrap();
    let other = Path::new("/data/ledger/runs/notes.txt");
    disk.create_new(other).unwrap();
    let ledger = open(&disk).unwrap();
    assert!(disk.stat(stray).unwrap().is_none());
    assert!(disk.stat(other).unwrap().is_some(), "what isn't ours stays");
    let pipe = app(&ledger).unwrap();
    assert!(probe(&pipe, &[0, 49, 59], NOW_MS).iter().all(|fate| *fate == Fate::Duplicate));
}

#[test]
fn key_runs_without_their_journal_are_corruption_and_no_new_ledger() {
    let disk = ledger();
    for (file, _) in disk.files() {
        if file.starts_with("/data/ledger/journal") {
            disk.unlink(&file).unwrap();
        }
    }
    assert_says(open(&disk), &["/data/ledger/journal", "key runs"]);
}

#[test]
fn the_wall_clock_set_back_an_hour_is_refused() {
    let disk = ledger();
    let at = |now_ms| app(&open_at(&disk, now_ms).unwrap());
    assert_says(at(NOW_MS - HOUR_MS), &["1 h 0 min", "scope app", "Set the machine's clock"]);
    assert_says(at(NOW_MS - 300_001), &["wall clock"]);
    at(NOW_MS - 300_000).unwrap();
}

#[test]
fn the_wall_clock_does_not_matter_where_events_bring_their_time() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let pipe = ledger.pipe(declaration("app", "app", DedupClock::Event)).unwrap();
    send(&pipe, &[1], 0, NOW_MS).unwrap();
    drop((pipe, ledger));
    let ledger = open_at(&disk, NOW_MS - HOUR_MS).unwrap();
    ledger.pipe(declaration("app", "app", DedupClock::Event)).unwrap();
}

#[test]
fn recorded_time_never_runs_backwards_over_a_restart() {
    let disk = ledger();
    let clock = TestClock::new(NOW_MS - 200_000);
    let ledger = open_with(&disk, &clock, options()).unwrap();
    let pipe = app(&ledger).unwrap();
    let mut events = batch(&[1000], 60, NOW_MS - 200_000);
    pipe.reserve(pipe.next_batch(), &mut events).unwrap();
    assert_eq!(events.events[0].recorded_ms, NOW_MS);
}

#[test]
fn recorded_time_is_remembered_where_only_duplicates_came_later() {
    let disk = ledger();
    {
        let clock = TestClock::new(NOW_MS + 100_000);
        let ledger = open_with(&disk, &clock, options()).unwrap();
        let pipe = app(&ledger).unwrap();
        assert_eq!(send(&pipe, &[1], 60, NOW_MS + 100_000).unwrap(), [Fate::Duplicate]);
        ledger.checkpoint().unwrap();
    }
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    let mut events = batch(&[1000], 61, NOW_MS);
    pipe.reserve(pipe.next_batch(), &mut events).unwrap();
    assert_eq!(events.events[0].recorded_ms, NOW_MS + 100_000);
}

#[test]
fn another_key_definition_is_refused_by_name_with_the_way_out() {
    let disk = ledger();
    let ledger = open(&disk).unwrap();
    let mut wanted = declaration("app", "app", DedupClock::Received);
    wanted.scope.as_mut().unwrap().fields = 2;
    let words = ["scope app", "1 field and the type", "2 fields and the type", "dedup.scope"];
    assert_says(ledger.pipe(wanted), &words);
    let mut wanted = declaration("app", "app", DedupClock::Received);
    wanted.scope.as_mut().unwrap().across_types = true;
    assert_says(ledger.pipe(wanted), &["across types"]);
    app(&ledger).unwrap();
}

#[test]
fn pipes_of_a_scope_must_agree_about_its_clock() {
    let disk = ledger();
    let ledger = open(&disk).unwrap();
    let _app = app(&ledger).unwrap();
    assert_says(
        ledger.pipe(declaration("other", "app", DedupClock::Event)),
        &["pipe other", "scope app", "dedup.clock"],
    );
    let mut late = declaration("other", "app", DedupClock::Received);
    late.scope.as_mut().unwrap().options.late = LatePolicy::Pass;
    assert_says(ledger.pipe(late), &["pipe other", "late"]);
    ledger.pipe(declaration("other", "app", DedupClock::Received)).unwrap();
}

#[test]
fn a_pipe_runs_once_at_a_time_and_its_sinks_have_different_names() {
    let disk = ledger();
    let ledger = open(&disk).unwrap();
    let _app = app(&ledger).unwrap();
    assert_says(app(&ledger), &["pipe app", "running already"]);
    let mut twice = declaration("other", "other", DedupClock::Received);
    twice.sinks = vec!["a".into(), "b".into(), "a".into()];
    assert_says(ledger.pipe(twice), &["pipe other", "two sinks", "a"]);
}

#[test]
fn a_folder_that_a_living_process_has_is_refused_with_its_number() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let clock = Arc::new(TestClock::new(NOW_MS));
        Ledger::open(Arc::new(RealDisk::new()), dir.path(), LedgerOptions::default(), clock)
    };
    let first = open().unwrap();
    let process = format!("process {}", std::process::id());
    assert_says(open(), &["in use", &process, "--data-dir"]);
    read_only(&RealDisk::new(), dir.path()).unwrap();
    first.close().unwrap();
    drop(first);
    assert_eq!(open().unwrap().epoch().0, 2);
}

#[test]
fn a_data_folder_that_is_no_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::File::options().create_new(true).write(true).open(&file).unwrap();
    let clock = Arc::new(TestClock::new(NOW_MS));
    let outcome = Ledger::open(
        Arc::new(RealDisk::new()),
        &file.join("data"),
        LedgerOptions::default(),
        clock,
    );
    assert_says(outcome, &["file/data"]);
}

#[test]
fn every_flipped_bit_of_a_ledger_is_named_or_changes_nothing() {
    let sound = ledger();
    let files = sound.files();
    let expected = {
        let disk = sound.after_process_kill();
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        probe(&pipe, &(0..61).collect::<Vec<_>>(), NOW_MS)
    };
    let mut named = 0;
    for (path, len) in files {
        for offset in (0..len).step_by(37) {
            let disk = sound.after_process_kill();
            disk.flip_bit(&path, offset);
            let found = open(&disk).and_then(|ledger| {
                let pipe = app(&ledger)?;
                try_probe(&pipe, &(0..61).collect::<Vec<_>>(), NOW_MS)
            });
            match found {
                Ok(found) => assert_eq!(found, expected, "{} byte {offset}", path.display()),
                Err(LedgerError::Journal(_) | LedgerError::Damaged(_)) => named += 1,
                Err(other) => panic!("{} byte {offset}: {other}", path.display()),
            }
        }
    }
    assert!(named > 50, "only {named} were named");
}
