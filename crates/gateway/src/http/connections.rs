//! The connections that are open, and when each of them must go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::options::HttpLimits;
use crate::state::State;

/// What is known of one connection. Times are ms since the gateway's start, at least 1; 0 is "no".
pub(super) struct Entry {
    number: u64,
    started: Instant,
    requests: AtomicU32,
    idle_since_ms: AtomicU64,
    head_since_ms: AtomicU64,
    write_blocked_since_ms: AtomicU64,
    h2: AtomicBool,
    now: AtomicBool,
    close: Notify,
}

/// A request that is under way on a connection.
pub(super) struct UnderWay(Arc<Entry>);

/// How a connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// After the requests that are under way.
    Gracefully,
    /// As it is.
    Now,
}

impl Entry {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Bytes came in; without a request under way they begin one.
    pub(super) fn bytes_came(&self) {
        if self.requests.load(Ordering::Relaxed) == 0
            && self.head_since_ms.load(Ordering::Relaxed) == 0
        {
            self.head_since_ms.store(self.now_ms(), Ordering::Relaxed);
        }
    }

    /// Whether the last attempt to send something found no room.
    pub(super) fn write_blocked(&self, blocked: bool) {
        let since = self.write_blocked_since_ms.load(Ordering::Relaxed);
        if blocked == (since == 0) {
            let since = if blocked { self.now_ms() } else { 0 };
            self.write_blocked_since_ms.store(since, Ordering::Relaxed);
        }
    }

    /// A request's headers are there.
    pub(super) fn request(self: &Arc<Self>, h2: bool) -> UnderWay {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.head_since_ms.store(0, Ordering::Relaxed);
        if h2 {
            self.h2.store(true, Ordering::Relaxed);
        }
        UnderWay(Arc::clone(self))
    }

    /// Ends when the connection is to be closed.
    pub(super) async fn closing(&self) -> Closing {
        self.close.notified().await;
        if self.now.load(Ordering::Relaxed) { Closing::Now } else { Closing::Gracefully }
    }

    pub(super) fn close(&self, how: Closing) {
        if how == Closing::Now {
            self.now.store(true, Ordering::Relaxed);
        }
        self.close.notify_one();
    }

    fn is_idle(&self) -> bool {
        self.requests.load(Ordering::Relaxed) == 0
    }

    /// How it must go at `now_ms`, if it must.
    fn due(&self, limits: &HttpLimits, now_ms: u64) -> Option<Closing> {
        let longer = |since: &AtomicU64, limit: Duration| {
            let since = since.load(Ordering::Relaxed);
            since != 0 && u128::from(now_ms.saturating_sub(since)) >= limit.as_millis()
        };
        if longer(&self.write_blocked_since_ms, limits.answer_write_timeout) {
            return Some(Closing::Now);
        }
        if !self.is_idle() {
            return None;
        }
        // Bytes on an idle HTTP/2 connection may be pings.
        let h2 = self.h2.load(Ordering::Relaxed);
        if !h2 && longer(&self.head_since_ms, limits.header_read_timeout) {
            return Some(Closing::Now);
        }
        if longer(&self.idle_since_ms, limits.idle_timeout) {
            return Some(if h2 { Closing::Gracefully } else { Closing::Now });
        }
        None
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.idle_since_ms.store(self.0.now_ms(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The connections that are open.
pub(crate) struct Connections {
    started: Instant,
    connections_max: usize,
    idle_evict_min: Duration,
    open: Mutex<Open>,
    closed: Notify,
}

#[derive(Default)]
struct Open {
    next: u64,
    entries: HashMap<u64, Arc<Entry>>,
}

impl Connections {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        Self {
            started: Instant::now(),
            connections_max: limits.connections_max,
            idle_evict_min: limits.idle_evict_min,
            open: Mutex::default(),
            closed: Notify::new(),
        }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new connection. When all are taken, the longest idle one has to go; `None`
    /// when none is idle for long enough.
    pub(super) fn admit(&self) -> Option<Arc<Entry>> {
        let mut open = self.open();
        if open.entries.len() >= self.connections_max {
            let idle = open.entries.values().filter(|entry| entry.is_idle());
            let longest = idle.min_by_key(|entry| entry.idle_since_ms.load(Ordering::Relaxed))?;
            let idle_ms = longest.now_ms() - longest.idle_since_ms.load(Ordering::Relaxed);
            if u128::from(idle_ms) < self.idle_evict_min.as_millis() {
                return None;
            }
            let longest = Arc::clone(longest);
            longest.close(Closing::Now);
            open.entries.remove(&longest.number);
        }
        open.next += 1;
        let number = open.next;
        let entry = Entry {
            number,
            started: self.started,
            requests: AtomicU32::new(0),
            idle_since_ms: AtomicU64::new(0),
            head_since_ms: AtomicU64::new(0),
            write_blocked_since_ms: AtomicU64::new(0),
            h2: AtomicBool::new(false),
            now: AtomicBool::new(false),
            close: Notify::new(),
        };
        entry.idle_since_ms.store(entry.now_ms(), Ordering::Relaxed);
        let entry = Arc::new(entry);
        open.entries.insert(number, Arc::clone(&entry));
        Some(entry)
    }

    /// A connection is gone.
    pub(super) fn remove(&self, entry: &Entry) {
        let mut open = self.open();
        open.entries.remove(&entry.number);
        if open.entries.is_empty() {
            self.closed.notify_waiters();
        }
    }

    /// Closes all, each after the requests that are under way on it.
    pub(crate) fn close_gracefully(&self) {
        for entry in self.open().entries.values() {
            entry.close(Closing::Gracefully);
        }
    }

    /// Ends when no connection is open.
    pub(crate) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            tokio::pin!(closed);
            closed.as_mut().enable();
            if self.open().entries.is_empty() {
                return;
            }
            closed.await;
        }
    }

    fn close_due(&self, limits: &HttpLimits) {
        for entry in self.open().entries.values() {
            if let Some(how) = entry.due(limits, entry.now_ms()) {
                entry.close(how);
            }
        }
    }
}

/// Closes connections whose time is over, until the gateway stops.
pub(crate) async fn sweep(state: Arc<State>) {
    let limits = &state.options.http;
    let shortest =
        limits.idle_timeout.min(limits.header_read_timeout).min(limits.answer_write_timeout);
    let every = (shortest / 8).clamp(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => state.connections.close_due(limits),
            () = state.stopped() => return,
        }
    }
}
