//! Liveness: from every state that can be reached, the end can be reached.

use std::collections::HashMap;

use stateright::Model;

use super::protocols::Protocol;
use super::state::State;

/// Walks through every state. Answers with the number of states, and with one from which nothing
/// leads to a settled one, if there is any. Crashes, losses and late calls are part of the ways
/// that are walked; a dead end that is left only by another crash would not be seen, so ways to
/// the end go without them.
pub(super) fn stuck(model: &Protocol) -> (usize, Option<State>) {
    let mut numbers: HashMap<State, u32> = HashMap::new();
    let mut states = Vec::new();
    let mut before: Vec<Vec<u32>> = Vec::new();
    for state in model.init_states() {
        numbers.insert(state, 0);
        states.push(state);
        before.push(Vec::new());
    }
    let mut at = 0;
    let mut actions = Vec::new();
    while at < states.len() {
        let state = states[at];
        model.actions(&state, &mut actions);
        for action in actions.drain(..) {
            let Some(next) = model.next_state(&state, action) else { continue };
            let number = *numbers.entry(next).or_insert_with(|| {
                states.push(next);
                before.push(Vec::new());
                (states.len() - 1) as u32
            });
            if !action.is_a_fault() {
                before[number as usize].push(at as u32);
            }
        }
        at += 1;
    }
    let mut reaches = vec![false; states.len()];
    let settled = |number: &u32| model.is_settled(&states[*number as usize]);
    let mut open: Vec<u32> = (0..states.len() as u32).filter(settled).collect();
    while let Some(number) = open.pop() {
        if !std::mem::replace(&mut reaches[number as usize], true) {
            open.extend(&before[number as usize]);
        }
    }
    let stuck = reaches.iter().position(|reaches| !reaches);
    (states.len(), stuck.map(|number| states[number]))
}
