//! Several sinks: each event goes to each of its sinks once, whatever happens at the others.

use std::sync::Arc;

use event::sink::{Guarantee, Refusal, Rows, Sink, SinkError, SinkState, Staged, StagedOutput};
use event::source::Stop;
use event::{Outcome, TestClock};
use journal::Disk;
use pipe::config::PipeConfig;
use pipe::engine::outlet::OutletKind;
use pipe::engine::threads;

use super::kit::{Flow, Receiver, Say, policy};
use crate::world::{self, Broker, START_MS, config, disk, line, state};

fn doc(sinks: &str) -> PipeConfig {
    let mut config = config(&format!(
        "pipe: app\n\
         source: {{ file: {{ path: in.ndjson }} }}\n\
         envelope: {{ type: $.type }}\n\
         dedup: {{ key: $.id, window: 1h }}\n\
         sinks:\n{sinks}\
         rejected: {{ path: /d/rejected/app.ndjson }}\n"
    ));
    config.dead_letter.store = Some("/e/dead".into());
    config
}

const TWO: &str = "- file: { path: /c/out/a.ndjson, name: a }\n\
                   - file: { path: /c/out/b.ndjson, name: b }\n";

#[test]
fn p2_an_event_that_is_tried_again_at_one_sink_goes_to_the_others_once() {
    let lines: Vec<String> = (0..20).map(|id| line(id, "a")).collect();
    let three = format!("{TWO}- file: {{ path: /c/out/c.ndjson, name: c }}\n");
    let disk = disk(1);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let broker = Broker::new(&lines);
    let mut opened = world::open(&doc(&three), &broker, 6, &shared, &clock).unwrap();
    let steady = Receiver::new(|_, _| Say::Yes);
    let moody = Receiver::new(|body, tries| match (body.len() + body.as_bytes()[6] as usize) % 3 {
        0 if tries < 3 => Say::NotNow,
        1 => Say::Never,
        _ => Say::Yes,
    });
    opened.parts.outlets[0] = steady.outlet(0, "a", policy(5));
    opened.parts.outlets[1] = moody.outlet(1, "b", policy(5));
    let flow = Flow::of(&clock, 1);
    let ended = threads::run(opened.parts, &Stop::default()).unwrap();
    drop(flow);
    opened.ledger.close().unwrap();
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(steady.got()), sorted(lines.clone()), "each once");
    assert_eq!(sorted(world::lines(&disk, "/c/out/c.ndjson")), sorted(lines.clone()));
    let refused: std::collections::BTreeSet<String> = moody
        .log()
        .into_iter()
        .filter_map(|(body, said)| (said == Say::Never).then_some(body))
        .collect();
    assert!(!refused.is_empty() && refused.len() < 20);
    assert_eq!(moody.got().len(), 20 - refused.len());
    assert_eq!(ended.totals.outcomes[Outcome::Dead.index()], refused.len() as u64);
    for letter in state(&disk).pipes[0].letters.values() {
        assert_eq!(letter.sinks.len(), 2, "the letter knows who has it: {letter:?}");
    }
    assert_eq!(state(&disk).imbalance(), []);
}

/// Takes everything but events with an `x` type.
struct Picky;

impl Sink for Picky {
    fn name(&self) -> &str {
        "b"
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, _: &SinkState) -> Result<StagedOutput, SinkError> {
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        let refused: Vec<Refusal> = rows
            .iter()
            .filter(|(_, event)| rows.batch.body(event).ends_with(b"x\"}"))
            .map(|(index, _)| Refusal {
                event: index as u32,
                class: "too_large",
                message: "1 byte too many".into(),
            })
            .collect();
        if refused.is_empty() { Ok(Staged::nothing()) } else { Err(SinkError::Refused(refused)) }
    }

    fn withdraw(&mut self, _: &StagedOutput) -> Result<(), SinkError> {
        Ok(())
    }
}

#[test]
fn an_event_that_a_sink_can_never_take_dies_there_and_reaches_the_others() {
    let lines: Vec<String> = (0..6)
        .map(|id| format!("{{\"id\":{id},\"type\":\"a\",\"end\":\"{}\"}}", ["x", "y"][id % 2]))
        .collect();
    let disk = disk(2);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = TestClock::new(START_MS);
    let broker = Broker::new(&lines);
    let mut opened = world::open(&doc(TWO), &broker, 6, &shared, &clock).unwrap();
    opened.parts.outlets[1].kind = OutletKind::Staged(Box::new(Picky));
    let ended = threads::run(opened.parts, &Stop::default()).unwrap();
    opened.ledger.close().unwrap();
    assert!(ended.failure.is_none(), "{:?}", ended.failure);
    assert_eq!(world::lines(&disk, "/c/out/a.ndjson"), lines, "each once, in order");
    assert_eq!(ended.totals.outcomes[Outcome::Dead.index()], 3);
    assert_eq!(ended.totals.outcomes[Outcome::Delivered.index()], 3);
    assert_eq!(broker.acked(), 6);
    assert_eq!(state(&disk).pipes[0].letters.len(), 3);
    assert_eq!(state(&disk).imbalance(), []);
}

#[test]
fn routes_decide_who_gets_an_event_and_what_nobody_takes_is_filtered() {
    let lines: Vec<String> =
        ["pay", "play", "noise", "pay"].iter().zip(0..).map(|(t, id)| line(id, t)).collect();
    let matches = "- file: { path: /c/out/a.ndjson, name: a, match: { type: [pay] } }\n\
                   - file: { path: /c/out/b.ndjson, name: b, match: { type: [pay, play] } }\n";
    let with = |first: bool, default: Option<&str>, seed: u64| {
        let mut config = doc(matches);
        config.route.first = first;
        config.route.default = default.map(str::to_owned);
        let disk = disk(seed);
        let shared: Arc<dyn Disk> = Arc::new(disk.clone());
        let clock = TestClock::new(START_MS);
        let broker = Broker::new(&lines);
        let opened = world::open(&config, &broker, 6, &shared, &clock).unwrap();
        let ended = threads::run(opened.parts, &Stop::default()).unwrap();
        opened.ledger.close().unwrap();
        assert_eq!(state(&disk).imbalance(), []);
        let ids = |path: &str| -> Vec<usize> {
            let rows = world::lines(&disk, path);
            rows.iter().map(|row| lines.iter().position(|line| line == row).unwrap()).collect()
        };
        let filtered = ended.totals.outcomes[Outcome::Filtered.index()];
        (ids("/c/out/a.ndjson"), ids("/c/out/b.ndjson"), filtered)
    };
    assert_eq!(with(false, None, 3), (vec![0, 3], vec![0, 1, 3], 1));
    assert_eq!(with(true, None, 4), (vec![0, 3], vec![1], 1));
}
