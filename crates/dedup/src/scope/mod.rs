//! A scope: the keys that its pipes share, in flight and remembered.

mod committed;
mod ids;
mod options;

pub use committed::{CommittedKey, DeadState, FOREVER_MS, KeyState};
pub use ids::{PipeId, SourceId};
pub use options::{DedupClock, LatePolicy, ScopeOptions};

use event::{Batch, BatchNumber, Offset, ShardId};

/// What [`Scope::reserve`] decided, in numbers of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Keys reserved.
    pub reserved: u32,
    /// Duplicates of something remembered, or in flight in the same pipe.
    pub duplicates: u32,
    /// Events that wait for one in flight.
    pub waiting: u32,
    /// Events that came too late or too far ahead, rejected or passed.
    pub late: u32,
}

/// The keys of the pipes that share them.
#[derive(Debug)]
pub struct Scope {
    options: ScopeOptions,
}

impl Scope {
    /// A scope without keys.
    #[must_use]
    pub fn new(options: ScopeOptions) -> Self {
        Self { options }
    }

    /// Its rules of time.
    #[must_use]
    pub fn options(&self) -> &ScopeOptions {
        &self.options
    }

    /// Makes room for `keys` more, so that loading them grows nothing.
    pub fn reserve_capacity(&mut self, keys: usize) {
        let _ = keys;
    }

    /// Remembers a key from the ledger. Loading one twice is harmless.
    pub fn load(&mut self, key: &CommittedKey) {
        let _ = key;
    }

    /// [`Scope::load`] for many keys, several times as fast a key.
    pub fn load_all(&mut self, keys: &[CommittedKey]) {
        let _ = keys;
    }

    /// Makes a source known before its first event, so that its keys are kept for it.
    pub fn declare_source(&mut self, source: SourceId) {
        let _ = source;
    }

    /// Decides every undecided event of `batch`, in order.
    pub fn reserve(
        &mut self,
        pipe: PipeId,
        source: SourceId,
        number: BatchNumber,
        batch: &mut Batch,
        now_ms: i64,
    ) -> Reserved {
        let _ = (pipe, source, number, batch, now_ms);
        Reserved::default()
    }

    /// Everything that `pipe` reserved up to batch `number` is remembered now. O(1).
    pub fn commit(&mut self, pipe: PipeId, number: BatchNumber) {
        let _ = (pipe, number);
    }

    /// Lets go of what batch `number` of `pipe` reserved: its events with `Fate::Deliver`.
    pub fn release(&mut self, pipe: PipeId, number: BatchNumber, batch: &Batch) {
        let _ = (pipe, number, batch);
    }

    /// Takes one event out of the waiting; it won't come again.
    pub fn forget_waiter(&mut self, pipe: PipeId, shard: &ShardId, start: Offset) {
        let _ = (pipe, shard, start);
    }

    /// Takes all events of a pipe out of the waiting.
    pub fn forget_waiters(&mut self, pipe: PipeId) {
        let _ = pipe;
    }

    /// How many events wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        0
    }

    /// Changes whenever something that an event waits for was settled or released.
    #[must_use]
    pub fn wakeups(&self) -> u64 {
        0
    }

    /// The highest recorded time of the scope; `i64::MIN` without any. To be persisted.
    #[must_use]
    pub fn recorded_max_ms(&self) -> i64 {
        i64::MIN
    }

    /// Restores [`Scope::recorded_max_ms`] at open.
    pub fn restore_recorded_max(&mut self, recorded_max_ms: i64) {
        let _ = recorded_max_ms;
    }

    /// The watermark of every source that has one. To be persisted with each commit.
    pub fn watermarks(&self) -> impl Iterator<Item = (SourceId, i64)> + '_ {
        std::iter::empty()
    }

    /// Restores a watermark at open; declares the source.
    pub fn restore_watermark(&mut self, source: SourceId, watermark_ms: i64) {
        let _ = (source, watermark_ms);
    }

    /// Keys that expire at or before this time are gone. Never runs backwards. To be persisted no
    /// later than the first key run is deleted because of it.
    pub fn forgotten_through_ms(&mut self, now_ms: i64) -> i64 {
        let _ = now_ms;
        i64::MIN
    }

    /// Restores [`Scope::forgotten_through_ms`] at open.
    pub fn restore_forgotten_through(&mut self, forgotten_through_ms: i64) {
        let _ = forgotten_through_ms;
    }

    /// Keys in memory: in flight, remembered, and forgotten ones whose place isn't reused yet.
    #[must_use]
    pub fn live_keys(&self) -> u64 {
        0
    }

    /// What the scope's keys take in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        0
    }
}
