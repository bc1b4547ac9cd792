//! Pipes on threads of their own, commits under way, and checkpoints in the background.

use std::collections::VecDeque;
use std::sync::Arc;

use dedup::ledger::{Ledger, LedgerOptions};
use dedup::scope::DedupClock;
use event::{BatchNumber, Fate, Outcome, TestClock};
use journal::{JournalConfig, RealDisk};

use crate::ledger_kit::*;

const PIPES: u64 = 3;
const BATCHES: u64 = 60;
const EVENTS: u64 = 200;

fn open_real(dir: &std::path::Path) -> Arc<Ledger> {
    let options = LedgerOptions {
        checkpoint_journal_bytes: 200_000,
        key_runs_probed_max: 4,
        journal: JournalConfig { segment_bytes: 1 << 18, ..JournalConfig::default() },
        ..LedgerOptions::default()
    };
    let clock = Arc::new(TestClock::new(NOW_MS));
    Ledger::open(Arc::new(RealDisk::new()), dir, options, clock).unwrap()
}

/// Keys of a batch: half of them the pipe's own, half of them those of all pipes.
fn keys(pipe: u64, number: u64) -> Vec<u128> {
    (0..EVENTS)
        .map(|i| {
            let at = number * EVENTS + i;
            if i % 2 == 0 { u128::from(at) | u128::from(pipe + 1) << 64 } else { u128::from(at) }
        })
        .collect()
}

/// Sends all batches of a pipe with up to four commits under way; events that had to wait are sent
/// again in later batches. How many were delivered.
fn drive(ledger: &Arc<Ledger>, pipe: u64) -> u64 {
    let handle = ledger.pipe(declaration(&format!("p{pipe}"), "s", DedupClock::Received)).unwrap();
    let mut under_way = VecDeque::new();
    let (mut delivered, mut waiting) = (0, Vec::new());
    let mut number = 0;
    while number < BATCHES || !waiting.is_empty() {
        number += 1;
        let mut sent: Vec<u128> = std::mem::take(&mut waiting);
        if number <= BATCHES {
            sent.extend(keys(pipe, number));
        }
        let mut events = batch(&sent, number << 32, NOW_MS);
        handle.reserve(BatchNumber(number), &mut events).unwrap();
        waiting = events.events.iter().filter(|e| e.fate == Fate::Waits).map(|e| e.key).collect();
        let waits = |event: &event::Event| event.fate == Fate::Deliver;
        delivered += events.events.iter().filter(|event| waits(event)).count() as u64;
        events.events.retain(|event| event.fate != Fate::Waits);
        under_way.push_back(handle.commit(&settlement(BatchNumber(number), &events, Vec::new())));
        if under_way.len() > 4 || number >= BATCHES {
            under_way.pop_front().unwrap().wait().unwrap();
        }
    }
    under_way.into_iter().for_each(|commit| commit.wait().unwrap());
    delivered
}

#[test]
fn p2_pipes_of_one_scope_deliver_each_key_once_while_checkpoints_run() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open_real(dir.path());
    let delivered: u64 = std::thread::scope(|scope| {
        let ledger = &ledger;
        let pipes: Vec<_> =
            (0..PIPES).map(|pipe| scope.spawn(move || drive(ledger, pipe))).collect();
        pipes.into_iter().map(|pipe| pipe.join().unwrap()).sum()
    });
    let shared = BATCHES * EVENTS / 2;
    assert_eq!(delivered, shared + PIPES * shared);
    ledger.close().unwrap();
    let state = ledger.state();
    assert!(!state.runs.is_empty(), "a checkpoint ran in the background");
    assert_eq!(outcome(&state, Outcome::Delivered), delivered);
    assert_balanced(&state);
    drop(ledger);

    let ledger = open_real(dir.path());
    let again = ledger.state();
    assert_eq!((&again.pipes, &again.sources), (&state.pipes, &state.sources));
    let probing = ledger.pipe(declaration("p0", "s", DedupClock::Received)).unwrap();
    for pipe in 0..PIPES {
        for number in 1..=BATCHES {
            let fates = probe(&probing, &keys(pipe, number), NOW_MS);
            assert!(fates.iter().all(|fate| *fate == Fate::Duplicate), "{pipe} {number}");
        }
    }
    assert_eq!(ledger.state().scopes[0].keys_committed, delivered);
}

#[test]
fn p3_a_duplicate_of_an_event_in_flight_elsewhere_waits_until_that_is_durable() {
    let disk = journal::SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let a = ledger.pipe(declaration("a", "s", DedupClock::Received)).unwrap();
    let b = ledger.pipe(declaration("b", "s", DedupClock::Received)).unwrap();
    let (mut of_a, mut of_b) = (batch(&[1, 2], 0, NOW_MS), batch(&[1, 2], 0, NOW_MS));
    a.reserve(BatchNumber(1), &mut of_a).unwrap();
    b.reserve(BatchNumber(1), &mut of_b).unwrap();
    assert_eq!(of_b.events[0].fate, Fate::Waits);
    let wakeups = b.wakeups();
    a.commit(&settlement(BatchNumber(1), &of_a, Vec::new())).wait().unwrap();
    assert_ne!(b.wakeups(), wakeups);
    let mut again = batch(&[1, 2], 0, NOW_MS);
    b.reserve(BatchNumber(2), &mut again).unwrap();
    assert_eq!(again.events[0].fate, Fate::Duplicate);
}
