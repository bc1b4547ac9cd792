//! How those who wait for messages are woken: threads and tasks.

use std::sync::Condvar;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Wakes whoever waits at a queue. Threads wait at `threads` with the lock of the queues' core;
/// who changes something signals while holding that lock, so that no wake-up is missed.
#[derive(Default)]
pub(super) struct Signal {
    pub(super) threads: Condvar,
    pub(super) tasks: Notify,
    waiting: AtomicUsize,
}

/// Somebody waits as long as it lives.
pub(super) struct Waiting<'a>(&'a Signal);

impl Signal {
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    /// Wakes all who wait.
    pub(super) fn wake(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.threads.notify_all();
            self.tasks.notify_waiters();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
