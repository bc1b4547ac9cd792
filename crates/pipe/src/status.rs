//! How a running pipe stands, for whoever looks from outside.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use dedup::ledger::{PipeLedger, StoreHealth};
use event::source::SourceStatus;

use crate::unsettled::UnsettledCounts;

/// What a pipe is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It recovers.
    Starting,
    /// It reads.
    Running,
    /// Its source ended, or it was asked to stop.
    Ended,
    /// It can't go on, and why.
    Failed(String),
}

impl Phase {
    /// The word for it in metrics and pages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Failed(_) => "failed",
        }
    }
}

/// How a running pipe stands.
#[derive(Debug)]
pub struct PipeStatus {
    name: String,
    phase: Mutex<Phase>,
    source: Mutex<Option<Arc<SourceStatus>>>,
    delivery: OnceLock<Arc<DeliveryStatus>>,
    store: StoreStatus,
}

/// How a pipe gets on with the store that it shares with other workers; counted since the start.
#[derive(Debug, Default)]
pub struct StoreStatus {
    ledger: Mutex<Weak<PipeLedger>>,
    pauses: AtomicU64,
    withdrawn: AtomicU64,
}

impl StoreStatus {
    /// Where it is and what it said, while the pipe runs with one.
    #[must_use]
    pub fn health(&self) -> Option<StoreHealth> {
        locked(&self.ledger).upgrade()?.store_health()
    }

    /// How often the pipe paused because it couldn't ask the store.
    #[must_use]
    pub fn pauses(&self) -> u64 {
        self.pauses.load(Ordering::Relaxed)
    }

    /// How often a batch lost its keys to another worker before it was committed, and the pipe
    /// started again.
    #[must_use]
    pub fn withdrawn(&self) -> u64 {
        self.withdrawn.load(Ordering::Relaxed)
    }

    pub(crate) fn uses(&self, ledger: &Arc<PipeLedger>) {
        *locked(&self.ledger) = Arc::downgrade(ledger);
    }

    pub(crate) fn paused(&self) {
        self.pauses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn withdraws(&self) {
        self.withdrawn.fetch_add(1, Ordering::Relaxed);
    }
}

impl PipeStatus {
    /// A pipe that starts.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            phase: Mutex::new(Phase::Starting),
            source: Mutex::new(None),
            delivery: OnceLock::new(),
            store: StoreStatus::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is doing.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How its source is; `None` before it is open, and for sources that say nothing.
    #[must_use]
    pub fn source(&self) -> Option<Arc<SourceStatus>> {
        locked(&self.source).clone()
    }

    /// A pipe that starts again has another source.
    pub(crate) fn opened(&self, source: Option<Arc<SourceStatus>>) {
        *locked(&self.source) = source;
    }

    /// How it gets on with the store that it shares with other workers, if it does.
    #[must_use]
    pub const fn store(&self) -> &StoreStatus {
        &self.store
    }

    /// How its deliveries are; `None` before it is open.
    #[must_use]
    pub fn delivery(&self) -> Option<&Arc<DeliveryStatus>> {
        self.delivery.get()
    }

    /// Says where the pipe's deliveries are counted; the first one counts.
    pub fn delivers(&self, delivery: Arc<DeliveryStatus>) {
        let _ = self.delivery.set(delivery); // a pipe is opened once
    }

    pub(crate) fn set(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }
}

/// How a pipe's deliveries are. The engine writes it, pages and alarms read it; nothing is decided
/// by it.
#[derive(Debug, Default)]
pub struct DeliveryStatus {
    /// The pipe's sinks, in the order of the config.
    pub sinks: Vec<SinkStatus>,
    /// Events in memory that wait for their key or their next attempt.
    pub unsettled_events: AtomicU64,
    /// Their bytes.
    pub unsettled_bytes: AtomicU64,
    /// Events that wait in the ledger.
    pub parked_events: AtomicU64,
    /// Their bytes.
    pub parked_bytes: AtomicU64,
    paused: Mutex<Option<Paused>>,
    dead_by_class: Mutex<BTreeMap<String, u64>>,
}

/// That a pipe waits, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paused {
    /// What must change before it goes on, as a person reads it.
    pub why: String,
    /// Since when; ms since the Unix epoch.
    pub since_ms: i64,
}

impl DeliveryStatus {
    /// Nothing delivered yet.
    #[must_use]
    pub fn new<'n>(sinks: impl IntoIterator<Item = &'n str>) -> Self {
        Self { sinks: sinks.into_iter().map(SinkStatus::new).collect(), ..Self::default() }
    }

    /// What the pipe waits for; `None`: it goes on.
    #[must_use]
    pub fn paused(&self) -> Option<Paused> {
        locked(&self.paused).clone()
    }

    /// The pipe waits. `now_ms` counts where it didn't wait for the same before.
    pub fn pause(&self, why: &str, now_ms: i64) {
        let mut paused = locked(&self.paused);
        if paused.as_ref().is_none_or(|paused| paused.why != why) {
            *paused = Some(Paused { why: why.to_owned(), since_ms: now_ms });
        }
    }

    /// The pipe goes on.
    pub fn go_on(&self) {
        *locked(&self.paused) = None;
    }

    /// Notes what is unsettled.
    pub(crate) fn show(&self, counts: &UnsettledCounts) {
        self.unsettled_events.store(counts.events, Ordering::Relaxed);
        self.unsettled_bytes.store(counts.bytes, Ordering::Relaxed);
        self.parked_events.store(counts.parked, Ordering::Relaxed);
        self.parked_bytes.store(counts.parked_bytes, Ordering::Relaxed);
    }

    /// Counts deaths. Past [`CLASSES_MAX`] classes, new ones count as `other`: classes are metric
    /// labels, and what a receiver says can't be allowed to make any number of them.
    pub fn died(&self, class: &str, events: u64) {
        let mut classes = locked(&self.dead_by_class);
        let known = classes.contains_key(class) || classes.len() < CLASSES_MAX;
        let class = if known && class.len() <= CLASS_BYTES_MAX { class } else { OTHER_CLASS };
        if let Some(count) = classes.get_mut(class) {
            *count += events;
        } else {
            classes.insert(class.to_owned(), events);
        }
    }

    /// Events that died since the start, by class.
    #[must_use]
    pub fn dead_by_class(&self) -> BTreeMap<String, u64> {
        locked(&self.dead_by_class).clone()
    }
}

/// Classes of deaths with counts of their own.
pub const CLASSES_MAX: usize = 64;

/// A longer class counts with the others; bytes.
const CLASS_BYTES_MAX: usize = 64;

/// Where the others count.
pub const OTHER_CLASS: &str = "other";

/// Whether a sink is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CircuitState {
    /// It is.
    #[default]
    Closed,
    /// It counts as down, and isn't.
    Open,
    /// It is asked with one event whether it is back.
    HalfOpen,
}

impl CircuitState {
    /// All of them, in the order in which their numbers go.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The word for it in metrics and pages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// How deliveries to one sink are, since the start.
#[derive(Debug, Default)]
pub struct SinkStatus {
    name: String,
    /// Deliveries that were tried, by event.
    pub attempts: AtomicU64,
    /// Those that failed.
    pub failures: AtomicU64,
    /// Those that were not an event's first.
    pub retries: AtomicU64,
    /// Events that it has.
    pub delivered: AtomicU64,
    /// Events that died at it.
    pub dead: AtomicU64,
    circuit: AtomicU8,
    opened_ms: AtomicI64,
    last_error: Mutex<Option<String>>,
}

impl SinkStatus {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is called.
    #[must_use]
    pub fn circuit(&self) -> CircuitState {
        let number = usize::from(self.circuit.load(Ordering::Relaxed));
        CircuitState::ALL.get(number).copied().unwrap_or_default()
    }

    /// Since when it counts as down; ms since the Unix epoch. `None` while it doesn't.
    #[must_use]
    pub fn opened_ms(&self) -> Option<i64> {
        let since_ms = self.opened_ms.load(Ordering::Relaxed);
        (self.circuit() != CircuitState::Closed).then_some(since_ms)
    }

    /// The circuit changes at `now_ms`. From `Open` to `HalfOpen` and back the sink stays down
    /// since it first was.
    pub fn turn(&self, to: CircuitState, now_ms: i64) {
        if self.circuit() == CircuitState::Closed {
            self.opened_ms.store(now_ms, Ordering::Relaxed);
        }
        self.circuit.store(to as u8, Ordering::Relaxed);
    }

    /// What the last attempt that failed said.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        locked(&self.last_error).clone()
    }

    /// Remembers what an attempt that failed said.
    pub fn failed(&self, error: &str) {
        *locked(&self.last_error) = Some(error.to_owned());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_is_open_since_it_first_was() {
        let sink = SinkStatus::new("http");
        assert_eq!(sink.opened_ms(), None);
        sink.turn(CircuitState::Open, 10);
        sink.turn(CircuitState::HalfOpen, 20);
        sink.turn(CircuitState::Open, 30);
        assert_eq!((sink.circuit(), sink.opened_ms()), (CircuitState::Open, Some(10)));
        sink.turn(CircuitState::Closed, 40);
        assert_eq!(sink.opened_ms(), None);
        sink.turn(CircuitState::Open, 50);
        assert_eq!(sink.opened_ms(), Some(50));
    }

    #[test]
    fn classes_are_bounded_and_none_is_lost() {
        let status = DeliveryStatus::new(["a"]);
        for class in 0..2 * CLASSES_MAX {
            status.died(&format!("class_{class}"), 2);
        }
        let classes = status.dead_by_class();
        assert_eq!(classes.len(), CLASSES_MAX + 1);
        assert_eq!(classes.values().sum::<u64>(), 4 * CLASSES_MAX as u64);
    }

    #[test]
    fn a_pause_begins_once() {
        let status = DeliveryStatus::default();
        status.pause("disk full", 1);
        status.pause("disk full", 2);
        assert_eq!(status.paused().map(|paused| paused.since_ms), Some(1));
        status.pause("sink down", 3);
        assert_eq!(status.paused().map(|paused| paused.since_ms), Some(3));
        status.go_on();
        assert_eq!(status.paused(), None);
    }
}
