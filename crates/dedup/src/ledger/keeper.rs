//! What a pipe does for its store in the background: renew leases, let go of keys, tell keys that
//! they are committed. None of it is needed for what is promised; a slow store only delays it.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lock;
use crate::error::LedgerError;
use crate::store::{Asked, BatchRef, Store, StoreError};

/// Chores that wait at most; of more, what comes last is left out.
const CHORES_MAX: usize = 256;
/// Batches to be aborted that are remembered while the store is away.
const ABORTS_MAX: usize = 1024;
/// How soon a chore that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Something to do when there is time.
#[derive(Debug)]
pub(super) enum Chore {
    /// This batch will not commit.
    Abort(BatchRef),
    /// Its events left it.
    Release(BatchRef, Vec<Asked>),
    /// It is committed.
    Settle(BatchRef, Vec<Asked>),
}

/// The thread that does chores; ends when this is dropped, after what can be done at once.
pub(super) struct Keeper {
    chores: Option<SyncSender<Chore>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Keeper {
    /// `renew` is called every `every`, and soon again after it failed.
    pub(super) fn start(
        store: Arc<dyn Store>,
        every: Duration,
        renew: impl FnMut() -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, LedgerError> {
        let (chores, inbox) = sync_channel(CHORES_MAX);
        let thread = std::thread::Builder::new().name("store".into());
        let thread = thread
            .spawn(move || Work { store, aborts: VecDeque::new() }.run(&inbox, every, renew))
            .map_err(|error| LedgerError::stopped(format!("no thread for a store: {error}")))?;
        Ok(Self { chores: Some(chores), thread: Mutex::new(Some(thread)) })
    }

    /// Leaves a chore to the thread, or undone where too many wait.
    pub(super) fn leave(&self, chore: Chore) {
        if let Some(chores) = &self.chores {
            let _ = chores.try_send(chore);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.chores = None;
        // A panic in it was said on its way.
        let _ = lock(&self.thread).take().map(JoinHandle::join);
    }
}

struct Work {
    store: Arc<dyn Store>,
    aborts: VecDeque<BatchRef>,
}

impl Work {
    fn run(
        mut self,
        inbox: &Receiver<Chore>,
        every: Duration,
        mut renew: impl FnMut() -> Result<(), StoreError>,
    ) {
        let mut renew_at = Instant::now() + every;
        let mut retry_at = None;
        loop {
            let now = Instant::now();
            if now >= renew_at {
                let again = if renew().is_ok() { every } else { RETRY.min(every) };
                renew_at = Instant::now() + again;
            }
            if retry_at.is_some_and(|at| now >= at) {
                retry_at = self.abort_all().is_err().then(|| Instant::now() + RETRY);
            }
            let until = retry_at.map_or(renew_at, |at: Instant| at.min(renew_at));
            match inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(chore) => {
                    if self.see_to(chore).is_err() && !self.aborts.is_empty() {
                        retry_at.get_or_insert_with(|| Instant::now() + RETRY);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // What is left undone ends with its lease.
        let _ = self.abort_all();
    }

    fn see_to(&mut self, chore: Chore) -> Result<(), StoreError> {
        match chore {
            Chore::Abort(batch) => {
                if self.aborts.len() >= ABORTS_MAX {
                    self.aborts.pop_front();
                }
                self.aborts.push_back(batch);
                self.abort_all()
            }
            Chore::Release(batch, keys) => self.store.release(batch, &keys),
            Chore::Settle(batch, keys) => self.store.settle(batch, &keys),
        }
    }

    fn abort_all(&mut self) -> Result<(), StoreError> {
        while let Some(batch) = self.aborts.front() {
            self.store.abort(*batch)?;
            self.aborts.pop_front();
        }
        Ok(())
    }
}
