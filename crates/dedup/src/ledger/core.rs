//! What all handles of a ledger share: the way of a record into the journal, and back as an effect.
//!
//! A record is submitted (encoded, queued in the journal, noted here) and later applied (known to
//! be durable, its effect made visible). Whoever waits first applies for all before it, in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::JoinHandle;

use event::{BatchNumber, Clock};
use journal::{AppendError, Disk, Journal, PendingAppend, Position};

use super::checkpoint::KeyPlaces;
use super::scope_cell::ScopeCell;
use super::shared::Sharing;
use super::{LedgerOptions, lock};
use crate::error::{DiskFull, LedgerError};
use crate::folder::{Folder, FolderLock};
use crate::record::Record;
use crate::scope::PipeId;
use crate::sightings;
use crate::state::{LedgerState, LetterOp, Misfit, Resolved, StateLimits, Verdict};

/// What all handles of a ledger share.
///
/// Locks are taken in this order: `declaring`, `key_places`, `applying`, `submitted`, the others.
pub(super) struct Core {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) folder: Folder,
    pub(super) options: LedgerOptions,
    pub(super) limits: StateLimits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) _lock: Option<FolderLock>,
    /// `None` once closed.
    pub(super) journal: Mutex<Option<Arc<Journal>>>,
    /// Why nothing is acknowledged any more (P7).
    pub(super) stopped: OnceLock<Arc<str>>,
    /// One pipe is declared at a time.
    pub(super) declaring: Mutex<BTreeSet<u16>>,
    /// Where keys lie. Held during a checkpoint, and while a scope is loaded.
    pub(super) key_places: Mutex<KeyPlaces>,
    /// Held by the one that waits for the oldest submitted record, and applies it.
    pub(super) applying: Mutex<()>,
    /// Records in the order in which the journal got them.
    pub(super) submitted: Mutex<VecDeque<Submitted>>,
    /// What the applied records amount to.
    pub(super) live: Mutex<Live>,
    /// Batches that don't count, although their record is durable.
    pub(super) void: Mutex<BTreeSet<Position>>,
    /// The scopes in use, by number.
    pub(super) scopes: Mutex<BTreeMap<u16, Arc<ScopeCell>>>,
    /// What pipes in stores know of each other.
    pub(super) sharing: Sharing,
    /// What is published, by pipe and by sink's place in its state; maybe not recorded yet.
    pub(super) published: Mutex<BTreeMap<(u16, u16), BatchNumber>>,
    /// Journal position and time past which the next checkpoint is due.
    pub(super) checkpoint_due: AtomicU64,
    /// The position in the journal up to which keys are in key runs.
    pub(super) keys_after: AtomicU64,
    pub(super) checkpoint_due_ms: AtomicI64,
    pub(super) checkpoint_running: AtomicBool,
    pub(super) checkpoint_thread: Mutex<Option<JoinHandle<()>>>,
    /// What duplicates came.
    pub(super) sightings: sightings::Writer,
}

/// What the applied records amount to.
pub(super) struct Live {
    pub(super) state: LedgerState,
    /// The last of them.
    pub(super) applied: Position,
}

/// A record on its way.
pub(super) struct Submitted {
    append: PendingAppend,
    record: Record,
    /// The scope that a batch's keys belong to.
    scope: Option<Arc<ScopeCell>>,
    answer: Arc<Answer>,
}

type Answer = OnceLock<Result<(), LedgerError>>;

/// A record that was submitted. Dropping it doesn't take it back.
pub(super) struct PendingRecord(Arc<Answer>);

impl PendingRecord {
    pub(super) fn refused(error: LedgerError) -> Self {
        Self(Arc::new(OnceLock::from(Err(error))))
    }
}

impl Core {
    /// Hands a record to the journal, in call order. `bytes` are those of `record`, for a batch
    /// with its keys.
    pub(super) fn submit(
        &self,
        bytes: Vec<u8>,
        record: Record,
        scope: Option<Arc<ScopeCell>>,
    ) -> PendingRecord {
        let mut submitted = lock(&self.submitted);
        // Looked up under the lock, so that `close` finds all that went in before it.
        let journal = match self.running() {
            Ok(journal) => journal,
            Err(error) => return PendingRecord::refused(error),
        };
        let answer = Arc::new(Answer::new());
        let append = journal.submit(bytes);
        submitted.push_back(Submitted { append, record, scope, answer: Arc::clone(&answer) });
        PendingRecord(answer)
    }

    /// Submits a record that isn't a batch, and waits until it is applied.
    pub(super) fn append(self: &Arc<Self>, record: Record) -> Result<(), LedgerError> {
        let pending = self.submit(record.encode(), record, None);
        self.wait(&pending)
    }

    /// Blocks until a record is applied, with all before it.
    pub(super) fn wait(self: &Arc<Self>, pending: &PendingRecord) -> Result<(), LedgerError> {
        while pending.0.get().is_none() {
            let applying = lock(&self.applying);
            if pending.0.get().is_none() && !self.apply_oldest(&applying) {
                return Err(LedgerError::stopped("a record was lost on its way"));
            }
        }
        self.checkpoint_if_due();
        pending.0.get().cloned().unwrap_or(Err(LedgerError::Closed))
    }

    /// Applies everything that was submitted so far.
    pub(super) fn apply_all(&self, applying: &MutexGuard<'_, ()>) {
        while self.apply_oldest(applying) {}
    }

    /// Waits for the oldest submitted record, and applies it. `false` if there is none.
    fn apply_oldest(&self, _applying: &MutexGuard<'_, ()>) -> bool {
        let oldest = lock(&self.submitted).pop_front();
        oldest.map(|oldest| self.finish(oldest)).is_some()
    }

    /// Waits for a record, applies it, and answers.
    pub(super) fn finish(&self, submitted: Submitted) {
        let Submitted { append, record, scope, answer } = submitted;
        let outcome = match append.wait() {
            Ok(position) => self.apply(position, &record, scope.as_deref()),
            Err(error) => Err(self.append_error(error)),
        };
        // Nobody else answers.
        let _ = answer.set(outcome);
    }

    fn apply(
        &self,
        position: Position,
        record: &Record,
        scope: Option<&ScopeCell>,
    ) -> Result<(), LedgerError> {
        let mut live = lock(&self.live);
        live.applied = position;
        let state = &mut live.state;
        let applied = match record {
            Record::Batch(head) => state.apply_batch(head, self.limits),
            Record::Pipe(record) => state.apply_pipe(record).map(|()| Verdict::Applied),
            Record::Files(record) => state.apply_files(record).map(|()| Verdict::Applied),
            Record::Published(record) => state.apply_published(record).map(|()| Verdict::Applied),
            Record::Open(record) => state.apply_open(record).map(|()| Verdict::Applied),
            Record::Letters(record) => state.apply_letters(record).map(|()| Verdict::Applied),
            Record::Source(record) => state.apply_source(record).map(|()| Verdict::Applied),
            Record::Shared(record) => state.apply_shared(record).map(|()| Verdict::Applied),
            Record::Prepared(record) => state.apply_prepared(position, record),
            Record::Resolved(record) => match state.apply_resolved(record, self.limits) {
                Ok(resolved) => {
                    drop(live);
                    self.resolved(resolved, scope);
                    return Ok(());
                }
                Err(misfit) => Err(misfit),
            },
            Record::Import(record) => state.apply_import(record).map(|()| Verdict::Applied),
            Record::Checkpoint(_) => Err(Misfit("a checkpoint among the submitted records")),
        };
        drop(live);
        match (applied, record) {
            (Ok(Verdict::Applied), Record::Batch(head)) => {
                if let Some(scope) = scope {
                    scope.add_unsaved(head.keys);
                    scope.settle(PipeId(head.pipe), Some(head.number), &head.letters);
                }
                self.tell_others(head.pipe, &head.letters, scope);
                Ok(())
            }
            (Ok(Verdict::Applied), Record::Letters(record)) => {
                self.tell_others(record.pipe, &record.letters, None);
                Ok(())
            }
            (Ok(Verdict::Applied), _) => Ok(()),
            (Ok(Verdict::Void), _) => {
                lock(&self.void).insert(position);
                let cause = "there was no room for a batch before this one".into();
                Err(DiskFull { cause }.into())
            }
            (Err(misfit), _) => {
                Err(self.stop(format_args!("a record makes no sense: {}", misfit.0)))
            }
        }
    }

    /// Tells the scope what became of a prepared batch.
    fn resolved(&self, resolved: Resolved, scope: Option<&ScopeCell>) {
        match resolved {
            Resolved::Committed(head) => {
                if let Some(scope) = scope {
                    scope.add_unsaved(head.keys);
                    scope.settle(PipeId(head.pipe), Some(head.number), &head.letters);
                }
                self.tell_others(head.pipe, &head.letters, scope);
            }
            Resolved::Aborted(gone) => lock(&self.void).extend(gone),
        }
    }

    /// Letters that are gone may be of another scope than the one that their pipe has now.
    fn tell_others(&self, pipe: u16, letters: &[LetterOp], told: Option<&ScopeCell>) {
        let gone = |op: &&LetterOp| !matches!(op, LetterOp::Add { .. });
        let gone: Vec<LetterOp> = letters.iter().filter(gone).cloned().collect();
        if gone.is_empty() {
            return;
        }
        let cells: Vec<_> = lock(&self.scopes).values().cloned().collect();
        let others =
            cells.iter().filter(|cell| told.is_none_or(|told| !std::ptr::eq(&***cell, told)));
        others.for_each(|cell| cell.settle(PipeId(pipe), None, &gone));
    }

    /// The journal, unless the ledger has stopped or was closed.
    pub(super) fn running(&self) -> Result<Arc<Journal>, LedgerError> {
        if let Some(cause) = self.stopped.get() {
            return Err(LedgerError::Stopped { cause: Arc::clone(cause) });
        }
        lock(&self.journal).clone().ok_or(LedgerError::Closed)
    }

    /// From now on nothing is acknowledged any more.
    pub(super) fn stop(&self, cause: impl std::fmt::Display) -> LedgerError {
        let cause = self.stopped.get_or_init(|| cause.to_string().into());
        LedgerError::Stopped { cause: Arc::clone(cause) }
    }

    /// The ledger's error for an append that failed.
    pub(super) fn append_error(&self, error: AppendError) -> LedgerError {
        match error {
            AppendError::DiskFull { .. } => DiskFull { cause: error.to_string().into() }.into(),
            AppendError::TooLarge { bytes, bytes_max } => LedgerError::Refused {
                what: format!(
                    "{bytes} bytes, and the journal takes at most {bytes_max} (record_bytes_max); \
                     make the pipe's batches smaller, or, for a checkpoint, replay or purge dead \
                     letters"
                ),
            },
            other => self.stop(other),
        }
    }
}
