//! No more calls in a second than the receiver wants.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use event::source::Stop;

/// A call that comes late may be made up for within this time, so that waking up late doesn't
/// lower the rate.
const MADE_UP: Duration = Duration::from_millis(10);
/// How often a waiting call looks whether to stop.
const LOOK: Duration = Duration::from_millis(20);

/// Gives each call a time of its own, `1/n` s after the one before.
pub(super) struct Rate {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Rate {
    pub(super) fn new(calls_per_second_max: u64) -> Self {
        let interval =
            Duration::from_secs(1) / u32::try_from(calls_per_second_max.max(1)).unwrap_or(u32::MAX);
        Self { interval, next: Mutex::new(Instant::now()) }
    }

    /// Waits for this call's time. False: it would come after `begin_before`, or somebody asked to
    /// stop; the call must not be made.
    pub(super) fn wait(&self, stop: Option<&Stop>, begin_before: Option<Instant>) -> bool {
        let Some(at) = self.reserve(Instant::now(), begin_before) else {
            if let Some(end) = begin_before {
                wait_until(end, stop);
            }
            return false;
        };
        wait_until(at, stop)
    }

    fn reserve(&self, now: Instant, begin_before: Option<Instant>) -> Option<Instant> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = now.checked_sub(MADE_UP).map_or(*next, |earliest| earliest.max(*next));
        if begin_before.is_some_and(|end| at >= end) {
            return None;
        }
        *next = at + self.interval;
        Some(at)
    }
}

/// False when somebody asked to stop before.
fn wait_until(at: Instant, stop: Option<&Stop>) -> bool {
    loop {
        if stop.is_some_and(Stop::asked) {
            return false;
        }
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_get_times_an_interval_apart_and_a_pause_is_not_saved_up() {
        let rate = Rate::new(10);
        let start = Instant::now() + Duration::from_secs(5);
        let times: Vec<Duration> = (0..4)
            .filter_map(|_| rate.reserve(start, None))
            .map(|at| at.saturating_duration_since(start))
            .collect();
        let apart = [0, 90, 190, 290].map(Duration::from_millis);
        assert_eq!(times, apart);
        let before = Some(start + Duration::from_millis(300));
        assert_eq!(rate.reserve(start, before), None, "its time is at 390 ms");
        assert!(rate.reserve(start, None).is_some(), "one that wasn't made costs nothing");
    }

    #[test]
    fn who_is_asked_to_stop_makes_no_call() {
        let rate = Rate::new(1);
        let stop = Stop::default();
        assert!(rate.wait(Some(&stop), None));
        stop.ask();
        assert!(!rate.wait(Some(&stop), None));
    }
}
