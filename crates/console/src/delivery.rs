//! How a pipe's deliveries are: its sinks, what waits, what died.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use dedup::ledger::{MinuteBucket, Tally};
use dedup::state::PipeState;
use event::Outcome;
use pipe::status::{DeliveryStatus, SinkStatus};
use serde::{Deserialize, Serialize};

/// Parked events whose bytes are added up where the pipe itself doesn't say how many there are.
const PARKED_ADDED_MAX: usize = 10_000;
/// What counts as recent; minutes.
const RECENT_MINUTES: i64 = 5;

/// How a pipe's deliveries are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryNow {
    /// Its sinks, in the order of the config.
    pub sinks: Vec<SinkNow>,
    /// Events in memory that wait for their key or their next attempt.
    pub unsettled_events: u64,
    /// Their bytes.
    pub unsettled_bytes: u64,
    /// Events that wait in the ledger.
    pub parked_events: u64,
    /// Their bytes.
    pub parked_bytes: u64,
    /// What the pipe waits for, and since when; ms since the Unix epoch.
    pub paused: Option<(String, i64)>,
    /// Events that died since the start, by class.
    pub dead_by_class: BTreeMap<String, u64>,
    /// Dead letters that were neither replayed nor purged.
    pub letters_open: u64,
    /// Events that died in the last hour.
    pub dead_last_hour: u64,
    /// And of them in the last 5 minutes.
    pub dead_recently: u64,
}

/// How deliveries to one sink are, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkNow {
    /// The sink.
    pub sink: String,
    /// Deliveries that were tried, by event.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were not an event's first.
    pub retries: u64,
    /// Events that it has.
    pub delivered: u64,
    /// Events that died at it.
    pub dead: u64,
    /// `closed`, `open`, `half_open`.
    pub circuit: String,
    /// Since when it counts as down; ms since the Unix epoch.
    pub down_since_ms: Option<i64>,
    /// What the last attempt that failed said.
    pub last_error: Option<String>,
}

/// A folder of dead letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadStoreNow {
    /// The folder.
    pub path: PathBuf,
    /// Bytes in it, as of the last few minutes.
    pub bytes: u64,
    /// Its `store_bytes_max`.
    pub bytes_max: u64,
}

impl DeliveryNow {
    /// What the running pipe says.
    pub(crate) fn of(status: Option<&DeliveryStatus>) -> DeliveryNow {
        let Some(status) = status else { return DeliveryNow::default() };
        DeliveryNow {
            sinks: status.sinks.iter().map(SinkNow::of).collect(),
            unsettled_events: status.unsettled_events.load(Ordering::Relaxed),
            unsettled_bytes: status.unsettled_bytes.load(Ordering::Relaxed),
            parked_events: status.parked_events.load(Ordering::Relaxed),
            parked_bytes: status.parked_bytes.load(Ordering::Relaxed),
            paused: status.paused().map(|paused| (paused.why, paused.since_ms)),
            dead_by_class: status.dead_by_class(),
            ..DeliveryNow::default()
        }
    }

    /// What the ledger says of the pipe beside that.
    pub(crate) fn look(&mut self, pipe: &PipeState) {
        self.letters_open = pipe.letters.len() as u64;
        self.parked_events = pipe.parked.len() as u64;
        if self.parked_bytes == 0 && pipe.parked.len() <= PARKED_ADDED_MAX {
            self.parked_bytes = parked_bytes(pipe);
        }
    }

    /// What one of its sources counted in the last hour.
    pub(crate) fn count(&mut self, minutes: &BTreeMap<MinuteBucket, Tally>, at_ms: i64) {
        let dead = |minutes_back: i64| {
            let from = MinuteBucket::of(at_ms - minutes_back * 60_000);
            minutes.range(from..).map(|(_, tally)| tally.outcome(Outcome::Dead)).sum::<u64>()
        };
        self.dead_last_hour += dead(60);
        self.dead_recently += dead(RECENT_MINUTES);
    }
}

/// Bytes of the events that the ledger keeps for a pipe.
pub(crate) fn parked_bytes(pipe: &PipeState) -> u64 {
    pipe.parked.values().map(|(_, event)| event.raw.len() as u64).sum()
}

impl SinkNow {
    fn of(status: &SinkStatus) -> SinkNow {
        SinkNow {
            sink: status.name().to_owned(),
            attempts: status.attempts.load(Ordering::Relaxed),
            failures: status.failures.load(Ordering::Relaxed),
            retries: status.retries.load(Ordering::Relaxed),
            delivered: status.delivered.load(Ordering::Relaxed),
            dead: status.dead.load(Ordering::Relaxed),
            circuit: status.circuit().name().to_owned(),
            down_since_ms: status.opened_ms(),
            last_error: status.last_error(),
        }
    }

    /// Whether it is called for single events, as far as that has shown: the other sinks take
    /// batches, and say nothing here.
    #[must_use]
    pub fn was_called(&self) -> bool {
        self.attempts > 0 || self.dead > 0 || self.is_down()
    }

    /// Whether the pipe waits for it.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down_since_ms.is_some()
    }
}
