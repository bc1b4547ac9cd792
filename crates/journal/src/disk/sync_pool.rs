//! The threads on which the real disk syncs, and how syncs of one file share one `fdatasync`.

use std::collections::VecDeque;
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
    /// Syncs the file.
    sync_file: Box<dyn Fn() -> io::Result<()> + Send + Sync>,
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
    pub(super) fn new(
        sync_file: impl Fn() -> io::Result<()> + Send + Sync + 'static,
        pool: Arc<SyncPool>,
    ) -> Arc<Self> {
        let sync_file = Box::new(sync_file);
        Arc::new(Self { sync_file, pool, state: Mutex::new(SyncState::default()) })
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

    /// One sync, after which a failure is remembered for good.
    fn sync_once(&self) -> io::Result<()> {
        if let Some(failure) = &lock(&self.state).failed {
            return Err(failure.again());
        }
        let outcome = (self.sync_file)();
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn syncs_that_wait_together_share_one() {
        let (entered, enters) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let sync_file = move || {
            entered.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
            Ok(())
        };
        let syncs = FileSyncs::new(sync_file, Arc::new(SyncPool::new()));
        let first = syncs.start();
        enters.recv().unwrap();
        // The first one runs, and may have begun before these writes.
        let others: Vec<_> = (0..64).map(|_| syncs.start()).collect();
        go.send(()).unwrap();
        first.wait().unwrap();
        enters.recv().unwrap();
        go.send(()).unwrap();
        others.into_iter().for_each(|other| other.wait().unwrap());
        assert!(enters.try_recv().is_err(), "a third sync was begun");
        // The caller's own thread does it when none runs.
        go.send(()).unwrap();
        syncs.sync().unwrap();
        enters.recv().unwrap();
    }

    #[test]
    fn p7_after_a_failed_sync_every_later_one_fails() {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let sync_file = move || match counted.fetch_add(1, Ordering::SeqCst) {
            1 => Err(io::Error::from(io::ErrorKind::QuotaExceeded)),
            _ => Ok(()),
        };
        let syncs = FileSyncs::new(sync_file, Arc::new(SyncPool::new()));
        syncs.start().wait().unwrap();
        assert_eq!(syncs.sync().unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        assert_eq!(syncs.sync().unwrap_err().kind(), io::ErrorKind::QuotaExceeded);
        let error = syncs.start().wait().unwrap_err();
        assert!(error.to_string().contains("an earlier sync of this file failed"), "{error}");
        assert_eq!(count.load(Ordering::SeqCst), 2, "the system was asked again");
    }

    #[test]
    fn more_jobs_than_threads_are_all_done() {
        let pool = SyncPool::new();
        let jobs: Vec<_> = (0..100).map(|_| pool.run(|| Ok(()))).collect();
        jobs.into_iter().for_each(|job| job.wait().unwrap());
        assert!(lock(&pool.shared.state).threads <= THREADS_MAX);
    }
}
