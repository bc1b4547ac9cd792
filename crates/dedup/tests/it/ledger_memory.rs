//! Keys beyond memory: what memory sheds is found in key runs, exactly as if it had stayed.

use std::collections::BTreeMap;
use std::sync::Arc;

use dedup::ledger::{Ledger, LedgerOptions, PipeDeclaration, PipeLedger};
use dedup::scope::DedupClock;
use event::{Fate, TestClock};
use journal::{JournalConfig, RealDisk, SimDisk};
use proptest::prelude::*;

use crate::ledger_kit::*;

const WINDOW_MS: i64 = 600_000;

/// A pipe whose scope may keep nothing in memory but what is in no run.
fn shedding(pipe: &str) -> PipeDeclaration {
    let mut declared = declaration(pipe, "s", DedupClock::Event);
    if let Some(scope) = &mut declared.scope {
        scope.options.memory_bytes_max = 1;
        // Times come in any order, and nothing is late or forgotten.
        scope.options.lateness_ms = i64::MAX / 4;
    }
    declared
}

/// What a scope would decide that forgets nothing: the recorded times of each key.
#[derive(Default)]
struct Reference(BTreeMap<u128, Vec<i64>>);

impl Reference {
    fn decide(&mut self, key: u128, time_ms: i64) -> Fate {
        let known = self.0.entry(key).or_default();
        if known.iter().any(|recorded_ms| (time_ms - recorded_ms).abs() < WINDOW_MS) {
            return Fate::Duplicate;
        }
        known.push(time_ms);
        Fate::Deliver
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Keys with their times.
    Send(Vec<(u128, i64)>),
    Checkpoint,
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec((0..8_u128, 0..6 * WINDOW_MS), 1..12).prop_map(Step::Send),
        3 => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Keys that are in memory alone, in runs alone, in both, and of which an older entry is in a
    /// run and a newer one in memory.
    #[test]
    fn p2_what_memory_forgot_is_decided_as_if_it_had_not(steps in steps()) {
        let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
        let mut ledger = open_with(&disk, &clock, options()).unwrap();
        let mut pipe = ledger.pipe(shedding("app")).unwrap();
        let (mut reference, mut first) = (Reference::default(), 0);
        for step in steps {
            match step {
                Step::Send(sent) => {
                    let keys: Vec<u128> = sent.iter().map(|(key, _)| *key).collect();
                    let (number, mut events) = (pipe.next_batch(), batch(&keys, first, NOW_MS));
                    first += keys.len() as u64;
                    for (event, (_, after_ms)) in events.events.iter_mut().zip(&sent) {
                        event.event_ms = NOW_MS + after_ms;
                    }
                    pipe.reserve(number, &mut events).unwrap();
                    pipe.commit(&settlement(number, &events, Vec::new())).wait().unwrap();
                    for (event, (key, after_ms)) in events.events.iter().zip(&sent) {
                        let expected = reference.decide(*key, NOW_MS + after_ms);
                        prop_assert_eq!(event.fate, expected, "key {} after {}", key, after_ms);
                    }
                }
                Step::Checkpoint => ledger.checkpoint().unwrap(),
                Step::Restart => {
                    drop(pipe);
                    ledger.close().unwrap();
                    drop(ledger);
                    ledger = open_with(&disk, &clock, options()).unwrap();
                    pipe = ledger.pipe(shedding("app")).unwrap();
                }
            }
        }
    }
}

#[test]
fn p6_memory_stays_small_however_many_keys_live() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    let pipe = ledger.pipe(shedding("app")).unwrap();
    let keys = |round: u64| -> Vec<u128> {
        (0..2_000)
            .map(|i| u128::from(round * 2_000 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15 << 64 | 1))
            .collect()
    };
    let mut peak = 0;
    for round in 0..40 {
        let fates = send(&pipe, &keys(round), round * 2_000, NOW_MS).unwrap();
        assert!(fates.iter().all(|fate| *fate == Fate::Deliver));
        ledger.checkpoint().unwrap();
        probe(&pipe, &keys(1_000), NOW_MS);
        if round > 2 {
            peak = peak.max(ledger.memory_bytes());
        }
    }
    assert_eq!(ledger.live_keys(), [("s".to_owned(), 80_000)]);
    assert!(peak < 80_000 * 16, "{peak} bytes for 80,000 keys");
    for round in 0..40 {
        let fates = probe(&pipe, &keys(round), NOW_MS);
        assert!(fates.iter().all(|fate| *fate == Fate::Duplicate), "round {round}");
    }
}

/// Keys leave memory for runs between the look-up of one pipe and its decision.
#[test]
fn p2_pipes_of_one_scope_deliver_each_key_once_while_memory_sheds() {
    const KEYS: u128 = 20_000;
    let dir = tempfile::tempdir().unwrap();
    let options = LedgerOptions {
        checkpoint_journal_bytes: 30_000,
        key_runs_probed_max: 4,
        journal: JournalConfig { segment_bytes: 1 << 18, ..JournalConfig::default() },
        ..LedgerOptions::default()
    };
    let clock = Arc::new(TestClock::new(NOW_MS));
    let ledger = Ledger::open(Arc::new(RealDisk::new()), dir.path(), options, clock).unwrap();
    let drive = |pipe: Arc<PipeLedger>, step: u128| {
        let (mut delivered, mut unsettled) = (0_usize, Vec::<u128>::new());
        // The same keys in another order by each pipe, each twice.
        let mut order = (0..2 * KEYS).map(|i| i * step % KEYS);
        let mut first = 0;
        loop {
            let mut sent = std::mem::take(&mut unsettled);
            sent.extend(order.by_ref().take(100));
            if sent.is_empty() {
                return delivered;
            }
            let number = pipe.next_batch();
            let mut events = batch(&sent, first, NOW_MS);
            first += sent.len() as u64;
            pipe.reserve(number, &mut events).unwrap();
            unsettled =
                events.events.iter().filter(|e| e.fate == Fate::Waits).map(|e| e.key).collect();
            delivered += events.events.iter().filter(|e| e.fate == Fate::Deliver).count();
            events.events.retain(|event| event.fate != Fate::Waits);
            pipe.commit(&settlement(number, &events, Vec::new())).wait().unwrap();
            pipe.forget_waiters();
        }
    };
    let delivered: usize = std::thread::scope(|scope| {
        let pipes = [("a", 1), ("b", 7_919), ("c", 10_007)].map(|(name, step)| {
            let pipe = ledger.pipe(shedding(name)).unwrap();
            scope.spawn(move || drive(pipe, step))
        });
        pipes.into_iter().map(|pipe| pipe.join().unwrap()).sum()
    });
    assert_eq!(delivered as u128, KEYS);
    assert!(!ledger.state().runs.is_empty(), "a checkpoint ran in the background");
}
