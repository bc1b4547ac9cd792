//! A sink that is down pauses its pipe; nothing dies of an outage.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event::sink::{Guarantee, Rows, Sink, SinkError, SinkState, Staged, StagedOutput};
use event::source::Stop;
use event::{Clock, Outcome, TestClock};
use journal::Disk;
use pipe::config::CircuitConfig;
use pipe::engine::outlet::{DeliveryPolicy, Outlet, Takes};
use pipe::engine::threads;
use pipe::status::CircuitState;

use super::kit::{Flow, Receiver, Say, StopAtEnd, policy, until};
use crate::world::{self, Broker, START_MS, config, disk, line, state};

const MINUTE_MS: i64 = 60_000;

fn circuit() -> DeliveryPolicy {
    DeliveryPolicy {
        circuit: CircuitConfig {
            failures_max: 10,
            pause_min: Duration::from_secs(1),
            pause_max: Duration::from_secs(30),
        },
        ..policy(5)
    }
}

fn doc(pipe: &str) -> pipe::config::PipeConfig {
    let mut config = config(&format!(
        "pipe: {pipe}\n\
         source: {{ file: {{ path: in.ndjson }} }}\n\
         dedup: {{ key: $.id, window: 1h, scope: both }}\n\
         sink: {{ file: {{ path: /c/out/{pipe}.ndjson, name: there }} }}\n\
         rejected: {{ path: /d/rejected/{pipe}.ndjson }}\n"
    ));
    config.dead_letter.store = Some("/e/dead".into());
    config
}

/// The sink is down for ten minutes of the test's time, in one way or another.
fn outage(said: Say) {
    let lines: Vec<String> = (0..2000).map(|id| line(id, "a")).collect();
    let broker = Broker::new(&lines);
    let disk = disk(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let mut opened = world::open(&doc("app"), &broker, 100, &shared, &clock).unwrap();
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let receiver =
        Receiver::new(move |_, _| if down.load(Ordering::SeqCst) { said } else { Say::Yes });
    opened.parts.outlets[0] = receiver.outlet(0, "there", circuit());
    let status = Arc::clone(&opened.parts.status);
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let _end = StopAtEnd(&stop);
        let parts = opened.parts;
        let running = scope.spawn(|| threads::run(parts, &stop).unwrap());
        let flow = Flow::of(&clock, 500);
        until("ten minutes", || clock.now_ms() > START_MS + 10 * MINUTE_MS);
        let delivery = status.delivery().unwrap();
        assert_ne!(delivery.sinks[0].circuit(), CircuitState::Closed);
        assert!(delivery.paused().unwrap().why.contains("sink `there` is down"));
        assert!(broker.handed_over() < 1500, "the source feels it: {}", broker.handed_over());
        is_down.store(false, Ordering::SeqCst);
        let ended = running.join().unwrap();
        drop(flow);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 2000);
        assert_eq!(delivery.sinks[0].circuit(), CircuitState::Closed);
        assert_eq!(delivery.paused(), None);
    });
    opened.ledger.close().unwrap();
    assert_eq!(receiver.got().len(), 2000, "each once");
    let failed = receiver.log().iter().filter(|(_, said)| *said != Say::Yes).count();
    // A wave before it is noticed, then a probe every 30 s of the ten minutes and of what passed
    // until the test noticed.
    assert!(failed < 200, "{failed} attempts were used up");
    assert_eq!(state(&disk).imbalance(), []);
}

#[test]
fn a_sink_that_is_unreachable_for_ten_minutes_costs_no_event() {
    outage(Say::Nothing);
}

#[test]
fn a_sink_that_answers_500_for_ten_minutes_costs_no_event() {
    outage(Say::NotNow);
}

#[test]
fn an_event_that_always_fails_does_not_stop_the_others() {
    let lines: Vec<String> = (0..300).map(|id| line(id, "a")).collect();
    let disk = disk(2);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let broker = Broker::new(&lines);
    let mut opened = world::open(&doc("app"), &broker, 20, &shared, &clock).unwrap();
    // 15 events in a row fail, more than `failures_max`; and one now and then.
    let bad = |body: &str| {
        let id: usize = body[6..].split(',').next().unwrap().parse().unwrap();
        (100..115).contains(&id) || id % 50 == 3
    };
    let receiver = Receiver::new(move |body, _| if bad(body) { Say::NotNow } else { Say::Yes });
    opened.parts.outlets[0] = receiver.outlet(0, "there", circuit());
    let flow = Flow::of(&clock, 200);
    let ended = threads::run(opened.parts, &Stop::default()).unwrap();
    drop(flow);
    opened.ledger.close().unwrap();
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    let dead = lines.iter().filter(|body| bad(body)).count() as u64;
    assert_eq!(ended.totals.outcomes[Outcome::Dead.index()], dead);
    assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 300 - dead);
    assert_eq!(state(&disk).imbalance(), []);
}

#[test]
fn a_paused_pipe_gives_up_keys_that_another_one_waits_for() {
    let (first, second) = (doc("first"), doc("second"));
    let disk = disk(3);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let lines: Vec<String> = (0..5).map(|id| line(id, "a")).collect();
    let (broker_one, broker_two) = (Broker::new(&lines), Broker::new(&lines[2..3]));
    let mut one = world::open(&first, &broker_one, 2, &shared, &clock).unwrap();
    let mut two = world::add(&one.ledger, &second, &broker_two, 2, &shared, &clock).unwrap();
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let away = Receiver::new(
        move |_, _| {
            if down.load(Ordering::SeqCst) { Say::Nothing } else { Say::Yes }
        },
    );
    let there = Receiver::new(|_, _| Say::Yes);
    let mut policy = circuit();
    policy.circuit.failures_max = 1;
    one.parts.outlets[0] = away.outlet(0, "there", policy);
    two.outlets[0] = there.outlet(0, "there", policy);
    let status = Arc::clone(&one.parts.status);
    let (stop, other_stop) = (Stop::default(), Stop::default());
    std::thread::scope(|scope| {
        let (_end, _other_end) = (StopAtEnd(&stop), StopAtEnd(&other_stop));
        let parts = one.parts;
        let running = scope.spawn(|| threads::run(parts, &stop).unwrap());
        until("it pauses", || {
            status.delivery().is_some_and(|delivery| delivery.paused().is_some())
        });
        // Batches of the paused pipe hold the key, whether staged next or decided after that.
        let flow = Flow::of(&clock, 1);
        let other = scope.spawn(|| threads::run(two, &other_stop).unwrap());
        until("it needs not wait", || there.got() == lines[2..3]);
        let ended = other.join().unwrap();
        assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 1);
        is_down.store(false, Ordering::SeqCst);
        drop(flow);
        let flow = Flow::of(&clock, 500);
        let ended = running.join().unwrap();
        drop(flow);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 4);
        assert_eq!(ended.totals.outcomes[Outcome::Duplicate.index()], 1);
    });
    one.ledger.close().unwrap();
    assert!(!away.got().contains(&lines[2]), "P2");
    assert_eq!(state(&disk).imbalance(), []);
}

/// Has no room while it says so.
struct Full(Arc<AtomicBool>);

impl Sink for Full {
    fn name(&self) -> &str {
        "there"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, _: &SinkState) -> Result<StagedOutput, SinkError> {
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, _: &Rows<'_>) -> Result<Staged, SinkError> {
        if self.0.load(Ordering::SeqCst) {
            return Err(SinkError::NoSpace { what: "the test".into() });
        }
        Ok(Staged::nothing())
    }

    fn withdraw(&mut self, _: &StagedOutput) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn p3_duplicates_of_a_key_that_a_paused_pipe_gave_up_wait_with_it() {
    for is_full in [false, true] {
        gives_up_a_key_with_its_duplicates(is_full);
    }
}

/// The pipe pauses for a receiver that is down, or for room.
fn gives_up_a_key_with_its_duplicates(is_full: bool) {
    let (first, second) = (doc("first"), doc("second"));
    let disk = disk(4);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let lines: Vec<String> = [0, 1, 2, 2, 3, 4].map(|id| line(id, "a")).to_vec();
    let (broker_one, broker_two) = (Broker::new(&lines), Broker::new(&lines[2..3]));
    // All in one batch.
    let mut one = world::open(&first, &broker_one, 6, &shared, &clock).unwrap();
    let mut two = world::add(&one.ledger, &second, &broker_two, 6, &shared, &clock).unwrap();
    let is_down = Arc::new(AtomicBool::new(true));
    let down = Arc::clone(&is_down);
    let away = Receiver::new(
        move |_, _| {
            if down.load(Ordering::SeqCst) { Say::Nothing } else { Say::Yes }
        },
    );
    let busy = Receiver::new(|_, _| Say::NotNow);
    let mut policy = policy(10_000);
    policy.circuit.failures_max = 1;
    one.parts.outlets[0] = if is_full {
        Outlet::staged(Takes::Routed(0), Box::new(Full(Arc::clone(&is_down))))
    } else {
        away.outlet(0, "there", policy)
    };
    policy.circuit.failures_max = 10_000;
    two.outlets[0] = busy.outlet(0, "there", policy);
    let status = Arc::clone(&one.parts.status);
    let (stop, other_stop) = (Stop::default(), Stop::default());
    std::thread::scope(|scope| {
        let (_end, _other_end) = (StopAtEnd(&stop), StopAtEnd(&other_stop));
        let parts = one.parts;
        let running = scope.spawn(|| threads::run(parts, &stop).unwrap());
        until("it pauses", || {
            status.delivery().is_some_and(|delivery| delivery.paused().is_some())
        });
        let _flow = Flow::of(&clock, 50);
        let other = scope.spawn(|| threads::run(two, &other_stop).unwrap());
        until("the other one has the key", || busy.tries(&lines[2]) > 0);
        is_down.store(false, Ordering::SeqCst);
        until("the rest of the batch is through", || broker_one.acked() >= 4);
        assert_eq!(broker_one.acked(), 4, "nobody has the event yet, so it has no duplicates");
        busy.now_says(|_, _| Say::Yes);
        let other = other.join().unwrap();
        assert_eq!(other.totals.outcomes[Outcome::Delivered.index()], 1);
        let ended = running.join().unwrap();
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 4);
        assert_eq!(ended.totals.outcomes[Outcome::Duplicate.index()], 2);
    });
    one.ledger.close().unwrap();
    assert_eq!(state(&disk).imbalance(), []);
}
