//! `--rate`: so many events a second, evenly.

use std::time::{Duration, Instant};

/// A rate above one event per tick gives its events in ticks.
const TICK: Duration = Duration::from_millis(5);
/// What was missed while the output was slow is made up for, up to this much time of it.
const CATCH_UP_MAX: Duration = Duration::from_secs(1);

/// Time that passes; a test has one of its own.
pub(crate) trait Stopwatch {
    /// Since the start.
    fn elapsed(&self) -> Duration;
    /// Waits.
    fn wait(&mut self, time: Duration);
}

/// The machine's.
#[derive(Debug)]
pub(crate) struct RealTime(Instant);

impl RealTime {
    pub(crate) fn start() -> RealTime {
        RealTime(Instant::now())
    }
}

impl Stopwatch for RealTime {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Says how many events may go.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    per_second: Option<f64>,
    /// Events that went since `since`.
    gone: u64,
    since: Duration,
}

impl Pace {
    /// So many events a second, above 0; `None`: as fast as it goes.
    pub(crate) fn new(per_second: Option<f64>) -> Pace {
        Pace { per_second, gone: 0, since: Duration::ZERO }
    }

    /// Whether there is a rate.
    pub(crate) fn is_set(&self) -> bool {
        self.per_second.is_some()
    }

    /// Waits until an event is due; how many are, at least 1.
    pub(crate) fn due(&mut self, watch: &mut dyn Stopwatch) -> u64 {
        let Some(per_second) = self.per_second else { return u64::MAX };
        loop {
            let mut passed = watch.elapsed().saturating_sub(self.since);
            let at = |events: u64| Duration::from_secs_f64(events as f64 / per_second);
            let behind = passed.saturating_sub(at(self.gone));
            if behind > CATCH_UP_MAX + at(1) {
                self.since += behind - CATCH_UP_MAX;
                passed = watch.elapsed().saturating_sub(self.since);
            }
            // The first one goes at once.
            let allowed = (passed.as_secs_f64() * per_second) as u64 + 1;
            if allowed > self.gone {
                let due = allowed - self.gone;
                self.gone = allowed;
                return due;
            }
            let next = at(self.gone).saturating_sub(passed);
            watch.wait(next.max(TICK));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Fake {
        now: Duration,
        waits: u32,
    }

    impl Stopwatch for Fake {
        fn elapsed(&self) -> Duration {
            self.now
        }

        fn wait(&mut self, time: Duration) {
            self.now += time;
            self.waits += 1;
        }
    }

    #[test]
    fn events_go_evenly_at_every_rate() {
        for rate in [0.5, 1.0, 7.0, 200.0, 1234.5, 1e5, 3e6] {
            let (mut pace, mut watch) = (Pace::new(Some(rate)), Fake::default());
            let mut gone = 0;
            while watch.now < Duration::from_secs(20) {
                let due = pace.due(&mut watch);
                gone += due;
                let expected = watch.now.as_secs_f64() * rate;
                let ahead = gone as f64 - expected;
                assert!((-1.0..=1.001).contains(&ahead), "{rate}: {gone} instead of {expected}");
                assert!(due as f64 <= (rate * TICK.as_secs_f64()).max(1.0) + 2.0, "{rate}: {due}");
            }
        }
    }

    #[test]
    fn what_a_slow_output_missed_is_made_up_for_within_bounds() {
        let (mut pace, mut watch) = (Pace::new(Some(1000.0)), Fake::default());
        assert_eq!(pace.due(&mut watch), 1);
        watch.now += Duration::from_millis(500);
        assert_eq!(pace.due(&mut watch), 500);
        watch.now += Duration::from_secs(60);
        let burst = pace.due(&mut watch);
        assert!((999..=1002).contains(&burst), "{burst}");
        assert_eq!(watch.waits, 0);
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let mut watch = Fake::default();
        assert_eq!(Pace::new(None).due(&mut watch), u64::MAX);
        assert_eq!(watch.waits, 0);
    }
}
