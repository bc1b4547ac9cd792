//! A pipe whose sinks fail, crashed at every operation of its disk: retries, letters and parked
//! events included.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use event::source::Stop;
use event::{Clock, TestClock};
use journal::{Disk, SimDisk};
use pipe::config::PipeConfig;
use pipe::engine::inline;

use super::kit::{Receiver, Say, policy};
use super::retry::letters;
use crate::world::{self, Broker, START_MS, config, disk, line, state};

const PER_BATCH: usize = 4;

fn doc() -> PipeConfig {
    let mut config = config(
        "pipe: app\n\
         source: { file: { path: in.ndjson } }\n\
         envelope: { type: $.type }\n\
         dedup: { key: $.id, window: 1h }\n\
         sinks:\n\
         - file: { path: /c/out/there.ndjson, name: there }\n\
         - file: { path: /c/out/also.ndjson, name: also }\n\
         rejected: { path: /d/rejected/app.ndjson }\n",
    );
    config.dead_letter.store = Some("/e/dead".into());
    // By this clock an event is unsettled for long after a few attempts.
    config.limits.park_after = std::time::Duration::from_millis(20);
    config
}

/// Time that goes on whenever somebody looks.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now_ms(&self) -> i64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// Events of which some never go well, and some after some attempts; each with a copy.
fn lines() -> Vec<String> {
    let kinds = ["fine", "never", "moody", "fine", "stubborn"];
    (0..15).flat_map(|id| [line(id, kinds[id % 5]), line(id, kinds[id % 5])]).collect()
}

fn receiver() -> Receiver {
    Receiver::new(|body, tries| match () {
        () if body.contains("never") => Say::Never,
        () if body.contains("moody") && tries % 3 != 0 => Say::NotNow,
        () if body.contains("stubborn") && tries < 8 => Say::NotNow,
        () => Say::Yes,
    })
}

fn run(broker: &Broker, disk: &SimDisk, receiver: &Receiver) -> Result<(), String> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let mut opened = world::open(&doc(), broker, PER_BATCH, &shared, &clock)?;
    let mut policy = policy(30);
    // The same operations in every run.
    policy.retry.jitter = false;
    opened.parts.outlets[0] = receiver.outlet(0, "there", policy);
    opened.parts.clock = Arc::new(Ticking(AtomicI64::new(START_MS)));
    let ran = inline::run(opened.parts, &Stop::default()).map_err(|error| error.to_string());
    opened.ledger.close().map_err(|error| error.to_string())?;
    ran.map(drop)
}

/// Runs until everything is settled, and checks what came out.
fn finish(broker: &Broker, disk: &SimDisk, receiver: &Receiver) -> Result<(), String> {
    run(broker, disk, receiver)?;
    let all: BTreeSet<String> = lines().into_iter().collect();
    let dead: BTreeSet<String> = all.iter().filter(|it| it.contains("never")).cloned().collect();
    let got: BTreeSet<String> = receiver.got().into_iter().collect();
    if got != all.difference(&dead).cloned().collect() {
        return Err(format!("P1: the receiver has {got:?}"));
    }
    let mut also = world::lines(disk, "/c/out/also.ndjson");
    also.sort();
    if also != all.iter().cloned().collect::<Vec<_>>() {
        return Err(format!("P1, P2: the sink that stages has {} rows: {also:#?}", also.len()));
    }
    let letters = letters(disk);
    let buried: BTreeSet<String> =
        letters.iter().map(|it| String::from_utf8(it.body.to_vec()).unwrap()).collect();
    if buried != dead || letters.len() != dead.len() {
        return Err(format!("P5: {} letters of {buried:?}", letters.len()));
    }
    let state = state(disk);
    if !state.imbalance().is_empty() {
        return Err(format!("P4: {:?}", state.imbalance()));
    }
    if !state.pipes[0].parked.is_empty() || state.sources[0].in_flight_total() != 0 {
        return Err("something is still in flight".into());
    }
    Ok(())
}

#[test]
fn p1_p2_p4_p5_retries_letters_and_parked_events_survive_a_crash_at_any_disk_operation() {
    let whole = disk(0);
    let receiver_of_all = receiver();
    finish(&Broker::new(&lines()), &whole, &receiver_of_all).unwrap();
    let ops = whole.ops();
    let setup = disk(0).ops();
    assert!(ops > 100, "the sweep visits only {ops} operations");
    let (mut parked, mut dead) = (0, 0);
    for op in setup..ops {
        for (kind, seed) in [(0, 1), (1, 2), (2, 0)] {
            let crashing = disk(op);
            crashing.crash_at(op);
            let (broker, receiver) = (Broker::new(&lines()), receiver());
            let _ = run(&broker, &crashing, &receiver);
            // A checkpoint in the background adds a few operations, or not.
            if !crashing.has_crashed() {
                assert!(op + 40 > ops, "op {op} of {ops} isn't reached");
                continue;
            }
            let survived = match kind {
                2 => crashing.after_process_kill(),
                _ => crashing.after_power_loss(seed),
            };
            if let Ok(state) = journal_state(&survived) {
                parked += state.pipes.first().map_or(0, |pipe| pipe.parked.len());
                dead += state.pipes.first().map_or(0, |pipe| pipe.letters.len());
            }
            let again = broker.fork();
            finish(&again, &survived, &receiver)
                .unwrap_or_else(|what| panic!("op {op} of {ops}, crash {kind}: {what}"));
        }
    }
    assert!(parked > 0 && dead > 0, "the sweep crosses {parked} parked events, {dead} letters");
}

fn journal_state(disk: &SimDisk) -> Result<dedup::state::LedgerState, dedup::ledger::LedgerError> {
    dedup::ledger::read_only(disk, std::path::Path::new("/a/data"))
}
