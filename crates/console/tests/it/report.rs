//! What a report says of a ledger.

use std::path::Path;

use console::delivery::{DeliveryNow, SinkNow};
use console::last_run::{LastRun, PipeRun, VERSION};
use console::now::{Now, PipeNow};
use console::report::{Facts, RunState};
use console::{Report, markdown};
use dedup::ledger::{LedgerState, MinuteBucket, Tally};
use dedup::state::{PipeState, SourceCounters};
use event::{BatchNumber, LedgerId, Outcome};

/// A pipe that received 10 events in one minute: 6 delivered, 3 duplicates, 1 in flight.
fn state() -> LedgerState {
    let mut state = LedgerState::new(LedgerId(7));
    let mut pipe = PipeState {
        name: "app".into(),
        invocations: 2,
        committed: BatchNumber(4),
        ..PipeState::default()
    };
    pipe.types.insert("a|b".into(), [6, 3, 0, 0, 0, 0]);
    state.pipes.push(pipe);
    let mut source = SourceCounters { name: "file:in".into(), ..SourceCounters::default() };
    let mut tally = Tally { received: 10, ..Tally::default() };
    tally.add_outcome(Outcome::Delivered, 6);
    tally.add_outcome(Outcome::Duplicate, 3);
    let minute = MinuteBucket::of(1_793_520_000_000);
    source.minutes.insert(minute, tally);
    source.in_flight.insert(minute, 1);
    state.sources.push(source);
    state
}

fn report(state: &LedgerState, last_run: Option<&LastRun>, running: bool) -> Report {
    let data_dir = Path::new("nowhere");
    Report::new(
        state,
        &Facts { data_dir, last_run, tables: &[], running, now_ms: 1_793_520_060_000 },
    )
}

#[test]
fn p4_both_sides_are_shown_and_balance() {
    let report = report(&state(), None, true);
    assert!(report.is_balanced() && report.errors.is_empty());
    let pipe = &report.pipes[0];
    assert_eq!((pipe.invocations, pipe.batches, pipe.received), (2, 4, 10));
    assert_eq!((pipe.duplicates_prevented, pipe.in_flight), (3, 1));
    let side = &report.conservation[0];
    assert_eq!((side.received, side.accounted), (10, 10));
    let text = markdown::report(&report);
    let line =
        "10 received = 6 delivered + 3 duplicate + 0 filtered + 0 rejected + 1 in flight; balanced";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("a\\|b"), "a type can't break the table: {text}");
}

#[test]
fn p4_an_imbalance_is_an_error_with_its_minute() {
    let mut state = state();
    let minute = MinuteBucket::of(1_793_520_000_000);
    state.sources[0].minutes.get_mut(&minute).unwrap().received = 12;
    let report = report(&state, None, false);
    assert!(!report.is_balanced());
    assert_eq!(report.imbalances[0].from, "2026-11-01T08:00:00Z");
    assert_eq!((report.imbalances[0].received, report.imbalances[0].accounted), (12, 10));
    assert!(report.errors[0].contains("12 events received"), "{:?}", report.errors);
    let text = markdown::report(&report);
    assert!(text.contains("12 received ≠") && text.contains("NOT BALANCED"), "{text}");
}

#[test]
fn p4_two_minutes_that_make_up_for_each_other_are_an_imbalance_all_the_same() {
    let mut state = state();
    let minute = MinuteBucket::of(1_793_520_000_000);
    state.sources[0].minutes.get_mut(&minute).unwrap().received = 9;
    let more = Tally { received: 1, ..Tally::default() };
    state.sources[0].minutes.insert(MinuteBucket(minute.0 + 1), more);
    let report = report(&state, None, false);
    assert_eq!(report.conservation[0].received, report.conservation[0].accounted);
    assert_eq!(report.imbalances.len(), 2);
    assert!(!report.is_balanced() && !report.conservation[0].balanced);
}

#[test]
fn how_the_last_run_stands_is_known_from_its_note() {
    let note = LastRun { version: VERSION, pid: 7, ..LastRun::default() };
    let ended = LastRun { ended_ms: Some(5), ..note.clone() };
    let state = state();
    assert_eq!(report(&state, None, false).run, RunState::Unknown);
    assert_eq!(report(&state, Some(&note), false).run, RunState::Killed);
    assert_eq!(report(&state, Some(&note), true).run, RunState::Running { pid: Some(7) });
    assert_eq!(report(&state, Some(&ended), false).run, RunState::Ended { at_ms: 5 });
}

#[test]
fn what_somebody_should_look_at_is_named() {
    let pipe = PipeRun {
        pipe: "app".into(),
        failure: Some("sink `file`: no".into()),
        remarks: vec!["in.ndjson was read to its end".into()],
        ..PipeRun::default()
    };
    let note = LastRun { version: VERSION, pipes: vec![pipe], ..LastRun::default() };
    let report = report(&state(), Some(&note), false);
    assert!(report.warnings.iter().any(|line| line.contains("1 event in flight")));
    assert!(report.warnings.iter().any(|line| line.contains("was killed")));
    assert!(report.errors[0].contains("sink `file`: no"));
    assert!(report.remarks[0].contains("read to its end"));
}

#[test]
fn a_ledger_without_pipes_has_a_report_too() {
    let empty = report(&LedgerState::new(LedgerId(7)), None, false);
    assert!(empty.is_balanced());
    assert!(markdown::report(&empty).contains("No pipe has run here yet"));
    let json = serde_json::to_value(&empty).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["run"]["state"], "unknown");
}

#[test]
fn p4_an_imbalance_names_the_batch_that_broke_it() {
    let mut state = state();
    let minute = MinuteBucket::of(1_793_520_000_000);
    state.sources[0].minutes.get_mut(&minute).unwrap().received = 12;
    state.sources[0].broken.insert(minute, BatchNumber(3));
    let report = report(&state, None, false);
    assert_eq!(report.imbalances[0].batch, Some(3));
    assert!(report.errors[0].contains("since batch 3"), "{:?}", report.errors);
    let text = markdown::report(&report);
    assert!(text.contains("since batch |"), "{text}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["imbalances"][0]["batch"], 3);
}

#[test]
fn dead_letters_parked_events_and_sinks_are_shown() {
    let mut state = state();
    let letter = |superseded| dedup::state::Letter {
        received_ms: 0,
        recorded_ms: 0,
        key: None,
        deterministic_under: None,
        sinks: Vec::new(),
        superseded,
    };
    state.pipes[0].letters.insert(1, letter(false));
    state.pipes[0].letters.insert(2, letter(true));
    let sink = SinkNow {
        sink: "payments".into(),
        attempts: 1234,
        dead: 2,
        circuit: "open".into(),
        down_since_ms: Some(1_793_520_000_000),
        last_error: Some(format!("503 |\n{}", "x".repeat(200))),
        ..SinkNow::default()
    };
    let delivery = DeliveryNow {
        sinks: vec![sink, SinkNow { sink: "lake".into(), ..SinkNow::default() }],
        dead_by_class: [("http_404".to_owned(), 2)].into(),
        ..DeliveryNow::default()
    };
    let pipe = PipeNow { name: "app".into(), delivery, ..PipeNow::default() };
    let mut note = LastRun {
        version: VERSION,
        pipes: vec![PipeRun { pipe: "app".into(), ..PipeRun::default() }],
        ended_ms: Some(5),
        ..LastRun::default()
    };
    note.saw(&Now { pipes: vec![pipe], ..Now::default() });
    let written = serde_json::to_string(&note).unwrap();
    assert_eq!(serde_json::from_str::<LastRun>(&written).unwrap(), note);
    assert_eq!(note.pipes[0].deliveries.len(), 1, "a sink that was never called says nothing");
    let report = report(&state, Some(&note), false);
    assert_eq!((report.pipes[0].letters_open, report.pipes[0].letters_superseded), (2, 1));
    let text = markdown::report(&report);
    for part in [
        "## Deliveries of the last run",
        "1,234",
        "open since 2026-11-01T08:00:00Z",
        "503 \\|",
        "xxx…",
        "## Dead letters and parked events",
        "http_404",
        "2 dead letters open; `onceflow dead list`",
        "sink payments was down since 2026-11-01T08:00:00Z",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
