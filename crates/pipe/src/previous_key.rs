//! Keys that events would have had before `run --new-key` changed their scope's definition.
//!
//! They are looked up as long as one of them is remembered, and made only as long: an event that
//! lacks a field of the old key has none under it.

use dedup::key::KeyMaker;
use dedup::ledger::PreviousKey;
use event::batch::PreviousKeys;
use event::json::{Found, Raw, Selection};
use event::path::{FieldPath, FieldPathError};

use crate::prepare::KEY_FIELDS_MAX;

/// The definitions that a pipe's keys had before, as long as they have to be looked up.
#[derive(Default)]
pub struct PreviousPlan {
    all: Vec<One>,
}

struct One {
    known: PreviousKey,
    maker: KeyMaker,
    selection: Selection,
    fields: usize,
}

/// What a worker makes such keys with.
#[derive(Default)]
pub(crate) struct PreviousMaker {
    /// Whether the events of the batch at hand need them.
    pub(crate) wanted: bool,
    found: Found,
    scratch: Vec<u8>,
    /// Those of the event at hand, with the place of their definition.
    made: Vec<(usize, u128)>,
}

impl PreviousPlan {
    /// For a scope with this secret.
    ///
    /// # Errors
    /// A path that was recorded and that this program can't read.
    pub fn new(secret: &[u8; 16], known: &[PreviousKey]) -> Result<Self, FieldPathError> {
        let one = |known: &PreviousKey| {
            let paths: Vec<FieldPath> =
                known.paths.iter().map(|path| FieldPath::parse(path)).collect::<Result<_, _>>()?;
            let fields = paths.len().min(KEY_FIELDS_MAX);
            Ok(One {
                known: known.clone(),
                maker: KeyMaker::new(secret, known.across_types, fields),
                selection: Selection::new(&paths),
                fields,
            })
        };
        Ok(Self { all: known.iter().map(one).collect::<Result<_, _>>()? })
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
    pub(crate) fn make(&mut self, plan: &PreviousPlan, event_type: &[u8], payload: &[u8]) {
        self.made.clear();
        for (which, one) in plan.all.iter().enumerate().filter(|(_, one)| !one.known.is_over()) {
            if one.selection.scan(payload, &mut self.found).is_err() {
                continue;
            }
            let mut values: [Option<Raw<'_>>; KEY_FIELDS_MAX] = [None; KEY_FIELDS_MAX];
            for (index, value) in values.iter_mut().enumerate().take(one.fields) {
                *value = self.found.get(payload, index);
            }
            let values = values.get(..one.fields).unwrap_or(&values);
            if let Ok(key) = one.maker.key(event_type, values, &mut self.scratch) {
                self.made.push((which, key));
            }
        }
    }

    /// Hands the keys that were made to event `index`.
    pub(crate) fn hand_over(&mut self, index: usize, keys: &mut PreviousKeys) {
        self.made.drain(..).for_each(|(which, key)| keys.set(index, which, key));
    }
}
