//! Waiting for records.

use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::lock;

/// Counts what wakes readers.
#[derive(Default)]
pub(super) struct Arrivals {
    count: Mutex<u64>,
    grown: Condvar,
    notify: Notify,
}

impl Arrivals {
    pub(super) fn count(&self) -> u64 {
        *lock(&self.count)
    }

    pub(super) fn grow(&self) {
        *lock(&self.count) += 1;
        self.grown.notify_all();
        self.notify.notify_waiters();
    }

    pub(super) fn wait(&self, seen: u64, until: Instant) {
        let mut count = lock(&self.count);
        while *count <= seen {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            count = match self.grown.wait_timeout(count, left) {
                Ok((count, _)) => count,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    pub(super) async fn arrived(&self, seen: u64, at_most: Duration) {
        let wait = async {
            loop {
                // Made before the look at the count, so that nothing between the two is missed.
                let notified = self.notify.notified();
                if self.count() > seen {
                    return;
                }
                notified.await;
            }
        };
        // Out of time is an answer, too.
        let _ = tokio::time::timeout(at_most, wait).await;
    }
}
