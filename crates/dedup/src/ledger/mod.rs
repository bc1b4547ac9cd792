//! The ledger: the journal of commits of a data folder.
//!
//! The way of a batch's record: [`PipeLedger::commit`] (pipe.rs) encodes and submits it, core.rs
//! waits for it and applies it; after a crash replay.rs reads it back. checkpoint.rs moves keys
//! into key runs.

mod asking;
mod checkpoint;
mod core;
mod declare;
mod definition;
mod harvest;
mod import;
mod join;
mod keeper;
mod keys;
mod lookup;
mod new_key;
mod open;
mod options;
mod pipe;
mod random;
mod read_only;
mod replay;
mod resolve;
mod scope_cell;
mod settlement;
mod shared;
mod survey;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::{BatchNumber, Clock, Epoch, LedgerId};
use journal::{Disk, Journal};

use self::core::Core;
pub use self::definition::{definition_text, parse_definition};
pub use self::import::{ImportScope, ImportedScope, check_import};
pub use self::keys::{KeyReading, ReadKeys, read_keys};
pub use self::new_key::PreviousKey;
pub use self::options::{
    LedgerOptions, NewKey, PipeDeclaration, Random, ScopeDeclaration, SharedStore,
};
pub use self::pipe::PipeLedger;
pub use self::read_only::{FoundKey, find_keys, read_only};
pub use self::settlement::{
    CounterChange, Left, LetterChange, MessageIdChange, ParkedChange, PositionChange, Settlement,
};
pub use self::shared::{AskAgain, PendingCommit, StoreHealth};
pub use self::survey::{KeysByWindow, Survey, survey};
pub use crate::error::{
    ClockSetBack, Damaged, DiskFull, FolderIo, LedgerError, Locked, NewerVersion, NoLedger,
    OtherDefinition, OtherOptions,
};
use crate::record::{PublishedRecord, Record};
pub use crate::state::{LedgerState, MinuteBucket, Tally};

/// The journal of commits of a data folder.
pub struct Ledger {
    core: Arc<Core>,
    id: LedgerId,
    epoch: Epoch,
}

impl Ledger {
    /// Opens the ledger of data folder `dir`, or makes one. Writes a record of the new epoch that
    /// moves what the last run left in flight to `returned`.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing was changed that the next start can't put right.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: LedgerOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, LedgerError> {
        let core = Arc::new(open::open(disk, dir, options, clock)?);
        let (id, epoch) = {
            let live = lock(&core.live);
            (live.state.ledger_id, live.state.epoch)
        };
        Ok(Arc::new(Self { core, id, epoch }))
    }

    /// The ledger's id.
    #[must_use]
    pub const fn id(&self) -> LedgerId {
        self.id
    }

    /// How often the ledger was opened, this time included.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Declares a pipe that starts now, and loads its scope's keys. A pipe is declared once per
    /// open ledger.
    ///
    /// # Errors
    /// [`LedgerError`]: another definition or other options of the scope, the wall clock set back,
    /// the pipe declared twice, a key run missing or damaged, or the record not written.
    pub fn pipe(
        self: &Arc<Self>,
        declaration: PipeDeclaration,
    ) -> Result<Arc<PipeLedger>, LedgerError> {
        let declared = self.core.declare(&declaration)?;
        Ok(Arc::new(PipeLedger::new(Arc::clone(self), declaration, declared)))
    }

    /// What is committed, for reports.
    #[must_use]
    pub fn state(&self) -> LedgerState {
        let cells = lock(&self.core.scopes).clone();
        let mut state = lock(&self.core.live).state.clone();
        for (number, cell) in cells {
            if let Some(scope) = state.scopes.get_mut(usize::from(number)) {
                scope.keys_live = Some(cell.live_keys());
            }
        }
        state
    }

    /// Looks at what is committed without copying it. Commits wait meanwhile: be quick. The number
    /// of living keys isn't in it, see [`Ledger::live_keys`].
    pub fn look<R>(&self, read: impl FnOnce(&LedgerState) -> R) -> R {
        read(&lock(&self.core.live).state)
    }

    /// Committed keys by scope, about; of scopes that are in use.
    #[must_use]
    pub fn live_keys(&self) -> Vec<(String, u64)> {
        let cells = lock(&self.core.scopes).clone();
        let live = lock(&self.core.live);
        let name = |number: u16| live.state.scopes.get(usize::from(number)).map(|s| s.name.clone());
        cells.iter().filter_map(|(number, cell)| Some((name(*number)?, cell.live_keys()))).collect()
    }

    /// Sightings that were not written since the ledger was opened, because the disk failed or had
    /// no room. No pipe stops for it.
    #[must_use]
    pub fn sightings_lost(&self) -> u64 {
        self.core.sightings.lost()
    }

    /// What keys, and the filters and indexes of key runs, take in memory, of scopes in use.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let cells = lock(&self.core.scopes).clone();
        cells.values().map(|cell| cell.memory_bytes()).sum()
    }

    /// Writes down what was published since the last record that said so: from then on nobody
    /// publishes it again, so it may be moved on (compaction).
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn record_published(&self) -> Result<(), LedgerError> {
        let published = self.unrecorded_published();
        if !published.pipes.is_empty() {
            self.core.append(Record::Published(published))?;
        }
        Ok(())
    }

    /// Purges open dead letters of a pipe, in a record of its own; how many of them were open.
    /// Their keys are forgotten: a copy is new from then on.
    ///
    /// # Errors
    /// [`LedgerError`]: a pipe that the data folder doesn't know, or the record not written.
    pub fn remove_letters(&self, pipe: &str, ids: &[u128]) -> Result<u64, LedgerError> {
        self.core.remove_letters(pipe, ids)
    }

    /// Moves keys into key runs, forgets expired runs, and lets go of old journal segments. Also
    /// happens by itself, in the background, past `checkpoint_journal_bytes`.
    ///
    /// # Errors
    /// [`LedgerError::DiskFull`], and [`LedgerError::Refused`] where parked events and letters make
    /// too long a record: nothing was lost, and it is tried again later. Any other stops the
    /// ledger.
    pub fn checkpoint(&self) -> Result<(), LedgerError> {
        self.core.checkpoint()
    }

    /// Ends orderly: a last record with what was published, and the journal closed. Commits that
    /// are under way are waited for; later ones fail.
    ///
    /// # Errors
    /// [`LedgerError`]; what was committed stays committed.
    pub fn close(&self) -> Result<(), LedgerError> {
        // A checkpoint in the background ends first.
        let places = lock(&self.core.key_places);
        self.record_published()?;
        let applying = lock(&self.core.applying);
        let journal = {
            // Nothing is submitted once the journal is taken.
            let _submitted = lock(&self.core.submitted);
            lock(&self.core.journal).take()
        };
        self.core.apply_all(&applying);
        drop(places);
        let journal = journal.and_then(Arc::into_inner);
        journal.map_or(Ok(()), Journal::close).map_err(|error| self.core.append_error(error))
    }

    /// What was published since the last record that said so.
    fn unrecorded_published(&self) -> PublishedRecord {
        let noted = lock(&self.core.published).clone();
        let live = lock(&self.core.live);
        let mut pipes: Vec<(u16, Vec<(u16, BatchNumber)>)> = Vec::new();
        for ((pipe, sink), number) in noted {
            let known = live.state.pipes.get(usize::from(pipe));
            let known = known.and_then(|pipe| pipe.sinks.get(usize::from(sink)));
            if known.is_none_or(|sink| number <= sink.published_through) {
                continue;
            }
            match pipes.last_mut().filter(|(last, _)| *last == pipe) {
                Some((_, sinks)) => sinks.push((sink, number)),
                None => pipes.push((pipe, vec![(sink, number)])),
            }
        }
        PublishedRecord { pipes }
    }
}

impl Drop for Ledger {
    /// Waits for a checkpoint in the background, so that the folder's lock is free afterwards.
    fn drop(&mut self) {
        let thread = lock(&self.core.checkpoint_thread).take();
        // What went wrong in it was logged.
        let _ = thread.map(std::thread::JoinHandle::join);
    }
}

/// A lock whose holder panicked guards nothing that a half-done step could have broken: what
/// matters is in the journal.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
