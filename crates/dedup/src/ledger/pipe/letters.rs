//! A pipe's dead letters, as its ledger knows them.

use std::collections::BTreeMap;

use event::{Batch, Event, Fate};

use super::{Decided, PipeLedger};
use crate::error::LedgerError;
use crate::ledger::{LetterChange, Settlement};
use crate::scope::mask;
use crate::state::{Letter, LetterKey, LetterOp};

impl PipeLedger {
    /// How many dead letters of the pipe are open.
    #[must_use]
    pub fn letters_open(&self) -> u64 {
        self.with_state(|pipe| pipe.letters.len() as u64)
    }

    /// Whether a dead letter is open: neither replayed nor purged.
    #[must_use]
    pub fn is_letter_open(&self, id: u128) -> bool {
        self.with_state(|pipe| pipe.letters.contains_key(&id))
    }

    /// The open dead letters, by id.
    #[must_use]
    pub fn letters(&self) -> BTreeMap<u128, Letter> {
        self.with_state(|pipe| pipe.letters.clone())
    }

    /// What the record says of letters: what the pipe says, and which are superseded.
    pub(super) fn letter_ops(
        &self,
        settlement: &Settlement<'_>,
        decided: Option<&Decided>,
    ) -> Result<Vec<LetterOp>, LedgerError> {
        let mut ops = Vec::with_capacity(settlement.letters.len());
        for change in &settlement.letters {
            ops.push(match *change {
                LetterChange::Remove { id } => LetterOp::Remove { id },
                LetterChange::Add { id, event, deterministic, sinks } => {
                    let letter = self.letter(settlement.batch, event, deterministic, sinks);
                    let what = "a letter of an event that isn't dead";
                    LetterOp::Add { id, letter: letter.ok_or_else(|| self.refuse(what))? }
                }
            });
        }
        let decided = decided.filter(|decided| decided.number == settlement.number);
        for one in decided.map_or(&[][..], |decided| &decided.superseding) {
            let event = settlement.batch.events.get(one.event as usize);
            if event.is_some_and(|event| event.fate == Fate::Deliver) {
                ops.push(LetterOp::Superseded { pipe: one.pipe.0, id: one.letter });
            }
        }
        Ok(ops)
    }

    /// The letter of an event of `batch` that died.
    fn letter(&self, batch: &Batch, at: u32, deterministic: bool, sinks: u64) -> Option<Letter> {
        let event = batch.events.get(at as usize)?;
        let extent = batch.extents.iter().rev().find(|extent| extent.first_event <= at)?;
        if !matches!(event.fate, Fate::Dead(_)) {
            return None;
        }
        let scope = self.declared.scope.as_ref().filter(|_| event.window_ms >= 0);
        let (key, window_ms, body_hash) = (event.key, event.window_ms, event.body_hash);
        // What an earlier letter of the same body says stays true: this one takes its place.
        let sinks = sinks | self.held_already(batch, at, event);
        let bits = (0..u64::BITS).zip(&self.declared.sinks);
        let mut places: Vec<u16> =
            bits.filter(|(bit, _)| sinks >> bit & 1 == 1).map(|(_, place)| *place).collect();
        places.sort_unstable();
        Some(Letter {
            received_ms: extent.received_ms,
            recorded_ms: event.recorded_ms,
            key: scope.map(|(scope, _)| LetterKey { scope: *scope, key, window_ms, body_hash }),
            deterministic_under: deterministic.then_some(self.config_fingerprint),
            sinks: places,
            superseded: false,
        })
    }

    /// The sinks that hold a dead event since it, or a copy of it, died before.
    fn held_already(&self, batch: &Batch, at: u32, event: &Event) -> u64 {
        let by_copy = self
            .cell()
            .map_or(0, |cell| cell.with(|scope| scope.held_by_dead(self.pipe_id(), event)));
        let replayed = batch.replay.as_ref().and_then(|all| all.events.get(at as usize));
        let letter = replayed.and_then(|replayed| replayed.letter);
        by_copy | letter.map_or(0, |letter| self.held_by_letter(letter))
    }

    /// The sinks that hold the event of an open letter: bit `n` for sink `n`.
    pub(super) fn held_by_letter(&self, letter: u128) -> u64 {
        self.with_state(|pipe| {
            let letter = pipe.letters.get(&letter);
            letter.map_or(0, |letter| mask(&self.declared.sinks, &letter.sinks))
        })
    }
}
