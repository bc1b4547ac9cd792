//! A pipe's handle of the ledger.

mod letters;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use event::sink::{FileState, ScopeSecret, SinkIdentity, SinkState, StagedOutput};
use event::source::SourceState;
use event::{Batch, BatchNumber, Death, Event, Fate, Marks};

use super::core::{Core, PendingRecord};
use super::declare::Declared;
use super::definition::definition_text;
use super::lock;
use super::lookup::Finder;
use super::new_key::PreviousKey;
use super::scope_cell::ScopeCell;
use super::shared::{AskAgain, PendingCommit, SharedPipe};
use super::{Ledger, Left, PipeDeclaration, Settlement};
use crate::error::LedgerError;
use crate::record::{BatchHead, BatchRecord, FilesRecord, Record, Scratch};
use crate::scope::{
    CommittedBy, CommittedKey, KeyState, OTHER_BODY, PipeId, Reserved, Scope, SourceId, Superseding,
};
use crate::sightings::{self, Encoded, TypeNames};
use crate::state::{DedupCounts, ParkedEvent, PipeState, ScopeState, SinkRecord};

/// A pipe's handle of the ledger. The thread that decides calls `reserve`; the thread that commits
/// calls the rest.
pub struct PipeLedger {
    ledger: Arc<Ledger>,
    name: String,
    sink_names: Vec<String>,
    declared: Declared,
    config_fingerprint: u64,
    /// Times of the scope as each batch was decided, oldest first.
    decided: Mutex<VecDeque<Decided>>,
    /// Number of the last batch that was decided; written under the scope's lock.
    decided_last: AtomicU64,
    finder: Mutex<Finder>,
    pub(super) scratch: Mutex<Scratch>,
    /// What its source is called, and its scope; sightings say so.
    source_name: String,
    scope_name: Option<String>,
    type_names: OnceLock<Box<TypeNames>>,
    /// Its side of the store that its scope is in, where workers share one.
    pub(super) shared: Option<Arc<SharedPipe>>,
    /// Of the batch that was decided last: events whose key is held elsewhere in the store.
    pub(super) busy: Mutex<Vec<AskAgain>>,
}

/// The scope's times when a batch was decided: its record says these, not those of batches that
/// were decided since and may never commit.
#[derive(Clone)]
struct Decided {
    number: BatchNumber,
    recorded_max_ms: i64,
    watermark_ms: Option<i64>,
    superseding: Vec<Superseding>,
}

impl PipeLedger {
    pub(super) fn new(
        ledger: Arc<Ledger>,
        declaration: PipeDeclaration,
        mut declared: Declared,
    ) -> Self {
        let shared = declared.shared.take();
        Self {
            ledger,
            name: declaration.pipe,
            sink_names: declaration.sinks,
            declared,
            shared,
            busy: Mutex::new(Vec::new()),
            config_fingerprint: declaration.config_fingerprint,
            decided: Mutex::new(VecDeque::new()),
            decided_last: AtomicU64::new(0),
            finder: Mutex::new(Finder::default()),
            scratch: Mutex::new(Scratch::default()),
            source_name: declaration.source,
            scope_name: declaration.scope.map(|scope| scope.name),
            type_names: OnceLock::new(),
        }
    }

    fn core(&self) -> &Arc<Core> {
        self.ledger.core()
    }

    pub(super) fn cell(&self) -> Option<&Arc<ScopeCell>> {
        self.declared.scope.as_ref().map(|(_, cell)| cell)
    }

    pub(super) const fn pipe_id(&self) -> PipeId {
        PipeId(self.declared.pipe)
    }

    /// Who stages into `sink`.
    #[must_use]
    pub fn identity(&self, sink: &str) -> SinkIdentity {
        SinkIdentity {
            ledger_id: self.ledger.id(),
            epoch: self.declared.epoch,
            pipe: self.name.clone(),
            sink: sink.into(),
            scope: self.scope_secret(),
        }
    }

    /// What the keys of this pipe's scope are made with.
    #[must_use]
    pub fn scope_secret(&self) -> Option<ScopeSecret> {
        let (number, _) = self.declared.scope.as_ref()?;
        let live = lock(&self.core().live);
        let scope: &ScopeState = live.state.scopes.get(usize::from(*number))?;
        Some(ScopeSecret {
            scope: scope.name.clone(),
            secret: scope.secret,
            definition: definition_text(scope.fields, scope.across_types),
        })
    }

    /// Definitions of the scope's keys before the present one whose keys may still be remembered:
    /// events are looked up under them as well (`Batch::previous_keys`, in this order).
    #[must_use]
    pub fn previous_keys(&self) -> &[PreviousKey] {
        &self.declared.previous
    }

    /// Where the source goes on.
    #[must_use]
    pub fn source_state(&self) -> SourceState {
        self.with_state(|pipe| pipe.positions.clone())
    }

    /// Ids of settled messages that may come again, with the time until which they are remembered.
    #[must_use]
    pub fn message_ids(&self) -> std::collections::BTreeMap<u128, i64> {
        self.with_state(|pipe| pipe.message_ids.clone())
    }

    /// What a sink recovers from; that of a new sink when the ledger doesn't know it.
    #[must_use]
    pub fn sink_state(&self, sink: &str) -> SinkState {
        self.with_state(|pipe| {
            pipe.sinks.iter().find(|known| known.name == sink).map(sink_state).unwrap_or_default()
        })
    }

    /// The number of the next batch to commit.
    #[must_use]
    pub fn next_batch(&self) -> BatchNumber {
        self.with_state(|pipe| pipe.committed).next()
    }

    fn with_state<R: Default>(&self, read: impl FnOnce(&PipeState) -> R) -> R {
        let live = lock(&self.core().live);
        live.state.pipes.get(usize::from(self.declared.pipe)).map(read).unwrap_or_default()
    }

    /// Decides every event whose fate is undecided, see [`crate::scope::Scope::reserve`]. Without
    /// a scope every such event is delivered. Where the scope is in a store that workers share, that
    /// has the last word; for when to ask it again see [`PipeLedger::ask_again`].
    ///
    /// # Errors
    /// [`LedgerError`]: keys couldn't be looked up (a key run is damaged or can't be read, the
    /// shared store can't be asked, or a batch of the pipe was withdrawn). The batch is undecided as
    /// before, but for what came too late.
    pub fn reserve(&self, number: BatchNumber, batch: &mut Batch) -> Result<Reserved, LedgerError> {
        self.reserve_patiently(number, batch, &mut |_| false)
    }

    /// As [`PipeLedger::reserve`], as far as this ledger knows.
    pub(super) fn reserve_here(
        &self,
        number: BatchNumber,
        batch: &mut Batch,
    ) -> Result<Reserved, LedgerError> {
        self.narrow_replays(batch);
        let Some(cell) = self.cell() else {
            let undecided = |event: &&mut Event| event.fate == Fate::Undecided;
            batch.events.iter_mut().filter(undecided).for_each(|event| event.fate = Fate::Deliver);
            self.decided_last.store(number.0, Ordering::Release);
            return Ok(Reserved::default());
        };
        self.core().make_room();
        let now_ms = self.core().clock.now_ms();
        let source = SourceId(self.declared.source);
        let mut finder = lock(&self.finder);
        loop {
            let seen = finder.find(cell, batch)?;
            let decided = cell.with(|scope| {
                // Keys that memory had, and weren't looked up for that, may have left it.
                if scope.evictions() != seen {
                    return None;
                }
                scope.load_all(&finder.found);
                let reserved = self.decide(scope, source, number, batch, now_ms);
                cell.shed(scope);
                Some(reserved)
            });
            if let Some(reserved) = decided {
                return Ok(reserved);
            }
        }
    }

    /// Lets the scope decide, and notes its times.
    fn decide(
        &self,
        scope: &mut Scope,
        source: SourceId,
        number: BatchNumber,
        batch: &mut Batch,
        now_ms: i64,
    ) -> Reserved {
        let reserved = scope.reserve(self.pipe_id(), source, number, batch, now_ms);
        // Replays are of another source, which has none.
        let own = |(of, _): &(SourceId, i64)| *of == source && batch.replay.is_none();
        let watermark_ms = scope.watermarks().find(own).map(|(_, watermark_ms)| watermark_ms);
        let (recorded_max_ms, superseding) = (scope.recorded_max_ms(), scope.take_superseding());
        let decided = Decided { number, recorded_max_ms, watermark_ms, superseding };
        lock(&self.decided).push_back(decided);
        self.decided_last.store(number.0, Ordering::Release);
        reserved
    }

    /// Replayed events go only where they may, and where their letter isn't held already.
    fn narrow_replays(&self, batch: &mut Batch) {
        let Some(replay) = &batch.replay else { return };
        for (event, replayed) in batch.events.iter_mut().zip(&replay.events) {
            let held = replayed.letter.map_or(0, |letter| self.held_by_letter(letter));
            event.routes &= replayed.sinks & !held;
            event.marks = event.marks.with(Marks::REPLAYED);
        }
    }

    /// Lets go of the keys that batch `number` reserved: it will not commit, or not with them.
    pub fn release(&self, number: BatchNumber, batch: &Batch) {
        if let Some(shared) = &self.shared {
            shared.release(number);
        }
        if let Some(cell) = self.cell() {
            cell.with(|scope| scope.release(self.pipe_id(), number, batch));
        }
    }

    /// Events of batch `number` leave it although it reserved their keys. They are registered as
    /// events that wait (see [`crate::scope::Scope::reserve`]) and come again in a later batch, as
    /// [`Left`] says. Events that were decided as duplicates of one that left must leave too: all
    /// up to the batch that this answers with, the last one that was decided so far. Whoever is
    /// decided later waits for it by itself.
    pub fn leave(&self, number: BatchNumber, left: &[Left]) -> BatchNumber {
        let last = || BatchNumber(self.decided_last.load(Ordering::Acquire)).max(number);
        if let Some(shared) = &self.shared {
            shared.leave(number, left);
        }
        let Some(cell) = self.cell() else { return last() };
        cell.with(|scope| {
            scope.leave(self.pipe_id(), number, left);
            last()
        })
    }

    /// The events of `batch` that hold a key which an event of another pipe waits for, and would
    /// get if they left (`Left::holds` false).
    #[must_use]
    pub fn awaited(&self, batch: &Batch) -> Vec<u32> {
        let awaited_in = |cell: &Arc<ScopeCell>| {
            let awaited = || cell.with(|scope| scope.awaited(self.pipe_id(), batch));
            cell.somebody_waits().then(awaited)
        };
        self.cell().and_then(awaited_in).unwrap_or_default()
    }

    /// The parked events that the ledger holds, registered as events that wait and hold their
    /// keys (those that have one, in the scope that the pipe has now), in order of receipt. They
    /// come again with the shard, start and time of receipt that they say. Once, before the first
    /// batch.
    #[must_use]
    pub fn restore_parked(&self) -> Vec<ParkedEvent> {
        let mut parked: Vec<ParkedEvent> =
            self.with_state(|pipe| pipe.parked.values().map(|(_, event)| event.clone()).collect());
        parked.sort_by_key(|event| (event.received_ms, event.id));
        if let Some(cell) = self.cell() {
            cell.with(|scope| {
                parked.iter().for_each(|event| scope.restore_parked(self.pipe_id(), event));
            });
        }
        parked
    }

    /// The pipe's waiting events won't be submitted again (it stops, or gives them back): they no
    /// longer hold back others.
    pub fn forget_waiters(&self) {
        if let Some(cell) = self.cell() {
            cell.with(|scope| scope.forget_waiters(self.pipe_id()));
        }
    }

    /// Records files with their base length before their first byte is written; waits until that
    /// is durable.
    ///
    /// # Errors
    /// [`LedgerError`]; nothing was applied. After [`LedgerError::DiskFull`] it may be called
    /// again.
    pub fn record_opened(&self, sink: &str, output: StagedOutput) -> Result<(), LedgerError> {
        let place = self.sink_names.iter().position(|name| name == sink);
        let sink = place.and_then(|place| self.declared.sinks.get(place)).copied();
        let sink = sink.ok_or_else(|| self.refuse("a sink that it didn't declare names files"))?;
        let record = FilesRecord { pipe: self.declared.pipe, sink, output };
        self.core().append(Record::Files(record))
    }

    /// Encodes the batch's record and hands it to the journal, in call order. The batch is settled
    /// once [`PendingCommit::wait`] has said so, and not before.
    ///
    /// After [`LedgerError::DiskFull`] every later commit of the pipe that was under way fails in
    /// the same way; once there is room they are made again, in order, with the same numbers.
    pub fn commit(&self, settlement: &Settlement<'_>) -> PendingCommit {
        let core = Arc::clone(self.core());
        let mut head = match self.head(settlement) {
            Ok(head) => head,
            Err(error) => return PendingCommit::alone(core, PendingRecord::refused(error), None),
        };
        if let Some(shared) = &self.shared {
            if let Some(plan) = shared.plan(settlement.number, settlement.batch) {
                let ready = self.ready(&plan, head, settlement);
                return PendingCommit::shared(Arc::clone(shared), settlement.number, plan, ready);
            }
            if self.with_state(|pipe| !pipe.prepared.is_empty()) {
                let error = self.refuse("a batch before this one is prepared and not resolved");
                return PendingCommit::alone(core, PendingRecord::refused(error), None);
            }
        }
        let has_scope = head.scope.is_some();
        let events = if has_scope { settlement.batch.events.as_slice() } else { &[] };
        let keys = events.iter().filter_map(key).chain(refreshed(settlement.batch, has_scope));
        let mut bytes = Vec::new();
        let mut scratch = lock(&self.scratch);
        head.keys = BatchRecord::encode(&mut bytes, &head, &mut scratch, events.len(), keys);
        drop(scratch);
        let scope = self.cell().cloned();
        let record = core.submit(bytes, Record::Batch(head), scope);
        let sightings = self.sightings(settlement);
        PendingCommit::alone(core, record, sightings)
    }

    /// Names the pipe's event types, for sightings; once, before the first batch. Without it they
    /// have none.
    pub fn name_types(&self, names: impl Fn(u32) -> Arc<str> + Send + Sync + 'static) {
        // Whoever came first stays.
        let _ = self.type_names.set(Box::new(names));
    }

    /// The duplicates of a batch, if sightings are kept.
    pub(super) fn sightings(&self, settlement: &Settlement<'_>) -> Option<Encoded> {
        if !self.core().sightings.is_on() {
            return None;
        }
        let of = sightings::Of {
            pipe: &self.name,
            scope: self.scope_name.as_deref(),
            source: &self.source_name,
            number: settlement.number,
            type_names: self.type_names.get().map(|names| &**names),
        };
        sightings::encode(of, settlement.batch)
    }

    /// What the record says apart from keys.
    fn head(&self, settlement: &Settlement<'_>) -> Result<BatchHead, LedgerError> {
        let mut staged = Vec::with_capacity(settlement.staged.len());
        for (sink, output) in &settlement.staged {
            let place = self.declared.sinks.get(*sink).copied();
            let place = place.ok_or_else(|| self.refuse("a sink that it didn't declare staged"))?;
            staged.push((place, output.clone()));
        }
        let decided = self.decided_for(settlement.number);
        let source = match settlement.batch.replay {
            None => self.declared.source,
            Some(_) => self.core().replays(&self.declared, &self.name)?,
        };
        let letters = self.letter_ops(settlement, decided.as_ref())?;
        Ok(BatchHead {
            pipe: self.declared.pipe,
            source,
            scope: self.declared.scope.as_ref().map(|(number, _)| *number),
            number: settlement.number,
            keys: 0,
            recorded_max_ms: decided.as_ref().map_or(i64::MIN, |decided| decided.recorded_max_ms),
            watermark_ms: decided.and_then(|decided| decided.watermark_ms),
            published: self.unrecorded_published(),
            positions: settlement.positions.clone(),
            message_ids: settlement.message_ids.clone(),
            parked: settlement.parked.clone(),
            staged,
            counters: settlement.counters.clone(),
            letters,
            dedup_counts: dedup_counts(settlement.batch),
        })
    }

    /// The scope's times when batch `number` was decided. Kept until a later batch is settled, since
    /// this one may have to be committed again.
    fn decided_for(&self, number: BatchNumber) -> Option<Decided> {
        let committed = self.with_state(|pipe| pipe.committed);
        let mut all = lock(&self.decided);
        while all.get(1).is_some_and(|second| second.number <= committed) {
            all.pop_front();
        }
        all.iter().rev().find(|decided| decided.number <= number).cloned()
    }

    /// What was published since the last record that said so.
    fn unrecorded_published(&self) -> Vec<(u16, BatchNumber)> {
        let pipe = self.declared.pipe;
        let all = lock(&self.core().published);
        let noted: Vec<(u16, BatchNumber)> =
            all.range((pipe, 0)..=(pipe, u16::MAX)).map(|((_, sink), n)| (*sink, *n)).collect();
        drop(all);
        self.with_state(|state| {
            let recorded = |sink: u16| state.sinks.get(usize::from(sink));
            let newer = |&(sink, number): &(u16, BatchNumber)| {
                recorded(sink).is_some_and(|sink| number > sink.published_through)
            };
            noted.into_iter().filter(newer).collect()
        })
    }

    /// Everything that `sink` staged up to batch `number` is published and durable. Goes along
    /// with the next record; until then a restart publishes again.
    pub fn published(&self, sink: &str, number: BatchNumber) {
        let place = self.sink_names.iter().position(|name| name == sink);
        let Some(&sink) = place.and_then(|place| self.declared.sinks.get(place)) else { return };
        let mut published = lock(&self.core().published);
        let through = published.entry((self.declared.pipe, sink)).or_default();
        *through = number.max(*through);
    }

    /// Changes whenever a key in flight that somebody waits for was settled or released: events
    /// that wait are worth another `reserve` then.
    #[must_use]
    pub fn wakeups(&self) -> u64 {
        self.cell().map_or(0, |cell| cell.wakeups())
    }

    fn refuse(&self, what: &str) -> LedgerError {
        LedgerError::Declaration { pipe: self.name.clone(), what: what.into() }
    }
}

impl Drop for PipeLedger {
    /// A pipe that is gone makes nobody wait behind it, and may be declared again.
    fn drop(&mut self) {
        if let Some(cell) = self.cell() {
            cell.with(|scope| scope.pipe_gone(self.pipe_id()));
        }
        self.shared = None;
        lock(&self.core().declaring).remove(&self.declared.pipe);
    }
}

/// The key that a batch's record keeps of an event. Who committed it, the record's head says.
pub(super) fn key(event: &Event) -> Option<CommittedKey> {
    (event.fate == Fate::Deliver && event.window_ms >= 0).then(|| committed(event))
}

fn committed(event: &Event) -> CommittedKey {
    CommittedKey {
        key: event.key,
        recorded_ms: event.recorded_ms,
        window_ms: event.window_ms,
        body_hash: event.body_hash,
        state: KeyState::Delivered,
        by: CommittedBy::default(),
    }
}

/// What is counted of the events that a batch settles, beside their outcomes.
fn dedup_counts(batch: &Batch) -> DedupCounts {
    let mut counts = DedupCounts::default();
    let odd = Marks::UPDATE.with(Marks::NO_KEY);
    for event in batch.events.iter().filter(|event| event.marks.without(odd) != event.marks) {
        if matches!(event.fate, Fate::Deliver | Fate::Dead(_)) {
            counts.other_body += u64::from(event.marks.has(Marks::UPDATE));
            counts.no_key += u64::from(event.marks.has(Marks::NO_KEY));
        }
    }
    for one in &batch.duplicates {
        // One that left the batch since comes again.
        let event = batch.events.get(one.event as usize);
        if event.is_some_and(|event| event.fate == Fate::Duplicate) {
            counts.other_body += u64::from(one.other_body);
            counts.refreshed += u64::from(one.refreshes);
        }
    }
    let of_body = |death: &&Death| (death.stage, death.class.as_str()) == ("dedup", OTHER_BODY);
    counts.other_body += batch.deaths.iter().filter(of_body).count() as u64;
    counts
}

/// The keys of duplicates that start their key's window anew.
pub(super) fn refreshed(batch: &Batch, has_scope: bool) -> impl Iterator<Item = CommittedKey> {
    let duplicates = batch.duplicates.iter().filter(move |one| has_scope && one.refreshes);
    let events = duplicates.filter_map(|one| batch.events.get(one.event as usize));
    // One that left the batch since comes again.
    events.filter(|event| event.fate == Fate::Duplicate).map(committed)
}

fn sink_state(sink: &SinkRecord) -> SinkState {
    let file =
        |file: &crate::state::FileRecord| FileState { len: file.len, finished: file.finished };
    SinkState {
        published_through: sink.published_through,
        files: sink.files.iter().map(|(name, known)| (name.clone(), file(known))).collect(),
        unpublished: sink.unpublished.iter().map(|(n, output)| (*n, output.clone())).collect(),
    }
}
