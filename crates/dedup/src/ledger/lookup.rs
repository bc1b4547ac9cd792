//! Looks a batch's keys up in key runs, before they are decided.
//!
//! Memory has the keys of the journal and some of those in runs; filters in memory tell which of
//! the others are worth a look at the disk. What is found is remembered like any other key, and
//! then the scope decides as if it had all keys in memory.
//!
//! What memory has of a key is all or nothing: a key comes into memory together with everything
//! that runs have of it, and leaves it with all of its entries. So a key that is there needs no
//! look-up.

use std::sync::Arc;

use event::{Batch, Event, Fate};

use super::core::Core;
use super::lock;
use super::scope_cell::ScopeCell;
use crate::error::LedgerError;
use crate::run::{LookupRoom, OpenRun, look_up_but};
use crate::scope::CommittedKey;
use crate::state::RunState;

/// The key runs of a scope, open for look-ups.
#[derive(Debug, Default)]
pub(super) struct OpenRuns {
    runs: Vec<Arc<OpenRun>>,
}

impl OpenRuns {
    pub(super) fn new(runs: Vec<Arc<OpenRun>>) -> Self {
        Self { runs }
    }

    /// What their filters and indexes take in memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.memory_bytes() as u64).sum()
    }

    /// Keys in them, forgotten ones and repeats included.
    pub(super) fn keys(&self) -> u64 {
        self.runs.iter().map(|run| run.state().count).sum()
    }

    /// The one of this name.
    pub(super) fn get(&self, name: &str) -> Option<&Arc<OpenRun>> {
        self.runs.iter().find(|run| run.state().name == name)
    }

    pub(super) fn all(&self) -> &[Arc<OpenRun>] {
        &self.runs
    }
}

impl Core {
    /// Those of `runs` that belong to a scope, open; those of `before` needn't be opened again.
    pub(super) fn open_runs(
        &self,
        scope: u16,
        runs: &[RunState],
        before: &OpenRuns,
    ) -> Result<OpenRuns, LedgerError> {
        let ledger_id = lock(&self.live).state.ledger_id;
        let mut open = Vec::new();
        for run in runs.iter().filter(|run| run.scope == scope) {
            open.push(match before.get(&run.name) {
                Some(known) => Arc::clone(known),
                None => Arc::new(OpenRun::open(&*self.disk, &self.folder.runs, run, ledger_id)?),
            });
        }
        Ok(OpenRuns::new(open))
    }
}

/// Threads that read at the same time where the page cache has nothing: what one disk answers well.
const PARALLEL_READS_MAX: usize = 16;

/// Looks keys up, a batch at a time.
pub(super) struct Finder {
    keys: Vec<u128>,
    room: LookupRoom,
    /// What runs have of the batch's keys.
    pub(super) found: Vec<CommittedKey>,
}

impl Default for Finder {
    fn default() -> Self {
        let (keys, found) = (Vec::new(), Vec::new());
        Self { keys, room: LookupRoom::new(PARALLEL_READS_MAX), found }
    }
}

impl Finder {
    /// Finds what runs have of the undecided events' keys, apart from keys that memory has.
    /// Answers with the scope's [`crate::scope::Scope::evictions`] as of then: while that stays,
    /// so does what was found.
    pub(super) fn find(&mut self, cell: &ScopeCell, batch: &Batch) -> Result<u64, LedgerError> {
        self.found.clear();
        // In this order: a key that moves into a run and out of memory in between changes the
        // first, and so is looked for again.
        let evictions = cell.evictions();
        let runs = cell.runs();
        if runs.all().is_empty() {
            return Ok(evictions);
        }
        let undecided = |event: &&Event| event.fate == Fate::Undecided && event.window_ms >= 0;
        self.keys.clear();
        self.keys.extend(batch.events.iter().filter(undecided).map(|event| event.key));
        self.keys.extend(batch.previous_keys.all());
        let mut wanted = |keys: &mut Vec<u128>| {
            cell.with(|scope| scope.take_out_known(keys));
        };
        look_up_but(runs.all(), &self.keys, &mut self.room, &mut wanted, &mut self.found)?;
        Ok(evictions)
    }

    /// What runs have of `keys`, whatever memory has.
    pub(super) fn find_all(
        &mut self,
        runs: &OpenRuns,
        keys: &[CommittedKey],
    ) -> Result<&[CommittedKey], LedgerError> {
        self.found.clear();
        self.keys.clear();
        self.keys.extend(keys.iter().map(|key| key.key));
        look_up_but(runs.all(), &self.keys, &mut self.room, &mut |_| {}, &mut self.found)?;
        Ok(&self.found)
    }
}
