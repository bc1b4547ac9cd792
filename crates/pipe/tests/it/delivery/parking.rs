//! What is unsettled for long is kept whole in the ledger, and its source hears that it is settled.

use std::sync::Arc;

use event::source::Stop;
use event::{Clock, Outcome, TestClock};
use journal::Disk;
use pipe::engine::threads;

use super::kit::{Flow, Receiver, Say, StopAtEnd, policy, until};
use crate::world::{self, Broker, START_MS, config, disk, line, state};

#[test]
fn p1_a_parked_event_is_acknowledged_survives_a_crash_and_is_delivered_once() {
    let mut config = config(
        "pipe: app\n\
         source: { file: { path: in.ndjson } }\n\
         dedup: { key: $.id, window: 1h }\n\
         sinks:\n\
         - file: { path: /c/out/out.ndjson, name: there }\n\
         - file: { path: /c/out/also.ndjson, name: also }\n\
         rejected: { path: /d/rejected/app.ndjson }\n",
    );
    config.dead_letter.store = Some("/e/dead".into());
    let lines: Vec<String> = (0..4).map(|id| line(id, "a")).collect();
    let broker = Broker::new(&[lines.clone(), vec![lines[1].clone()]].concat());
    let disk = disk(1);
    let clock = TestClock::new(START_MS);
    let failing = lines[1].clone();
    let receiver =
        Receiver::new(move |body, _| if body == failing { Say::NotNow } else { Say::Yes });
    let mut patient = policy(10_000);
    patient.retry.backoff_max = std::time::Duration::from_secs(60);

    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut opened = world::open(&config, &broker, 10, &shared, &clock).unwrap();
    opened.parts.outlets[0] = receiver.outlet(0, "there", patient);
    let status = Arc::clone(&opened.parts.status);
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let _end = StopAtEnd(&stop);
        let parts = opened.parts;
        let running = scope.spawn(|| threads::run(parts, &stop).unwrap());
        until("the others are through", || broker.acked() == 3);
        let flow = Flow::of(&clock, 200);
        // The copy waits behind its original, and is parked like it.
        until("both are parked", || broker.acked() == 5);
        drop(flow);
        stop.ask();
        let ended = running.join().unwrap();
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        assert_eq!(ended.totals.outcomes[Outcome::Returned.index()], 0, "parked events stay");
        let parked = &status.delivery().unwrap().parked_events;
        assert_eq!(parked.load(std::sync::atomic::Ordering::Relaxed), 2);
    });
    // No orderly close: the process is gone.
    drop(opened.ledger);
    let survived = disk.after_power_loss(7);
    assert_eq!(state(&survived).imbalance(), []);
    assert_eq!(state(&survived).sources[0].in_flight_total(), 2);

    receiver.now_says(|_, _| Say::Yes);
    let shared: Arc<dyn Disk> = Arc::new(survived.clone());
    // A source that keeps everything, like a stream: the ledger's positions tell what is settled.
    let all = Broker::new(&[lines.clone(), vec![lines[1].clone()]].concat());
    let mut opened = world::open(&config, &all, 10, &shared, &clock).unwrap();
    opened.parts.outlets[0] = receiver.outlet(0, "there", patient);
    let flow = Flow::of(&clock, 200);
    let ended = threads::run(opened.parts, &Stop::default()).unwrap();
    drop(flow);
    opened.ledger.close().unwrap();
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    assert_eq!(all.handed_over(), 0, "the positions of parked events are settled");
    assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 1);
    assert_eq!(ended.totals.outcomes[Outcome::Duplicate.index()], 1);
    assert_eq!(receiver.got().iter().filter(|body| **body == lines[1]).count(), 1);
    let mut also = world::lines(&survived, "/c/out/also.ndjson");
    also.sort();
    assert_eq!(also, lines, "each once at the sink that stages");
    let state = state(&survived);
    assert_eq!(state.imbalance(), []);
    assert_eq!((state.pipes[0].parked.len(), state.sources[0].in_flight_total()), (0, 0));
    assert!(clock.now_ms() > START_MS);
}
