//! Events of generated batches die, copies of them come, and their letters are replayed.

use std::collections::HashSet;

use dedup::scope::PipeId;
use dedup::state::{Letter, LetterKey};
use event::{BatchNumber, Fate};

use crate::scope_generated::{InFlight, World};
use crate::scope_kit::Incoming;
use crate::scope_model::Dead;

/// The places of a pipe's three sinks in the order of the ledger.
const PLACES: [u16; 3] = [2, 7, 0];

fn letter(dead: &Dead) -> Letter {
    let places = (0..3).filter(|bit| dead.sinks >> bit & 1 == 1).map(|bit| PLACES[bit]);
    Letter {
        received_ms: dead.event.received_ms,
        recorded_ms: dead.recorded_ms,
        key: Some(LetterKey {
            scope: 0,
            key: dead.event.key,
            window_ms: dead.event.window_ms,
            body_hash: dead.event.body,
        }),
        deterministic_under: dead.plan,
        sinks: places.collect(),
        superseded: dead.superseded,
    }
}

impl World {
    pub(crate) fn declare_pipes(&mut self) {
        for pipe in 0..self.pipes.len() {
            self.scope.declare_pipe(PipeId(pipe as u16), self.model.plan, &PLACES);
        }
    }

    /// What comes of letters with the commit of a batch: replays end, copies supersede, events die.
    pub(crate) fn settle_letters(&mut self, pipe: usize, settled: &mut InFlight) {
        let id = PipeId(pipe as u16);
        let InFlight { number, batch, events, superseding } = settled;
        for (index, event) in events.iter().enumerate() {
            let decided = &mut batch.events[index];
            let (fate, window_ms) = (decided.fate, decided.window_ms);
            if fate == Fate::Deliver && window_ms >= 0 && self.dice.one_in(12) {
                decided.fate = Fate::Dead(0);
                self.next_letter += 1;
                let dead = Dead {
                    pipe: id,
                    id: self.next_letter,
                    event: Incoming { replay: None, ..event.clone() },
                    recorded_ms: decided.recorded_ms,
                    plan: self.dice.one_in(2).then_some(self.model.plan),
                    sinks: self.dice.below(8),
                    superseded: false,
                };
                self.scope.died(id, BatchNumber(*number), dead.id, &letter(&dead));
                let known = self.history.dead.entry(event.key).or_default();
                known.push((dead.recorded_ms, window_ms, dead.id));
                self.ledger.letters.push(dead.clone());
                self.model.died(*number, dead);
                *self.fates.entry("died").or_default() += 1;
            }
            let fate = batch.events[index].fate;
            let settled = matches!(fate, Fate::Deliver | Fate::Duplicate | Fate::Dead(_));
            if let (Some((replayed, _)), true) = (event.replay, settled) {
                let superseded =
                    self.model.dead.iter().any(|dead| dead.id == replayed && dead.superseded);
                let word = match (fate, superseded) {
                    (Fate::Deliver, _) => "replay delivered",
                    (Fate::Duplicate, true) => "replay superseded",
                    (Fate::Duplicate, false) => "replay duplicate",
                    _ => "replay died",
                };
                *self.fates.entry(word).or_default() += 1;
                self.scope.letter_removed(id, replayed);
                self.model.dead.retain(|dead| dead.id != replayed);
                self.ledger.letters.retain(|dead| dead.id != replayed);
            }
            if fate == Fate::Deliver {
                for one in superseding.iter().filter(|one| one.event as usize == index) {
                    self.scope.letter_superseded(one.pipe, one.letter);
                    let all = self.model.dead.iter_mut().chain(&mut self.ledger.letters);
                    all.filter(|dead| dead.id == one.letter)
                        .for_each(|dead| dead.superseded = true);
                    *self.fates.entry("copy of dead").or_default() += 1;
                }
            }
        }
    }

    /// Some letters of a pipe are replayed, unless they are already.
    pub(crate) fn replay(&mut self, pipe: usize) {
        let own = &self.pipes[pipe];
        let events = own.waiting.iter().chain(&own.retrying).chain(&own.again);
        let events = events.chain(own.in_flight.iter().flat_map(|batch| &batch.events));
        let replaying: HashSet<u128> =
            events.filter_map(|event| event.replay).map(|(letter, _)| letter).collect();
        let of_pipe =
            |dead: &&Dead| usize::from(dead.pipe.0) == pipe && !replaying.contains(&dead.id);
        let open: Vec<Dead> = self.ledger.letters.iter().filter(of_pipe).cloned().collect();
        let mut events = Vec::new();
        for dead in open {
            if self.dice.one_in(3) {
                self.next_start += 1;
                let recorded_ms = (!self.dice.one_in(20)).then_some(dead.recorded_ms);
                events.push(Incoming {
                    replay: Some((dead.id, recorded_ms)),
                    received_ms: self.now_ms,
                    start: self.next_start,
                    body: if self.dice.one_in(10) { 7 } else { dead.event.body },
                    ..dead.event
                });
            }
        }
        if !events.is_empty() {
            self.reserve(pipe, events);
        }
    }

    /// What is durable comes back, under another plan now and then.
    pub(crate) fn restore_letters(&mut self) {
        self.model.plan = self.dice.below(2);
        self.declare_pipes();
        for dead in &self.ledger.letters {
            self.scope.letter_open(dead.pipe, dead.id, &letter(dead));
        }
        self.model.dead = self.ledger.letters.clone();
    }
}
