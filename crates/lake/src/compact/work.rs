//! Threads that work on one compaction.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use event::source::Stop;
use journal::Disk;

use super::place::Place;
use super::{CompactError, CompactOptions, Progress};

/// How often a thread that waits for its turn looks whether another one has failed.
const LOOK: Duration = Duration::from_millis(20);

/// What all steps of a compaction work with.
pub(super) struct Job<'a> {
    pub(super) disk: &'a Arc<dyn Disk>,
    pub(super) place: &'a Place,
    pub(super) options: &'a CompactOptions,
    pub(super) progress: &'a dyn Progress,
    pub(super) stop: &'a Stop,
    /// A thread has failed.
    pub(super) failed: AtomicBool,
}

impl Job<'_> {
    /// # Errors
    /// [`CompactError::Stopped`] when somebody asked to stop, or another thread failed.
    pub(super) fn check_stop(&self) -> Result<(), CompactError> {
        if self.stop.asked() || self.failed.load(Ordering::Relaxed) {
            return Err(CompactError::Stopped);
        }
        Ok(())
    }
}

/// Does `work` in as many threads as the options say; the first error that isn't the echo of
/// another. With one thread it is the calling one, so that a simulation stays in order.
pub(super) fn in_threads<'j>(
    job: &Job<'j>,
    work: impl Fn(&Job<'j>) -> Result<(), CompactError> + Sync,
) -> Result<(), CompactError> {
    let run = || {
        let done = work(job);
        if done.is_err() {
            job.failed.store(true, Ordering::Relaxed);
        }
        done
    };
    if job.options.threads <= 1 {
        return run();
    }
    let mut failure = None;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..job.options.threads).map(|_| scope.spawn(run)).collect();
        for thread in threads {
            let done = thread.join().unwrap_or(Err(CompactError::Thread));
            if let Err(error) = done
                && !matches!(failure, Some(ref known) if !matches!(known, CompactError::Stopped))
            {
                failure = Some(error);
            }
        }
    });
    failure.map_or(Ok(()), Err)
}

/// Something that threads change one after the other, in the order of their numbers.
pub(super) struct InTurn<T> {
    state: Mutex<(usize, T)>,
    changed: Condvar,
}

impl<T> InTurn<T> {
    pub(super) fn new(state: T) -> Self {
        Self { state: Mutex::new((0, state)), changed: Condvar::new() }
    }

    /// Waits until all lower numbers had their turn.
    pub(super) fn take<R>(
        &self,
        number: usize,
        job: &Job<'_>,
        change: impl FnOnce(&mut T) -> Result<R, CompactError>,
    ) -> Result<R, CompactError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.0 != number {
            job.check_stop()?;
            let waited = self.changed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let done = change(&mut state.1);
        state.0 += 1;
        self.changed.notify_all();
        done
    }

    pub(super) fn into_inner(self) -> T {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }
}
