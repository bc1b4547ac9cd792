//! Random steps with a moved clock and restarts, against a reference that is as plain as can be.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::queues::{
    NewMessage, Queue, QueueAttributes, QueueStatistics, Queues, Receipt, ReceiptProblem, Receive,
    Redrive,
};
use event::TestClock;
use journal::SimDisk;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::kit::{self, START_MS};

const NAMES: [&str; 3] = ["q", "dead", "plain"];
const RETENTION_MS: [i64; 3] = [1_000_000, 400_000, 200_000];
const DEAD: usize = 1;
const COUNT_MAX: u32 = 2;
const VISIBILITY_MS: i64 = 30_000;
const HIDDEN_MS_MAX: i64 = 43_200_000;

#[derive(Clone, Debug)]
enum Op {
    Send { queue: usize, count: usize, delay_s: u32 },
    Receive { queue: usize, messages_max: usize, remembered: bool },
    Delete { queue: usize, receipt: usize },
    Hide { queue: usize, receipt: usize, ms: i64 },
    Purge { queue: usize },
    Advance { ms: i64 },
    Restart { clean: bool },
}

fn op() -> impl Strategy<Value = Op> {
    let queue = || 0..3_usize;
    prop_oneof![
        5 => (queue(), 1..5_usize, prop_oneof![3 => Just(0), 1 => 1..60_u32])
            .prop_map(|(queue, count, delay_s)| Op::Send { queue, count, delay_s }),
        6 => (queue(), 1..6_usize, prop::bool::weighted(0.8))
            .prop_map(|(queue, messages_max, remembered)| {
                Op::Receive { queue, messages_max, remembered }
            }),
        4 => (queue(), 0..8_usize).prop_map(|(queue, receipt)| Op::Delete { queue, receipt }),
        3 => (queue(), 0..8_usize, prop_oneof![Just(0), 1..100_000_i64, Just(HIDDEN_MS_MAX)])
            .prop_map(|(queue, receipt, ms)| Op::Hide { queue, receipt, ms }),
        1 => queue().prop_map(|queue| Op::Purge { queue }),
        5 => prop_oneof![0..20_000_i64, Just(VISIBILITY_MS), 20_000..200_000_i64]
            .prop_map(|ms| Op::Advance { ms }),
        1 => any::<bool>().prop_map(|clean| Op::Restart { clean }),
    ]
}

#[derive(Clone, Debug)]
struct Reference {
    body: String,
    sent_ms: i64,
    visible_ms: i64,
    first_received_ms: i64,
    received_ms: i64,
    count: u32,
    latest: Option<Receipt>,
    local: bool,
    /// Its last receive was of a process that ended: it may have left a trace or not.
    blurred: bool,
}

#[derive(Default)]
struct Line {
    messages: Vec<Reference>,
    receipts: Vec<(Receipt, String)>,
    purged_ms: Option<i64>,
    counts: QueueStatistics,
}

struct World {
    disk: SimDisk,
    clock: TestClock,
    now_ms: i64,
    queues: Option<Queues>,
    lines: [Line; 3],
    sent: u64,
}

impl World {
    fn new() -> Self {
        let (disk, clock) = (SimDisk::new(1), TestClock::new(START_MS));
        let queues = kit::open(&disk, &clock);
        for at in [DEAD, 0, 2] {
            let redrive =
                Redrive { dead_letter_queue: "dead".into(), receive_count_max: COUNT_MAX };
            let attributes = QueueAttributes {
                retention_s: (RETENTION_MS[at] / 1000) as u32,
                redrive: (at == 0).then_some(redrive),
                ..QueueAttributes::default()
            };
            queues.create(NAMES[at], attributes, BTreeMap::new()).wait().unwrap();
        }
        let (lines, queues) = (Default::default(), Some(queues));
        Self { disk, clock, now_ms: START_MS, queues, lines, sent: 0 }
    }

    fn queue(&self, at: usize) -> Arc<Queue> {
        self.queues.as_ref().unwrap().get(NAMES[at]).unwrap()
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Send { queue, count, delay_s } => self.send(*queue, *count, *delay_s),
            Op::Receive { queue, messages_max, remembered } => {
                self.receive(*queue, *messages_max, *remembered);
            }
            Op::Delete { queue, receipt } => self.delete(*queue, *receipt),
            Op::Hide { queue, receipt, ms } => self.hide(*queue, *receipt, *ms),
            Op::Purge { queue } => self.purge(*queue),
            Op::Advance { ms } => {
                self.clock.advance(*ms);
                self.now_ms += ms;
            }
            Op::Restart { clean } => {
                if *clean {
                    self.queues.as_ref().unwrap().close().unwrap();
                }
                self.queues = None;
                self.queues = Some(kit::open(&self.disk, &self.clock));
                for message in self.lines.iter_mut().flat_map(|line| &mut line.messages) {
                    if message.local {
                        (message.visible_ms, message.blurred) = (0, true);
                    }
                }
            }
        }
        self.expire();
        self.queues.as_ref().unwrap().tidy().unwrap();
        self.check();
    }

    fn expire(&mut self) {
        for (line, retention_ms) in self.lines.iter_mut().zip(RETENTION_MS) {
            let before = line.messages.len();
            line.messages.retain(|message| message.sent_ms + retention_ms > self.now_ms);
            line.counts.expired += (before - line.messages.len()) as u64;
        }
    }

    fn check(&self) {
        for (at, line) in self.lines.iter().enumerate() {
            let messages = &line.messages;
            let hidden = |message: &&Reference| message.visible_ms > self.now_ms;
            let received = |message: &&Reference| message.latest.is_some();
            let expected = QueueStatistics {
                visible: messages.iter().filter(|one| !hidden(one)).count() as u64,
                in_flight: messages.iter().filter(hidden).filter(received).count() as u64,
                delayed: messages.iter().filter(hidden).filter(|one| !received(one)).count() as u64,
                oldest_sent_ms: messages.iter().map(|message| message.sent_ms).min(),
                bytes: messages.iter().map(|message| message.body.len() as u64).sum(),
                ..line.counts
            };
            assert_eq!(self.queue(at).statistics(), expected, "{}", NAMES[at]);
        }
    }

    fn send(&mut self, at: usize, count: usize, delay_s: u32) {
        let bodies: Vec<_> = (0..count as u64)
            .map(|n| format!("{}{}", self.sent + n, "x".repeat((self.sent * 37 % 500) as usize)))
            .collect();
        self.sent += count as u64;
        let message = |body: &String| NewMessage { delay_s: Some(delay_s), ..kit::message(body) };
        self.queue(at).send(bodies.iter().map(message).collect()).wait().unwrap();
        let line = &mut self.lines[at];
        line.counts.sent += count as u64;
        line.messages.extend(bodies.into_iter().map(|body| Reference {
            body,
            sent_ms: self.now_ms,
            visible_ms: self.now_ms + i64::from(delay_s) * 1000,
            first_received_ms: 0,
            received_ms: 0,
            count: 0,
            latest: None,
            local: false,
            blurred: false,
        }));
    }

    fn receive(&mut self, at: usize, messages_max: usize, remembered: bool) {
        // Which of several dead ones are met depends on the order, so all of them are.
        let messages_max = if at == 0 { 10_000 } else { messages_max };
        let remembered = remembered || at == 0;
        let receive = Receive {
            messages_max,
            bytes_max: usize::MAX,
            visibility_ms: Some(VISIBILITY_MS),
            remembered,
        };
        let received = self.queue(at).receive(receive).unwrap();
        let now_ms = self.now_ms;
        if at == 0 {
            // Durable behind the move that the receive may have submitted.
            self.queue(at).set_tags(BTreeMap::new()).wait().unwrap();
            let dead = |message: &mut Reference| {
                message.visible_ms <= now_ms && message.count >= COUNT_MAX
            };
            let moved: Vec<_> = self.lines[0].messages.extract_if(.., dead).collect();
            self.lines[0].counts.moved += moved.len() as u64;
            let anew =
                |message| Reference { count: 0, first_received_ms: 0, visible_ms: 0, ..message };
            self.lines[DEAD].messages.extend(moved.into_iter().map(anew));
        }
        let line = &mut self.lines[at];
        let visible = line.messages.iter().filter(|one| one.visible_ms <= now_ms).count();
        assert_eq!(received.len(), visible.min(messages_max));
        for message in received {
            let known = line.messages.iter_mut().find(|known| known.body == message.body).unwrap();
            assert!(known.visible_ms <= now_ms, "{known:?}");
            if known.blurred {
                assert!(message.receive_count <= known.count + 1);
                known.count = message.receive_count - 1;
                known.first_received_ms = message.first_received_ms;
            }
            known.blurred = false;
            known.count += 1;
            if known.count == 1 {
                known.first_received_ms = now_ms;
            }
            known.latest = Some(message.receipt);
            (known.visible_ms, known.received_ms) = (now_ms + VISIBILITY_MS, now_ms);
            known.local = !remembered;
            let counts = (message.receive_count, message.first_received_ms, message.sent_ms);
            assert_eq!(counts, (known.count, known.first_received_ms, known.sent_ms));
            line.receipts.push((message.receipt, known.body.clone()));
        }
    }

    /// One of the last receipts of a queue.
    fn receipt(&self, at: usize, receipt: usize) -> Option<(Receipt, Option<usize>)> {
        let line = &self.lines[at];
        let (receipt, body) = line.receipts.iter().rev().nth(receipt)?;
        let known = line.messages.iter().position(|message| message.body == *body);
        let blurred = known.is_some_and(|known| line.messages[known].blurred);
        (!blurred).then_some((*receipt, known))
    }

    fn delete(&mut self, at: usize, receipt: usize) {
        let Some((receipt, known)) = self.receipt(at, receipt) else { return };
        let answer = self.queue(at).delete(&[receipt]).wait().unwrap();
        let line = &mut self.lines[at];
        let expected = match known {
            None => Err(ReceiptProblem::Gone),
            Some(known) if line.messages[known].latest != Some(receipt) => {
                Err(ReceiptProblem::Stale)
            }
            Some(known) => {
                line.messages.remove(known);
                line.counts.deleted += 1;
                Ok(())
            }
        };
        assert_eq!(answer, [expected]);
    }

    fn hide(&mut self, at: usize, receipt: usize, ms: i64) {
        let Some((receipt, known)) = self.receipt(at, receipt) else { return };
        let answer = self.queue(at).change_visibility(&[(receipt, ms)]).unwrap();
        let now_ms = self.now_ms;
        let Some(known) = known.map(|known| &mut self.lines[at].messages[known]) else {
            assert_eq!(answer, [Err(ReceiptProblem::Gone)]);
            return;
        };
        let expected = if known.latest != Some(receipt) {
            Err(ReceiptProblem::Stale)
        } else if known.visible_ms <= now_ms {
            Err(ReceiptProblem::NotInFlight)
        } else if now_ms + ms > known.received_ms + HIDDEN_MS_MAX {
            Err(ReceiptProblem::HiddenTooLong)
        } else {
            known.visible_ms = now_ms + ms;
            Ok(())
        };
        assert_eq!(answer, [expected]);
    }

    fn purge(&mut self, at: usize) {
        let purged = self.queue(at).purge().wait();
        let line = &mut self.lines[at];
        let too_early = line.purged_ms.is_some_and(|purged_ms| self.now_ms - purged_ms < 60_000);
        assert_eq!(purged.is_err(), too_early);
        if !too_early {
            line.purged_ms = Some(self.now_ms);
            line.counts.purged += line.messages.len() as u64;
            line.messages.clear();
        }
    }
}

#[test]
fn queues_behave_as_a_plain_reference_over_any_steps() {
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 400, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let steps = prop::collection::vec(op(), 1..80);
    let run = |steps: Vec<Op>| {
        let mut world = World::new();
        steps.iter().for_each(|step| world.run(step));
        Ok(())
    };
    runner.run(&steps, run).unwrap();
}
