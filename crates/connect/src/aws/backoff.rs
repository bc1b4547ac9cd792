//! How long to wait before trying again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Doubles from 100 ms to 10 s, each wait a random part of that (full jitter), so that many that
/// failed together don't come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new() -> Self {
        Self { next: FIRST, failures: 0 }
    }

    /// It went well.
    pub(crate) const fn reset(&mut self) {
        *self = Self::new();
    }

    /// Whether this failure is worth a line in the log: the first, then rarely.
    pub(crate) const fn is_worth_a_warning(&self) -> bool {
        self.failures.is_power_of_two()
    }

    /// It failed: how long to wait.
    pub(crate) fn failed(&mut self) -> Duration {
        let most = self.next;
        self.failures = self.failures.saturating_add(1);
        self.next = (self.next * 2).min(LONGEST);
        // The seed of a hash map is random, and that much is enough here.
        let random = RandomState::new().build_hasher().finish() % 900;
        most.mul_f64((100 + random) as f64 / 1000.0)
    }
}
