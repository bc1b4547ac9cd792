//! Keys of dead events, kept as long as their letters are open.
//!
//! A dead event has its whole body in a letter. A copy of it is a duplicate while it would only die
//! again, and is let through otherwise (DESIGN §3 "When the original died").

use std::collections::HashMap;

use super::reach::Reach;
use super::{OnDuplicateOfDead, PipeId};
use crate::state::Letter;

/// The key of a dead event.
#[derive(Clone, Debug)]
struct DeadKey {
    pipe: PipeId,
    letter: u128,
    reach: Reach,
    body_hash: u64,
    deterministic_under: Option<u64>,
    /// Places of the sinks that hold it, in the ledger's order.
    sinks: Vec<u16>,
    superseded: bool,
}

/// What a pipe says of itself.
#[derive(Clone, Debug, Default)]
struct Plan {
    fingerprint: u64,
    /// The place of each of its sinks in the ledger's order.
    sinks: Vec<u16>,
}

/// About what one takes in memory.
pub(super) const DEAD_BYTES: usize = 240;

/// An event that may be a copy of a dead one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copy {
    pub(super) pipe: PipeId,
    pub(super) key: u128,
    pub(super) reach: Reach,
    pub(super) body_hash: u64,
    /// The letter that it is the replay of.
    pub(super) replay_of: Option<u128>,
}

/// What follows for an event from the dead of its key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    /// It would die as one of them did, or was delivered since.
    pub(super) duplicate: bool,
    /// Whether one of those that make it a duplicate has its body.
    pub(super) same_body: bool,
    /// The recorded time of the one of those that make it a duplicate that is closest; ms.
    pub(super) original_ms: Option<i64>,
    /// It differs from one of them, or one of them went to sinks of another pipe.
    pub(super) marked: bool,
    /// Sinks of its pipe that hold the same body: bit `n` for sink `n`.
    pub(super) held: u64,
    /// The letters that its delivery supersedes.
    pub(super) supersedes: Vec<(PipeId, u128)>,
}

/// The keys of the dead events of a scope.
#[derive(Debug, Default)]
pub(super) struct DeadKeys {
    by_key: HashMap<u128, Vec<DeadKey>>,
    keys: HashMap<(PipeId, u128), u128>,
    plans: HashMap<PipeId, Plan>,
}

impl DeadKeys {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// A pipe runs under this plan from now on.
    pub(super) fn declare(&mut self, pipe: PipeId, fingerprint: u64, sinks: &[u16]) {
        self.plans.insert(pipe, Plan { fingerprint, sinks: sinks.to_vec() });
    }

    /// A letter is open. One without a key is nothing to a scope.
    pub(super) fn add(&mut self, pipe: PipeId, id: u128, letter: &Letter) {
        let Some(key) = letter.key else { return };
        self.remove(pipe, id);
        self.keys.insert((pipe, id), key.key);
        self.by_key.entry(key.key).or_default().push(DeadKey {
            pipe,
            letter: id,
            reach: Reach { recorded_ms: letter.recorded_ms, window_ms: key.window_ms },
            body_hash: key.body_hash,
            deterministic_under: letter.deterministic_under,
            sinks: letter.sinks.clone(),
            superseded: letter.superseded,
        });
    }

    /// A letter is no longer open.
    pub(super) fn remove(&mut self, pipe: PipeId, id: u128) {
        let Some(key) = self.keys.remove(&(pipe, id)) else { return };
        if let Some(dead) = self.by_key.get_mut(&key) {
            dead.retain(|dead| (dead.pipe, dead.letter) != (pipe, id));
            if dead.is_empty() {
                self.by_key.remove(&key);
            }
        }
    }

    /// A copy of a dead event was delivered.
    pub(super) fn supersede(&mut self, pipe: PipeId, id: u128) {
        let Some(key) = self.keys.get(&(pipe, id)) else { return };
        let dead = self.by_key.get_mut(key).into_iter().flatten();
        dead.filter(|dead| (dead.pipe, dead.letter) == (pipe, id))
            .for_each(|dead| dead.superseded = true);
    }

    /// What follows for an event; `None` if no dead one has anything to do with it.
    pub(super) fn judge(&self, copy: Copy, policy: OnDuplicateOfDead) -> Option<Judgement> {
        let of_key = self.by_key.get(&copy.key)?;
        let mut judgement = Judgement::default();
        for dead in of_key {
            self.judge_by(dead, copy, policy, &mut judgement);
        }
        (judgement != Judgement::default()).then_some(judgement)
    }

    fn judge_by(&self, dead: &DeadKey, copy: Copy, policy: OnDuplicateOfDead, to: &mut Judgement) {
        let own_pipe = dead.pipe == copy.pipe;
        if own_pipe && copy.replay_of == Some(dead.letter) {
            if dead.superseded {
                to.is_duplicate_of(dead, copy);
            }
            return;
        }
        if copy.reach.covers(dead.reach.recorded_ms) {
            to.supersedes.push((dead.pipe, dead.letter));
        }
        if !dead.reach.covers(copy.reach.recorded_ms) {
            return;
        }
        let same_body = dead.body_hash == copy.body_hash;
        let plan = self.plans.get(&copy.pipe);
        let dies_again = same_body
            && dead.deterministic_under.is_some()
            && dead.deterministic_under == plan.map(|plan| plan.fingerprint);
        let duplicate = match policy {
            OnDuplicateOfDead::Auto => dies_again,
            OnDuplicateOfDead::Admit => false,
            OnDuplicateOfDead::Suppress => true,
        };
        if duplicate {
            to.is_duplicate_of(dead, copy);
        }
        if same_body && own_pipe {
            to.held |= plan.map_or(0, |plan| mask(&plan.sinks, &dead.sinks));
        } else {
            to.marked |= !same_body || !dead.sinks.is_empty();
        }
    }
}

impl Judgement {
    /// The event is a duplicate of this dead one.
    fn is_duplicate_of(&mut self, dead: &DeadKey, copy: Copy) {
        self.duplicate = true;
        self.same_body |= dead.body_hash == copy.body_hash;
        let distance = |ms: i64| (ms.abs_diff(copy.reach.recorded_ms), ms);
        let closest = self.original_ms.into_iter().chain([dead.reach.recorded_ms]);
        self.original_ms = closest.min_by_key(|ms| distance(*ms));
    }
}

/// The sinks at these places, as bits: bit `n` for the `n`th of `declared`.
pub(crate) fn mask(declared: &[u16], places: &[u16]) -> u64 {
    let bits = (0..u64::BITS).zip(declared);
    bits.filter(|(_, place)| places.contains(place)).fold(0, |mask, (bit, _)| mask | 1 << bit)
}
