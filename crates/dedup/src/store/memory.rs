//! A store in this process's memory, for tests and simulations only: it keeps nothing over a
//! restart of the process, and forgets nothing as long as it lives.
//!
//! Clones are clients of the same data, each with a scope of its own. Its clock is given, and what
//! can go wrong with a real store can be asked for: answers that get lost, data that gets lost,
//! calls that take their time.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::Clock;

use super::{
    Answer, Asked, BatchRef, BatchState, Joined, SharedScope, Store, StoreError, StoreFault,
    StoreStats,
};

/// A call of [`Store`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are called like the calls")]
pub enum Call {
    Join,
    Reserve,
    Renew,
    Commit,
    Abort,
    State,
    Release,
    Settle,
    Stats,
}

/// When a call fails that is made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before it did anything.
    Before,
    /// After it did everything: its answer got lost.
    After,
}

/// What is called at the start of each call.
type OnCall = Arc<dyn Fn(Call) + Send + Sync>;

/// A client of a store in memory.
pub struct MemoryStore {
    data: Arc<Mutex<Data>>,
    clock: Arc<dyn Clock>,
    /// The scope that this client joined, and its incarnation then.
    joined: Mutex<Option<(String, u128)>>,
}

#[derive(Default)]
struct Data {
    scopes: HashMap<String, Scope>,
    faults: VecDeque<(StoreFault, When)>,
    on_call: Option<OnCall>,
    /// Incarnations that were drawn.
    drawn: u128,
}

struct Scope {
    definition: SharedScope,
    incarnation: u128,
    keys: HashMap<u128, Vec<Entry>>,
    records: HashMap<BatchRef, Record>,
}

#[derive(Clone, Copy)]
struct Entry {
    asked: Asked,
    /// The batch that it relies on; `None` once it was told that it is committed.
    holder: Option<BatchRef>,
}

#[derive(Clone, Copy)]
struct Record {
    state: BatchState,
    lease_until_ms: i64,
}

impl MemoryStore {
    /// An empty store, whose leases go by `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { data: Arc::default(), clock, joined: Mutex::new(None) }
    }

    /// The next `calls` calls, of any client, fail with `fault`.
    pub fn fail_next(&self, calls: usize, fault: StoreFault, when: When) {
        let mut data = lock(&self.data);
        data.faults.extend(std::iter::repeat_n((fault, when), calls));
    }

    /// Forgets everything, as a server does that was started anew without its files.
    pub fn lose_everything(&self) {
        lock(&self.data).scopes.clear();
    }

    /// Forgets one key, in every scope.
    pub fn lose_key(&self, key: u128) {
        for scope in lock(&self.data).scopes.values_mut() {
            scope.keys.remove(&key);
        }
    }

    /// Forgets a batch's record.
    pub fn lose_record(&self, batch: BatchRef) {
        for scope in lock(&self.data).scopes.values_mut() {
            scope.records.remove(&batch);
        }
    }

    /// Calls `then` at the start of each call, without holding anything: a place to be slow in, or
    /// to let something else happen first.
    pub fn on_call(&self, then: impl Fn(Call) + Send + Sync + 'static) {
        lock(&self.data).on_call = Some(Arc::new(then));
    }

    fn run<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut Data) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let on_call = lock(&self.data).on_call.clone();
        if let Some(on_call) = on_call {
            on_call(call);
        }
        let mut data = lock(&self.data);
        match data.faults.pop_front() {
            None => act(&mut data),
            Some((fault, When::Before)) => Err(self.error(fault, "made to fail")),
            Some((fault, When::After)) => {
                act(&mut data)?;
                Err(self.error(fault, "made to fail after it was done"))
            }
        }
    }

    /// A call within the scope that this client joined.
    fn within<T>(
        &self,
        call: Call,
        act: impl FnOnce(&mut Scope) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.run(call, |data| {
            let joined = lock(&self.joined);
            let Some((name, incarnation)) = joined.as_ref() else {
                return Err(self.error(StoreFault::Refused, "no scope was joined"));
            };
            match data.scopes.get_mut(name) {
                Some(scope) if scope.incarnation == *incarnation => act(scope),
                _ => Err(self.error(StoreFault::Lost, "the scope isn't the one that was joined")),
            }
        })
    }

    fn error(&self, fault: StoreFault, what: &str) -> StoreError {
        StoreError::new(fault, &self.place(), what)
    }

    /// What the scope's record says must be what `scope` says.
    fn check(&self, known: &SharedScope, scope: &SharedScope) -> Result<(), StoreError> {
        if known.fields != scope.fields || known.across_types != scope.across_types {
            let what = format!("the scope {} has another key definition", scope.name);
            return Err(self.error(StoreFault::Refused, &what));
        }
        Ok(())
    }
}

impl Clone for MemoryStore {
    /// Another client, which has joined nothing yet.
    fn clone(&self) -> Self {
        let (data, clock) = (Arc::clone(&self.data), Arc::clone(&self.clock));
        Self { data, clock, joined: Mutex::new(None) }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("joined", &self.joined).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn join(&self, scope: &SharedScope) -> Result<Joined, StoreError> {
        self.run(Call::Join, |data| {
            if !data.scopes.contains_key(&scope.name) {
                data.drawn += 1;
                let new = Scope {
                    definition: scope.clone(),
                    incarnation: data.drawn,
                    keys: HashMap::new(),
                    records: HashMap::new(),
                };
                data.scopes.insert(scope.name.clone(), new);
            }
            let Some(known) = data.scopes.get(&scope.name) else {
                return Err(self.error(StoreFault::Lost, "the scope is gone"));
            };
            self.check(&known.definition, scope)?;
            *lock(&self.joined) = Some((scope.name.clone(), known.incarnation));
            Ok(Joined { secret: known.definition.secret, incarnation: known.incarnation })
        })
    }

    fn reserve(
        &self,
        batch: BatchRef,
        lease_ms: u64,
        asked: &[Asked],
    ) -> Result<Vec<Answer>, StoreError> {
        self.within(Call::Reserve, |scope| {
            let now_ms = self.clock.now_ms();
            let open = Record { state: BatchState::Open, lease_until_ms: until(now_ms, lease_ms) };
            if scope.records.entry(batch).or_insert(open).state != BatchState::Open {
                return Err(self.error(StoreFault::NotOpen, "the batch was resolved"));
            }
            Ok(asked.iter().map(|asked| scope.ask(batch, *asked, now_ms)).collect())
        })
    }

    fn renew(&self, batches: &[BatchRef], lease_ms: u64) -> Result<Vec<BatchState>, StoreError> {
        self.within(Call::Renew, |scope| {
            let now_ms = self.clock.now_ms();
            let renew = |batch| match scope.records.get_mut(batch) {
                None => BatchState::Absent,
                Some(record) => {
                    record.lease_until_ms = until(now_ms, lease_ms);
                    record.state
                }
            };
            Ok(batches.iter().map(renew).collect())
        })
    }

    fn commit(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.within(Call::Commit, |scope| Ok(scope.resolve(batch, BatchState::Committed)))
    }

    fn abort(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.within(Call::Abort, |scope| Ok(scope.resolve(batch, BatchState::Aborted)))
    }

    fn state(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.within(Call::State, |scope| Ok(scope.state(batch)))
    }

    fn release(&self, batch: BatchRef, keys: &[Asked]) -> Result<(), StoreError> {
        self.within(Call::Release, |scope| {
            // Keys of a committed batch are committed, told or not.
            if scope.state(batch) != BatchState::Committed {
                for key in keys {
                    scope.let_go(batch, key);
                }
            }
            Ok(())
        })
    }

    fn settle(&self, batch: BatchRef, keys: &[Asked]) -> Result<(), StoreError> {
        self.within(Call::Settle, |scope| {
            if scope.state(batch) == BatchState::Committed {
                for key in keys {
                    scope.tell(batch, key);
                }
                let names = |entry: &Entry| entry.holder == Some(batch);
                if !scope.keys.values().flatten().any(names) {
                    scope.records.remove(&batch);
                }
            }
            Ok(())
        })
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        self.within(Call::Stats, |scope| {
            let keys = scope.keys.values().map(|entries| entries.len() as u64).sum();
            Ok(StoreStats { keys: Some(keys), bytes: None, server: "memory".to_owned() })
        })
    }
}

fn until(now_ms: i64, lease_ms: u64) -> i64 {
    now_ms.saturating_add(i64::try_from(lease_ms).unwrap_or(i64::MAX))
}

impl Scope {
    fn state(&self, batch: BatchRef) -> BatchState {
        self.records.get(&batch).map_or(BatchState::Absent, |record| record.state)
    }

    /// Open → `to`; the state afterwards.
    fn resolve(&mut self, batch: BatchRef, to: BatchState) -> BatchState {
        match self.records.get_mut(&batch) {
            None => BatchState::Absent,
            Some(record) => {
                if record.state == BatchState::Open {
                    record.state = to;
                }
                record.state
            }
        }
    }

    fn ask(&mut self, batch: BatchRef, asked: Asked, now_ms: i64) -> Answer {
        self.resolve_holders(batch, asked.key, now_ms);
        let entries = self.keys.entry(asked.key).or_default();
        let same = |entry: &&Entry| {
            entry.holder == Some(batch) && entry.asked.recorded_ms == asked.recorded_ms
        };
        if entries.iter().any(|entry| same(&entry)) {
            return Answer::Reserved;
        }
        let records = &self.records;
        let mut busy = None;
        let mut held = false;
        for entry in entries.iter().filter(|entry| reaches(&entry.asked, asked.recorded_ms)) {
            let record = entry.holder.and_then(|by| records.get(&by).map(|record| (by, *record)));
            match record {
                Some((by, _)) if by == batch => held = true,
                Some((by, record)) if record.state == BatchState::Open => {
                    let left = record.lease_until_ms.saturating_sub(now_ms);
                    busy = Some(Answer::Busy { by, lease_left_ms: left.unsigned_abs() });
                }
                _ => {
                    let Asked { recorded_ms, window_ms, body_hash, .. } = entry.asked;
                    return Answer::Duplicate { recorded_ms, window_ms, body_hash };
                }
            }
        }
        if held {
            return Answer::Reserved;
        }
        busy.unwrap_or_else(|| {
            entries.push(Entry { asked, holder: Some(batch) });
            Answer::Reserved
        })
    }

    /// Takes over what may be taken: open batches whose lease ran out are aborted, and entries of
    /// aborted or absent ones go.
    fn resolve_holders(&mut self, batch: BatchRef, key: u128, now_ms: i64) {
        let records = &mut self.records;
        if let Some(entries) = self.keys.get_mut(&key) {
            entries.retain(|entry| {
                let Some(holder) = entry.holder else { return true };
                let Some(record) = records.get_mut(&holder) else { return false };
                let over = holder != batch && record.lease_until_ms <= now_ms;
                if record.state == BatchState::Open && over {
                    record.state = BatchState::Aborted;
                }
                record.state != BatchState::Aborted
            });
        }
    }

    fn let_go(&mut self, batch: BatchRef, key: &Asked) {
        if let Some(entries) = self.keys.get_mut(&key.key) {
            let held = |entry: &Entry| {
                entry.holder == Some(batch) && entry.asked.recorded_ms == key.recorded_ms
            };
            entries.retain(|entry| !held(entry));
        }
    }

    fn tell(&mut self, batch: BatchRef, key: &Asked) {
        for entry in self.keys.get_mut(&key.key).into_iter().flatten() {
            if entry.holder == Some(batch) {
                entry.holder = None;
            }
        }
    }
}

/// Whether an entry makes an event at `recorded_ms` a duplicate: they are less than the entry's
/// window apart.
fn reaches(entry: &Asked, recorded_ms: i64) -> bool {
    let apart = entry.recorded_ms.abs_diff(recorded_ms);
    entry.window_ms == crate::scope::FOREVER_MS
        || u64::try_from(entry.window_ms).is_ok_and(|window| apart < window)
}
