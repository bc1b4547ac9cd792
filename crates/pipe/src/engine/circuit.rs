//! Whether a sink is up. One that is down pauses its pipe instead of using up the attempts of
//! events: a dead letter is for events, not for outages.

use crate::config::CircuitConfig;

/// A sink's circuit: closed while it is called, open while it counts as down.
#[derive(Debug)]
pub(super) struct Circuit {
    config: CircuitConfig,
    /// Failures since the last success.
    failures: u64,
    /// Events that it took, ever.
    successes: u64,
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    pause_ms: i64,
    /// When it may be probed next.
    until_ms: i64,
}

impl Circuit {
    pub(super) fn new(config: CircuitConfig) -> Self {
        Self { config, failures: 0, successes: 0, open: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// When an open circuit may be probed; ms since the Unix epoch.
    pub(super) fn probe_at_ms(&self) -> Option<i64> {
        self.open.map(|open| open.until_ms)
    }

    /// How many events the sink took so far.
    pub(super) fn successes(&self) -> u64 {
        self.successes
    }

    /// The sink took an event, or refused it for what it is: it is up.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.successes += 1;
        self.open = None;
    }

    /// The sink failed at `now_ms`. Past `failures_max` in a row it counts as down; a probe that
    /// fails prolongs the pause.
    pub(super) fn failed(&mut self, now_ms: i64) {
        self.failures += 1;
        let (min_ms, max_ms) = (millis(self.config.pause_min), millis(self.config.pause_max));
        let pause_ms = match self.open {
            Some(open) => open.pause_ms.saturating_mul(2).min(max_ms.max(min_ms)),
            None if self.failures >= self.config.failures_max => min_ms,
            None => return,
        };
        self.open = Some(Open { pause_ms, until_ms: now_ms.saturating_add(pause_ms) });
    }
}

fn millis(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_with_one_success() {
        let mut circuit = Circuit::new(CircuitConfig {
            failures_max: 3,
            pause_min: Duration::from_millis(10),
            pause_max: Duration::from_millis(35),
        });
        circuit.failed(0);
        circuit.failed(0);
        circuit.succeeded();
        circuit.failed(0);
        circuit.failed(0);
        assert!(!circuit.is_open());
        circuit.failed(100);
        assert_eq!(circuit.probe_at_ms(), Some(110));
        circuit.failed(110);
        assert_eq!(circuit.probe_at_ms(), Some(130));
        circuit.failed(130);
        circuit.failed(165);
        assert_eq!(circuit.probe_at_ms(), Some(200), "the pause is bounded");
        circuit.succeeded();
        assert!(!circuit.is_open());
        circuit.failed(300);
        assert!(!circuit.is_open(), "counting begins anew");
    }
}
