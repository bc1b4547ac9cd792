//! Reads the journal back: what all its records amount to.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use journal::{OpenError, Position};

use crate::error::{Damaged, FolderIo, LedgerError, NewerVersion};
use crate::folder::Folder;
use crate::record::{CheckpointRecord, Record, Unreadable, VERSION};
use crate::state::{LedgerState, Resolved, StateLimits, Verdict};

/// What the records of a journal amount to.
#[derive(Debug)]
pub(super) struct Replayed {
    /// Apart from keys; `None` before the first record that says all.
    pub(super) state: Option<LedgerState>,
    /// Keys of batches after this record are not in key runs; `None`: of all batches.
    pub(super) keys_after: Option<Position>,
    /// Batches after that which don't count.
    pub(super) void: BTreeSet<Position>,
    /// Records.
    pub(super) records: u64,
    limits: StateLimits,
    folder: Folder,
}

impl Replayed {
    pub(super) fn new(folder: &Folder, limits: StateLimits) -> Self {
        let (state, keys_after, void) = (None, None, BTreeSet::new());
        Self { state, keys_after, void, records: 0, limits, folder: folder.clone() }
    }

    /// Takes the next record.
    pub(super) fn record(&mut self, position: Position, bytes: &[u8]) -> Result<(), LedgerError> {
        let record =
            Record::decode(bytes).map_err(|unreadable| self.unreadable(position, unreadable))?;
        self.records += 1;
        let limits = self.limits;
        let applied = match (record, &mut self.state) {
            (Record::Checkpoint(checkpoint), _) => {
                self.restart(*checkpoint);
                Ok(())
            }
            (Record::Open(record), state) => match state {
                Some(state) => state.apply_open(&record),
                None if self.records == 1 && record.epoch.0 == 1 => {
                    state.insert(LedgerState::new(record.ledger_id)).apply_open(&record)
                }
                None => Ok(()),
            },
            // A segment that is kept for its keys begins before the checkpoint that says all.
            (_, None) => Ok(()),
            (Record::Pipe(record), Some(state)) => state.apply_pipe(&record),
            (Record::Files(record), Some(state)) => state.apply_files(&record),
            (Record::Published(record), Some(state)) => state.apply_published(&record),
            (Record::Letters(record), Some(state)) => state.apply_letters(&record),
            (Record::Source(record), Some(state)) => state.apply_source(&record),
            (Record::Shared(record), Some(state)) => state.apply_shared(&record),
            (Record::Prepared(record), Some(state)) => {
                state.apply_prepared(position, &record).map(|verdict| {
                    if verdict == Verdict::Void {
                        self.void.insert(position);
                    }
                })
            }
            (Record::Resolved(record), Some(state)) => {
                state.apply_resolved(&record, limits).map(|resolved| {
                    if let Resolved::Aborted(gone) = resolved {
                        self.void.extend(gone);
                    }
                })
            }
            (Record::Import(record), Some(state)) => state.apply_import(&record),
            (Record::Batch(head), Some(state)) => state.apply_batch(&head, limits).map(|verdict| {
                if verdict == Verdict::Void {
                    self.void.insert(position);
                }
            }),
        };
        applied.map_err(|misfit| {
            damaged(self.folder.journal.clone(), format!("{} at position {position}", misfit.0))
        })
    }

    fn restart(&mut self, checkpoint: CheckpointRecord) {
        debug_assert!(
            self.state.as_ref().is_none_or(|state| amounts_to(state, &checkpoint)),
            "a checkpoint must say exactly what the records before it amount to:\n{:#?}\n{:#?}",
            self.state,
            checkpoint.state,
        );
        self.keys_after = checkpoint.keys_after;
        self.void = checkpoint.void.into_iter().collect();
        self.state = Some(checkpoint.state);
    }

    /// What all records amount to; `None` for a journal without any.
    pub(super) fn finish(&mut self) -> Result<Option<LedgerState>, LedgerError> {
        if self.records > 0 && self.state.is_none() {
            let what = "its beginning is missing: no record says what came before".into();
            return Err(damaged(self.folder.journal.clone(), what));
        }
        Ok(self.state.take())
    }

    fn unreadable(&self, position: Position, unreadable: Unreadable) -> LedgerError {
        match unreadable {
            Unreadable::Newer { found, written_by } => {
                let known = || self.state.as_ref().map(|state| state.onceflow_version.clone());
                let written_by = written_by.or_else(known).unwrap_or_default();
                let dir = self.folder.ledger.clone();
                NewerVersion { dir, found, supported: VERSION, written_by }.into()
            }
            Unreadable::Malformed(malformed) => {
                let what = format!("the record at position {position} can't be read: {malformed}");
                damaged(self.folder.journal.clone(), what)
            }
        }
    }
}

/// Whether a state is what a checkpoint says, apart from what the checkpoint itself changes, and
/// from how far counters are folded: that depends on limits that may have changed since.
fn amounts_to(state: &LedgerState, checkpoint: &CheckpointRecord) -> bool {
    let said = &checkpoint.state;
    let mut state = state.clone();
    state.forget(checkpoint.made_ms);
    state.runs.clone_from(&said.runs);
    for (scope, said) in state.scopes.iter_mut().zip(&said.scopes) {
        scope.forgotten_through_ms = said.forgotten_through_ms;
        scope.previous.clone_from(&said.previous);
    }
    for (pipe, said) in state.pipes.iter_mut().zip(&said.pipes) {
        pipe.types.clone_from(&said.types);
    }
    for (source, said) in state.sources.iter_mut().zip(&said.sources) {
        if source.total() == said.total() {
            source.minutes.clone_from(&said.minutes);
            source.hours.clone_from(&said.hours);
            source.days.clone_from(&said.days);
            source.broken.clone_from(&said.broken);
        }
    }
    state == *said
}

fn damaged(file: PathBuf, what: String) -> LedgerError {
    Damaged { file, offset: None, what }.into()
}

/// The ledger's error for a journal that doesn't open.
pub(super) fn journal_error(error: OpenError) -> LedgerError {
    match error {
        OpenError::Io { what, path, source } => FolderIo::new(what, &path, source).into(),
        OpenError::Replay { position, source } => match source.downcast::<LedgerError>() {
            Ok(error) => *error,
            Err(source) => LedgerError::Journal(Arc::new(OpenError::Replay { position, source })),
        },
        other => LedgerError::Journal(Arc::new(other)),
    }
}
