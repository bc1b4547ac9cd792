//! Events that make a stage panic, and events that get lost.

use std::sync::Arc;

use event::source::Stop;
use event::{BatchNumber, Outcome, TestClock};
use journal::Disk;
use pipe::engine::planted::Planted;
use pipe::engine::threads;

use crate::world::{self, Broker, START_MS, config, disk, line, state};

const DOC: &str = "pipe: app\n\
                   source: { file: { path: in.ndjson } }\n\
                   dedup: { key: $.id, window: 1h }\n\
                   sink: { file: { path: /c/out/out.ndjson } }\n\
                   rejected: { path: /d/rejected/app.ndjson }\n";

#[test]
fn poison_costs_one_event_each_and_the_pipe_goes_on() {
    let lines: Vec<String> =
        (0..50).map(|id| line(id, if id % 17 == 3 { "onceflow-poison" } else { "a" })).collect();
    let disk = disk(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let broker = Broker::new(&lines);
    let mut config = config(DOC);
    config.dead_letter.store = Some("/e/dead".into());
    let planted = Some(Planted::Poison);
    let opened = world::open_planted(&config, &broker, 20, &shared, &clock, planted).unwrap();
    let ended = threads::run(opened.parts, &Stop::default()).unwrap();
    opened.ledger.close().unwrap();
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    let healthy: Vec<String> = lines.iter().filter(|it| !it.contains("poison")).cloned().collect();
    assert_eq!(world::lines(&disk, "/c/out/out.ndjson"), healthy);
    assert_eq!(ended.totals.outcomes[Outcome::Dead.index()], 3);
    let state = state(&disk);
    assert_eq!((state.pipes[0].letters.len(), state.imbalance()), (3, vec![]));
    let letters = super::retry::letters(&disk);
    assert!(letters.iter().all(|it| it.class == "panic" && it.message == "this event is poison"));
    assert_eq!(broker.acked(), 50);
}

#[test]
fn p4_an_event_that_gets_lost_between_two_steps_is_noticed_with_its_batch() {
    let lines: Vec<String> = (0..50).map(|id| line(id, "a")).collect();
    let disk = disk(2);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let broker = Broker::new(&lines);
    let planted = Some(Planted::DropEvent);
    let opened = world::open_planted(&config(DOC), &broker, 20, &shared, &clock, planted).unwrap();
    let ended = threads::run(opened.parts, &Stop::default()).unwrap();
    opened.ledger.close().unwrap();
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    let imbalance = state(&disk).imbalance();
    assert_eq!(imbalance.len(), 1, "{imbalance:?}");
    assert_eq!((imbalance[0].received, imbalance[0].accounted), (50, 49));
    assert_eq!(imbalance[0].batch, BatchNumber(1), "the first batch lost it");
}
