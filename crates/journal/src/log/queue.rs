//! What appenders and the writer's thread share: the queue of records, and the poison.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::append::{Outcome, PendingAppend, Then};
use super::error::AppendError;

/// A record that waits for the disk.
pub(super) struct Queued {
    pub(super) record: Vec<u8>,
    /// Checksum of the record's bytes, computed on the appender's thread.
    pub(super) crc: u32,
    then: Option<Then>,
    answer: oneshot::Sender<Outcome>,
}

impl Queued {
    /// Tells the owner, then whoever waits. No lock may be held: the owner takes its own.
    pub(super) fn answer(self, outcome: Outcome) {
        if let Some(then) = self.then {
            then(&outcome);
        }
        let _ = self.answer.send(outcome);
    }
}

/// What the writer's thread is to do next.
pub(super) enum Work {
    Append,
    /// Nothing is queued and the journal is being closed; whether with a last group.
    Close {
        attest: bool,
    },
    Stop,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    No,
    Drop,
    Attest,
}

struct State {
    records: VecDeque<Queued>,
    bytes: u64,
    /// Appenders that wait for room.
    waiting: usize,
    /// The writer's thread waits for work.
    idle: bool,
    closing: Closing,
    poison: Option<Arc<str>>,
}

impl State {
    fn push(&mut self, record: Vec<u8>, crc: u32) -> PendingAppend {
        self.push_then(record, crc, None).unwrap_or_else(PendingAppend::refused)
    }

    fn push_then(
        &mut self,
        record: Vec<u8>,
        crc: u32,
        then: Option<Then>,
    ) -> Result<PendingAppend, AppendError> {
        if let Some(cause) = &self.poison {
            return Err(AppendError::Poisoned { cause: Arc::clone(cause) });
        }
        let (answer, pending) = oneshot::channel();
        self.bytes += record.len() as u64;
        self.records.push_back(Queued { record, crc, then, answer });
        Ok(PendingAppend::queued(pending))
    }
}

pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    room: Condvar,
    bytes_max: u64,
    end: AtomicU64,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Queue {
    pub(super) fn new(bytes_max: u64, end: u64) -> Self {
        let state = State {
            records: VecDeque::new(),
            bytes: 0,
            waiting: 0,
            idle: false,
            closing: Closing::No,
            poison: None,
        };
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            room: Condvar::new(),
            bytes_max,
            end: AtomicU64::new(end),
        }
    }

    /// Where the durable records end.
    pub(super) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(super) fn set_end(&self, end: u64) {
        self.end.store(end, Ordering::Release);
    }

    /// Queues records in order; waits while there is no room.
    pub(super) fn push_all(
        &self,
        records: impl IntoIterator<Item = Vec<u8>>,
    ) -> Vec<PendingAppend> {
        let records: Vec<_> =
            records.into_iter().map(|record| (crc32c::crc32c(&record), record)).collect();
        let mut state = lock(&self.state);
        let mut pending = Vec::with_capacity(records.len());
        for (crc, record) in records {
            while self.is_full(&state, &record) {
                if state.idle {
                    self.work.notify_one();
                }
                state.waiting += 1;
                state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.waiting -= 1;
            }
            pending.push(state.push(record, crc));
        }
        let wake = state.idle;
        drop(state);
        if wake {
            self.work.notify_one();
        }
        pending
    }

    /// Queues a record, or gives it back if there is no room.
    pub(super) fn try_push(&self, record: Vec<u8>) -> Result<PendingAppend, Vec<u8>> {
        let crc = crc32c::crc32c(&record);
        let mut state = lock(&self.state);
        if self.is_full(&state, &record) {
            return Err(record);
        }
        let pending = state.push(record, crc);
        let wake = state.idle;
        drop(state);
        if wake {
            self.work.notify_one();
        }
        Ok(pending)
    }

    /// Queues a record whatever the room, with what is to be called before its answer.
    pub(super) fn push_then(
        &self,
        record: Vec<u8>,
        then: Then,
    ) -> Result<PendingAppend, AppendError> {
        let crc = crc32c::crc32c(&record);
        let mut state = lock(&self.state);
        let pending = state.push_then(record, crc, Some(then))?;
        let wake = state.idle;
        drop(state);
        if wake {
            self.work.notify_one();
        }
        Ok(pending)
    }

    fn is_full(&self, state: &State, record: &[u8]) -> bool {
        let bytes = state.bytes + record.len() as u64;
        state.poison.is_none() && state.bytes > 0 && bytes > self.bytes_max
    }

    /// Waits for work; moves records to `batch`, up to `bytes_max` of them but at least one.
    pub(super) fn take(&self, batch: &mut VecDeque<Queued>, bytes_max: u64) -> Work {
        let mut state = lock(&self.state);
        while state.records.is_empty() && state.poison.is_none() {
            match state.closing {
                Closing::No => {}
                closing => return Work::Close { attest: closing == Closing::Attest },
            }
            state.idle = true;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle = false;
        }
        if state.poison.is_some() {
            return Work::Stop;
        }
        let mut taken = 0;
        while let Some(queued) = state.records.front() {
            let bytes = queued.record.len() as u64;
            if taken > 0 && taken + bytes > bytes_max {
                break;
            }
            taken += bytes;
            batch.extend(state.records.pop_front());
        }
        state.bytes -= taken;
        if state.waiting > 0 {
            self.room.notify_all();
        }
        Work::Append
    }

    /// Answers everything that waits with an error that concerns only that.
    pub(super) fn refuse_queued(&self, error: &AppendError) {
        let emptied = self.empty(&mut lock(&self.state));
        refuse(emptied, error);
    }

    /// Fail-stop: whatever waits or comes is answered with the cause. The first cause stays.
    pub(super) fn poison(&self, cause: Arc<str>) -> AppendError {
        let mut state = lock(&self.state);
        let cause = Arc::clone(state.poison.get_or_insert(cause));
        let error = AppendError::Poisoned { cause };
        let emptied = self.empty(&mut state);
        drop(state);
        self.work.notify_all();
        refuse(emptied, &error);
        error
    }

    fn empty(&self, state: &mut State) -> VecDeque<Queued> {
        state.bytes = 0;
        self.room.notify_all();
        std::mem::take(&mut state.records)
    }

    /// Refuses if the journal is poisoned.
    pub(super) fn check(&self) -> Result<(), AppendError> {
        match &lock(&self.state).poison {
            Some(cause) => Err(AppendError::Poisoned { cause: Arc::clone(cause) }),
            None => Ok(()),
        }
    }

    /// Lets the writer's thread end once the queue is empty.
    pub(super) fn close(&self, attest: bool) {
        lock(&self.state).closing = if attest { Closing::Attest } else { Closing::Drop };
        self.work.notify_all();
    }
}

fn refuse(emptied: VecDeque<Queued>, error: &AppendError) {
    for queued in emptied {
        queued.answer(Err(error.clone()));
    }
}
