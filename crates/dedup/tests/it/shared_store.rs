//! A store in memory, and a worker's line to it that can be cut, or fail at a chosen call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use dedup::store::*;

#[derive(Clone, Copy, Debug)]
struct Held {
    by: BatchRef,
    asked: Asked,
}

#[derive(Debug, Default)]
struct Kept {
    scope: Option<Joined>,
    incarnations: u128,
    records: HashMap<BatchRef, (BatchState, i64)>,
    keys: HashMap<u128, Vec<Held>>,
}

/// What all lines lead to.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    kept: Mutex<Kept>,
    pub(crate) now_ms: AtomicI64,
}

impl Kept {
    fn state(&self, batch: BatchRef) -> BatchState {
        self.records.get(&batch).map_or(BatchState::Absent, |(state, _)| *state)
    }

    fn change(&mut self, batch: BatchRef, to: BatchState) -> BatchState {
        if let Some((state, _)) = self.records.get_mut(&batch)
            && *state == BatchState::Open
        {
            *state = to;
        }
        self.state(batch)
    }

    fn ask(&mut self, batch: BatchRef, asked: Asked, now_ms: i64) -> Answer {
        let near = |held: &Held, window_ms: i64| {
            (held.asked.recorded_ms.abs_diff(asked.recorded_ms) as i128) < i128::from(window_ms)
        };
        let of_key = self.keys.get(&asked.key).cloned().unwrap_or_default();
        for held in &of_key {
            if held.by == batch {
                return Answer::Reserved;
            }
            if !near(held, held.asked.window_ms) {
                continue;
            }
            let (state, lease) =
                self.records.get(&held.by).copied().unwrap_or((BatchState::Absent, 0));
            match state {
                BatchState::Committed => {
                    let Asked { recorded_ms, window_ms, body_hash, .. } = held.asked;
                    return Answer::Duplicate { recorded_ms, window_ms, body_hash };
                }
                BatchState::Open if lease > now_ms => {
                    return Answer::Busy { by: held.by, lease_left_ms: (lease - now_ms) as u64 };
                }
                BatchState::Open => {
                    self.change(held.by, BatchState::Aborted);
                }
                BatchState::Aborted | BatchState::Absent => {}
            }
        }
        let records = &self.records;
        let kept = self.keys.entry(asked.key).or_default();
        kept.retain(|held| {
            matches!(records.get(&held.by), Some((BatchState::Committed | BatchState::Open, _)))
        });
        kept.push(Held { by: batch, asked });
        Answer::Reserved
    }
}

/// What goes wrong at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    After,
}

type Trap = Box<dyn Fn() + Send + Sync>;

/// A worker's line to the store.
pub(crate) struct Line {
    memory: Arc<Memory>,
    pub(crate) cut: AtomicBool,
    pub(crate) fault: Mutex<Option<StoreFault>>,
    pub(crate) calls: AtomicU64,
    /// At this call the line is cut, for good, and the trap is sprung.
    pub(crate) trap: Mutex<Option<(u64, When, Trap)>>,
    /// This call isn't answered, although it did what it was to.
    pub(crate) deaf_at: AtomicU64,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}

impl Line {
    pub(crate) fn new(memory: &Arc<Memory>) -> Arc<Self> {
        Arc::new(Self {
            memory: Arc::clone(memory),
            cut: AtomicBool::new(false),
            fault: Mutex::new(None),
            calls: AtomicU64::new(0),
            trap: Mutex::new(None),
            deaf_at: AtomicU64::new(u64::MAX),
        })
    }

    fn away(&self) -> StoreError {
        StoreError::new(StoreFault::Away, "memory:", "the line is cut")
    }

    /// What the worker waits for; these calls are numbered.
    fn call<R>(&self, work: impl FnOnce(&mut Kept, i64) -> R) -> Result<R, StoreError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        self.numbered(number, work)
    }

    /// What may also be done in the background.
    fn chore<R>(&self, work: impl FnOnce(&mut Kept, i64) -> R) -> Result<R, StoreError> {
        self.numbered(u64::MAX - 1, work)
    }

    fn numbered<R>(
        &self,
        number: u64,
        work: impl FnOnce(&mut Kept, i64) -> R,
    ) -> Result<R, StoreError> {
        if let Some(fault) = *self.fault.lock().unwrap() {
            return Err(StoreError::new(fault, "memory:", "a test wants it so"));
        }
        let trap = self.trap.lock().unwrap();
        let at = trap.as_ref().filter(|(at, ..)| *at == number);
        if let Some((_, When::Before, spring)) = at {
            self.cut.store(true, Ordering::Relaxed);
            spring();
        }
        if self.cut.load(Ordering::Relaxed) {
            return Err(self.away());
        }
        let now_ms = self.memory.now_ms.load(Ordering::Relaxed);
        let answer = work(&mut self.memory.kept.lock().unwrap(), now_ms);
        if let Some((_, When::After, spring)) = at {
            self.cut.store(true, Ordering::Relaxed);
            spring();
            return Err(self.away());
        }
        if self.deaf_at.load(Ordering::Relaxed) == number {
            return Err(self.away());
        }
        Ok(answer)
    }
}

impl Store for Line {
    fn place(&self) -> String {
        "memory:".into()
    }

    fn join(&self, scope: &SharedScope) -> Result<Joined, StoreError> {
        self.call(|kept, _| {
            let drawn = kept.incarnations + 1;
            if kept.scope.is_none() {
                kept.incarnations = drawn;
            }
            kept.scope.get_or_insert(Joined { secret: scope.secret, incarnation: drawn }).clone()
        })
    }

    fn reserve(
        &self,
        batch: BatchRef,
        lease_ms: u64,
        asked: &[Asked],
    ) -> Result<Vec<Answer>, StoreError> {
        let fault = |fault| Err(StoreError::new(fault, "memory:", "reserve"));
        self.call(|kept, now_ms| {
            if kept.scope.is_none() {
                return fault(StoreFault::Lost);
            }
            if !matches!(kept.state(batch), BatchState::Open | BatchState::Absent) {
                return fault(StoreFault::NotOpen);
            }
            kept.records.insert(batch, (BatchState::Open, now_ms + lease_ms as i64));
            Ok(asked.iter().map(|asked| kept.ask(batch, *asked, now_ms)).collect())
        })?
    }

    fn renew(&self, batches: &[BatchRef], lease_ms: u64) -> Result<Vec<BatchState>, StoreError> {
        self.chore(|kept, now_ms| {
            for batch in batches {
                if let Some((BatchState::Open, lease)) = kept.records.get_mut(batch) {
                    *lease = now_ms + lease_ms as i64;
                }
            }
            batches.iter().map(|batch| kept.state(*batch)).collect()
        })
    }

    fn commit(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.call(|kept, _| kept.change(batch, BatchState::Committed))
    }

    fn abort(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.chore(|kept, _| kept.change(batch, BatchState::Aborted))
    }

    fn state(&self, batch: BatchRef) -> Result<BatchState, StoreError> {
        self.chore(|kept, _| kept.state(batch))
    }

    fn release(&self, batch: BatchRef, keys: &[Asked]) -> Result<(), StoreError> {
        self.call(|kept, _| {
            for key in keys {
                if let Some(held) = kept.keys.get_mut(&key.key) {
                    held.retain(|held| {
                        held.by != batch || held.asked.recorded_ms != key.recorded_ms
                    });
                }
            }
        })
    }

    fn settle(&self, _: BatchRef, _: &[Asked]) -> Result<(), StoreError> {
        self.chore(|_, _| ())
    }

    fn stats(&self) -> Result<StoreStats, StoreError> {
        self.chore(|_, _| StoreStats::default())
    }
}
