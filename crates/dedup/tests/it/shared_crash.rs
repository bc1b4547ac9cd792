//! The crash sweep of workers that share a store: one of two crashes at every operation of its disk
//! and around every call of its store, comes back at once or after its lease ran out, and whatever
//! happened, every key is there once.

use std::sync::Arc;

use journal::SimDisk;

use crate::shared_store::{Line, Memory, When};
use crate::shared_world::{Failed, Files, Stream, Worker, check, pass, streams};

const EVENTS: usize = 28;
const ROUNDS_MAX: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    Never,
    /// At this operation of the first worker's disk.
    AtOperation(u64),
    /// At this call of the first worker's store.
    AtCall(u64, When),
    /// This call does what it is to, and nobody hears of it; nothing crashes.
    Unheard(u64),
}

/// How long the first worker stays away, in rounds of a second; its lease lasts three.
#[derive(Clone, Copy, Debug)]
struct Absence(usize);

struct Place {
    disk: SimDisk,
    worker: Option<(Worker, Arc<Line>)>,
    away: usize,
}

#[derive(Default)]
struct Seen {
    operations: u64,
    calls: u64,
    crashes: u64,
    restarts: u64,
}

fn run(
    streams: &[Stream; 2],
    crash: Crash,
    absence: Absence,
    power_lost: bool,
) -> Result<Seen, Failed> {
    let memory = Arc::new(Memory::default());
    let files = Files::default();
    let mut places = [1, 2].map(|seed| Place { disk: SimDisk::new(seed), worker: None, away: 0 });
    let mut seen = Seen::default();
    let mut first = true;
    for round in 0..ROUNDS_MAX {
        pass(&memory, 1_000);
        for (at, place) in places.iter_mut().enumerate() {
            if place.away > 0 {
                place.away -= 1;
                continue;
            }
            let stepped =
                step(place, &memory, &streams[at], &files, (at == 0 && first).then_some(crash));
            if at == 0 {
                first = false;
            }
            if let Err(error) = stepped {
                if at == 1 || seen.crashes > 0 || crash == Crash::Never {
                    return Err(format!("worker {at} in round {round}: {error}"));
                }
                seen.crashes += 1;
                // Nothing of it reaches the store any more.
                if let Some((_, line)) = &place.worker {
                    line.cut.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                place.worker = None;
                place.disk = if power_lost {
                    place.disk.after_power_loss(round as u64)
                } else {
                    place.disk.after_process_kill()
                };
                place.away = absence.0;
            }
        }
        let done = |place: &Place| {
            place.away == 0 && place.worker.as_ref().is_some_and(|(worker, _)| worker.is_done())
        };
        if places.iter().all(done) {
            break;
        }
    }
    for place in &places {
        let (worker, line) = place.worker.as_ref().ok_or("a worker didn't come back")?;
        if !worker.is_done() {
            return Err("it never ended".into());
        }
        seen.restarts += worker.restarts;
        seen.calls = seen.calls.max(line.calls.load(std::sync::atomic::Ordering::Relaxed));
    }
    seen.operations = places[0].disk.ops();
    places.iter_mut().for_each(|place| place.worker = None);
    let disks = places.each_ref().map(|place| place.disk.after_process_kill());
    check(&[&disks[0], &disks[1]], streams, &files)?;
    Ok(seen)
}

fn step(
    place: &mut Place,
    memory: &Arc<Memory>,
    stream: &Stream,
    files: &Files,
    crash: Option<Crash>,
) -> Result<(), Failed> {
    if place.worker.is_none() {
        let line = Line::new(memory);
        match crash {
            Some(Crash::AtOperation(op)) => place.disk.crash_at(op),
            Some(Crash::AtCall(call, when)) => {
                let disk = place.disk.clone();
                let trap = Box::new(move || disk.crash_at(disk.ops()));
                *line.trap.lock().unwrap() = Some((call, when, trap));
            }
            Some(Crash::Unheard(call)) => {
                line.deaf_at.store(call, std::sync::atomic::Ordering::Relaxed);
            }
            _ => {}
        }
        let worker = Worker::start(&place.disk, Arc::clone(&line), stream, files)?;
        place.worker = Some((worker, line));
        return Ok(());
    }
    match &mut place.worker {
        Some((worker, _)) => worker.step(),
        None => Ok(()),
    }
}

#[test]
fn p2_two_workers_deliver_every_key_once() {
    let seen = run(&streams(200), Crash::Never, Absence(0), false).unwrap();
    assert!(seen.operations > 0);
}

/// Before it is prepared, between that and the store's commit, between that and the ledger's word,
/// and everywhere else.
#[test]
fn p1_p2_p4_a_worker_may_crash_around_any_call_of_its_store() {
    let streams = streams(EVENTS);
    let calls = run(&streams, Crash::Never, Absence(0), false).unwrap().calls;
    let mut crashes = 0;
    for call in 0..calls {
        for when in [When::Before, When::After] {
            for (absence, power_lost) in [(0, true), (6, true), (1, false)] {
                let crash = Crash::AtCall(call, when);
                let seen = run(&streams, crash, Absence(absence), power_lost)
                    .unwrap_or_else(|what| panic!("{crash:?}, away for {absence} s: {what}"));
                crashes += seen.crashes;
            }
        }
    }
    assert!(crashes >= calls * 5, "{crashes} crashes around {calls} calls");
}

#[test]
fn p1_p2_p4_a_call_that_nobody_hears_of_harms_nothing() {
    let streams = streams(EVENTS);
    let calls = run(&streams, Crash::Never, Absence(0), false).unwrap().calls;
    for call in 1..calls {
        run(&streams, Crash::Unheard(call), Absence(0), false)
            .unwrap_or_else(|what| panic!("call {call} unheard of: {what}"));
    }
}

#[test]
fn p1_p2_p4_a_worker_may_crash_at_any_operation_of_its_disk() {
    let streams = streams(EVENTS);
    let operations = run(&streams, Crash::Never, Absence(0), false).unwrap().operations;
    let mut crashes = 0;
    for op in 0..operations {
        for (absence, power_lost) in [(0, true), (6, true), (1, false)] {
            let seen = run(&streams, Crash::AtOperation(op), Absence(absence), power_lost)
                .unwrap_or_else(|what| panic!("crash at {op}, away for {absence} s: {what}"));
            crashes += seen.crashes;
        }
    }
    assert!(crashes > operations, "{crashes} crashes at {operations} operations");
}
