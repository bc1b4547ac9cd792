//! A key as the ledger keeps it.

/// What became of the event that a committed key belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is in its sinks.
    Delivered,
    /// It was filtered after its reservation.
    Filtered,
    /// It is a dead letter.
    Dead(DeadState),
}

/// How an event died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadState {
    /// The fingerprint of the plan under which it dies again; `None`: of something transient.
    pub deterministic_under: Option<u64>,
    /// The sinks that already hold it: bit `n` for sink `n` of the pipe.
    pub sinks: u64,
}

/// Remembered for ever, as a window.
pub const FOREVER_MS: i64 = i64::MAX;

/// A key that is remembered, from the ledger's journal or a key run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedKey {
    /// The key.
    pub key: u128,
    /// The event's recorded time; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// For how long it was promised to be remembered; ms, [`FOREVER_MS`] without end.
    pub window_ms: i64,
    /// Hash of the event's body.
    pub body_hash: u64,
    /// What became of the event.
    pub state: KeyState,
    /// The pipe and batch that committed it.
    pub by: CommittedBy,
}

/// Who committed a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommittedBy {
    /// The pipe, by number in the ledger.
    pub pipe: u16,
    /// Its batch; 0 where it isn't known (a key of a run of format 1).
    pub batch: event::BatchNumber,
}

impl CommittedKey {
    /// When the key may be forgotten: its recorded time and its window.
    #[must_use]
    pub const fn expiry_ms(&self) -> i64 {
        self.recorded_ms.saturating_add(self.window_ms)
    }
}
