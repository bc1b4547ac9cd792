//! Keys that events would have had before `run --new-key` changed their scope's definition.
//!
//! They are looked up as long as one of them is remembered, and made only as long: an event that
//! lacks a field of the old key has none under it.

use dedup::key::KeyMaker;
use dedup::ledger::PreviousKey;
use event::batch::{Attribute, PreviousKeys};
use event::json::{Found, Selection};

use crate::config::{DedupKey, KeyPart, NotAKeyPart};
use crate::prepare::{KEY_FIELDS_MAX, KeyPlan, Keys, Told};

/// The definitions that a pipe's keys had before, as long as they have to be looked up.
#[derive(Default)]
pub struct PreviousPlan {
    all: Vec<One>,
}

struct One {
    known: PreviousKey,
    maker: KeyMaker,
    selection: Selection,
    plan: KeyPlan,
}

/// What a worker makes such keys with.
#[derive(Default)]
pub(crate) struct PreviousMaker {
    /// Whether the events of the batch at hand need them.
    pub(crate) wanted: bool,
    found: Found,
    /// Those of the event at hand, with the place of their definition.
    made: Vec<(usize, u128)>,
}

impl PreviousPlan {
    /// For a scope with this secret; `shards_of` as in [`KeyPlan::BrokerId`].
    ///
    /// # Errors
    /// A part of a key that was recorded and that this program can't read.
    pub fn new(
        secret: &[u8; 16],
        known: &[PreviousKey],
        shards_of: &str,
    ) -> Result<Self, NotAKeyPart> {
        let one = |known: &PreviousKey| {
            let parts: Vec<KeyPart> =
                known.paths.iter().map(|part| part.parse()).collect::<Result<_, _>>()?;
            let fields = parts.len().min(KEY_FIELDS_MAX);
            let key = DedupKey::of_parts(&parts).unwrap_or(DedupKey::Fields(parts));
            Ok(One {
                known: known.clone(),
                maker: KeyMaker::new(secret, known.across_types, fields),
                selection: Selection::new(&key.paths()),
                plan: KeyPlan::new(&key, shards_of),
            })
        };
        Ok(Self { all: known.iter().map(one).collect::<Result<_, _>>()? })
    }

    /// Whether a key needs to know where its event stood in its source.
    pub(crate) fn needs_place(&self) -> bool {
        self.all.iter().any(|one| one.plan.needs_place())
    }

    /// Room for the keys of so many events; empty, as nearly always, when there is no definition
    /// whose keys are still remembered.
    pub(crate) fn room(&self, events: usize) -> PreviousKeys {
        if self.all.iter().all(|one| one.known.is_over()) {
            return PreviousKeys::default();
        }
        PreviousKeys::new(self.all.len(), events)
    }
}

impl PreviousMaker {
    /// Makes the keys of an event.
    #[cold]
    pub(crate) fn make(
        &mut self,
        plan: &PreviousPlan,
        event_type: &[u8],
        payload: &[u8],
        attributes: &[Attribute],
        keys: &mut Keys,
    ) {
        self.made.clear();
        for (which, one) in plan.all.iter().enumerate().filter(|(_, one)| !one.known.is_over()) {
            if one.selection.scan(payload, &mut self.found).is_err() {
                continue;
            }
            let told = Told { found: &self.found, payload, attributes };
            let paths = one.selection.paths().len();
            if let Ok((key, _)) = keys.make(&one.plan, paths, &one.maker, event_type, told) {
                self.made.push((which, key));
            }
        }
    }

    /// Hands the keys that were made to event `index`.
    pub(crate) fn hand_over(&mut self, index: usize, keys: &mut PreviousKeys) {
        self.made.drain(..).for_each(|(which, key)| keys.set(index, which, key));
    }
}
