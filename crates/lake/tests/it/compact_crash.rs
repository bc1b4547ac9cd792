//! Compaction, crashed at every operation of the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::TestClock;
use event::source::Stop;
use journal::{Disk, SimDisk, SyncPoint};
use lake::compact::compact_locked;
use lake::{CompactError, CompactOptions, Quiet};

use crate::fake_ledger::{FakeLedger, TestEvent};
use crate::json::J;
use crate::table::{LAKE, START, event, options, stage, try_rows};

/// Two minutes of events, in files of their own.
fn all() -> Vec<TestEvent> {
    let one = |id: u64| {
        let lang = ["en", "de"][id as usize % 2];
        let at = START - (id as i64 * 37) % 100;
        let fill = "x".repeat(if id < 30 { 900 } else { 3 });
        let payload =
            format!(r#"{{"id":{id},"at":{at},"specifics":{{"lang":"{lang}"}},"f":"{fill}"}}"#);
        let mut event = event(id, payload);
        event.received_ms += if id < 40 { 0 } else { 60_000 };
        event
    };
    (0..50).map(one).collect()
}

fn prepared(spill: bool) -> (SimDisk, Vec<TestEvent>) {
    let disk = SimDisk::new(1);
    let all = all();
    let chosen: Vec<TestEvent> =
        all.iter().filter(|event| spill || event.id >= 25).cloned().collect();
    let batches: Vec<Vec<TestEvent>> = chosen.chunks(8).map(<[_]>::to_vec).collect();
    stage(&disk, &mut FakeLedger::new(), &batches);
    (disk.after_power_loss(1), chosen)
}

fn options_of(spill: bool) -> CompactOptions {
    let memory_bytes_max = if spill { 64 << 10 } else { 256 << 20 };
    CompactOptions { memory_bytes_max, ..options() }
}

fn once(disk: &SimDisk, spill: bool, minute: &str) -> Result<(), CompactError> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let published = |name: &str| minute.is_empty() || name.contains(minute);
    let (clock, stop) = (TestClock::new(START), Stop::default());
    let options = options_of(spill);
    compact_locked(&disk, Path::new(LAKE), &options, &clock, &published, &Quiet, &stop).map(drop)
}

/// The first minute, then all.
fn run(disk: &SimDisk, spill: bool) -> Result<(), CompactError> {
    once(disk, spill, "minute=00")?;
    once(disk, spill, "")
}

/// How often each event is in the table, and in staging.
fn counted(disk: &SimDisk) -> Result<BTreeMap<J, (u32, u32)>, String> {
    let mut counted: BTreeMap<J, (u32, u32)> = BTreeMap::new();
    for row in try_rows(disk)? {
        counted.entry(row.payload.normal()).or_default().0 += 1;
    }
    for (path, _) in disk.files() {
        if path.extension().is_some_and(|ending| ending == "ndjson") {
            for line in String::from_utf8(disk.read_file(&path).unwrap()).unwrap().lines() {
                counted.entry(J::parse(line).normal()).or_default().1 += 1;
            }
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if disk.read_file(&path.with_file_name(format!("_{stem}.keys"))).is_none() {
                return Err(format!("{} has lost its sidecar", path.display()));
            }
        }
    }
    Ok(counted)
}

/// Nothing is lost and nothing is in the table twice; at the end everything is there, and only
/// there.
fn check(disk: &SimDisk, all: &[TestEvent], end: bool) -> Result<(), String> {
    let counted = counted(disk)?;
    for event in all {
        let found = counted.get(&J::parse(&event.payload).normal()).copied().unwrap_or_default();
        match found {
            (1, 0) => {}
            (0 | 1, 1) if !end => {}
            found => {
                return Err(format!("event {}: {found:?} times in table and staging", event.id));
            }
        }
    }
    if counted.len() != all.len() {
        return Err(format!("{} different events of {}", counted.len(), all.len()));
    }
    if end {
        let stray = |(path, _): &(PathBuf, u64)| {
            let text = path.to_str().unwrap();
            text.ends_with(".tmp") || text.contains("/tmp/") || text.ends_with(".keys")
        };
        if let Some((path, _)) = disk.files().into_iter().find(stray) {
            return Err(format!("{} is left", path.display()));
        }
    }
    Ok(())
}

fn ends_well(disk: &SimDisk, all: &[TestEvent], spill: bool, seed: u64) -> Result<(), String> {
    check(disk, all, false).map_err(|what| format!("before recovery: {what}"))?;
    run(disk, spill).map_err(|error| format!("recovery: {error}"))?;
    check(disk, all, true)?;
    check(&disk.after_power_loss(seed + 50), all, true)
        .map_err(|what| format!("after the end: {what}"))
}

fn sweep(spill: bool, seeds: u64, skip: Option<SyncPoint>) -> Result<BTreeSet<SyncPoint>, String> {
    let (start, all) = prepared(spill);
    let disk = |seed: u64| {
        let disk = start.after_power_loss(seed);
        skip.into_iter().for_each(|point| disk.skip_sync(point));
        disk
    };
    let whole = disk(1);
    let before = whole.ops();
    run(&whole, spill).map_err(|error| error.to_string())?;
    check(&whole, &all, true)?;
    check(&whole.after_power_loss(1), &all, true)
        .map_err(|what| format!("after the end: {what}"))?;
    let mut seen = whole.sync_points_seen();
    for op in before..whole.ops() {
        for seed in 0..seeds {
            let at = |what: String| format!("crash at operation {op}, seed {seed}: {what}");
            let disk = disk(seed);
            disk.crash_at(op);
            if run(&disk, spill).is_ok() && !disk.has_crashed() {
                return Err(at("there was none".into()));
            }
            ends_well(&disk.after_power_loss(seed), &all, spill, seed).map_err(at)?;
            // A kill, and recovery crashes too: somewhere, by operation and seed.
            let killed = disk.after_process_kill();
            let first = killed.ops();
            killed.crash_at(first + (op * 7 + seed * 3) % 23);
            let _ = run(&killed, spill);
            ends_well(&killed.after_power_loss(seed), &all, spill, seed)
                .map_err(|what| at(format!("killed, then: {what}")))?;
            let killed = killed.after_process_kill();
            ends_well(&killed, &all, spill, seed)
                .map_err(|what| at(format!("killed twice: {what}")))?;
            seen.extend(killed.sync_points_seen());
        }
    }
    Ok(seen)
}

#[test]
fn p1_p2_a_crash_of_compaction_at_any_operation_loses_and_repeats_no_row() {
    sweep(false, 2, None).unwrap();
}

#[test]
fn p1_p2_the_same_with_rows_spilled_while_they_are_sorted() {
    let (disk, _) = prepared(true);
    assert!(crate::table::compact(&disk, &options_of(true)).unwrap().bytes_spilled > 0);
    sweep(true, 1, None).unwrap();
}

#[test]
fn every_sync_of_compaction_is_needed() {
    let seen = sweep(false, 1, None).unwrap();
    let own: BTreeSet<&str> =
        seen.iter().map(|point| point.0).filter(|name| name.starts_with("compact.")).collect();
    let all = [
        "compact.folder",
        "compact.named",
        "compact.output",
        "compact.published",
        "compact.removed",
    ];
    assert_eq!(own, BTreeSet::from(all));
    for point in all {
        match sweep(false, 3, Some(SyncPoint(point))) {
            Ok(_) => panic!("{point} is not needed, or the sweep doesn't see why"),
            Err(what) => println!("without {point}: {what}"),
        }
    }
}
