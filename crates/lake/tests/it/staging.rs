//! The staging sink without crashes: folders, names, limits, refusals, full disks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::sink::{Rows, Sink, SinkError, SinkIdentity, SinkState};
use event::{BatchNumber, LedgerId, TestClock};
use journal::{Disk, Fault, SimDisk};
use lake::{By, StagingOptions, StagingSink};

use crate::fake_ledger::{FakeLedger, Step, TestEvent, batch, event, identity, open, run};

const START: i64 = 1_762_164_000_000; // 2025-11-03T10:00:00Z
const MINUTE: i64 = 60_000;

fn options(by: By) -> StagingOptions {
    StagingOptions { by, ..StagingOptions::new(PathBuf::from("/lake")) }
}

fn sink(disk: &SimDisk, options: StagingOptions, identity: SinkIdentity) -> StagingSink {
    let clock = Arc::new(TestClock::new(START));
    StagingSink::new(options, identity, Arc::new(disk.clone()), clock)
}

fn make(options: StagingOptions) -> impl Fn(Arc<dyn Disk>, SinkIdentity) -> Box<dyn Sink> {
    move |disk, identity| {
        let clock = Arc::new(TestClock::new(START));
        Box::new(StagingSink::new(options.clone(), identity, disk, clock))
    }
}

fn minutes(first_id: u64, minutes: &[i64]) -> Vec<TestEvent> {
    let one =
        |(i, minute): (usize, &i64)| event(first_id + i as u64, START, START + minute * MINUTE);
    minutes.iter().enumerate().map(one).collect()
}

/// Rows of the finished files by folder, files in order of their names.
fn finished(disk: &SimDisk) -> BTreeMap<String, String> {
    let mut rows: BTreeMap<String, String> = BTreeMap::new();
    for (path, _) in disk.files() {
        if path.extension().is_some_and(|ending| ending == "ndjson") {
            let folder = path.parent().unwrap().strip_prefix("/lake").unwrap();
            let text = String::from_utf8(disk.read_file(&path).unwrap()).unwrap();
            *rows.entry(folder.display().to_string()).or_default() += &text;
        }
    }
    rows
}

fn ids(rows: &str) -> Vec<u64> {
    let id = |row: &str| row[6..].split(',').next().unwrap().parse().unwrap();
    rows.lines().map(id).collect()
}

fn count(disk: &SimDisk, ending: &str) -> usize {
    disk.files().iter().filter(|(path, _)| path.to_str().unwrap().ends_with(ending)).count()
}

#[test]
fn rows_go_to_the_folder_of_their_minute() {
    let disk = SimDisk::new(1);
    let mut ledger = FakeLedger::new();
    let mut events = minutes(1, &[0, 61, 0, 24 * 60]);
    events.push(event(5, START + 3 * MINUTE, i64::MIN));
    events.push(event(6, START + 3 * MINUTE, i64::MAX));
    events.push(event(7, START + 3 * MINUTE, -1));
    let steps = [Step::Stage(events), Step::Finish { now_ms: START, all: true }];
    run(&disk, &mut ledger, &make(options(By::EventTime)), &steps).unwrap();
    let by_folder: Vec<(String, Vec<u64>)> =
        finished(&disk).iter().map(|(folder, rows)| (folder.clone(), ids(rows))).collect();
    let expected = [
        ("year=2025/month=11/day=03/hour=10/minute=00", vec![1, 3]),
        ("year=2025/month=11/day=03/hour=10/minute=03", vec![5, 6, 7]),
        ("year=2025/month=11/day=03/hour=11/minute=01", vec![2]),
        ("year=2025/month=11/day=04/hour=10/minute=00", vec![4]),
    ];
    assert_eq!(by_folder, expected.map(|(folder, ids)| (folder.to_owned(), ids)));
    assert_eq!(count(&disk, ".open"), 0);
    assert_eq!(
        disk.files().iter().filter(|(path, _)| path.starts_with("/lake/_onceflow/open")).count(),
        0
    );
}

#[test]
fn p6_no_more_files_are_open_than_allowed_even_within_one_batch() {
    let disk = SimDisk::new(1);
    let mut ledger = FakeLedger::new();
    let options = StagingOptions { staging_files_open_max: 3, ..options(By::EventTime) };
    let all: Vec<i64> = (0..200).map(|i| i * 7 % 100).collect();
    let steps = [
        Step::Stage(minutes(1, &[1, 2, 3])),
        Step::Stage(minutes(10, &all)),
        Step::Stage(minutes(300, &[99, 98, 5, 1])),
    ];
    run(&disk, &mut ledger, &make(options.clone()), &steps[..2]).unwrap();
    assert_eq!(count(&disk, ".ndjson.open"), 3);
    run(&disk, &mut ledger, &make(options), &steps).unwrap();
    assert_eq!(count(&disk, ".ndjson.open"), 3);
    let unfinished = ledger.state.files.iter().filter(|(_, file)| !file.finished).count();
    assert_eq!(unfinished, 6, "three files with their sidecars");
}

#[test]
fn a_file_is_finished_when_its_time_is_over_or_when_it_is_large() {
    let disk = SimDisk::new(1);
    let options = StagingOptions { staging_file_bytes_max: 200, ..options(By::Arrival) };
    let mut sink = sink(&disk, options, identity(1));
    sink.open(&SinkState::default()).unwrap();
    let stage = |sink: &mut StagingSink, number, events: &[TestEvent], now_ms| {
        let batch = batch(events);
        let all: Vec<u32> = (0..events.len() as u32).collect();
        let rows = Rows { batch: &batch, number: BatchNumber(number), events: &all, now_ms };
        sink.stage(&rows).unwrap().output.files
    };
    let one = stage(&mut sink, 1, &minutes(1, &[0]), START);
    assert!(one.len() == 2 && !one[0].finished);
    let large = stage(&mut sink, 2, &minutes(10, &[0; 9]), START);
    assert!(large[0].finished && large[0].base_len == one[0].len && large[0].len > 200);
    let next = stage(&mut sink, 3, &minutes(20, &[0]), START);
    assert!(next[0].base_len == 0 && next[0].name != large[0].name);
    let early = sink.finish(BatchNumber(4), START + MINUTE - 1, false).unwrap();
    assert!(early.output.is_empty());
    let over = sink.finish(BatchNumber(4), START + MINUTE, false).unwrap().output.files;
    assert!(over.len() == 2 && over[0].finished && over[0].name == next[0].name);
    assert_eq!((over[0].base_len, over[0].len), (next[0].len, next[0].len));
    // A late batch of a minute that is over gets a file of its own, finished at once.
    let late = stage(&mut sink, 5, &minutes(30, &[0]), START + 2 * MINUTE);
    assert!(late[0].finished && late[0].name != over[0].name);
}

#[test]
fn a_lake_of_another_ledger_or_secret_is_refused_with_the_way_out() {
    let disk = SimDisk::new(1);
    sink(&disk, options(By::Arrival), identity(1)).open(&SinkState::default()).unwrap();
    let text = disk.read_file(Path::new("/lake/_onceflow/lake.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(json["ledger"], "0000000000000000000000000000feed");
    assert_eq!(json["scopes"]["my-pipe"]["secret"], "07070707070707070707070707070707");

    let refusal = |identity: SinkIdentity| {
        let opened = sink(&disk, options(By::Arrival), identity).open(&SinkState::default());
        let Err(SinkError::Foreign { what, help }) = opened else { panic!("{opened:?}") };
        assert!(help.contains("give the sink another folder"), "{help}");
        what
    };
    let other = SinkIdentity { ledger_id: LedgerId(5), ..identity(1) };
    assert!(refusal(other).contains("belongs to ledger"));
    let mut other = identity(1);
    other.scope.as_mut().unwrap().secret = [8; 16];
    assert!(refusal(other).contains("another secret"));
    // Nothing of that changed the lake.
    assert_eq!(disk.read_file(Path::new("/lake/_onceflow/lake.json")).unwrap(), text);
    let mut second = identity(1);
    second.scope.as_mut().unwrap().scope = "other".into();
    sink(&disk, options(By::Arrival), second).open(&SinkState::default()).unwrap();
    let text = disk.read_file(Path::new("/lake/_onceflow/lake.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert!(json["scopes"]["my-pipe"].is_object() && json["scopes"]["other"].is_object());

    let file = disk.open(Path::new("/lake/_onceflow/lake.json")).unwrap();
    file.set_len(0).unwrap();
    file.write_at(0, br#"{"format": 2, "new": 1}"#).unwrap();
    assert!(refusal(identity(1)).contains("format 2"));
}

#[test]
fn pipes_and_ledgers_leave_each_others_unfinished_files_alone() {
    let disk = SimDisk::new(1);
    let mut files = BTreeSet::new();
    for (pipe, name) in [("a", "b"), ("a-b", "c"), ("a", "b2")] {
        let identity = SinkIdentity { pipe: pipe.into(), sink: name.into(), ..identity(1) };
        let mut sink = sink(&disk, options(By::Arrival), identity);
        sink.open(&SinkState::default()).unwrap();
        let batch = batch(&minutes(1, &[0]));
        let rows = Rows { batch: &batch, number: BatchNumber(1), events: &[0], now_ms: START };
        files.extend(sink.stage(&rows).unwrap().output.files.into_iter().map(|file| file.name));
    }
    assert_eq!((files.len(), count(&disk, ".open")), (6, 6));
    // None of it was committed; each start removes its own only.
    for (left, (pipe, name)) in [(4, ("a", "b")), (2, ("a-b", "c")), (0, ("a", "b2"))] {
        let identity = SinkIdentity { pipe: pipe.into(), sink: name.into(), ..identity(2) };
        sink(&disk, options(By::Arrival), identity).open(&SinkState::default()).unwrap();
        assert_eq!(count(&disk, ".open"), left);
    }
}

#[test]
fn a_file_that_is_shorter_than_recorded_or_gone_stops_the_pipe_by_name() {
    for change in ["cut", "gone"] {
        for ending in [".ndjson.open", ".keys.open"] {
            let disk = SimDisk::new(1);
            let mut ledger = FakeLedger::new();
            let make = make(options(By::Arrival));
            run(&disk, &mut ledger, &make, &[Step::Stage(minutes(1, &[0, 0]))]).unwrap();
            let (path, len) = disk
                .files()
                .into_iter()
                .find(|(path, _)| path.to_str().unwrap().ends_with(ending))
                .unwrap();
            match change {
                "cut" => disk.open(&path).unwrap().set_len(len - 1).unwrap(),
                _ => disk.unlink(&path).unwrap(),
            }
            let Err(SinkError::Foreign { what, .. }) = open(&disk, &mut ledger, &make).map(drop)
            else {
                panic!("{change} {ending} was not noticed")
            };
            assert!(what.contains(path.to_str().unwrap()) && what.contains(&len.to_string()));
        }
    }
}

#[test]
fn names_are_never_used_again() {
    let disk = SimDisk::new(1);
    let mut ledger = FakeLedger::new();
    let make = make(StagingOptions { staging_files_open_max: 2, ..options(By::EventTime) });
    let mut names = BTreeMap::new();
    for round in 0..20_u64 {
        // A start, a batch that is committed, and one that is not.
        let committed = ledger.done;
        let steps: Vec<Step> =
            (0..=committed).map(|i| Step::Stage(minutes(i as u64 * 10, &[1, 2, 3]))).collect();
        run(&disk, &mut ledger, &make, &steps).unwrap();
        let mut sink = open(&disk, &mut ledger, &make).unwrap();
        let batch = batch(&minutes(1000 + round, &[5, 6]));
        let number = BatchNumber(committed as u64 + 2);
        let rows = Rows { batch: &batch, number, events: &[0, 1], now_ms: START };
        for file in sink.stage(&rows).unwrap().output.files {
            if file.base_len == 0 && file.len > 0 {
                assert_eq!(names.insert(file.name.clone(), round), None, "{}", file.name);
            }
        }
    }
    assert!(names.len() >= 40);
}

/// Every write, create and mkdir of a run fails once for lack of space; the batch is tried again.
#[test]
fn p7_a_full_disk_takes_the_batch_back_and_trying_again_works() {
    let options = StagingOptions { staging_files_open_max: 2, ..options(By::EventTime) };
    let batches: Vec<Vec<TestEvent>> = [&[1, 2][..], &[1, 3, 2, 1], &[4, 1, 5, 2, 6], &[1, 6]]
        .iter()
        .enumerate()
        .map(|(i, m)| minutes(1 + 10 * i as u64, m))
        .collect();
    let mut refused = 0;
    for op in 0.. {
        let disk = SimDisk::new(op);
        let mut sink = sink(&disk, options.clone(), identity(1));
        sink.open(&SinkState::default()).unwrap();
        let failing = disk.ops() + op;
        disk.fail_at(failing, Fault::NoSpace);
        let mut publisher = sink.publisher();
        let mut stopped = false;
        for (index, events) in batches.iter().enumerate() {
            let batch = batch(events);
            let all: Vec<u32> = (0..events.len() as u32).collect();
            let number = BatchNumber(index as u64 + 1);
            let rows = Rows { batch: &batch, number, events: &all, now_ms: START };
            let lens = |disk: &SimDisk| -> BTreeMap<PathBuf, u64> {
                let data = |(path, _): &(PathBuf, u64)| !path.starts_with("/lake/_onceflow");
                disk.files().into_iter().filter(data).collect()
            };
            let before = lens(&disk);
            let staged = match sink.stage(&rows) {
                Err(SinkError::NoSpace { .. }) => {
                    refused += 1;
                    assert_eq!(lens(&disk), before, "operation {op}: all of it is taken back");
                    sink.stage(&rows).unwrap()
                }
                // A failed sync is no lack of space that one could wait for.
                Err(SinkError::Io { action: "sync", .. }) => {
                    stopped = true;
                    break;
                }
                staged => staged.unwrap(),
            };
            if staged.pending.into_iter().any(|pending| pending().is_err()) {
                stopped = true;
                break;
            }
            if publisher.publish(number, &staged.output).is_err() {
                stopped = true;
                break;
            }
        }
        if stopped {
            continue;
        }
        let staged = sink.finish(BatchNumber(9), START, true).unwrap();
        if publisher.publish(BatchNumber(9), &staged.output).is_err() {
            continue;
        }
        let mut found: Vec<u64> = finished(&disk).values().flat_map(|rows| ids(rows)).collect();
        found.sort_unstable();
        let mut expected: Vec<u64> = batches.iter().flatten().map(|event| event.id).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "operation {op}");
        if disk.ops() < failing {
            break;
        }
    }
    assert!(refused > 20, "{refused} operations answered that there is no space");
}

#[test]
fn an_event_that_is_too_long_for_memory_is_not_staged_empty() {
    #[derive(Debug)]
    struct Long;
    impl event::batch::Spilled for Long {
        fn len(&self) -> u64 {
            1 << 30
        }
        fn read_at(&self, _: u64, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(0)
        }
    }
    let disk = SimDisk::new(1);
    let mut sink = sink(&disk, options(By::Arrival), identity(1));
    sink.open(&SinkState::default()).unwrap();
    let mut batch = batch(&minutes(1, &[0, 0]));
    batch.spilled.push((1, Arc::new(Long)));
    let stage = |sink: &mut StagingSink, events: &[u32]| {
        sink.stage(&Rows { batch: &batch, number: BatchNumber(1), events, now_ms: START })
    };
    assert!(matches!(stage(&mut sink, &[0, 1]), Err(SinkError::Foreign { .. })));
    assert!(stage(&mut sink, &[0]).is_ok());
}

/// Frozen: a lake of format 1 must be taken up for ever.
#[test]
fn a_lake_of_format_1_is_taken_up() {
    let disk = SimDisk::new(1);
    disk.mkdir(Path::new("/lake")).unwrap();
    disk.mkdir(Path::new("/lake/_onceflow")).unwrap();
    let file = disk.create_new(Path::new("/lake/_onceflow/lake.json")).unwrap();
    let frozen = include_bytes!("../fixtures/lake-v1.json");
    file.write_at(0, frozen).unwrap();
    sink(&disk, options(By::Arrival), identity(1)).open(&SinkState::default()).unwrap();
    let now = disk.read_file(Path::new("/lake/_onceflow/lake.json")).unwrap();
    assert_eq!(now, frozen, "nothing in it has changed");
}
