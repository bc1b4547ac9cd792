//! Leases without a clock that anybody shares: DynamoDB has none that a condition could ask.
//!
//! A batch's record holds a renewal (random, another one each time) and for how long its owner
//! promises to renew. Whoever wants to take over must have seen the same renewal for that long by
//! its own monotonic clock. What was seen is kept here. So no wall clock of any worker counts, and
//! a worker that has just started waits one lease longer than needed, never less.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::store::BatchRef;

/// Another one at each renewal.
pub(super) type Renewal = [u8; 8];

/// Open batches of others that are watched at most; past them the one seen longest ago is
/// forgotten, which only makes its take-over wait again.
const WATCHED_MAX: usize = 16_384;

#[derive(Debug)]
struct Seen {
    renewal: Renewal,
    lease: Duration,
    since: Instant,
    last: Instant,
}

/// What was seen of others' open batches.
#[derive(Debug, Default)]
pub(super) struct Leases {
    seen: HashMap<BatchRef, Seen>,
}

impl Leases {
    /// The record of an open batch was read, by a request that was answered at `now`. How long its
    /// lease lasts yet, as far as can be told from here; zero: it may be taken over.
    pub(super) fn observe(
        &mut self,
        batch: BatchRef,
        renewal: Renewal,
        lease: Duration,
        now: Instant,
    ) -> Duration {
        if self.seen.len() >= WATCHED_MAX && !self.seen.contains_key(&batch) {
            self.forget_one();
        }
        let fresh = || Seen { renewal, lease, since: now, last: now };
        let seen = self.seen.entry(batch).or_insert_with(fresh);
        if seen.renewal != renewal || seen.lease != lease {
            *seen = fresh();
        }
        seen.last = now.max(seen.last);
        lease.saturating_sub(now.saturating_duration_since(seen.since))
    }

    /// The batch is open no longer.
    pub(super) fn forget(&mut self, batch: &BatchRef) {
        self.seen.remove(batch);
    }

    fn forget_one(&mut self) {
        let oldest = self.seen.iter().min_by_key(|(_, seen)| seen.last).map(|(batch, _)| *batch);
        if let Some(batch) = oldest {
            self.seen.remove(&batch);
        }
    }
}

#[cfg(test)]
mod tests {
    use event::{BatchNumber, Epoch, LedgerId};

    use super::*;

    const LEASE: Duration = Duration::from_secs(10);

    fn batch(number: u64) -> BatchRef {
        BatchRef { worker: LedgerId(1), pipe: 0, epoch: Epoch(1), number: BatchNumber(number) }
    }

    #[test]
    fn a_take_over_needs_two_looks_a_lease_apart_at_the_same_renewal() {
        let start = Instant::now();
        let mut leases = Leases::default();
        let mut see = |renewal, after| {
            leases.observe(batch(1), [renewal; 8], LEASE, start + Duration::from_secs(after))
        };
        assert_eq!(see(1, 0), LEASE);
        assert_eq!(see(1, 4), Duration::from_secs(6));
        // Renewed: from the start again, however late that was seen.
        assert_eq!(see(2, 9), LEASE);
        assert_eq!(see(2, 18), Duration::from_secs(1));
        assert_eq!(see(2, 19), Duration::ZERO);
        assert_eq!(see(2, 400), Duration::ZERO);
    }

    #[test]
    fn a_longer_lease_starts_again() {
        let start = Instant::now();
        let mut leases = Leases::default();
        leases.observe(batch(1), [1; 8], LEASE, start);
        let later = start + LEASE;
        assert_eq!(leases.observe(batch(1), [1; 8], LEASE * 2, later), LEASE * 2);
    }

    #[test]
    fn what_is_watched_is_bounded() {
        let start = Instant::now();
        let mut leases = Leases::default();
        for number in 0..=WATCHED_MAX as u64 {
            let now = start + Duration::from_millis(number);
            leases.observe(batch(number), [0; 8], LEASE, now);
        }
        assert_eq!(leases.seen.len(), WATCHED_MAX);
        assert!(!leases.seen.contains_key(&batch(0)));
    }
}
