//! What was checked. `ONCEFLOW_MODEL=large` walks through larger bounds (`make prove`).

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use super::action::Action;
use super::properties::{LOST, ONCE, SETTLES, SHADOW};
use super::protocols::{Flaw, Protocol};
use super::reach;
use super::state::Message;

const KEY: Message = Message { key: 0, era: 0 };
const OTHER: Message = Message { key: 1, era: 0 };
const LATER: Message = Message { key: 0, era: 1 };

/// Walks through everything, and holds every property against every state.
fn holds(name: &str, model: Protocol) {
    let start = Instant::now();
    let checker = model.checker().threads(2).spawn_bfs().join();
    eprintln!(
        "model, {name}: {} states, {} steps, {} deep, {} ms",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_millis()
    );
    for (property, path) in checker.discoveries() {
        assert!(property == SETTLES, "{property}\n{}", story(&path.into_actions()));
    }
    assert!(checker.discovery(SETTLES).is_some(), "nothing ever settles");
}

fn story(actions: &[Action]) -> String {
    let lines = actions.iter().enumerate();
    lines.map(|(at, action)| format!("  {:2}. {action:?}\n", at + 1)).collect()
}

/// Finds the shortest way on which a protocol without one rule breaks `property`.
fn breaks(property: &'static str, model: Protocol) {
    let flaw = model.flaw;
    let found = HasDiscoveries::AnyOf([property].into());
    let checker = model.checker().finish_when(found).threads(1).spawn_bfs().join();
    let path = checker.discovery(property).unwrap_or_else(|| {
        panic!("{flaw:?} wasn't found in {} states", checker.unique_state_count())
    });
    let actions = shortened(checker.model(), property, path.into_actions());
    eprintln!("{flaw:?} breaks \"{property}\":\n{}", story(&actions));
}

/// Leaves out what a counterexample doesn't need.
fn shortened(model: &Protocol, property: &'static str, mut path: Vec<Action>) -> Vec<Action> {
    let broken = |path: &[Action]| {
        let mut state = model.init_states().remove(0);
        for action in path {
            let mut possible = Vec::new();
            model.actions(&state, &mut possible);
            match model.next_state(&state, *action) {
                Some(next) if possible.contains(action) => state = next,
                _ => return false,
            }
        }
        !(model.property(property).condition)(model, &state)
    };
    let mut at = 0;
    while at < path.len() {
        let mut shorter = path.clone();
        shorter.remove(at);
        let mut without_crash = shorter.clone();
        if at < without_crash.len() {
            without_crash.remove(at);
        }
        if broken(&shorter) {
            path = shorter;
        } else if broken(&without_crash) {
            path = without_crash;
        } else {
            at += 1;
            continue;
        }
        at = 0;
    }
    path
}

fn small(change: impl FnOnce(&mut Protocol)) -> Protocol {
    let mut model = Protocol::small();
    change(&mut model);
    model
}

fn flawed(flaw: Flaw, change: impl FnOnce(&mut Protocol)) -> Protocol {
    let mut model = Protocol::flawed(flaw);
    change(&mut model);
    model
}

#[test]
fn two_workers_and_one_event_that_was_sent_twice() {
    holds("two workers, one event", small(|_| {}));
}

#[test]
fn events_that_leave_their_batch() {
    holds("leaving", small(|model| model.leaves = true));
}

#[test]
fn a_window_that_ends() {
    holds("a window ends", small(|model| model.messages = vec![KEY, LATER]));
}

#[test]
fn a_store_that_loses_a_key_or_a_record() {
    holds(
        "one loss",
        small(|model| {
            model.losses = 1;
            model.numbers = 1;
        }),
    );
}

#[test]
fn a_call_that_arrives_late() {
    holds(
        "one late call",
        small(|model| {
            model.delays = 1;
            model.numbers = 1;
        }),
    );
}

#[test]
fn recovery_that_commits_what_is_open() {
    holds("recovery commits", small(|model| model.resumes = true));
}

#[test]
fn from_every_state_everything_can_be_settled() {
    let (states, stuck) = reach::stuck(&small(|_| {}));
    eprintln!("model, liveness: {states} states");
    assert_eq!(stuck, None);
}

#[test]
fn set_nx_then_deliver_loses() {
    breaks(LOST, flawed(Flaw::SetThenDeliver, |model| model.messages = vec![KEY]));
}

#[test]
fn acknowledge_before_commit_loses() {
    breaks(LOST, flawed(Flaw::AcknowledgedBeforeTheCommit, |model| model.messages = vec![KEY]));
}

#[test]
fn claim_with_fencing_alone_duplicates() {
    breaks(ONCE, flawed(Flaw::FencingAlone, |_| {}));
}

#[test]
fn take_over_without_resolving_the_old_batch_duplicates() {
    breaks(ONCE, flawed(Flaw::TakenWithoutResolvingTheBatch, |_| {}));
}

#[test]
fn a_second_step_that_doesnt_name_the_old_holder_duplicates() {
    breaks(ONCE, flawed(Flaw::TakenWithoutNamingTheHolder, |_| {}));
}

#[test]
fn settling_before_the_commit_shadows() {
    breaks(SHADOW, flawed(Flaw::SettledBeforeTheCommit, |_| {}));
}

#[test]
fn a_record_dropped_while_a_key_names_it_duplicates() {
    breaks(ONCE, flawed(Flaw::RecordDroppedWhileAKeyNamesIt, |_| {}));
}

#[test]
fn a_duplicate_by_an_old_look_shadows() {
    breaks(
        SHADOW,
        flawed(Flaw::DuplicateByAnOldLook, |model| {
            model.leaves = true;
            model.messages = vec![KEY, KEY, OTHER];
            model.batch_max = 2;
        }),
    );
}

#[test]
fn a_commit_before_the_release_was_answered_loses() {
    breaks(
        LOST,
        flawed(Flaw::CommittedBeforeTheReleaseWasAnswered, |model| {
            model.leaves = true;
            model.messages = vec![KEY, OTHER];
            model.batch_max = 2;
        }),
    );
}

#[test]
fn a_record_opened_after_the_keys_duplicates() {
    breaks(ONCE, flawed(Flaw::RecordOpenedAfterTheKeys, |_| {}));
}

#[test]
fn a_batch_that_asks_in_several_calls_duplicates() {
    breaks(
        ONCE,
        flawed(Flaw::AskedInSeveralCalls, |model| {
            model.messages = vec![KEY, OTHER];
            model.sweeps_living = true;
            model.numbers = 1;
            model.symmetric = true;
        }),
    );
}

#[test]
fn an_event_that_leaves_after_a_repeated_call_shadows() {
    breaks(
        SHADOW,
        flawed(Flaw::LeftAfterARepeatedCall, |model| {
            model.messages = vec![KEY, OTHER];
            model.leaves = true;
            model.delays = 1;
            model.numbers = 1;
            model.batch_max = 2;
            model.symmetric = true;
        }),
    );
}

#[test]
fn a_record_forgotten_while_a_call_is_under_way_duplicates() {
    breaks(
        ONCE,
        flawed(Flaw::RecordForgottenWhileACallIsUnderWay, |model| {
            model.delays = 1;
            model.numbers = 1;
        }),
    );
}

#[test]
fn recovery_without_asking_the_store_loses() {
    breaks(LOST, flawed(Flaw::RecoveredWithoutAsking, |model| model.messages = vec![KEY]));
}

#[test]
fn an_absent_record_taken_for_committed_duplicates() {
    breaks(ONCE, flawed(Flaw::AbsentTakenForCommitted, |_| {}));
}

/// What the protocol can't do: a store that forgets a commit of which its owner's ledger doesn't
/// know yet. If another worker had the same message at the same time and acknowledged it as a
/// duplicate, nobody has it any more.
#[test]
fn a_commit_that_the_store_forgot_before_its_owner_heard_of_it_loses() {
    breaks(
        LOST,
        small(|model| {
            model.messages = vec![KEY];
            model.losses = 1;
            model.forgives = false;
            model.symmetric = false;
        }),
    );
}

/// `make prove`: larger bounds, a few minutes each at most. Of the small ones, only those that
/// don't take long.
#[test]
fn larger_bounds() {
    let large = std::env::var("ONCEFLOW_MODEL").is_ok_and(|bounds| bounds == "large");
    let sent_twice = vec![KEY, KEY];
    let two_keys = vec![KEY, KEY, OTHER];
    let base = Protocol::small();
    holds("three workers", Protocol { workers: 3, numbers: 1, ..base.clone() });
    if !large {
        return;
    }
    let base = Protocol { messages: sent_twice, ..base };
    holds("one loss", Protocol { losses: 1, ..base.clone() });
    holds("two losses", Protocol { losses: 2, numbers: 1, ..base.clone() });
    holds("one late call", Protocol { delays: 1, leaves: true, ..base.clone() });
    holds("two late calls", Protocol { delays: 2, numbers: 1, ..base.clone() });
    holds("a loss and a late call", Protocol { losses: 1, delays: 1, numbers: 1, ..base.clone() });
    holds("records swept early", Protocol { sweeps_living: true, ..base.clone() });
    let windows = vec![KEY, KEY, LATER, LATER];
    holds("windows", Protocol { messages: windows, numbers: 1, ..base.clone() });
    let two = Protocol { messages: two_keys, batch_max: 2, numbers: 1, ..base.clone() };
    holds("batches of two keys", two.clone());
    holds("batches of two keys, leaving", Protocol { leaves: true, ..two.clone() });
    holds("three workers, leaving", Protocol { workers: 3, leaves: true, numbers: 1, ..base });
}
