//! A pipe whose scope is in a store that workers share: what it asks there, and how its batches are
//! committed (DESIGN §4).
//!
//! The store's record of a batch is the commit point. Around it stand two records of the ledger:
//! `prepared`, with everything that the batch changes, before; and `resolved`, which makes that
//! count, after. Only then is anything acknowledged.
//!
//! A batch asks for keys once, under a name that is never used again: a call that got no answer
//! may still arrive later, and must find nothing that it could harm. So what failed is asked for
//! under a new name, and the old one is aborted.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use event::{Batch, BatchNumber, Epoch, Event, Fate, LedgerId, Offset, ShardId};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::core::{Core, PendingRecord};
use super::join::other_secret;
use super::keeper::{Chore, Keeper};
use super::scope_cell::ScopeCell;
use super::{Left, SharedStore, lock};
use crate::error::LedgerError;
use crate::record::{Record, ResolvedRecord};
use crate::scope::{CommittedBy, CommittedKey, Elsewhere, KeyState};
use crate::sightings::Encoded;
use crate::store::{
    Answer, Asked, BatchRef, BatchState, SharedScope, Store, StoreError, StoreFault,
};

/// For how long the id of a message without a key is remembered at least: a day.
const ID_WINDOW_MS: i64 = 86_400_000;
/// How soon an event is asked for again whose key a dead batch of this worker held.
const FREED_MS: u64 = 5;

/// What pipes in stores know of each other in one process.
#[derive(Default)]
pub(super) struct Sharing {
    /// Batches that this process holds open.
    open: Mutex<BTreeSet<BatchRef>>,
    /// Pipes that were declared since the ledger was opened.
    pub(super) started: Mutex<BTreeSet<u16>>,
}

/// An event that waits because another batch holds its key in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskAgain {
    /// Its index in the batch.
    pub event: u32,
    /// For how long the holder's lease lasts yet; ms. Nobody tells when it lets go sooner.
    pub lease_left_ms: u64,
}

/// How a pipe gets on with its store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreHealth {
    /// Where it is.
    pub place: String,
    /// Whether the last call was answered.
    pub reachable: bool,
    /// Keys that were asked for.
    pub asked: u64,
    /// Of these, keys that other workers had committed.
    pub duplicates: u64,
    /// Of these, keys that were held by a batch elsewhere.
    pub busy: u64,
    /// Calls that failed.
    pub failures: u64,
    /// How often the store lost its data, as far as this ledger noticed.
    pub losses: u64,
}

#[derive(Default)]
struct Counts {
    unreachable: AtomicBool,
    asked: AtomicU64,
    duplicates: AtomicU64,
    busy: AtomicU64,
    failures: AtomicU64,
    losses: AtomicU64,
}

/// What isn't ours of a batch, and when to ask again for what is held elsewhere.
type Said = (Vec<(u32, Elsewhere)>, Vec<AskAgain>);

/// A batch that is open in the store.
struct OpenBatch {
    name: BatchRef,
    /// What it holds there.
    held: Vec<Asked>,
    /// Its record in the ledger is durable.
    prepared: bool,
}

type OpenBatches = Mutex<BTreeMap<BatchNumber, OpenBatch>>;

/// A pipe's side of the store.
pub(super) struct SharedPipe {
    core: Arc<Core>,
    store: Arc<dyn Store>,
    scope: SharedScope,
    scope_number: u16,
    lease_ms: u64,
    worker: LedgerId,
    pipe: u16,
    epoch: Epoch,
    attempts: AtomicU64,
    open: Arc<OpenBatches>,
    /// Why a batch was withdrawn: nothing commits any more.
    withdrawn: Arc<OnceLock<Arc<str>>>,
    counts: Arc<Counts>,
    keeper: Keeper,
}

impl SharedPipe {
    pub(super) fn new(
        core: &Arc<Core>,
        shared: &SharedStore,
        scope: SharedScope,
        scope_number: u16,
        (pipe, epoch): (u16, Epoch),
    ) -> Result<Self, LedgerError> {
        let store = Arc::clone(&shared.store);
        let lease_ms = u64::try_from(shared.lease.as_millis()).unwrap_or(u64::MAX).max(1);
        let open = Arc::new(OpenBatches::default());
        let withdrawn = Arc::new(OnceLock::new());
        let counts = Arc::new(Counts::default());
        let renewal = Renewal {
            store: Arc::clone(&store),
            open: Arc::clone(&open),
            withdrawn: Arc::clone(&withdrawn),
            counts: Arc::clone(&counts),
            lease_ms,
        };
        let keeper =
            Keeper::start(Arc::clone(&store), shared.lease / 3, move || renewal.renew_all())?;
        let pipe_side = Self {
            core: Arc::clone(core),
            store,
            scope,
            scope_number,
            lease_ms,
            worker: lock(&core.live).state.ledger_id,
            pipe,
            epoch,
            attempts: AtomicU64::new(0),
            open,
            withdrawn,
            counts,
            keeper,
        };
        pipe_side.count_losses();
        Ok(pipe_side)
    }

    pub(super) fn health(&self) -> StoreHealth {
        // Without a lock of the ledger: whoever asks may look at its state just now.
        let counts = &self.counts;
        StoreHealth {
            place: self.store.place(),
            reachable: !counts.unreachable.load(Ordering::Relaxed),
            asked: counts.asked.load(Ordering::Relaxed),
            duplicates: counts.duplicates.load(Ordering::Relaxed),
            busy: counts.busy.load(Ordering::Relaxed),
            failures: counts.failures.load(Ordering::Relaxed),
            losses: counts.losses.load(Ordering::Relaxed),
        }
    }

    /// The error of a pipe one of whose batches was withdrawn.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        self.withdrawn.get().map_or(Ok(()), |why| Err(LedgerError::Withdrawn(Arc::clone(why))))
    }

    /// Asks for the keys of all events of `batch` that were decided just now as ours (`asked`).
    /// Where the store fails in a way that passes, `patience` is asked whether to try again. What
    /// isn't ours, by index and ascending, and when to ask again for what is held elsewhere.
    pub(super) fn ask(
        &self,
        number: BatchNumber,
        batch: &Batch,
        asked: impl Fn(usize) -> bool,
        patience: &mut dyn FnMut(&LedgerError) -> bool,
    ) -> Result<Said, LedgerError> {
        let mut events = Vec::new();
        let mut keys = Vec::new();
        self.for_each(batch, |at, event, key| {
            if event.fate == Fate::Deliver && asked(at) {
                events.push(u32::try_from(at).unwrap_or(u32::MAX));
                keys.push(key);
            }
        });
        if keys.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let (name, answers) = self.ask_until_answered(&keys, patience)?;
        let (mut said, mut again) = (Vec::new(), Vec::new());
        let mut held = Vec::with_capacity(keys.len());
        for ((&event, key), answer) in events.iter().zip(&keys).zip(answers) {
            match answer {
                Answer::Reserved => held.push(*key),
                Answer::Duplicate { recorded_ms, window_ms, body_hash } => {
                    let (state, by) = (KeyState::Delivered, CommittedBy::default());
                    let key = key.key;
                    let entry = CommittedKey { key, recorded_ms, window_ms, body_hash, state, by };
                    said.push((event, Elsewhere::Duplicate(entry)));
                }
                Answer::Busy { by, lease_left_ms } => {
                    let freed = self.free_own(by);
                    let lease_left_ms = if freed { FREED_MS } else { lease_left_ms };
                    said.push((event, Elsewhere::Busy));
                    again.push(AskAgain { event, lease_left_ms });
                }
            }
        }
        let duplicates = said.len() - again.len();
        self.counts.asked.fetch_add(keys.len() as u64, Ordering::Relaxed);
        self.counts.duplicates.fetch_add(duplicates as u64, Ordering::Relaxed);
        self.counts.busy.fetch_add(again.len() as u64, Ordering::Relaxed);
        if held.is_empty() {
            self.abandon(name);
        } else {
            lock(&self.open).insert(number, OpenBatch { name, held, prepared: false });
        }
        Ok((said, again))
    }

    fn ask_until_answered(
        &self,
        keys: &[Asked],
        patience: &mut dyn FnMut(&LedgerError) -> bool,
    ) -> Result<(BatchRef, Vec<Answer>), LedgerError> {
        loop {
            self.check()?;
            let name = BatchRef {
                worker: self.worker,
                pipe: self.pipe,
                epoch: self.epoch,
                number: BatchNumber(self.attempts.fetch_add(1, Ordering::Relaxed) + 1),
            };
            lock(&self.core.sharing.open).insert(name);
            let error = match self.note(self.store.reserve(name, self.lease_ms, keys)) {
                Ok(answers) if answers.len() == keys.len() => return Ok((name, answers)),
                Ok(_) => {
                    let what = "it gave another number of answers than it was asked for keys";
                    StoreError::new(StoreFault::Refused, &self.store.place(), what)
                }
                Err(error) => error,
            };
            self.abandon(name);
            let error = match error.fault {
                StoreFault::Lost => match self.join_again() {
                    Ok(()) => LedgerError::Store(error),
                    Err(error) => error,
                },
                _ => LedgerError::Store(error),
            };
            if !error.passes() || !patience(&error) {
                return Err(error);
            }
        }
    }

    /// The store lost its data: the scope is made known there again.
    fn join_again(&self) -> Result<(), LedgerError> {
        let joined = self.note(self.store.join(&self.scope))?;
        if joined.secret != self.scope.secret {
            return Err(other_secret(&self.store, &self.scope));
        }
        self.core.note_joined(self.scope_number, &self.store, &joined)?;
        self.count_losses();
        Ok(())
    }

    fn count_losses(&self) {
        let live = lock(&self.core.live);
        let scope = live.state.scopes.get(usize::from(self.scope_number));
        let losses = scope.and_then(|scope| scope.shared.as_ref()).map_or(0, |it| it.losses);
        self.counts.losses.store(losses, Ordering::Relaxed);
    }

    /// A batch of this worker that nobody works at any more gives up its keys; whether it was one.
    fn free_own(&self, by: BatchRef) -> bool {
        if by.worker != self.worker || lock(&self.core.sharing.open).contains(&by) {
            return false;
        }
        self.note(self.store.abort(by)).is_ok()
    }

    /// A batch will not commit.
    fn abandon(&self, name: BatchRef) {
        lock(&self.core.sharing.open).remove(&name);
        self.keeper.leave(Chore::Abort(name));
    }

    /// Events leave their batch: others may have their keys. What isn't let go by the time that the
    /// batch is prepared is let go then.
    pub(super) fn leave(&self, number: BatchNumber, left: &[Left]) {
        let Some(name) = lock(&self.open).get(&number).map(|batch| batch.name) else { return };
        let held = left.iter().filter(|left| left.event.fate == Fate::Deliver);
        let keys: Vec<Asked> =
            held.map(|left| self.asked(&left.event, &left.shard, left.start)).collect();
        if !keys.is_empty() {
            self.keeper.leave(Chore::Release(name, keys));
        }
    }

    /// The batch will not commit. One that is prepared stays: whether it counts, the store is asked
    /// when the pipe starts again.
    pub(super) fn release(&self, number: BatchNumber) {
        let Some(batch) = lock(&self.open).remove(&number) else { return };
        if batch.prepared {
            lock(&self.core.sharing.open).remove(&batch.name);
        } else {
            self.abandon(batch.name);
        }
    }

    /// How `batch` is to be committed; `None`: it holds nothing in the store.
    pub(super) fn plan(&self, number: BatchNumber, batch: &Batch) -> Option<Plan> {
        let open = lock(&self.open);
        let known = open.get(&number)?;
        let mut rights = HashSet::with_capacity(known.held.len());
        self.for_each(batch, |_, event, key| {
            let has_key = event.window_ms >= 0;
            // A dead event's key is free again: its letter judges copies that come to this worker.
            let settles =
                event.fate == Fate::Deliver || !has_key && matches!(event.fate, Fate::Dead(_));
            if settles {
                rights.insert((key.key, key.recorded_ms));
            }
        });
        let keeps = |key: &Asked| rights.contains(&(key.key, key.recorded_ms));
        let (keep, let_go): (Vec<Asked>, Vec<Asked>) =
            known.held.iter().partition(|key| keeps(key));
        let (name, prepared) = (known.name, known.prepared);
        drop(open);
        if keep.is_empty() {
            self.release(number);
            return None;
        }
        Some(Plan { name, prepared, keep, let_go })
    }

    /// Commits a batch: see the module's first lines.
    fn commit(&self, number: BatchNumber, plan: Plan, ready: Ready) -> Result<(), LedgerError> {
        self.check()?;
        let Plan { name, prepared, keep, let_go } = plan;
        // Before it is prepared: from then on it may be committed by whoever recovers it.
        if !let_go.is_empty() {
            match self.note(self.store.release(name, &let_go)) {
                Ok(()) => {}
                Err(error) if error.fault == StoreFault::NotOpen => {
                    return Err(self.withdraw(&error.what));
                }
                Err(error) => return Err(error.into()),
            }
            if let Some(batch) = lock(&self.open).get_mut(&number) {
                batch.held.clone_from(&keep);
            }
        }
        if !prepared {
            let pending = self.core.submit(ready.bytes, ready.record, None);
            self.core.wait(&pending)?;
            if let Some(batch) = lock(&self.open).get_mut(&number) {
                batch.prepared = true;
            }
        }
        let committed = match self.note(self.store.commit(name)) {
            Ok(state) => state == BatchState::Committed,
            Err(error) if error.fault == StoreFault::NotOpen => false,
            Err(error) if error.fault == StoreFault::Lost => {
                self.join_again()?;
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        };
        let record = Record::Resolved(ResolvedRecord { pipe: self.pipe, number, committed });
        let pending = self.core.submit(record.encode(), record, ready.scope);
        self.core.wait(&pending)?;
        if !committed {
            return Err(self.withdraw("its lease ran out, and another worker took its keys over"));
        }
        lock(&self.open).remove(&number);
        lock(&self.core.sharing.open).remove(&name);
        self.keeper.leave(Chore::Settle(name, keep));
        Ok(())
    }

    /// From now on nothing of the pipe commits.
    fn withdraw(&self, why: &str) -> LedgerError {
        LedgerError::Withdrawn(Arc::clone(self.withdrawn.get_or_init(|| why.into())))
    }

    /// Keeps count of what fails.
    fn note<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        self.counts.note(&answer);
        answer
    }

    /// All events of a batch that reserve something, with what they ask for. Replayed events
    /// without a key reserve nothing: no other worker has them.
    fn for_each(&self, batch: &Batch, mut each: impl FnMut(usize, &Event, Asked)) {
        for (extent, range) in batch.extent_ranges() {
            for at in range.clone() {
                let Some(event) = batch.events.get(at) else { continue };
                if event.window_ms >= 0 {
                    each(at, event, keyed(event));
                } else if batch.replay.is_none() {
                    let start = batch.position(extent, &range, at).0;
                    each(at, event, self.asked(event, extent.shard_of(at), start));
                }
            }
        }
    }

    /// What an event reserves: its key, or where it has none its position, which is the message's id
    /// where it came from a queue.
    fn asked(&self, event: &Event, shard: &ShardId, start: Offset) -> Asked {
        if event.window_ms >= 0 {
            return keyed(event);
        }
        let mut bytes = Vec::with_capacity(64 + shard.len());
        bytes.extend_from_slice(&self.scope.secret);
        bytes.extend_from_slice(b"position");
        bytes.extend_from_slice(shard.as_bytes());
        let (high, low) = start.parts();
        bytes.extend_from_slice(&u128::from(high).to_le_bytes());
        bytes.extend_from_slice(&low.to_le_bytes());
        Asked {
            key: xxh3_128_with_seed(&bytes, 1),
            recorded_ms: event.recorded_ms,
            window_ms: ID_WINDOW_MS,
            body_hash: event.body_hash,
        }
    }
}

impl Drop for SharedPipe {
    fn drop(&mut self) {
        let open = std::mem::take(&mut *lock(&self.open));
        for batch in open.into_values().filter(|batch| !batch.prepared) {
            self.abandon(batch.name);
        }
    }
}

fn keyed(event: &Event) -> Asked {
    Asked {
        key: event.key,
        recorded_ms: event.recorded_ms,
        window_ms: event.window_ms,
        body_hash: event.body_hash,
    }
}

impl Counts {
    fn note<T>(&self, answer: &Result<T, StoreError>) {
        let away = match answer {
            Ok(_) => false,
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                error.fault != StoreFault::NotOpen
            }
        };
        self.unreachable.store(away, Ordering::Relaxed);
    }
}

/// Renews the leases of a pipe's open batches.
struct Renewal {
    store: Arc<dyn Store>,
    open: Arc<OpenBatches>,
    withdrawn: Arc<OnceLock<Arc<str>>>,
    counts: Arc<Counts>,
    lease_ms: u64,
}

impl Renewal {
    fn renew_all(&self) -> Result<(), StoreError> {
        let names: Vec<(BatchNumber, BatchRef)> =
            lock(&self.open).iter().map(|(number, batch)| (*number, batch.name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let refs: Vec<BatchRef> = names.iter().map(|(_, name)| *name).collect();
        let states = self.store.renew(&refs, self.lease_ms);
        self.counts.note(&states);
        let states = states?;
        let open = lock(&self.open);
        for ((number, name), state) in names.iter().zip(states) {
            let gone = matches!(state, BatchState::Aborted | BatchState::Absent);
            // It may have been given up, or settled, meanwhile.
            let still = open.get(number).is_some_and(|batch| batch.name == *name);
            if gone && still {
                let why = "its lease ran out, and another worker took its keys over";
                self.withdrawn.get_or_init(|| why.into());
            }
        }
        Ok(())
    }
}

/// What is to be done at the store for a batch that commits.
pub(super) struct Plan {
    pub(super) name: BatchRef,
    pub(super) prepared: bool,
    keep: Vec<Asked>,
    let_go: Vec<Asked>,
}

/// The record of a batch that is ready to be committed.
pub(super) struct Ready {
    pub(super) bytes: Vec<u8>,
    pub(super) record: Record,
    pub(super) scope: Option<Arc<ScopeCell>>,
    pub(super) sightings: Option<Encoded>,
}

/// A commit that is under way. Dropping it doesn't take it back.
#[must_use = "nothing is settled before wait() has said so"]
pub struct PendingCommit(Way);

enum Way {
    /// One record decides.
    Alone { core: Arc<Core>, record: PendingRecord, sightings: Option<Encoded> },
    /// The store decides.
    Shared { pipe: Arc<SharedPipe>, number: BatchNumber, plan: Plan, ready: Box<Ready> },
}

impl PendingCommit {
    pub(super) fn alone(
        core: Arc<Core>,
        record: PendingRecord,
        sightings: Option<Encoded>,
    ) -> Self {
        Self(Way::Alone { core, record, sightings })
    }

    pub(super) fn shared(
        pipe: Arc<SharedPipe>,
        number: BatchNumber,
        plan: Plan,
        ready: Ready,
    ) -> Self {
        Self(Way::Shared { pipe, number, plan, ready: Box::new(ready) })
    }

    /// Blocks until the record is durable and applied, and everything committed before it too. With
    /// a store, until that has said that the batch is committed, and the ledger has it.
    ///
    /// # Errors
    /// [`LedgerError::DiskFull`]: not written, commit again once there is room.
    /// [`LedgerError::Stopped`]: storage failed; whether the record will be there after a restart
    /// is not known, and nothing may be acknowledged.
    /// [`LedgerError::Store`]: nobody knows yet; commit again. If that doesn't happen, the next
    /// start of the pipe asks the store.
    /// [`LedgerError::Withdrawn`]: it never happened, nor will what was decided after it.
    pub fn wait(self) -> Result<(), LedgerError> {
        let (core, sightings) = match self.0 {
            Way::Alone { core, record, sightings } => {
                core.wait(&record)?;
                (core, sightings)
            }
            Way::Shared { pipe, number, plan, mut ready } => {
                let sightings = ready.sightings.take();
                pipe.commit(number, plan, *ready)?;
                (Arc::clone(&pipe.core), sightings)
            }
        };
        if let Some(sightings) = &sightings {
            core.sightings.append(sightings);
        }
        Ok(())
    }
}
