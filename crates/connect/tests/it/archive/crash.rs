//! The archive's sink, crashed at every operation of the disk.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connect::archive::read::Range;
use connect::{ArchiveOptions, ArchiveSink};
use event::sink::{
    Guarantee, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged, StagedOutput,
};
use event::{BatchNumber, TestClock};
use journal::{Disk, SimDisk};

use super::kit::{HOUR, ROOT, START, options, payloads, read};
use crate::fake_ledger::{FakeLedger, MakeSink, Step, Sweep, TestEvent, event};

const MINUTE: i64 = 60_000;
/// The last time at which something comes.
const LAST: i64 = START + 4 * HOUR + 2 * MINUTE;

fn make(retention: bool) -> impl Fn(Arc<dyn Disk>, SinkIdentity) -> Box<dyn Sink> {
    move |disk, identity| {
        let options = ArchiveOptions {
            file_bytes_max: 800,
            file_age_max: Duration::from_secs(30 * 60),
            retention: retention.then_some(Duration::from_secs(2 * 3600)),
            ..options()
        };
        // A file that is taken up is not finished for its age.
        let clock = Arc::new(TestClock::new(LAST));
        Box::new(NoLater(ArchiveSink::new(options, identity, disk, clock)))
    }
}

/// The sweep ends some runs at the end of time, when every retention has passed.
struct NoLater(ArchiveSink);

impl Sink for NoLater {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn guarantee(&self) -> Guarantee {
        self.0.guarantee()
    }
    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        self.0.open(state)
    }
    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        self.0.stage(rows)
    }
    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        self.0.withdraw(output)
    }
    fn finish(&mut self, number: BatchNumber, now_ms: i64, all: bool) -> Result<Staged, SinkError> {
        self.0.finish(number, now_ms.min(LAST + MINUTE), all)
    }
    fn publisher(&self) -> Box<dyn Publisher> {
        self.0.publisher()
    }
}

/// Every committed event is there once, and nothing else, but for those whose time may have passed.
fn check(disk: &SimDisk, ledger: &FakeLedger, retention: bool, end: bool) -> Result<(), String> {
    for (path, _) in disk.files() {
        let name = path.to_string_lossy().into_owned();
        if end && name.ends_with(".open") {
            return Err(format!("{name} is unfinished at the end"));
        }
    }
    if ledger.opened == 0 {
        return Ok(());
    }
    if disk.stat(Path::new(ROOT)).unwrap().is_none() {
        return Err("the archive is gone".into());
    }
    let (found, damages) = read(disk, Range::ALL);
    if !damages.is_empty() {
        return Err(format!("damaged: {damages:?}"));
    }
    let mut found = payloads(&found);
    found.sort();
    // Two hours before the last look, an hour ended.
    let old = |event: &&TestEvent| retention && event.received_ms < START + 2 * HOUR;
    let mut expected: Vec<String> =
        ledger.committed.iter().filter(|e| !old(e)).map(|e| e.payload.clone()).collect();
    let mut may_be: Vec<String> =
        ledger.committed.iter().filter(old).map(|e| e.payload.clone()).collect();
    // One that was removed may come back with a loss of power, and goes again at the next look.
    found.retain(|payload| match may_be.iter().position(|may| may == payload) {
        Some(at) => {
            may_be.remove(at);
            false
        }
        None => true,
    });
    expected.sort();
    if found == expected {
        return Ok(());
    }
    Err(format!("{} events, {} are committed", found.len(), expected.len()))
}

fn steps() -> Vec<Step> {
    let mut id = 0;
    let mut some = |times: &[i64]| -> Vec<TestEvent> {
        let one = |minutes: &i64| {
            id += 1;
            event(id, START + minutes * MINUTE, i64::MIN)
        };
        times.iter().map(one).collect()
    };
    let at = |minutes: i64| START + minutes * MINUTE;
    vec![
        Step::Stage(some(&[1, 1, 2])),
        Step::Withdraw(some(&[2, 2, 61])),
        Step::Stage(some(&[3, 62, 62])),
        Step::Withdraw(some(&[62])),
        Step::Finish { now_ms: at(63), all: false },
        Step::Stage(some(&[63; 30])),
        Step::Stage(some(&[64, 3])),
        Step::Withdraw(some(&[65, 121])),
        Step::Finish { now_ms: at(181), all: false },
        Step::Stage(some(&[182, 10])),
        Step::Finish { now_ms: LAST - MINUTE, all: true },
        Step::Stage(some(&[242])),
        Step::Finish { now_ms: LAST + MINUTE, all: true },
    ]
}

fn sweep(make: &MakeSink, retention: bool, seeds: u64, test: impl FnOnce(Sweep<'_>)) {
    test(Sweep {
        make,
        steps: &steps(),
        prepare: &|disk| disk.mkdir(Path::new("/data")).unwrap(),
        check: &|disk, ledger, end| check(disk, ledger, retention, end),
        // With a retention, finished files go; without, they never change.
        is_finished: if retention { |_| false } else { |path| path.ends_with(".archive") },
        seeds,
    });
}

const POINTS: [&str; 9] = [
    "archive.blocks",
    "archive.created",
    "archive.cut",
    "archive.folder",
    "archive.markers",
    "archive.published",
    "archive.removed",
    "archive.root",
    "archive.withdrawn",
];

#[test]
fn p1_p2_every_sync_of_an_archive_is_needed() {
    sweep(&make(false), false, 3, |sweep| sweep.every_sync_is_needed(&POINTS));
}

/// The sweep with a retention; the sync that says what was removed is needed as well.
#[test]
fn what_the_retention_removed_is_not_missed_after_a_crash() {
    sweep(&make(true), true, 3, |sweep| {
        let seen = sweep.run(None).unwrap();
        let point = journal::SyncPoint("archive.retention");
        assert!(seen.contains(&point), "{seen:?}");
        let what = sweep.run(Some(point)).expect_err("archive.retention is not needed");
        println!("without archive.retention: {what}");
    });
}
