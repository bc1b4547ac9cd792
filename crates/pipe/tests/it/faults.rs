//! P7: fail-stop on storage, and going on where a full disk has room again.

use std::sync::Arc;

use event::TestClock;
use event::source::Stop;
use journal::{Disk, Fault};
use pipe::engine::threads;

use crate::crash::{Case, PER_BATCH};
use crate::world::{Broker, START_MS, disk, open, run, small};

/// Every operation fails once, then power is lost: what was acknowledged is there all the same.
fn fault_sweep(fault: Fault) {
    let case = Case::new();
    let whole = disk(0);
    run(small(), &Broker::new(&case.lines), PER_BATCH, &whole).unwrap();
    for op in 1..=whole.ops() {
        let disk = disk(op);
        let broker = Broker::new(&case.lines);
        disk.fail_at(op, fault);
        let _ = run(small(), &broker, PER_BATCH, &disk);
        for survivor in [disk.after_power_loss(op), disk.after_process_kill()] {
            case.finish_and_check(&survivor, &broker.fork())
                .unwrap_or_else(|what| panic!("{fault:?} at op {op}: {what}"));
        }
    }
}

#[test]
fn p7_after_a_failed_operation_nothing_more_is_acknowledged_that_could_be_lost() {
    fault_sweep(Fault::Io);
}

#[test]
fn p7_no_space_at_any_operation_loses_nothing() {
    fault_sweep(Fault::NoSpace);
}

#[test]
fn p7_a_full_disk_pauses_the_pipe_until_there_is_room() {
    let case = Case::new();
    let whole = disk(3);
    run(small(), &Broker::new(&case.lines), PER_BATCH, &whole).unwrap();
    let bytes: u64 = whole.files().iter().map(|(_, bytes)| bytes).sum();
    let sim = disk(3);
    sim.set_capacity(bytes * 3 / 4);
    let broker = Broker::new(&case.lines);
    let stop = Stop::default();
    let shared: Arc<dyn Disk> = Arc::new(sim.clone());
    let opened = open(small(), &broker, PER_BATCH, &shared, &TestClock::new(START_MS)).unwrap();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| threads::run(opened.parts, &stop));
        while sim.no_space_answers() == 0 {
            assert!(!running.is_finished(), "the run ended although the disk is too small");
            std::thread::yield_now();
        }
        sim.set_capacity(u64::MAX);
        let ended = running.join().unwrap().unwrap();
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
    });
    opened.ledger.close().unwrap();
    case.finish_and_check(&sim, &broker).unwrap();
}

#[test]
fn p7_a_drain_without_room_ends_in_order_and_leaves_the_rest_to_the_next_run() {
    let case = Case::new();
    let whole = disk(4);
    run(small(), &Broker::new(&case.lines), PER_BATCH, &whole).unwrap();
    let bytes: u64 = whole.files().iter().map(|(_, bytes)| bytes).sum();
    let sim = disk(4);
    sim.set_capacity(bytes * 3 / 4);
    let broker = Broker::new(&case.lines);
    let stop = Stop::default();
    let shared: Arc<dyn Disk> = Arc::new(sim.clone());
    let mut opened = open(small(), &broker, PER_BATCH, &shared, &TestClock::new(START_MS)).unwrap();
    opened.parts.drain_max = std::time::Duration::ZERO;
    let parts = opened.parts;
    std::thread::scope(|scope| {
        let running = scope.spawn(|| threads::run(parts, &stop));
        while sim.no_space_answers() == 0 {
            assert!(!running.is_finished(), "the run ended although the disk is too small");
            std::thread::yield_now();
        }
        stop.ask();
        let ended = running.join().unwrap().unwrap();
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
    });
    assert!(broker.acked() < case.lines.len(), "everything settled, so nothing was shown");
    sim.set_capacity(u64::MAX);
    opened.ledger.close().unwrap();
    case.finish_and_check(&sim, &broker).unwrap();
}
