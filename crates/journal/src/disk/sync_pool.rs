//! The threads on which the real disk syncs, and how syncs of one file share one `fdatasync`.
#![allow(clippy::disallowed_methods)] // syncs of the real disk end here

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;

use super::pending::PendingSync;

/// Most threads that sync at the same time.
const THREADS_MAX: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that are started when there is more to sync than threads that wait for work.
pub(super) struct SyncPool {
    shared: Arc<PoolShared>,
}

struct PoolShared {
    state: Mutex<PoolState>,
    work: Condvar,
}

#[derive(Default)]
struct PoolState {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SyncPool {
    pub(super) fn new() -> Self {
        let shared = PoolShared { state: Mutex::new(PoolState::default()), work: Condvar::new() };
        Self { shared: Arc::new(shared) }
    }

    /// Runs `sync` on a thread of the pool.
    pub(super) fn run(
        &self,
        sync: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> PendingSync {
        let (answer, pending) = oneshot::channel();
        self.spawn(Box::new(move || {
            let _ = answer.send(sync());
        }));
        PendingSync::running(pending)
    }

    fn spawn(&self, job: Job) {
        let mut state = lock(&self.shared.state);
        state.jobs.push_back(job);
        if state.idle < state.jobs.len() && state.threads < THREADS_MAX {
            let shared = Arc::clone(&self.shared);
            let spawned = thread::Builder::new().name("sync".into()).spawn(move || shared.work());
            match spawned {
                Ok(_) => state.threads += 1,
                // No thread to be had: whoever asked does the work.
                Err(_) if state.threads == 0 => {
                    let jobs = mem::take(&mut state.jobs);
                    drop(state);
                    jobs.into_iter().for_each(|job| job());
                    return;
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.shared.work.notify_one();
    }
}

impl Drop for SyncPool {
    fn drop(&mut self) {
        lock(&self.shared.state).closed = true;
        self.shared.work.notify_all();
    }
}

impl PoolShared {
    fn work(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = lock(&self.state);
            } else if state.closed {
                return;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

/// The syncs of one open file. Those that arrive while one runs are answered together by the next:
/// the one that runs may have begun before their writes.
pub(super) struct FileSyncs {
    file: Arc<File>,
    pool: Arc<SyncPool>,
    state: Mutex<SyncState>,
}

#[derive(Default)]
struct SyncState {
    running: bool,
    waiting: Vec<oneshot::Sender<io::Result<()>>>,
    failed: Option<Failure>,
}

/// What a failed sync said, to be said again.
#[derive(Clone)]
struct Failure {
    kind: io::ErrorKind,
    what: String,
}

impl Failure {
    fn again(&self) -> io::Error {
        io::Error::new(self.kind, format!("an earlier sync of this file failed: {}", self.what))
    }
}

impl FileSyncs {
    pub(super) fn new(file: Arc<File>, pool: Arc<SyncPool>) -> Arc<Self> {
        Arc::new(Self { file, pool, state: Mutex::new(SyncState::default()) })
    }

    pub(super) fn start(self: &Arc<Self>) -> PendingSync {
        let mut state = lock(&self.state);
        if let Some(failure) = &state.failed {
            return PendingSync::ready(Err(failure.again()));
        }
        let (answer, pending) = oneshot::channel();
        state.waiting.push(answer);
        if !mem::replace(&mut state.running, true) {
            drop(state);
            self.run_on_pool();
        }
        PendingSync::running(pending)
    }

    pub(super) fn sync(self: &Arc<Self>) -> io::Result<()> {
        let mut state = lock(&self.state);
        if let Some(failure) = &state.failed {
            return Err(failure.again());
        }
        if state.running {
            drop(state);
            return self.start().wait();
        }
        state.running = true;
        drop(state);
        let outcome = self.sync_once();
        if self.finish_round() {
            self.run_on_pool();
        }
        outcome
    }

    fn run_on_pool(self: &Arc<Self>) {
        let syncs = Arc::clone(self);
        self.pool.spawn(Box::new(move || {
            loop {
                let answers = mem::take(&mut lock(&syncs.state).waiting);
                let outcome = syncs.sync_once();
                for answer in answers {
                    let again = match &outcome {
                        Ok(()) => Ok(()),
                        Err(error) => Err(copy(error)),
                    };
                    let _ = answer.send(again);
                }
                if !syncs.finish_round() {
                    return;
                }
            }
        }));
    }

    /// One `fdatasync`, after which a failure is remembered for good.
    fn sync_once(&self) -> io::Result<()> {
        if let Some(failure) = &lock(&self.state).failed {
            return Err(failure.again());
        }
        let outcome = self.file.sync_data();
        if let Err(error) = &outcome {
            let failure = Failure { kind: error.kind(), what: error.to_string() };
            lock(&self.state).failed = Some(failure);
        }
        outcome
    }

    /// Whether others came meanwhile, so that another round is due.
    fn finish_round(&self) -> bool {
        let mut state = lock(&self.state);
        state.running = !state.waiting.is_empty();
        state.running
    }
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
