//! When a failed delivery is tried again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng, TryRng};

use crate::config::RetryConfig;

/// Random delays, so that events that failed together aren't tried again together.
pub(super) struct Backoff {
    random: StdRng,
}

impl Backoff {
    pub(super) fn new() -> Self {
        let mut seed = [0_u8; 32];
        // Without the system's randomness delays are still spread, only the same in every run.
        let _ = rand::rngs::SysRng.try_fill_bytes(&mut seed);
        Self { random: StdRng::from_seed(seed) }
    }

    /// The delay before the next attempt, after `tries` that failed (at least 1): random between 0
    /// and the lesser of `backoff_max` and `backoff_min` × 2^(tries - 1).
    pub(super) fn delay(&mut self, retry: &RetryConfig, tries: u32) -> Duration {
        let min_ms = millis(retry.backoff_min);
        let doubled =
            min_ms.saturating_mul(1_u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX));
        let longest_ms = doubled.min(millis(retry.backoff_max));
        let ms = if retry.jitter { self.random.random_range(0..=longest_ms) } else { longest_ms };
        Duration::from_millis(ms)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(min_ms: u64, max_ms: u64) -> RetryConfig {
        RetryConfig {
            backoff_min: Duration::from_millis(min_ms),
            backoff_max: Duration::from_millis(max_ms),
            ..RetryConfig::default()
        }
    }

    /// Kolmogorov and Smirnov's distance between delays and the uniform distribution on
    /// `0..=longest_ms`.
    fn distance(mut delays: Vec<u64>, longest_ms: u64) -> f64 {
        delays.sort_unstable();
        let n = delays.len() as f64;
        let at = |ms: u64| (ms as f64 + 0.5) / (longest_ms as f64 + 1.0);
        delays.iter().enumerate().fold(0.0, |worst: f64, (index, &ms)| {
            let below = (at(ms) - index as f64 / n).abs();
            let above = ((index + 1) as f64 / n - at(ms)).abs();
            worst.max(below).max(above)
        })
    }

    #[test]
    fn delays_of_a_thousand_events_are_uniform() {
        let retry = retry(100_000, 10_000_000);
        // 1.95 / sqrt(n) is the bound that one run in a thousand passes by chance; the seed is
        // fixed, so this one never does.
        let bound = 1.95 / 1000_f64.sqrt();
        for (tries, longest_ms) in [(1, 100_000), (3, 400_000), (40, 10_000_000)] {
            let mut backoff = Backoff { random: StdRng::seed_from_u64(7) };
            let delays: Vec<u64> =
                (0..1000).map(|_| millis(backoff.delay(&retry, tries))).collect();
            let d = distance(delays.clone(), longest_ms);
            assert!(d < bound, "{tries} tries: distance {d}, bound {bound}");
            // Half jitter, for one, is told apart.
            let half = delays.iter().map(|ms| longest_ms / 2 + ms / 2).collect();
            assert!(distance(half, longest_ms) > bound);
        }
    }

    #[test]
    fn without_jitter_delays_double_up_to_the_longest() {
        let retry = RetryConfig { jitter: false, ..retry(200, 1_000) };
        let mut backoff = Backoff::new();
        let delays: Vec<u64> = (1..6).map(|tries| millis(backoff.delay(&retry, tries))).collect();
        assert_eq!(delays, [200, 400, 800, 1_000, 1_000]);
        assert_eq!(millis(backoff.delay(&retry, u32::MAX)), 1_000);
    }
}
