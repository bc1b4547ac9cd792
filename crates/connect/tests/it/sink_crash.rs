//! The sinks that append in place, crashed at every operation of the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect::rejected::read_rows;
use connect::{FileSink, FileSinkOptions, RejectedOptions, RejectedSink};
use event::sink::{Sink, SinkIdentity};
use journal::{Disk, SimDisk};

use crate::fake_ledger::{FakeLedger, MakeSink, Step, Sweep, TestEvent, event};

const PATH: &str = "/out/rows.ndjson";
/// Where somebody else left a file.
const OLD_PATH: &str = "/rows.ndjson";
/// What somebody else left in the file, without a newline at its end and without any sync.
const OLD: &str = "{\"old\":1}\n{\"old\":2}";

fn file_sink(append: bool) -> impl Fn(Arc<dyn Disk>, SinkIdentity) -> Box<dyn Sink> {
    move |disk, identity| {
        let path = PathBuf::from(if append { OLD_PATH } else { PATH });
        let options = FileSinkOptions { path, append };
        Box::new(FileSink::new(options, identity, disk))
    }
}

fn rejected(disk: Arc<dyn Disk>, identity: SinkIdentity) -> Box<dyn Sink> {
    let options = RejectedOptions { path: PathBuf::from(PATH), source: "file:a".into() };
    Box::new(RejectedSink::new(options, identity, disk))
}

fn steps() -> Vec<Step> {
    let mut id = 0;
    let mut some = |count: u64| -> Vec<TestEvent> {
        id += count;
        (id - count..id).map(|id| event(id + 1, 0, i64::MIN)).collect()
    };
    vec![
        Step::Withdraw(some(2)),
        Step::Stage(some(3)),
        Step::Stage(some(40)),
        Step::Withdraw(some(4)),
        Step::Stage(some(1)),
        Step::Finish { now_ms: 0, all: false },
        Step::Stage(some(30)),
        Step::Withdraw(some(2)),
        Step::Finish { now_ms: 0, all: true },
    ]
}

/// Exactly the committed payloads are in the file, in order.
fn check(
    disk: &SimDisk,
    ledger: &FakeLedger,
    path: &str,
    payloads: impl Fn(&[u8]) -> Result<Vec<String>, String>,
) -> Result<(), String> {
    let known = ledger.opened > 0;
    let Some(found) = disk.read_file(Path::new(path)) else {
        return if known { Err("the file is gone".into()) } else { Ok(()) };
    };
    if !known {
        return Ok(());
    }
    // What somebody else left there unsynced may be lost before the ledger knows it, not after.
    let old = ledger.bases.get(path).map(Vec::as_slice).unwrap_or_default();
    let found = found.strip_prefix(old).ok_or("the old rows have changed")?;
    let torn = old.last().is_some_and(|last| *last != b'\n') && !ledger.committed.is_empty();
    let separator: &[u8] = if torn { b"\n" } else { b"" };
    let found = found.strip_prefix(separator).ok_or("no newline after the old rows")?;
    let found = payloads(found)?;
    let expected: Vec<&str> = ledger.committed.iter().map(|e| e.payload.as_str()).collect();
    if found == expected {
        return Ok(());
    }
    Err(format!("{} rows, {} are committed", found.len(), expected.len()))
}

fn lines(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("half a row at the end".into());
    }
    Ok(text.lines().map(str::to_owned).collect())
}

fn rejected_rows(bytes: &[u8]) -> Result<Vec<String>, String> {
    let rows = read_rows(bytes).map_err(|error| error.to_string())?;
    Ok(rows.into_iter().map(|row| String::from_utf8(row.raw).unwrap()).collect())
}

fn sweep(make: &MakeSink, old: &str, rejected: bool, test: impl FnOnce(Sweep<'_>)) {
    let path = if old.is_empty() { PATH } else { OLD_PATH };
    let payloads = if rejected { rejected_rows } else { lines };
    test(Sweep {
        make,
        steps: &steps(),
        prepare: &|disk| {
            if !old.is_empty() {
                let file = disk.create_new(Path::new(OLD_PATH)).unwrap();
                file.write_at(0, old.as_bytes()).unwrap();
            }
        },
        check: &|disk, ledger, _| check(disk, ledger, path, payloads),
        is_finished: |_| false,
        seeds: 6,
    });
}

#[test]
fn p1_p2_file_sink_every_sync_is_needed() {
    let points = ["file_sink.created", "file_sink.cut", "file_sink.rows"];
    sweep(&file_sink(false), "", false, |sweep| sweep.every_sync_is_needed(&points));
}

#[test]
fn p1_p2_file_sink_that_appends_every_sync_is_needed() {
    let points = ["file_sink.base", "file_sink.created", "file_sink.cut", "file_sink.rows"];
    sweep(&file_sink(true), OLD, false, |sweep| sweep.every_sync_is_needed(&points));
}

#[test]
fn p1_p2_rejected_file_every_sync_is_needed() {
    let points = ["rejected.created", "rejected.cut", "rejected.rows"];
    sweep(&rejected, "", true, |sweep| sweep.every_sync_is_needed(&points));
}
