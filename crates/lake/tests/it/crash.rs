//! The staging sink, crashed at every operation of the disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::sink::{Sink, SinkIdentity};
use event::{BatchNumber, Marks, TestClock};
use journal::{Disk, SimDisk};
use lake::{By, StagingOptions, StagingSink, sidecar};

use crate::fake_ledger::{FakeLedger, Step, Sweep, TestEvent, event};

const ROOT: &str = "/data/lake";
const MINUTE: i64 = 60_000;
const START: i64 = 1_762_164_000_000; // 2025-11-03T10:00:00Z

fn options(by: By) -> StagingOptions {
    StagingOptions {
        by,
        staging_files_open_max: 2,
        staging_file_bytes_max: 600,
        staging_open_minutes_max: 2,
        ..StagingOptions::new(PathBuf::from(ROOT))
    }
}

fn make(by: By) -> impl Fn(Arc<dyn Disk>, SinkIdentity) -> Box<dyn Sink> {
    move |disk, identity| {
        let clock = Arc::new(TestClock::new(START));
        Box::new(StagingSink::new(options(by), identity, disk, clock))
    }
}

/// The minute's folder that an event belongs to.
fn folder(event: &TestEvent, by: By) -> String {
    let ms =
        if by == By::EventTime && event.event_ms >= 0 { event.event_ms } else { event.received_ms };
    let minute = (ms - START) / MINUTE;
    format!("{ROOT}/year=2025/month=11/day=03/hour=10/minute={minute:02}")
}

/// Exactly the committed rows are in the lake, once, in order, each in its minute, and each file's
/// sidecar says the same. With `end`: all of it under final names.
fn check(disk: &SimDisk, ledger: &FakeLedger, by: By, end: bool) -> Result<(), String> {
    let mut expected: BTreeMap<u64, &TestEvent> = BTreeMap::new();
    expected.extend(ledger.committed.iter().map(|event| (event.id, event)));
    let mut lake_file = false;
    for (path, len) in disk.files() {
        let text = path.to_str().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap().to_str().unwrap();
        if text == format!("{ROOT}/_onceflow/lake.json") {
            lake_file = true;
            continue;
        }
        if folder.ends_with("_onceflow/open") || text.ends_with("lake.json.tmp") {
            continue;
        }
        let open = name.ends_with(".open");
        if end && open {
            return Err(format!("{text} is unfinished at the end"));
        }
        if let Some(stem) = name.trim_end_matches(".open").strip_suffix(".keys") {
            let rows =
                if open { format!("{stem}.ndjson.open") } else { format!("{}.ndjson", &stem[1..]) };
            if disk.read_file(&path.with_file_name(&rows)).is_none() {
                return Err(format!("{text} has no rows"));
            }
            continue;
        }
        let rows = disk.read_file(&path).unwrap();
        let stem =
            name.trim_end_matches(".open").trim_end_matches(".ndjson").trim_start_matches('_');
        let keys = format!("_{stem}.keys{}", if open { ".open" } else { "" });
        let keys =
            disk.read_file(&path.with_file_name(keys)).ok_or(format!("{text}: no sidecar"))?;
        let keys = sidecar::read(&keys).map_err(|error| format!("{text}: {error}"))?;
        let lines: Vec<&[u8]> = rows.split_inclusive(|byte| *byte == b'\n').collect();
        if keys.len() != lines.len() {
            return Err(format!("{text}: {} rows, {} in the sidecar", lines.len(), keys.len()));
        }
        let mut last = None;
        for (line, key) in lines.iter().zip(keys) {
            let id = (key.key >> 64) as u64;
            let event =
                expected.remove(&id).ok_or(format!("{text}: {id} is twice or uncommitted"))?;
            let same = line.strip_suffix(b"\n") == Some(event.payload.as_bytes())
                && key.recorded_ms == event.received_ms
                && key.window_ms == 300_000
                && key.marks == Marks(u8::from(id.is_multiple_of(3)))
                && key.batch > BatchNumber(0);
            if !same || folder != self::folder(event, by) || last >= Some(id) {
                return Err(format!("{text}: row of {id} is wrong, len {len}"));
            }
            last = Some(id);
        }
    }
    if ledger.opened > 0 && !lake_file {
        return Err("lake.json is gone".into());
    }
    if expected.is_empty() { Ok(()) } else { Err(format!("lost: {:?}", expected.keys())) }
}

fn steps() -> Vec<Step> {
    let at = |minute: i64| START + minute * MINUTE;
    let mut id = 0;
    let mut some = |received: i64, minutes: &[i64]| -> Vec<TestEvent> {
        let one = |minute: &i64| {
            id += 1;
            event(id, at(received), if *minute < 0 { i64::MIN } else { at(*minute) + 5 })
        };
        minutes.iter().map(one).collect()
    };
    vec![
        Step::Stage(some(10, &[1, 1, 2])),
        Step::Withdraw(some(10, &[2, 1, 5])),
        Step::Stage(some(10, &[1, 2, 1, -1])),
        Step::Stage(some(11, &[3, 4, 1, 3, 2])),
        Step::Finish { now_ms: at(11) + 1, all: false },
        Step::Stage(some(11, &[3; 14])),
        Step::Withdraw(some(11, &[3, 3])),
        Step::Finish { now_ms: at(13), all: false },
        Step::Stage(some(13, &[3, 4])),
        Step::Withdraw(some(13, &[3, 7])),
        Step::Finish { now_ms: at(13), all: true },
    ]
}

fn sweep(by: By, seeds: u64, test: impl FnOnce(Sweep<'_>)) {
    let steps = steps();
    test(Sweep {
        make: &make(by),
        steps: &steps,
        prepare: &|disk| {
            disk.mkdir(Path::new("/data")).unwrap();
        },
        check: &|disk, ledger, end| check(disk, ledger, by, end),
        is_finished: |path| path.ends_with(".ndjson") || path.ends_with(".keys"),
        seeds,
    });
}

#[test]
fn p1_p2_a_crash_at_any_operation_loses_and_repeats_no_row() {
    sweep(By::Arrival, 2, |sweep| drop(sweep.run(None).unwrap()));
}

/// The sweep by event time, and the same without each of the syncs.
#[test]
fn every_sync_is_needed() {
    sweep(By::EventTime, 4, |sweep| {
        sweep.every_sync_is_needed(&[
            "staging.created",
            "staging.cut",
            "staging.folder",
            "staging.keys",
            "staging.lake_file",
            "staging.lake_file_name",
            "staging.markers",
            "staging.published",
            "staging.removed",
            "staging.root",
            "staging.rows",
            "staging.withdrawn",
        ]);
    });
}
