//! What fails for now comes again; what can't be delivered becomes a letter.

use std::sync::Arc;

use connect::dead::{DeadFolder, LetterFilter};
use event::source::Stop;
use event::{Outcome, TestClock};
use journal::{Disk, SimDisk};
use pipe::config::{OrderConfig, PipeConfig};
use pipe::engine::threads;
use pipe::engine::threads::Ended;

use super::kit::{Flow, Receiver, Say, policy};
use crate::world::{self, Broker, START_MS, config, disk, line, state};

/// One sink, which the tests make a receiver; with `extra` lines.
fn pipe(extra: &str) -> PipeConfig {
    let mut config = config(&format!(
        "pipe: app\n\
         source: {{ file: {{ path: in.ndjson }} }}\n\
         envelope: {{ type: $.type }}\n\
         dedup: {{ key: $.id, window: 10m }}\n\
         sink: {{ file: {{ path: /c/out/out.ndjson, name: there }} }}\n\
         rejected: {{ path: /d/rejected/app.ndjson }}\n{extra}"
    ));
    config.dead_letter.store = Some("/e/dead".into());
    config
}

/// Runs the pipe until its source has ended and everything is settled.
fn run(
    config: &PipeConfig,
    broker: &Broker,
    per_batch: usize,
    disk: &SimDisk,
    receiver: &Receiver,
    attempts_max: u64,
) -> Ended {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let mut opened = world::open(config, broker, per_batch, &shared, &clock).unwrap();
    opened.parts.outlets[0] = receiver.outlet(0, "there", policy(attempts_max));
    let flow = Flow::of(&clock, 1);
    let ended = threads::run(opened.parts, &Stop::default()).unwrap();
    drop(flow);
    opened.ledger.close().unwrap();
    ended
}

fn bodies(ids: impl IntoIterator<Item = usize>) -> Vec<String> {
    ids.into_iter().map(|id| line(id, "a")).collect()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

pub(super) fn letters(disk: &SimDisk) -> Vec<connect::dead::Letter> {
    let folder = DeadFolder::new(Arc::new(disk.clone()), std::path::Path::new("/e/dead"));
    let found = folder.letters(LetterFilter::default());
    found.map(|found| found.unwrap().letter).collect()
}

#[test]
fn p1_of_a_batch_of_500_in_which_3_fail_497_are_delivered_at_once_and_3_again() {
    let lines = bodies(0..500);
    let bad = bodies([7, 250, 499]);
    let failing = bad.clone();
    let receiver = Receiver::new(move |body, tries| {
        if tries < 3 && failing.iter().any(|it| it == body) { Say::NotNow } else { Say::Yes }
    });
    let disk = disk(1);
    let ended = run(&pipe(""), &Broker::new(&lines), 500, &disk, &receiver, 5);
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    assert_eq!(receiver.waves()[0], 500);
    assert_eq!(receiver.got().len(), 500, "each once");
    assert_eq!(sorted(receiver.got()), sorted(lines.clone()));
    assert!(receiver.got()[497..].iter().all(|body| bad.contains(body)), "the others don't wait");
    for body in &lines {
        assert_eq!(receiver.tries(body), if bad.contains(body) { 3 } else { 1 }, "{body}");
    }
    assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 500);
    assert_eq!(state(&disk).imbalance(), []);
}

#[test]
fn p5_what_fails_too_often_becomes_a_whole_letter_and_a_later_copy_is_let_through() {
    let (bad, good) = (line(1, "a"), line(2, "a"));
    let failing = bad.clone();
    let receiver =
        Receiver::new(move |body, _| if body == failing { Say::NotNow } else { Say::Yes });
    let disk = disk(2);
    let broker = Broker::new(&[bad.clone(), good.clone()]);
    let ended = run(&pipe(""), &broker, 10, &disk, &receiver, 3);
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    assert_eq!((receiver.tries(&bad), receiver.got()), (3, vec![good.clone()]));
    assert_eq!(broker.acked(), 2, "a dead letter settles the event");
    let letters = letters(&disk);
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!(letter.body, bad.as_bytes());
    assert_eq!((letter.pipe.as_str(), letter.sink.as_str()), ("app", "there"));
    assert_eq!((letter.stage.as_str(), letter.class.as_str()), ("deliver", "notnow"));
    assert_eq!((letter.attempts.len(), letter.deterministic), (3, false));
    assert_eq!(state(&disk).imbalance(), []);
    assert_eq!(state(&disk).pipes[0].letters.len(), 1);

    receiver.now_says(|_, _| Say::Yes);
    let again = Broker::new(&[bad.clone(), bad.clone(), good]);
    let mut settled = pipe("");
    settled.pipe = "later".into();
    settled.dedup.as_mut().unwrap().scope = "app".into();
    let ended = run(&settled, &again, 10, &disk, &receiver, 3);
    assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 1, "P3: it was never delivered");
    assert_eq!(ended.totals.outcomes[Outcome::Duplicate.index()], 2);
    assert_eq!(receiver.got().iter().filter(|body| **body == bad).count(), 1);
}

#[test]
fn p3_a_copy_of_what_can_never_be_delivered_is_a_duplicate_and_one_with_another_body_is_not() {
    let bad = line(1, "a");
    let other = bad.replace("xxx", "yyy");
    let failing = bad.clone();
    let receiver =
        Receiver::new(move |body, _| if body == failing { Say::Never } else { Say::Yes });
    let disk = disk(3);
    let broker = Broker::new(&[bad.clone(), bad.clone(), other.clone()]);
    let ended = run(&pipe(""), &broker, 3, &disk, &receiver, 5);
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    assert_eq!(receiver.tries(&bad), 1, "it is tried once");
    assert_eq!(receiver.got(), [other]);
    let outcome = |outcome: Outcome| ended.totals.outcomes[outcome.index()];
    assert_eq!(outcome(Outcome::Dead), 1);
    assert_eq!(outcome(Outcome::Duplicate), 1);
    assert_eq!(outcome(Outcome::Delivered), 1);
    assert_eq!(letters(&disk).len(), 1);
    assert_eq!(state(&disk).imbalance(), []);
}

#[test]
fn p3_duplicates_wait_for_an_original_that_is_tried_again_in_its_batch_and_in_later_ones() {
    for dies in [false, true] {
        let (bad, good) = (line(1, "a"), line(2, "a"));
        let failing = bad.clone();
        let receiver = Receiver::new(move |body, tries| match tries {
            // Its three attempts, then those of its copy.
            ..=3 if body == failing && dies => Say::NotNow,
            ..=2 if body == failing => Say::NotNow,
            _ => Say::Yes,
        });
        let disk = disk(4);
        let lines = [bad.clone(), bad.clone(), good.clone(), bad.clone(), bad.clone(), good];
        let broker = Broker::new(&lines);
        let ended = run(&pipe(""), &broker, 2, &disk, &receiver, 3);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        assert_eq!(receiver.got().iter().filter(|body| **body == bad).count(), 1, "dies: {dies}");
        let outcome = |outcome: Outcome| ended.totals.outcomes[outcome.index()];
        assert_eq!(outcome(Outcome::Delivered), 2, "dies: {dies}");
        assert_eq!(outcome(Outcome::Dead), u64::from(dies));
        assert_eq!(outcome(Outcome::Duplicate), 4 - u64::from(dies));
        assert_eq!(broker.acked(), 6);
        assert_eq!(state(&disk).imbalance(), []);
    }
}

#[test]
fn order_by_makes_later_events_of_a_key_wait_and_no_others() {
    let event = |id: usize, key: &str| format!("{{\"id\":{id},\"type\":\"a\",\"user\":\"{key}\"}}");
    let lines: Vec<String> = (0..60).map(|id| event(id, ["anna", "ben", "cleo"][id % 3])).collect();
    for (ordered, seed) in [(true, 5), (false, 6)] {
        let mut config = pipe("");
        if ordered {
            let path = event::path::FieldPath::parse("$.user").unwrap();
            config.order = OrderConfig::PerPartitionKey { by: Some(path) };
        }
        let failing = lines[3].clone();
        let receiver =
            Receiver::new(
                move |body, tries| {
                    if body == failing && tries < 4 { Say::NotNow } else { Say::Yes }
                },
            );
        let disk = disk(seed);
        let ended = run(&config, &Broker::new(&lines), 7, &disk, &receiver, 9);
        assert!(ended.failure.is_none(), "{:?}", ended.failure);
        let got = receiver.got();
        assert_eq!(sorted(got.clone()), sorted(lines.clone()), "each once");
        let of = |user: &str| -> Vec<String> {
            got.iter().filter(|body| body.contains(user)).cloned().collect()
        };
        let sent = |user: &str| -> Vec<String> {
            lines.iter().filter(|body| body.contains(user)).cloned().collect()
        };
        assert_eq!(of("anna") == sent("anna"), ordered, "the key of the one that failed");
        assert_eq!(of("ben"), sent("ben"));
        assert_eq!(of("cleo"), sent("cleo"));
        let late = got.iter().position(|body| *body == lines[3]).unwrap();
        let passed = got[..late].iter().filter(|body| !body.contains("anna")).count();
        assert!(passed > 2, "others pass: {passed}");
        assert_eq!(state(&disk).imbalance(), []);
    }
}
