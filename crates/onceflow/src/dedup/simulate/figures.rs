//! What was found, in figures, and what that costs elsewhere.

use serde_json::{Value, json};

use super::engine::{Engine, FOREVER_MS, Outcome};
use super::maker::Unused;

/// What a key takes in the embedded ledger while it is in memory: a slot of 40 bytes, at 7 of 8
/// slots in use.
pub(crate) const MEMORY_BYTES_A_KEY: f64 = 46.0;
/// What a key takes in memory once it lies in a key run: its part of the run's filter.
pub(crate) const FILTER_BYTES_A_KEY: f64 = 2.0;
/// What a key takes in a key run on disk (docs/formats/key-run.md).
pub(crate) const DISK_BYTES_A_KEY: f64 = 32.0;
/// What a key takes in Redis as Onceflow keeps it, at most.
pub(crate) const REDIS_BYTES_A_KEY: f64 = 60.0;
/// Write units of DynamoDB for an event that is let through: reserved, then settled.
const WRITE_UNITS_DELIVERED: f64 = 2.0;
/// For a duplicate: a condition that fails is paid like a write.
const WRITE_UNITS_CAUGHT: f64 = 1.0;
/// Price of a million write request units, on demand, us-east-1; USD.
pub(crate) const WRITE_UNITS_PRICE: f64 = 0.625;
const MONTH_MS: f64 = 30.0 * 86_400_000.0;
/// A window is enough when it catches this share of what the longest one does.
const ENOUGH: f64 = 0.99;

/// All that a simulation came to.
pub(crate) struct Figures {
    pub(crate) events: u64,
    pub(crate) unused: Unused,
    /// First and last time; ms since the Unix epoch.
    pub(crate) span_ms: Option<(i64, i64)>,
    pub(crate) windows: Vec<Outcome>,
    pub(crate) suggestion: Option<Suggestion>,
    pub(crate) lags: [u64; 64],
    pub(crate) refresh: bool,
}

/// The shortest window that is enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Suggestion {
    pub(crate) window_ms: i64,
    /// Its share of what the longest window catches, 0 to 1.
    pub(crate) share: f64,
}

impl Figures {
    pub(crate) fn new(
        engine: &Engine,
        unused: Unused,
        span_ms: Option<(i64, i64)>,
        refresh: bool,
    ) -> Figures {
        let all = engine.outcomes();
        let share = |window: &Outcome| share_of(engine.repeats(), window);
        let enough = all.iter().find(|window| share(window) >= ENOUGH);
        let enough = enough.filter(|_| engine.repeats() > 0);
        Figures {
            events: engine.events(),
            unused,
            span_ms,
            windows: all.iter().filter(|window| window.asked).cloned().collect(),
            suggestion: enough
                .map(|window| Suggestion { window_ms: window.window_ms, share: share(window) }),
            lags: *engine.lags(),
            refresh,
        }
    }

    /// Duplicates by the longest window.
    pub(crate) fn repeats(&self) -> u64 {
        self.windows.last().map_or(0, |window| window.caught)
    }

    /// The share of the longest window's duplicates that a window catches, 0 to 1.
    pub(crate) fn share(&self, window: &Outcome) -> f64 {
        share_of(self.repeats(), window)
    }

    /// What a month of this costs, where the events span any time.
    pub(crate) fn month(&self, window: &Outcome) -> Option<Month> {
        let (first, last) = self.span_ms?;
        let months = (last > first).then(|| (last - first) as f64 / MONTH_MS)?;
        let units = window.delivered as f64 * WRITE_UNITS_DELIVERED
            + window.caught as f64 * WRITE_UNITS_CAUGHT;
        let write_units = units / months;
        Some(Month { write_units, usd: write_units / 1e6 * WRITE_UNITS_PRICE })
    }

    pub(crate) fn json(&self) -> Value {
        let window = |window: &Outcome| {
            let month = self.month(window);
            json!({
                "window": show_window(window.window_ms),
                "window_ms": (window.window_ms != FOREVER_MS).then_some(window.window_ms),
                "delivered": window.delivered,
                "caught": window.caught,
                "missed": window.missed,
                "share": self.share(window),
                "keys_peak": window.keys_peak,
                "memory_bytes": (window.keys_peak as f64 * MEMORY_BYTES_A_KEY) as u64,
                "filter_bytes": (window.keys_peak as f64 * FILTER_BYTES_A_KEY) as u64,
                "disk_bytes": (window.keys_peak as f64 * DISK_BYTES_A_KEY) as u64,
                "redis_bytes": (window.keys_peak as f64 * REDIS_BYTES_A_KEY) as u64,
                "dynamodb_write_units_a_month": month.map(|month| month.write_units as u64),
                "dynamodb_usd_a_month": month.map(|month| (month.usd * 100.0).round() / 100.0),
            })
        };
        let lag = |(bucket, count): (usize, &u64)| {
            let to_ms = 1_u64.checked_shl(bucket as u32);
            json!({ "below_ms": to_ms, "events": count })
        };
        json!({
            "events": self.events,
            "unreadable": self.unused.unreadable,
            "filtered": self.unused.filtered,
            "without_key": self.unused.without_key,
            "without_time": self.unused.without_time,
            "first": self.span_ms.map(|(first, _)| console::show::time(first)),
            "last": self.span_ms.map(|(_, last)| console::show::time(last)),
            "refresh": self.refresh,
            "windows": self.windows.iter().map(window).collect::<Vec<_>>(),
            "suggestion": self.suggestion.map(|suggestion| json!({
                "window": show_window(suggestion.window_ms),
                "window_ms": suggestion.window_ms,
                "share": suggestion.share,
            })),
            "lags": self.lags.iter().enumerate().filter(|(_, count)| **count > 0).map(lag)
                .collect::<Vec<_>>(),
        })
    }
}

/// What a month costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Month {
    pub(crate) write_units: f64,
    pub(crate) usd: f64,
}

fn share_of(repeats: u64, window: &Outcome) -> f64 {
    if repeats == 0 {
        return 1.0;
    }
    repeats.saturating_sub(window.missed) as f64 / repeats as f64
}

/// A length of time as the command line takes it: `90s`, `5m`, `1d`.
pub(crate) fn show_window(ms: i64) -> String {
    if ms == FOREVER_MS {
        return "forever".to_owned();
    }
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let unit = units.into_iter().find(|(unit_ms, _)| ms > 0 && ms % unit_ms == 0);
    unit.map_or_else(|| format!("{ms}ms"), |(unit_ms, unit)| format!("{}{unit}", ms / unit_ms))
}
