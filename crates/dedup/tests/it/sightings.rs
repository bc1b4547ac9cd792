//! Sightings: what duplicates came, kept in a bounded journal that nothing depends on.

use std::path::Path;
use std::sync::Arc;

use dedup::ledger::{Ledger, LedgerError, LedgerOptions, PipeLedger};
use dedup::sightings::{Reader, Sighting, SightingKind};
use event::batch::DuplicateOf;
use event::{BatchNumber, Fate, TestClock};
use journal::{Disk, RealDisk, SimDisk};

use crate::ledger_kit::{DIR, NOW_MS, app, batch, open, open_with, options, send, settlement};

/// All sightings of the folder, oldest first.
fn all(disk: &dyn Disk, dir: &Path) -> Vec<Sighting> {
    let mut found = Vec::new();
    let reader = Reader::open(disk, dir).unwrap();
    reader.for_each(disk, &mut |rows| found.extend(rows.unpack())).unwrap();
    found
}

fn sim_all(disk: &SimDisk) -> Vec<Sighting> {
    all(disk, Path::new(DIR))
}

fn keys(sightings: &[Sighting]) -> Vec<u128> {
    sightings.iter().map(|sighting| sighting.key).collect()
}

/// Commits a batch whose duplicates say what they are of.
fn send_with_originals(pipe: &PipeLedger, keys: &[u128], first: u64, original_ms: i64) {
    let number = pipe.next_batch();
    let mut batch = batch(keys, first, NOW_MS + 5);
    pipe.reserve(number, &mut batch).unwrap();
    let duplicate = |(index, _): (usize, _)| DuplicateOf {
        event: index as u32,
        recorded_ms: original_ms,
        other_body: index % 2 == 1,
        refreshes: false,
    };
    let events = batch.events.iter().enumerate();
    batch.duplicates =
        events.filter(|(_, event)| event.fate == Fate::Duplicate).map(duplicate).collect();
    pipe.commit(&settlement(number, &batch, Vec::new())).wait().unwrap();
}

#[test]
fn every_settled_duplicate_is_seen_with_its_place_and_its_original() {
    let disk = SimDisk::new(3);
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    pipe.name_types(|id| if id == 0 { "app:opened".into() } else { "?".into() });
    send(&pipe, &[1, 2, 3], 0, NOW_MS).unwrap();
    assert_eq!(sim_all(&disk), [], "originals are no sightings");
    send_with_originals(&pipe, &[2, 9, 3], 10, NOW_MS);
    let seen = sim_all(&disk);
    assert_eq!(keys(&seen), [2, 3]);
    let first = &seen[0];
    assert_eq!(first.kind, SightingKind::Duplicate);
    assert_eq!((&*first.pipe, first.scope.as_deref()), ("app", Some("app")));
    assert_eq!((&*first.source, &*first.event_type), ("source of app", "app:opened"));
    assert_eq!((&*first.shard, first.start, first.message), ("shard", 10.into(), false));
    assert_eq!((first.batch, first.body_hash), (BatchNumber(2), 2));
    assert_eq!((first.received_ms, first.recorded_ms), (NOW_MS + 5, NOW_MS + 5));
    assert_eq!((first.original_ms, first.other_body), (Some(NOW_MS), false));
    assert_eq!((seen[1].start, seen[1].other_body), (12.into(), false));
    assert_eq!(ledger.sightings_lost(), 0);
}

#[test]
fn a_batch_that_is_not_committed_is_not_seen() {
    let disk = SimDisk::new(3);
    let ledger = open(&disk).unwrap();
    let pipe = app(&ledger).unwrap();
    send(&pipe, &[1], 0, NOW_MS).unwrap();
    let mut twice = batch(&[1], 1, NOW_MS);
    pipe.reserve(pipe.next_batch(), &mut twice).unwrap();
    assert_eq!(twice.events[0].fate, Fate::Duplicate);
    assert_eq!(sim_all(&disk), []);
}

#[test]
fn the_oldest_make_room_and_that_is_said() {
    let disk = SimDisk::new(3);
    let small = LedgerOptions { sightings_bytes_max: 40 << 10, ..options() };
    let hundred: Vec<u128> = (1..=100).collect();
    let mut sent = 0;
    for life in 0..3 {
        let clock = TestClock::new(NOW_MS + life);
        let ledger = open_with(&disk, &clock, small.clone()).unwrap();
        let pipe = app(&ledger).unwrap();
        for round in 0..20 {
            let fates = send(&pipe, &hundred, 1000 * (life as u64 * 100 + round), NOW_MS).unwrap();
            sent += fates.iter().filter(|fate| **fate == Fate::Duplicate).count() as u64;
        }
        ledger.close().unwrap();
        let reader = Reader::open(&disk, Path::new(DIR)).unwrap();
        assert!(reader.bytes() <= 40 << 10, "{} bytes", reader.bytes());
        let left = sim_all(&disk);
        assert_eq!(left.len() as u64 + reader.dropped().rows, sent, "after life {life}");
        assert!(left.len() > 300, "{}", left.len());
        assert_eq!(left.last().unwrap().start, (1000 * (life as u64 * 100 + 19) + 99).into());
    }
    let dropped = Reader::open(&disk, Path::new(DIR)).unwrap().dropped();
    assert!(dropped.rows > 3_000 && dropped.through_ms == NOW_MS, "{dropped:?}");
}

#[test]
fn zero_bytes_switch_it_off() {
    let disk = SimDisk::new(3);
    let off = LedgerOptions { sightings_bytes_max: 0, ..options() };
    let ledger = open_with(&disk, &TestClock::new(NOW_MS), off).unwrap();
    let pipe = app(&ledger).unwrap();
    send(&pipe, &[1, 1, 1], 0, NOW_MS).unwrap();
    assert_eq!(sim_all(&disk), []);
    assert!(disk.stat(&Path::new(DIR).join("ledger/sightings")).unwrap().is_none());
}

/// Whatever a crash leaves: opening never fails for it, and what is read is what was written.
#[test]
fn a_crash_at_any_operation_leaves_whole_rows_or_none() {
    let run = |disk: &SimDisk| -> Result<(), LedgerError> {
        let ledger = open(disk)?;
        let pipe = app(&ledger)?;
        for round in 0..6 {
            send(&pipe, &[1, 2, 3, 4], round * 10, NOW_MS)?;
        }
        ledger.close()
    };
    let whole = SimDisk::new(3);
    run(&whole).unwrap();
    let expected = sim_all(&whole);
    assert_eq!(expected.len(), 20);
    let operations = whole.ops();
    assert!(operations > 30, "{operations}");
    for at in 0..operations {
        let disk = SimDisk::new(3);
        disk.crash_at(at);
        let _ = run(&disk);
        let mut left = vec![("process kill".to_owned(), disk.after_process_kill())];
        for seed in 0..4 {
            left.push((format!("power loss, seed {seed}"), disk.after_power_loss(seed)));
        }
        for (what, after) in left {
            let seen = sim_all(&after);
            let wrong = seen.iter().find(|sighting| !expected.contains(sighting));
            assert_eq!(wrong, None, "operation {at}, {what}");
            let ledger = open(&after).unwrap();
            let pipe = app(&ledger).unwrap();
            send(&pipe, &[77, 77], 900, NOW_MS).unwrap();
            let again = sim_all(&after);
            assert_eq!(again.len(), seen.len() + 1, "operation {at}, {what}");
            assert_eq!(again.last().unwrap().key, 77);
        }
    }
}

#[test]
fn what_fails_there_stops_no_pipe_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let clock = Arc::new(TestClock::new(NOW_MS));
    let ledger = Ledger::open(Arc::clone(&disk), dir.path(), options(), clock).unwrap();
    // A file where its folder should be.
    disk.create_new(&dir.path().join("ledger/sightings")).unwrap();
    let pipe = app(&ledger).unwrap();
    for round in 0..3 {
        send(&pipe, &[1, 1, 1], round * 10, NOW_MS).unwrap();
    }
    assert_eq!(ledger.sightings_lost(), 2 + 3 + 3);
    ledger.close().unwrap();
}

fn frozen() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sightings-v1")
}

/// Sightings of format 1, frozen: this test wrote them with `DEDUP_WRITE_FIXTURE=1`; never write
/// them again over old ones.
#[test]
fn sightings_of_format_1_are_read() {
    if std::env::var_os("DEDUP_WRITE_FIXTURE").is_some() && !frozen().exists() {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
        let clock = Arc::new(TestClock::new(NOW_MS));
        let made = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(disk, made.path(), options(), clock).unwrap();
        let pipe = app(&ledger).unwrap();
        pipe.name_types(|_| "app:opened".into());
        send(&pipe, &[1, 2, 3], 0, NOW_MS).unwrap();
        send_with_originals(&pipe, &[2, 9, 3], 10, NOW_MS);
        ledger.close().unwrap();
        let folder = frozen().join("ledger/sightings");
        std::fs::create_dir_all(&folder).unwrap();
        let name = "000000000001-00000000.seen";
        std::fs::copy(made.path().join("ledger/sightings").join(name), folder.join(name)).unwrap();
    }
    let seen = all(&RealDisk::new(), &frozen());
    assert_eq!(keys(&seen), [2, 3]);
    let last = &seen[1];
    assert_eq!((&*last.pipe, &*last.event_type, &*last.shard), ("app", "app:opened", "shard"));
    assert_eq!((last.batch, last.start, last.body_hash), (BatchNumber(2), 12.into(), 3));
    assert_eq!((last.recorded_ms, last.original_ms), (NOW_MS + 5, Some(NOW_MS)));
}
