//! The crash sweep: the little pipe of `ledger_world.rs` crashes at every operation of its disk,
//! and whatever is found then, everything acknowledged is there, once.

use std::panic::{AssertUnwindSafe, catch_unwind};

use journal::{SimDisk, SyncPoint};

use crate::ledger_world::{Acknowledged, Failed, World};

const EVENTS: usize = 75;
/// What of the unsynced survives a loss of power.
const SEEDS: u64 = 5;

/// Crashes at operation `op` of a run on `disk`; what was acknowledged until then.
fn crash(world: &World, disk: &SimDisk, op: u64, done: &Acknowledged) -> Acknowledged {
    let mut done = done.clone();
    disk.crash_at(op);
    // That it fails is the point of it.
    let _ = world.run(disk, &mut done);
    done
}

fn run(world: &World, disk: &SimDisk, done: &Acknowledged) -> Result<(), Failed> {
    let mut done = done.clone();
    world.run(disk, &mut done)?;
    // Everything again: nothing is left to do, and nothing is lost by looking.
    world.run(disk, &mut done)
}

fn ops(world: &World) -> u64 {
    let disk = SimDisk::new(0);
    run(world, &disk, &Acknowledged::default()).unwrap();
    disk.ops()
}

/// Crashes at every operation, loses power, and goes on.
fn sweep(world: &World, skipped: Option<SyncPoint>) -> Result<(), Failed> {
    for op in 0..ops(world) {
        let disk = SimDisk::new(op);
        if let Some(point) = skipped {
            disk.skip_sync(point);
        }
        let done = crash(world, &disk, op, &Acknowledged::default());
        for seed in 0..SEEDS {
            let found = disk.after_power_loss(op * SEEDS + seed);
            run(world, &found, &done)
                .map_err(|what| format!("crash at {op}, power lost with seed {seed}: {what}"))?;
        }
    }
    Ok(())
}

/// The stream crosses everything that the sweep is to crash in.
#[test]
fn the_stream_crosses_merges_expiry_and_dropped_segments() {
    let world = World::new(EVENTS);
    let disk = SimDisk::new(0);
    run(&world, &disk, &Acknowledged::default()).unwrap();
    let state = dedup::ledger::read_only(&disk, std::path::Path::new("/data")).unwrap();
    let made =
        |name: &str| u64::from_str_radix(name.split(['-', '.']).nth(1).unwrap(), 16).unwrap();
    let newest = state.runs.iter().map(|run| made(&run.name)).max().unwrap();
    assert!(newest as usize > state.runs.len(), "runs were merged: {:?}", state.runs);
    let kept: u64 = state.runs.iter().map(|run| run.count).sum();
    assert!(kept > 0 && kept < state.scopes[0].keys_committed, "keys were forgotten");
    assert!(state.scopes[0].forgotten_through_ms > i64::MIN);
    let crossings = world.crossings();
    assert!(crossings.iter().all(|&count| count > 0), "{crossings:?}");
    let files = disk.files();
    assert!(files.iter().all(|(path, _)| !path.ends_with("00000000000000000001.journal")));
}

#[test]
fn p1_p2_p4_nothing_is_lost_or_doubled_by_a_crash_at_any_operation() {
    let world = World::new(EVENTS);
    sweep(&world, None).unwrap();
}

#[test]
fn p1_p2_p4_recovery_itself_may_crash() {
    let world = World::new(EVENTS);
    for op in (0..ops(&world)).step_by(3) {
        let disk = SimDisk::new(op);
        let done = crash(&world, &disk, op, &Acknowledged::default());
        let killed = disk.after_process_kill();
        run(&world, &killed.after_process_kill(), &done)
            .unwrap_or_else(|what| panic!("killed at {op}: {what}"));
        for more in [0, 1, 2, 3, 5, 8, 13, 21, 34] {
            let disk = killed.after_process_kill();
            let again = crash(&world, &disk, disk.ops() + more, &done);
            let found = disk.after_power_loss(op + more);
            run(&world, &found, &again).unwrap_or_else(|what| {
                panic!("killed at {op}, power lost {more} operations later: {what}")
            });
        }
    }
}

#[test]
fn every_sync_is_needed() {
    let world = World::new(EVENTS);
    let disk = SimDisk::new(0);
    run(&world, &disk, &Acknowledged::default()).unwrap();
    let seen = disk.sync_points_seen();
    let of_ledger: Vec<SyncPoint> =
        seen.iter().copied().filter(|point| point.0.starts_with("ledger.")).collect();
    assert_eq!(of_ledger.len(), 3, "{seen:?}");
    // The journal's own sweep takes away all of the journal's.
    let of_journal = ["journal.group", "journal.segment", "journal.folder"].map(SyncPoint);
    for point in of_ledger.into_iter().chain(of_journal) {
        assert!(seen.contains(&point), "{point:?} is not there any more");
        let swept = catch_unwind(AssertUnwindSafe(|| sweep(&world, Some(point))));
        assert!(!matches!(swept, Ok(Ok(()))), "nobody misses {point:?}");
    }
}
