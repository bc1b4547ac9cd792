//! Letters that go through their pipe again.

use std::sync::Arc;

use connect::dead::{DeadFolder, Found, LetterFilter, ReplayBatch, batch_of};
use event::source::Stop;
use event::{Outcome, TestClock};
use journal::{Disk, SimDisk};
use pipe::config::PipeConfig;
use pipe::engine::threads;
use pipe::replay::{ReplayOutcome, inbox};

use super::kit::{Flow, Receiver, Say, StopAtEnd, policy};
use crate::world::{self, Broker, START_MS, config, disk, line, state};

fn doc() -> PipeConfig {
    let mut config = config(
        "pipe: app\n\
         source: { file: { path: in.ndjson } }\n\
         dedup: { key: $.id, window: 1m }\n\
         sinks:\n\
         - file: { path: /c/out/a.ndjson, name: a }\n\
         - file: { path: /c/out/b.ndjson, name: b }\n\
         rejected: { path: /d/rejected/app.ndjson }\n",
    );
    config.dead_letter.store = Some("/e/dead".into());
    config
}

fn letters(disk: &SimDisk) -> Vec<Found> {
    let folder = DeadFolder::new(Arc::new(disk.clone()), std::path::Path::new("/e/dead"));
    folder.letters(LetterFilter::default()).map(|found| found.unwrap()).collect()
}

/// A run over `lines`, or over letters where there are some; sink `b` is `receiver`.
fn run(
    disk: &SimDisk,
    clock: &TestClock,
    lines: &[String],
    replayed: &[Found],
    receiver: &Receiver,
) -> Vec<ReplayOutcome> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let broker = Broker::new(lines);
    let mut opened = world::open(&doc(), &broker, 10, &shared, clock).unwrap();
    opened.parts.outlets[1] = receiver.outlet(1, "b", policy(2));
    let (to, outbox) = inbox();
    opened.parts.outbox = outbox;
    let id = format!("r{}", replayed.first().map_or(0, |found| found.letter.replay_count));
    let answers = to.begin(&id);
    if !replayed.is_empty() {
        let replay = ReplayBatch { id: &id, sinks: u64::MAX, now_ms: START_MS };
        to.submit(batch_of(replayed, &replay)).unwrap();
    }
    let stop = Stop::default();
    let flow = Flow::of(clock, 1);
    let ended = {
        let _end = StopAtEnd(&stop);
        threads::run(opened.parts, &stop).unwrap()
    };
    drop(flow);
    opened.ledger.close().unwrap();
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    assert_eq!(state(disk).imbalance(), []);
    answers.try_iter().collect()
}

#[test]
fn p5_a_replay_goes_to_the_sinks_that_lack_the_event_also_after_it_died_twice() {
    let bad = line(1, "x");
    let receiver = Receiver::new(|_, _| Say::NotNow);
    let disk = disk(1);
    let clock = TestClock::new(START_MS);
    run(&disk, &clock, &[bad.clone(), line(2, "x")], &[], &receiver);
    let first: Vec<Found> = letters(&disk);
    assert_eq!(first.len(), 2);
    let one: Vec<Found> = first.into_iter().filter(|it| it.letter.body == bad.as_bytes()).collect();
    assert_eq!(world::lines(&disk, "/c/out/a.ndjson").len(), 2, "the other sink has them");

    // Long after the window: a dead key is kept.
    clock.advance(3_600_000);
    let outcomes = run(&disk, &clock, &[], &one, &receiver);
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].outcome, Outcome::Dead);
    let second: Vec<Found> =
        letters(&disk).into_iter().filter(|it| it.letter.replay_count == 1).collect();
    assert_eq!(second.len(), 1, "it died again, with a letter of its own");
    assert_eq!(second[0].letter.recorded_ms, one[0].letter.recorded_ms);
    assert_eq!(state(&disk).pipes[0].letters.len(), 2, "which takes the place of the first");

    receiver.now_says(|_, _| Say::Yes);
    let outcomes = run(&disk, &clock, &[], &second, &receiver);
    assert_eq!(outcomes[0].outcome, Outcome::Delivered);
    assert_eq!(receiver.got(), std::slice::from_ref(&bad));
    assert_eq!(world::lines(&disk, "/c/out/a.ndjson").len(), 2, "P2: it was there from the start");
    assert_eq!(state(&disk).pipes[0].letters.len(), 1);
    let replays = state(&disk).sources.into_iter().find(|it| it.name == "replay:app").unwrap();
    assert_eq!(replays.total().received, 2, "a source of its own");
}

#[test]
fn a_replay_of_what_was_delivered_meanwhile_ends_as_duplicate() {
    let bad = line(1, "x");
    let receiver = Receiver::new(|_, _| Say::NotNow);
    let disk = disk(2);
    let clock = TestClock::new(START_MS);
    run(&disk, &clock, std::slice::from_ref(&bad), &[], &receiver);
    let letter = letters(&disk);
    receiver.now_says(|_, _| Say::Yes);
    // A copy comes: it is let through, since the original died of something transient.
    run(&disk, &clock, &[line(3, "y"), bad.clone()], &[], &receiver);
    assert!(receiver.got().contains(&bad));
    let outcomes = run(&disk, &clock, &[], &letter, &receiver);
    assert_eq!(outcomes[0].outcome, Outcome::Duplicate);
    assert_eq!(receiver.got().iter().filter(|body| **body == bad).count(), 1);
    assert_eq!(state(&disk).pipes[0].letters.len(), 0);
}
