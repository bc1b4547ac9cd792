//! Checkpoints: keys move into key runs, expired runs are forgotten, old segments are dropped.
//!
//! Order (DESIGN §3 "Key runs"): write and sync the runs → checkpoint record → delete what it no
//! longer lists, and the older segments. A crash between any two steps leaves either the old
//! checkpoint with all its files, or the new one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use journal::{AppendError, Journal, Position};

use super::core::Core;
use super::harvest::{Harvest, Harvested, Reach};
use super::lock;
use super::lookup::OpenRuns;
use super::scope_cell::ScopeCell;
use crate::error::{DiskFull, FolderIo, LedgerError};
use crate::record::{CheckpointRecord, Record};
use crate::run::{FOREVER, Place, RunReader, RunWriter, choose, merge, place_of};
use crate::scope::{DedupClock, ScopeOptions};
use crate::state::{LedgerState, RunState, ScopeState};
use crate::sync_points::RUNS;

/// Without a full journal, a ledger with key runs makes a checkpoint this often, to forget expired
/// ones.
const INTERVAL_MS: i64 = 3_600_000;
/// After a checkpoint that found no room, the next is due after this part of the usual bytes.
const RETRY_PART: u64 = 8;
/// A key takes up to 70 B in memory, and 26 B in the journal: with this part of a scope's memory as
/// journal, the keys in it take about half of the memory.
const MEMORY_PART: u64 = 5;
/// How many checkpoints' worth of journal may wait for one before decisions wait, too.
const BEHIND_MAX: u64 = 3;

/// Where keys lie.
pub(super) struct KeyPlaces {
    /// Keys of batches after this record are not in key runs; `None`: of all batches.
    pub(super) keys_after: Option<Position>,
    /// Number of the next key run of this epoch.
    pub(super) next_run: u64,
    /// Which imported keys are in no run: those of this round.
    pub(super) imports: u32,
}

/// A checkpoint that is being made.
pub(super) struct Draft<'a> {
    pub(super) core: &'a Core,
    /// The state as of the last record whose keys go into the runs.
    pub(super) state: LedgerState,
    /// By scope: keys that expire at or before this time are gone.
    pub(super) forgotten: BTreeMap<u16, i64>,
    /// The runs that it will list.
    runs: Vec<RunState>,
    /// The files that it made.
    created: Vec<PathBuf>,
    next_run: &'a mut u64,
}

impl Core {
    /// See [`super::Ledger::checkpoint`].
    pub(super) fn checkpoint(&self) -> Result<(), LedgerError> {
        let mut places = lock(&self.key_places);
        let journal = self.running()?;
        let (state, applied, unsaved) = {
            let applying = lock(&self.applying);
            self.apply_all(&applying);
            let live = lock(&self.live);
            (live.state.clone(), live.applied, self.unsaved())
        };
        // Keys of batches that are prepared stay in the journal until somebody knows whether they
        // count.
        let before = state.oldest_prepared();
        let forgotten = self.forgotten(&state);
        let KeyPlaces { keys_after, next_run, imports } = &mut *places;
        let runs = state.runs.clone();
        let mut draft = Draft { core: self, state, forgotten, runs, created: Vec::new(), next_run };
        let reach = Reach { after: *keys_after, through: applied, before };
        let made = draft.write_runs(&journal, reach).and_then(|harvested| {
            let open = draft.open_runs()?;
            draft.record(&journal, harvested.through)?;
            Ok((harvested, open))
        });
        let through = match made {
            Ok((harvested, open)) => {
                *keys_after = harvested.through;
                // Imports behind a prepared batch are in no run yet.
                let all = harvested.through == Some(applied);
                let imported = if all { *imports } else { *imports - 1 };
                self.show_runs(open, &harvested.saved, imported, &unsaved);
                *imports = imported + 1;
                harvested.through
            }
            Err(error) => {
                // After a failed append nobody knows whether the record is there, and with it the
                // runs that it lists.
                if !matches!(error, LedgerError::Stopped { .. }) {
                    draft.remove_created();
                }
                let bytes = self.options.checkpoint_journal_bytes / RETRY_PART;
                self.checkpoint_due.store(applied.0.saturating_add(bytes), Ordering::Relaxed);
                return Err(self.checkpoint_error(error));
            }
        };
        let obsolete = draft.obsolete();
        drop(draft);
        self.plan_checkpoint(applied);
        self.remove_runs(obsolete);
        let Some(through) = through else { return Ok(()) };
        lock(&self.void).retain(|position| *position > through);
        match journal.drop_before(through) {
            Ok(()) => Ok(()),
            Err(error @ AppendError::Drop { .. }) => {
                tracing::warn!("{error}");
                Ok(())
            }
            Err(error) => Err(self.append_error(error)),
        }
    }

    /// By scope: committed keys that are in no run.
    fn unsaved(&self) -> BTreeMap<u16, u64> {
        lock(&self.scopes).iter().map(|(number, cell)| (*number, cell.unsaved())).collect()
    }

    /// Look-ups go to these runs from now on; then, and not before, memory may let go of what is in
    /// them.
    fn show_runs(
        &self,
        open: BTreeMap<u16, OpenRuns>,
        saved: &BTreeMap<u16, u64>,
        imports: u32,
        unsaved: &BTreeMap<u16, u64>,
    ) {
        let cells = lock(&self.scopes).clone();
        for (number, runs) in open {
            if let Some(cell) = cells.get(&number) {
                cell.set_runs(runs);
                cell.saved(saved, imports, unsaved.get(&number).copied().unwrap_or(0));
            }
        }
    }

    /// By scope: which keys are gone, as far as `state` (what is committed) goes.
    fn forgotten(&self, state: &LedgerState) -> BTreeMap<u16, i64> {
        let now_ms = self.clock.now_ms();
        let cells = lock(&self.scopes).clone();
        (0..)
            .zip(&state.scopes)
            .map(|(number, scope)| {
                let live = cells.get(&number).map(|cell| forgotten_by(cell, scope, now_ms));
                (number, live.unwrap_or(i64::MIN).max(scope.forgotten_through_ms))
            })
            .collect()
    }

    /// Says when the next checkpoint is due.
    pub(super) fn plan_checkpoint(&self, from: Position) {
        let due = from.0.saturating_add(self.checkpoint_bytes());
        self.keys_after.store(from.0, Ordering::Relaxed);
        self.checkpoint_due.store(due, Ordering::Relaxed);
        let due_ms = self.clock.now_ms().saturating_add(INTERVAL_MS);
        self.checkpoint_due_ms.store(due_ms, Ordering::Relaxed);
    }

    /// Journal bytes from one checkpoint to the next: as configured, and fewer where the keys in
    /// them would take more than half of a scope's memory.
    fn checkpoint_bytes(&self) -> u64 {
        let configured = self.options.checkpoint_journal_bytes;
        if configured == u64::MAX {
            return configured;
        }
        let scopes = lock(&self.scopes);
        let memory = scopes.values().map(|cell| cell.options().memory_bytes_max / MEMORY_PART);
        memory.fold(configured, u64::min)
    }

    /// Slows down whoever brings keys faster than checkpoints take them out of memory.
    pub(super) fn make_room(&self) {
        let applied = lock(&self.live).applied.0;
        let behind = applied.saturating_sub(self.keys_after.load(Ordering::Relaxed));
        let bytes = self.checkpoint_bytes();
        if behind > bytes.saturating_mul(BEHIND_MAX)
            && self.checkpoint_running.load(Ordering::Acquire)
        {
            // The checkpoint holds it until it is done.
            drop(lock(&self.key_places));
        }
    }

    /// Begins a checkpoint in the background, when one is due and none is running.
    pub(super) fn checkpoint_if_due(self: &Arc<Self>) {
        if self.options.checkpoint_journal_bytes == u64::MAX || !self.checkpoint_is_due() {
            return;
        }
        if self.checkpoint_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let core = Arc::clone(self);
        let thread = std::thread::Builder::new().name("checkpoint".into());
        let spawned = thread.spawn(move || {
            if let Err(error) = core.checkpoint() {
                tracing::warn!("checkpoint of the ledger: {error}");
            }
            core.checkpoint_running.store(false, Ordering::Release);
        });
        match spawned {
            // The one before has ended.
            Ok(thread) => *lock(&self.checkpoint_thread) = Some(thread),
            Err(error) => {
                tracing::warn!("no thread for a checkpoint of the ledger: {error}");
                self.checkpoint_running.store(false, Ordering::Release);
            }
        }
    }

    fn checkpoint_is_due(&self) -> bool {
        let (applied, runs) = {
            let live = lock(&self.live);
            (live.applied, !live.state.runs.is_empty())
        };
        applied.0 >= self.checkpoint_due.load(Ordering::Relaxed)
            || runs && self.clock.now_ms() >= self.checkpoint_due_ms.load(Ordering::Relaxed)
    }

    /// Lack of room, on the disk or in a record, is nothing worse; everything else stops the ledger.
    fn checkpoint_error(&self, error: LedgerError) -> LedgerError {
        match error {
            LedgerError::Io(FolderIo { ref source, .. })
                if source.kind() == io::ErrorKind::StorageFull =>
            {
                DiskFull { cause: error.to_string().into() }.into()
            }
            // Nothing was lost either where it got too long a record: it is tried again later, and
            // goes once there are fewer parked events and letters.
            LedgerError::DiskFull(_)
            | LedgerError::Refused { .. }
            | LedgerError::Closed
            | LedgerError::Stopped { .. } => error,
            other => {
                self.stop(&other);
                other
            }
        }
    }

    /// Removes files that no checkpoint lists. What stays is removed at the next start.
    fn remove_runs(&self, paths: Vec<PathBuf>) {
        for path in paths {
            if let Err(error) = self.disk.unlink(&path) {
                tracing::warn!("cannot remove {}: {error}", path.display());
            }
        }
    }
}

impl Draft<'_> {
    /// Writes the keys after `from`, up to `through`, into runs; merges; forgets what expired. Says
    /// through which batch each pipe's keys are in runs then.
    fn write_runs(&mut self, journal: &Journal, reach: Reach) -> Result<Harvested, LedgerError> {
        let forgotten = &self.forgotten;
        let expired = |run: &RunState| {
            run.class != FOREVER
                && forgotten.get(&run.scope).is_some_and(|&through| run.expires_ms <= through)
        };
        self.runs.retain(|run| !expired(run));
        let old = self.runs.len();
        let harvested = Harvest::new(self).read(journal, reach)?;
        let place = |run: &RunState| (run.scope, Place { class: run.class, bucket: run.bucket });
        let fresh = self.runs.iter().skip(old).map(place).collect();
        let runs_max = self.core.options.key_runs_probed_max as usize;
        while let Some(chosen) = choose(&self.runs, &fresh, runs_max) {
            self.merge(&chosen)?;
        }
        if !self.created.is_empty() {
            let dir = &self.core.folder.runs;
            let synced = self.core.disk.sync_dir(dir, RUNS);
            synced.map_err(|error| FolderIo::new("sync", dir, error))?;
        }
        Ok(harvested)
    }

    /// The runs that it will list, of the scopes in use, open for look-ups.
    fn open_runs(&self) -> Result<BTreeMap<u16, OpenRuns>, LedgerError> {
        let cells = lock(&self.core.scopes).clone();
        let mut open = BTreeMap::new();
        for (number, cell) in cells {
            let before = cell.runs();
            open.insert(number, self.core.open_runs(number, &self.runs, &before)?);
        }
        Ok(open)
    }

    /// Replaces runs of a scope by one.
    fn merge(&mut self, chosen: &[RunState]) -> Result<(), LedgerError> {
        let (Some(first), Some(place)) = (chosen.first(), place_of(chosen)) else { return Ok(()) };
        let (disk, dir) = (&*self.core.disk, &self.core.folder.runs);
        let open = |run| RunReader::open(disk, dir, run, self.state.ledger_id);
        let readers = chosen.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let forgotten = self.forgotten.get(&first.scope).copied().unwrap_or(i64::MIN);
        let keys_max = chosen.iter().map(|run| run.count).sum();
        let (mut writer, path) = self.begin_run(first.scope, place, keys_max)?;
        merge(readers, &mut writer, forgotten, |error| write_error(&path, error))?;
        self.runs.retain(|run| chosen.iter().all(|gone| gone.name != run.name));
        self.end_run(writer, &path)
    }

    /// Begins a run of at most `keys_max` keys; where it lies.
    pub(super) fn begin_run(
        &mut self,
        scope: u16,
        place: Place,
        keys_max: u64,
    ) -> Result<(RunWriter, PathBuf), LedgerError> {
        let (disk, dir) = (&*self.core.disk, &self.core.folder.runs);
        // The epoch makes the name new even where a file of the last epoch is back after a crash.
        let name = format!("{:x}-{:x}.run", self.state.epoch.0, *self.next_run);
        *self.next_run += 1;
        let path = dir.join(&name);
        self.created.push(path.clone());
        let id = self.state.ledger_id;
        let writer = RunWriter::create(disk, dir, name, id, scope, place, keys_max)
            .map_err(|error| write_error(&path, error))?;
        Ok((writer, path))
    }

    /// Ends a run, and lists it unless it is empty.
    pub(super) fn end_run(&mut self, writer: RunWriter, path: &Path) -> Result<(), LedgerError> {
        let run = writer.finish().map_err(|error| write_error(path, error))?;
        if run.count > 0 {
            self.runs.push(run);
        }
        Ok(())
    }

    /// Writes the checkpoint's record, with nothing between what it says and its place in the
    /// journal, and makes it the truth.
    fn record(&mut self, journal: &Journal, through: Option<Position>) -> Result<(), LedgerError> {
        let core = self.core;
        let applying = lock(&core.applying);
        core.apply_all(&applying);
        let mut submitted = lock(&core.submitted);
        // Few came since; the next ones wait for this lock.
        while let Some(oldest) = submitted.pop_front() {
            core.finish(oldest);
        }
        core.running()?;
        let mut state = lock(&core.live).state.clone();
        let made_ms = core.clock.now_ms();
        state.forget(made_ms);
        state.runs.clone_from(&self.runs);
        for (number, &through_ms) in &self.forgotten {
            if let Some(scope) = state.scopes.get_mut(usize::from(*number)) {
                scope.forgotten_through_ms = through_ms;
                scope.previous.retain(|previous| !previous.is_over(through_ms));
            }
        }
        let void = lock(&core.void).iter().copied().filter(|at| Some(*at) > through).collect();
        let checkpoint = CheckpointRecord { made_ms, keys_after: through, void, state };
        let record = Record::Checkpoint(Box::new(checkpoint));
        let pending = journal.submit(record.encode());
        drop(submitted);
        let position = pending.wait().map_err(|error| core.append_error(error))?;
        // Nothing was applied since: this thread holds `applying`.
        if let Record::Checkpoint(checkpoint) = record {
            let mut live = lock(&core.live);
            live.state = checkpoint.state;
            live.applied = position;
        }
        Ok(())
    }

    /// Files that the old checkpoint listed or this one made, and that it doesn't list.
    fn obsolete(&self) -> Vec<PathBuf> {
        let dir = &self.core.folder.runs;
        let old = self.state.runs.iter().map(|run| dir.join(&run.name));
        let listed: Vec<PathBuf> = self.runs.iter().map(|run| dir.join(&run.name)).collect();
        old.chain(self.created.iter().cloned()).filter(|path| !listed.contains(path)).collect()
    }

    /// After a failure: the files that it made mean nothing.
    fn remove_created(&mut self) {
        for path in self.created.drain(..) {
            // It may never have come into being; and what stays is removed at the next start.
            let _ = self.core.disk.unlink(&path);
        }
    }
}

/// Through which time a scope's keys are gone. Batches that are decided and not committed moved its
/// watermarks already; after a crash their events come again, and must find all that they found.
fn forgotten_by(cell: &ScopeCell, committed: &ScopeState, now_ms: i64) -> i64 {
    let ScopeOptions { clock, lateness_ms, .. } = *cell.options();
    cell.with(|scope| {
        let mut through_ms = scope.forgotten_through_ms(now_ms);
        // With `received` they come again with a later time.
        if clock != DedupClock::Received {
            for (source, watermark_ms) in scope.watermarks() {
                let known = committed.watermarks.get(&source.0).copied().unwrap_or(i64::MIN);
                if known < watermark_ms {
                    through_ms = through_ms.min(known.saturating_sub(lateness_ms));
                }
            }
        }
        through_ms
    })
}

fn write_error(path: &Path, error: io::Error) -> LedgerError {
    FolderIo::new("write", path, error).into()
}
