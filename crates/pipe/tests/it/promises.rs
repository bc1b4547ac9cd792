//! The promises of the design that a whole pipe keeps, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use event::source::{Acker, BatchLimits, NoAck, Received, Source, SourceError, Stop};
use event::{Outcome, TestClock};
use journal::Disk;
use pipe::engine::outlet::OutletKind;
use pipe::engine::{BATCHES_IN_FLIGHT_MAX, PipeError, inline, threads};

use crate::gate::{Verdict, gate};
use crate::world::{Broker, START_MS, config, disk, events, line, lines, open, run, small, state};

fn shared_disk(seed: u64) -> (journal::SimDisk, Arc<dyn Disk>) {
    let sim = disk(seed);
    let shared: Arc<dyn Disk> = Arc::new(sim.clone());
    (sim, shared)
}

fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|id| line(id, "a")).collect()
}

#[test]
fn p1_a_sink_error_stops_the_pipe_with_nothing_acknowledged() {
    let broker = Broker::new(&numbered(0..10));
    let (sim, shared) = shared_disk(1);
    let mut opened = open(small(), &broker, 10, &shared, &TestClock::new(START_MS)).unwrap();
    let (gate, sink) = gate();
    opened.parts.outlets[1].kind = OutletKind::Staged(sink);
    gate.verdicts.send(Verdict::Fail).unwrap();
    let error = inline::run(opened.parts, &Stop::default()).unwrap_err();
    assert!(matches!(error, PipeError::Sink { .. }), "{error}");
    assert_eq!(broker.acked(), 0, "an exception must not count as success");
    drop(opened.ledger);
    let totals = run(small(), &broker, 10, &sim).unwrap();
    assert_eq!(totals.outcomes[Outcome::Delivered.index()], 10);
    assert_eq!(broker.acked(), 10);
}

#[test]
fn p2_no_key_reaches_a_sink_twice_within_its_window_over_batches_and_runs() {
    let (sim, _) = shared_disk(2);
    let mut all = numbered(0..30);
    all.extend(numbered(10..40));
    run(small(), &Broker::new(&all), 7, &sim).unwrap();
    assert_eq!(lines(&sim, "/c/out/out.ndjson"), numbered(0..40));
    // Another run, another source position, the same keys.
    let again: Vec<String> = all.iter().cloned().chain(numbered(35..45)).collect();
    run(small(), &Broker::new(&again), 7, &sim).unwrap();
    assert_eq!(lines(&sim, "/c/out/out.ndjson"), numbered(0..45));
}

#[test]
fn p3_a_duplicate_never_shadows_an_undelivered_original() {
    let doc = |pipe: &str| {
        config(&format!(
            "pipe: {pipe}\nsource: {{ file: {{ path: in.ndjson }} }}\n\
             dedup: {{ key: $.id, window: 10m, scope: shared }}\n\
             sink: {{ file: {{ path: /c/out/{pipe}.ndjson }} }}\n"
        ))
    };
    let (first, second) = (doc("first"), doc("second"));
    let (sim, shared) = shared_disk(3);
    let clock = TestClock::new(START_MS);
    let lines_in = numbered(0..3);
    let (broker_one, broker_two) = (Broker::new(&lines_in), Broker::new(&lines_in));
    let mut one = open(&first, &broker_one, 3, &shared, &clock).unwrap();
    let two = crate::world::add(&one.ledger, &second, &broker_two, 3, &shared, &clock).unwrap();
    let (gate, sink) = gate();
    one.parts.outlets[0].kind = OutletKind::Staged(sink);
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let original = scope.spawn(|| threads::run(one.parts, &stop).unwrap());
        // The original is reserved and on its way to a sink that has not answered.
        assert_eq!(gate.reached.recv().unwrap(), 3);
        let duplicate = scope.spawn(|| threads::run(two, &stop).unwrap());
        while broker_two.handed_over() < 3 {
            std::thread::yield_now();
        }
        assert_eq!(broker_two.acked(), 0, "acknowledged while the original was in flight");
        gate.verdicts.send(Verdict::Fail).unwrap();
        assert!(original.join().unwrap().failure.is_some());
        // The original is released: its duplicate is the event now.
        let ended = duplicate.join().unwrap();
        assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 3);
        assert_eq!(ended.totals.outcomes[Outcome::Duplicate.index()], 0);
    });
    assert_eq!(lines(&sim, "/c/out/second.ndjson"), lines_in);
    assert_eq!(broker_one.acked(), 0);
    assert_eq!(broker_two.acked(), 3);
}

#[test]
fn p4_every_received_event_has_one_outcome_and_both_sides_balance() {
    let (sim, _) = shared_disk(4);
    let input = events(210);
    let totals = run(small(), &Broker::new(&input), 16, &sim).unwrap();
    assert_eq!(totals.received, 210);
    assert_eq!(totals.outcomes.iter().sum::<u64>(), 210);
    let state = state(&sim);
    assert!(state.imbalance().is_empty());
    let tally = state.sources[0].minutes.values().fold(BTreeMap::new(), |mut sum, tally| {
        *sum.entry("received").or_insert(0) += tally.received;
        *sum.entry("settled").or_insert(0) += tally.settled();
        sum
    });
    assert_eq!(tally, BTreeMap::from([("received", 210), ("settled", 210)]));
    let (rejected, filtered) =
        (totals.outcomes[Outcome::Rejected.index()], totals.outcomes[Outcome::Filtered.index()]);
    assert_eq!((rejected, filtered), (30, 30));
}

/// Says that it handed over one event more than it did.
struct Miscounting(Box<dyn Source>);

impl Source for Miscounting {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn receive(&mut self, limits: &BatchLimits, stop: &Stop) -> Result<Received, SourceError> {
        let mut received = self.0.receive(limits, stop)?;
        if let Received::Batch(batch) = &mut received {
            batch.extents[0].events_received += 1;
        }
        Ok(received)
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(NoAck)
    }
}

#[test]
fn p4_an_event_that_vanishes_between_two_steps_shows_as_an_imbalance() {
    let (sim, shared) = shared_disk(5);
    let broker = Broker::new(&numbered(0..5));
    let mut opened = open(small(), &broker, 10, &shared, &TestClock::new(START_MS)).unwrap();
    opened.parts.source = Box::new(Miscounting(opened.parts.source));
    inline::run(opened.parts, &Stop::default()).unwrap();
    opened.ledger.close().unwrap();
    assert_eq!(state(&sim).imbalance().len(), 1);
}

#[test]
fn p6_a_slow_sink_pauses_the_source() {
    let (_, shared) = shared_disk(6);
    let broker = Broker::new(&numbered(0..100));
    let mut opened = open(small(), &broker, 2, &shared, &TestClock::new(START_MS)).unwrap();
    let (gate, sink) = gate();
    opened.parts.outlets[0].kind = OutletKind::Staged(sink);
    let stop = Stop::default();
    let parts = opened.parts;
    std::thread::scope(|scope| {
        let running = scope.spawn(|| threads::run(parts, &stop).unwrap());
        gate.reached.recv().unwrap();
        let bound = 2 * BATCHES_IN_FLIGHT_MAX as u64;
        // The source fills the pipe up to its bound and stays there while the sink waits.
        while broker.handed_over() < bound {
            std::thread::yield_now();
        }
        for _ in 0..3 {
            gate.verdicts.send(Verdict::Take).unwrap();
            gate.reached.recv().unwrap();
            assert!(broker.handed_over() <= bound + 2 * 4);
        }
        drop(gate);
        assert!(running.join().unwrap().failure.is_none());
    });
    assert_eq!(broker.handed_over(), 100);
}

#[test]
fn a_drain_settles_what_was_received_and_leaves_the_rest_to_the_next_run() {
    let (sim, shared) = shared_disk(8);
    let broker = Broker::new(&numbered(0..50));
    let opened = open(small(), &broker, 5, &shared, &TestClock::new(START_MS)).unwrap();
    let stop = Stop::default();
    stop.ask();
    let ended = threads::run(opened.parts, &stop).unwrap();
    assert!(ended.failure.is_none());
    opened.ledger.close().unwrap();
    let first = lines(&sim, "/c/out/out.ndjson").len();
    assert_eq!(first as u64, ended.totals.received);
    run(small(), &broker, 5, &sim).unwrap();
    assert_eq!(lines(&sim, "/c/out/out.ndjson"), numbered(0..50));
}
