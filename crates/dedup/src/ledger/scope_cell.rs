//! A scope that several pipes share, without a commit ever waiting for a decision.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, TryLockError};

use event::BatchNumber;

use super::lock;
use super::lookup::OpenRuns;
use crate::scope::{IMPORTED, PipeId, Scope, ScopeOptions};
use crate::state::LetterOp;

/// Keys in memory get at least this part of it, however much filters take.
const HOT_PART: u64 = 4;

/// A scope that several pipes share.
///
/// Deciding a batch takes milliseconds under the scope's lock. A commit doesn't wait for that: it
/// notes what was settled, and whoever has the lock, or next gets it, tells the scope.
pub(super) struct ScopeCell {
    options: ScopeOptions,
    scope: Mutex<Scope>,
    settled: Mutex<Vec<Settled>>,
    wakeups: AtomicU64,
    waiting: AtomicU64,
    forgotten_through_ms: Arc<AtomicI64>,
    evictions: AtomicU64,
    memory_bytes: AtomicU64,
    /// Its key runs, open for look-ups.
    runs: Mutex<Arc<OpenRuns>>,
    /// Committed keys that are in no run.
    unsaved: AtomicU64,
}

/// What a record settled.
struct Settled {
    pipe: PipeId,
    /// The batch that is committed with it.
    batch: Option<BatchNumber>,
    letters: Vec<LetterOp>,
}

impl ScopeCell {
    pub(super) fn new(scope: Scope) -> Self {
        let cell = Self {
            options: *scope.options(),
            scope: Mutex::new(scope),
            settled: Mutex::new(Vec::new()),
            wakeups: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            forgotten_through_ms: Arc::new(AtomicI64::new(i64::MIN)),
            evictions: AtomicU64::new(0),
            memory_bytes: AtomicU64::new(0),
            runs: Mutex::new(Arc::new(OpenRuns::default())),
            unsaved: AtomicU64::new(0),
        };
        cell.with(|_| ());
        cell
    }

    pub(super) const fn options(&self) -> &ScopeOptions {
        &self.options
    }

    /// Keys that expire at or before this time are gone; as of the last decision or commit.
    pub(super) const fn forgotten_through_ms(&self) -> &Arc<AtomicI64> {
        &self.forgotten_through_ms
    }

    /// Works with the scope, after everything that was settled so far.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Scope) -> R) -> R {
        let mut scope = lock(&self.scope);
        self.tell(&mut scope);
        let answer = work(&mut scope);
        self.tell(&mut scope);
        drop(scope);
        self.tell_if_free();
        answer
    }

    /// Everything that `pipe` reserved up to `batch` is committed, apart from what died; and
    /// letters changed.
    pub(super) fn settle(&self, pipe: PipeId, batch: Option<BatchNumber>, letters: &[LetterOp]) {
        let letters = letters.to_vec();
        lock(&self.settled).push(Settled { pipe, batch, letters });
        self.tell_if_free();
    }

    /// See [`Scope::wakeups`].
    pub(super) fn wakeups(&self) -> u64 {
        self.tell_if_free();
        self.wakeups.load(Ordering::Acquire)
    }

    /// Committed keys that aren't forgotten yet, about: those in runs (expired ones too, until
    /// their run goes), and those that are in the journal alone.
    pub(super) fn live_keys(&self) -> u64 {
        self.runs().keys() + self.unsaved.load(Ordering::Relaxed)
    }

    /// What keys, filters and indexes take in memory; as of the last decision or commit.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory_bytes.load(Ordering::Relaxed) + self.runs().memory_bytes()
    }

    /// See [`Scope::evictions`]; as of the last decision.
    pub(super) fn evictions(&self) -> u64 {
        self.evictions.load(Ordering::Acquire)
    }

    /// Its key runs.
    pub(super) fn runs(&self) -> Arc<OpenRuns> {
        Arc::clone(&lock(&self.runs))
    }

    /// From now on look-ups go to these runs.
    pub(super) fn set_runs(&self, runs: OpenRuns) {
        *lock(&self.runs) = Arc::new(runs);
    }

    /// So many more committed keys are in no run.
    pub(super) fn add_unsaved(&self, keys: u64) {
        self.unsaved.fetch_add(keys, Ordering::Relaxed);
    }

    /// Committed keys that are in no run.
    pub(super) fn unsaved(&self) -> u64 {
        self.unsaved.load(Ordering::Relaxed)
    }

    /// The keys of batches through `batches`, by pipe, are in runs now: `keys` of them. Those that
    /// were imported before import round `imports` ended, too.
    pub(super) fn saved(&self, batches: &BTreeMap<u16, u64>, imports: u32, keys: u64) {
        self.with(|scope| {
            for (pipe, number) in batches {
                scope.saved(PipeId(*pipe), BatchNumber(*number));
            }
            scope.saved(IMPORTED, BatchNumber(imports.into()));
        });
        let less = |unsaved: u64| Some(unsaved.saturating_sub(keys));
        // It always answers with a number.
        let _ = self.unsaved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// Lets keys that are in runs, too, leave memory where that takes too much.
    pub(super) fn shed(&self, scope: &mut Scope) {
        let max = self.options.memory_bytes_max;
        let runs = self.runs().memory_bytes();
        scope.shed(max.saturating_sub(runs).max(max / HOT_PART));
    }

    /// Whether any event waits for a key; as of the last decision or commit.
    pub(super) fn somebody_waits(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Who comes while the lock is taken leaves its note to the one that has it, which looks for
    /// notes once more after it let go.
    fn tell_if_free(&self) {
        while !lock(&self.settled).is_empty() {
            match self.scope.try_lock() {
                Ok(mut scope) => self.tell(&mut scope),
                Err(TryLockError::Poisoned(scope)) => self.tell(&mut scope.into_inner()),
                Err(TryLockError::WouldBlock) => return,
            }
        }
    }

    fn tell(&self, scope: &mut Scope) {
        let settled = std::mem::take(&mut *lock(&self.settled));
        for Settled { pipe, batch, letters } in settled {
            for op in &letters {
                match (op, batch) {
                    (LetterOp::Add { id, letter }, Some(number)) => {
                        scope.died(pipe, number, *id, letter);
                    }
                    (LetterOp::Add { id, letter }, None) => scope.letter_open(pipe, *id, letter),
                    (LetterOp::Remove { id }, _) => scope.letter_removed(pipe, *id),
                    (LetterOp::Superseded { pipe, id }, _) => {
                        scope.letter_superseded(PipeId(*pipe), *id);
                    }
                }
            }
            if let Some(number) = batch {
                scope.commit(pipe, number);
            }
        }
        self.wakeups.store(scope.wakeups(), Ordering::Release);
        self.evictions.store(scope.evictions(), Ordering::Release);
        self.memory_bytes.store(scope.memory_bytes(), Ordering::Relaxed);
        self.waiting.store(scope.waiting() as u64, Ordering::Release);
        self.forgotten_through_ms.store(scope.has_forgotten_through_ms(), Ordering::Relaxed);
    }
}
