//! Counts of a queue.

/// Counts of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStatistics {
    /// Messages that can be received now.
    pub visible: u64,
    /// Received, neither deleted nor back.
    pub in_flight: u64,
    /// Not yet visible for the first time.
    pub delayed: u64,
    /// When the oldest message that is there was sent; ms since the Unix epoch.
    pub oldest_sent_ms: Option<i64>,
    /// Messages that the retention removed since the queue was made (P1 `expired`).
    pub expired: u64,
    /// Messages that a purge removed.
    pub purged: u64,
    /// Messages sent to it.
    pub sent: u64,
    /// Messages deleted.
    pub deleted: u64,
    /// Messages moved to its dead-letter queue.
    pub moved: u64,
    /// Body bytes that are there.
    pub bytes: u64,
}

/// Counts since a queue was made. They are what the journal's records add up to, so that they are
/// the same after a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) sent: u64,
    pub(super) deleted: u64,
    pub(super) moved: u64,
    pub(super) expired: u64,
    pub(super) purged: u64,
}

impl Counters {
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            sent: self.sent + other.sent,
            deleted: self.deleted + other.deleted,
            moved: self.moved + other.moved,
            expired: self.expired + other.expired,
            purged: self.purged + other.purged,
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            sent: self.sent.saturating_sub(other.sent),
            deleted: self.deleted.saturating_sub(other.deleted),
            moved: self.moved.saturating_sub(other.moved),
            expired: self.expired.saturating_sub(other.expired),
            purged: self.purged.saturating_sub(other.purged),
        }
    }
}
