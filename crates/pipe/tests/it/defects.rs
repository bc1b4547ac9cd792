//! What the published sample that this system answers gets wrong (DESIGN §2), one test each.

use event::Outcome;

use crate::world::{Broker, config, disk, line, lines, run, small};

fn outcome(totals: &pipe::engine::Totals, outcome: Outcome) -> u64 {
    totals.outcomes[outcome.index()]
}

/// "The key is marked before the event is processed, so a crash loses it."
#[test]
fn a_crash_between_reservation_and_commit_does_not_lose_the_event() {
    let input: Vec<String> = (0..5).map(|id| line(id, "a")).collect();
    let whole = disk(1);
    run(small(), &Broker::new(&input), 5, &whole).unwrap();
    for op in 1..=whole.ops() {
        let crashed = disk(1);
        let broker = Broker::new(&input);
        crashed.crash_at(op);
        let _ = run(small(), &broker, 5, &crashed);
        // The process is gone, the disk is not: nothing may be called a duplicate of itself.
        let after = crashed.after_process_kill();
        run(small(), &broker, 5, &after).unwrap();
        assert_eq!(lines(&after, "/c/out/out.ndjson"), input, "crash at operation {op}");
    }
}

/// "The first duplicate in a batch drops the rest of the batch."
#[test]
fn a_duplicate_in_a_batch_does_not_drop_the_rest() {
    let input: Vec<String> = [1, 1, 2, 1, 3].iter().map(|id| line(*id, "a")).collect();
    let disk = disk(2);
    let totals = run(small(), &Broker::new(&input), 5, &disk).unwrap();
    assert_eq!(outcome(&totals, Outcome::Duplicate), 2);
    assert_eq!(lines(&disk, "/c/out/out.ndjson"), [line(1, "a"), line(2, "a"), line(3, "a")]);
}

/// "The key ignores the event type."
#[test]
fn the_same_id_with_another_type_is_another_event() {
    let input = [line(1, "IOT_EVENT"), line(1, "IPHONE_EVENT"), line(1, "IOT_EVENT")];
    let disk = disk(3);
    let totals = run(small(), &Broker::new(&input), 5, &disk).unwrap();
    assert_eq!(outcome(&totals, Outcome::Delivered), 2);
    assert_eq!(outcome(&totals, Outcome::Duplicate), 1);
}

/// "An unknown type is skipped silently."
#[test]
fn an_unknown_type_gets_the_default_window_and_is_counted_under_its_name() {
    let config = config(
        "pipe: app\nsource: { file: { path: in.ndjson } }\nenvelope: { type: $.type }\n\
         dedup: { key: $.id, window: 10m, windows: { IOT_EVENT: 300s, IPAD_EVENT: 600s } }\n\
         sink: { file: { path: /c/out/out.ndjson } }\n",
    );
    let input = [line(1, "NEVER_SEEN"), line(1, "NEVER_SEEN"), line(2, "IOT_EVENT")];
    let disk = disk(4);
    let totals = run(&config, &Broker::new(&input), 5, &disk).unwrap();
    assert_eq!(totals.types["NEVER_SEEN"][Outcome::Delivered.index()], 1);
    assert_eq!(totals.types["NEVER_SEEN"][Outcome::Duplicate.index()], 1);
    assert_eq!(totals.types["IOT_EVENT"][Outcome::Delivered.index()], 1);
}

/// "GET-then-SET lets two workers pass": two pipes of one scope, on threads of their own, read the
/// same events at the same time.
#[test]
fn two_workers_that_see_the_same_event_at_once_deliver_it_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let input: Vec<String> = (0..20_000).map(|id| line(id, "a")).collect();
    std::fs::write(path("in.ndjson"), input.join("\n") + "\n").unwrap();
    let doc = |pipe: &str| {
        format!(
            "pipe: {pipe}\nsource: {{ file: {{ path: in.ndjson }} }}\n\
             batch: {{ events_max: 500 }}\n\
             dedup: {{ key: $.id, window: 10m, scope: both }}\n\
             sink: {{ file: {{ path: {pipe}.ndjson }} }}\n"
        )
    };
    std::fs::write(path("pipes.yaml"), [doc("one"), doc("two")].join("---\n")).unwrap();
    let configs = pipe::config::load(&[path("pipes.yaml")], &|_| None).unwrap();
    let summary = pipe::run(&configs, &crate::world::run_options(&path("data"))).unwrap();
    for pipe in &summary.pipes {
        assert!(pipe.failure.is_none(), "{:?}", pipe.failure);
        assert_eq!(pipe.totals.received, 20_000);
    }
    let mut rows: Vec<String> = ["one.ndjson", "two.ndjson"]
        .iter()
        .flat_map(|name| {
            let text = std::fs::read_to_string(path(name)).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    rows.sort();
    let mut expected = input;
    expected.sort();
    assert_eq!(rows.len(), expected.len());
    assert_eq!(rows, expected);
}
