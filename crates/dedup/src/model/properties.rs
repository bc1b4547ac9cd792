//! What must be true of every state, or of the states in which everything is done.

use stateright::{Model, Property};

use super::action::Action;
use super::protocols::Protocol;
use super::state::{Id, Record, State};

/// P1, at every moment.
pub(super) const CERTAIN: &str = "P1: what is acknowledged is published, or certain to be";
/// P1, in the end.
pub(super) const LOST: &str = "P1: when everything is done, everything is published";
pub(super) const ONCE: &str = "P2: nothing is published twice, but what the store lost";
pub(super) const SHADOW: &str = "P3: a duplicate's original is in a committed batch";
pub(super) const FENCED: &str =
    "an aborted batch is never committed, but where the store lost its record";
pub(super) const SETTLES: &str = "everything can be settled";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.losses, self.delays)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = *state;
        self.step(&mut next, action);
        let next = if self.symmetric { self.representative(&next) } else { next };
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(CERTAIN, |model: &Self, state| {
                let unsure = model.unpublished(state) & !model.certain(state);
                // What the store lost may be left to another message of the same event.
                let again = state.lost & model.queued(state);
                unsure & !state.unheard & !again == 0
            }),
            Property::always(LOST, |model: &Self, state| {
                !model.is_settled(state) || model.unpublished(state) & !state.unheard == 0
            }),
            Property::always(ONCE, |_, state: &State| state.twice & !state.lost == 0),
            Property::always(SHADOW, |_, state: &State| !state.shadowed),
            Property::always(FENCED, |model: &Self, state: &State| {
                model.ids().all(|id| {
                    state.record(id) != Record::Committed
                        || state.aborted & State::aborted_bit(id) == 0
                })
            }),
            Property::sometimes(SETTLES, |model: &Self, state| {
                model.is_settled(state) && model.unpublished(state) == 0
            }),
        ]
    }
}

impl Protocol {
    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        let numbers = self.numbers;
        (0..self.workers)
            .flat_map(move |worker| (0..numbers).map(move |number| Id { worker, number }))
    }

    /// Events of acknowledged messages that are not published, as event bits.
    fn unpublished(&self, state: &State) -> u8 {
        let messages = 0..self.messages.len() as u8;
        let acknowledged = messages.filter(|message| state.acknowledged & (1 << message) != 0);
        acknowledged.fold(0, |bits, message| bits | self.message(message).bit()) & !state.once
    }

    /// Events of which a message is in the queue, as event bits.
    fn queued(&self, state: &State) -> u8 {
        let messages = 0..self.messages.len() as u8;
        let queued = messages.filter(|message| state.acknowledged & (1 << message) == 0);
        queued.fold(0, |bits, message| bits | self.message(message).bit())
    }

    /// Events that somebody will publish whatever happens: their batch is committed in its
    /// worker's ledger, or prepared there and committed in the store. Event bits.
    fn certain(&self, state: &State) -> u8 {
        let sure = |id: &Id| {
            state
                .written(*id)
                .is_some_and(|written| written.committed || state.record(*id) == Record::Committed)
        };
        self.ids().filter(sure).fold(0, |bits, id| bits | self.events(state, id))
    }

    /// Whether every message is acknowledged and no worker has anything to do.
    pub(super) fn is_settled(&self, state: &State) -> bool {
        let all = (1u16 << self.messages.len()) - 1;
        let idle = |worker: &super::state::Worker| {
            worker.batch.is_none() && worker.ledger.iter().all(Option::is_none)
        };
        u16::from(state.acknowledged) == all && state.workers.iter().all(idle)
    }
}
