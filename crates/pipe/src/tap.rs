//! Watching settled events of a running pipe. Costs one atomic load a batch while nobody watches.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use event::Outcome;

/// Events that wait for a slow watcher at most; further ones are dropped and counted.
pub const TAP_EVENTS_MAX: usize = 4096;
/// Payload bytes of an event that a tap shows at most.
pub const TAP_PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// A settled event, as a tap shows it.
#[derive(Clone, Debug)]
pub struct TapEvent {
    /// The pipe that settled it.
    pub pipe: Arc<str>,
    /// What became of it.
    pub outcome: Outcome,
    /// Its type's name.
    pub event_type: Arc<str>,
    /// The envelope's id, where the config says where it stands.
    pub id: Option<String>,
    /// The envelope's source, likewise.
    pub source: Option<String>,
    /// The envelope's subject, likewise.
    pub subject: Option<String>,
    /// The hash of its key; 0 where it has none.
    pub key: u128,
    /// Shard and offset in its source.
    pub position: String,
    /// When it was received; ms since the Unix epoch.
    pub received_ms: i64,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// The payload as received, cut at [`TAP_PAYLOAD_BYTES_MAX`].
    pub payload: Vec<u8>,
}

/// What a watcher wants to see; `None` means all.
#[derive(Clone, Debug, Default)]
pub struct TapFilter {
    /// Of this pipe only.
    pub pipe: Option<String>,
    /// With this outcome only.
    pub outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Watcher {
    filter: TapFilter,
    events: Sender<TapEvent>,
    dropped: Arc<AtomicU64>,
}

/// Where pipes show settled events and watchers subscribe. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TapHub(Arc<Hub>);

#[derive(Debug, Default)]
struct Hub {
    watchers: Mutex<Vec<Watcher>>,
    count: AtomicUsize,
    progress: Progress,
}

/// How far a run is, over all its pipes. Moves once a batch.
#[derive(Debug, Default)]
pub struct Progress {
    open: AtomicBool,
    settled: AtomicU64,
}

impl Progress {
    /// The data folder is open and locked.
    pub(crate) fn open(&self) {
        self.open.store(true, Ordering::Release);
    }

    /// So many more events are committed.
    pub(crate) fn settle(&self, events: u64) {
        self.settled.fetch_add(events, Ordering::Relaxed);
    }

    /// Whether this process owns the data folder.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    /// Events that this run has committed.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }
}

/// A watcher's end. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Tap {
    /// Settled events, as they come.
    pub events: Receiver<TapEvent>,
    dropped: Arc<AtomicU64>,
}

impl Tap {
    /// How many events this watcher missed because it was slow.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl TapHub {
    /// Starts watching.
    #[must_use]
    pub fn subscribe(&self, filter: TapFilter) -> Tap {
        let (sender, events) = bounded(TAP_EVENTS_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let watcher = Watcher { filter, events: sender, dropped: Arc::clone(&dropped) };
        let mut watchers = self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.push(watcher);
        self.0.count.store(watchers.len(), Ordering::Release);
        Tap { events, dropped }
    }

    /// How far the run is.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.0.progress
    }

    /// Whether anybody watches.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.0.count.load(Ordering::Acquire) > 0
    }

    /// Shows one event to everybody who wants it.
    pub(crate) fn show(&self, event: &TapEvent) {
        let mut watchers = self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| {
            let wanted = watcher.filter.pipe.as_deref().is_none_or(|pipe| pipe == &*event.pipe)
                && watcher.filter.outcome.is_none_or(|outcome| outcome == event.outcome);
            if !wanted {
                // A watcher that has gone is noticed at the next event that it would have seen.
                return true;
            }
            match watcher.events.try_send(event.clone()) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    watcher.dropped.fetch_add(1, Ordering::Relaxed);
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        });
        self.0.count.store(watchers.len(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(pipe: &str, outcome: Outcome) -> TapEvent {
        TapEvent {
            pipe: pipe.into(),
            outcome,
            event_type: "t".into(),
            id: None,
            source: None,
            subject: None,
            key: 1,
            position: "s@0".into(),
            received_ms: 0,
            reason: None,
            payload: b"{}".to_vec(),
        }
    }

    #[test]
    fn a_slow_watcher_misses_events_and_knows_how_many() {
        let hub = TapHub::default();
        assert!(!hub.is_watched());
        let tap = hub.subscribe(TapFilter { pipe: Some("a".into()), outcome: None });
        for _ in 0..TAP_EVENTS_MAX + 3 {
            hub.show(&event("a", Outcome::Delivered));
            hub.show(&event("b", Outcome::Delivered));
        }
        assert_eq!(tap.dropped(), 3);
        assert_eq!(tap.events.len(), TAP_EVENTS_MAX);
        drop(tap);
        hub.show(&event("a", Outcome::Delivered));
        assert!(!hub.is_watched());
    }
}
