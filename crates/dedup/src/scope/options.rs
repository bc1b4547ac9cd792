//! What a scope is told by the config.

/// Which time counts as an event's recorded time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DedupClock {
    /// When it was received; never runs backwards within the scope.
    #[default]
    Received,
    /// The broker's time of the event.
    Broker,
    /// The envelope's time of the event.
    Event,
}

/// What becomes of an event that is later than the watermark less `lateness`, or too far ahead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatePolicy {
    /// It is rejected.
    #[default]
    Reject,
    /// It goes on with [`event::Marks::LATE`], deduplicated against what is still remembered.
    Pass,
    /// It dies: its letter can be replayed.
    DeadLetter,
}

/// What becomes of a copy of a dead event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicateOfDead {
    /// One with the same body is a duplicate while the event would die again under the same plan,
    /// and admitted else; one with another body is admitted, and marked.
    #[default]
    Auto,
    /// Every copy is admitted.
    Admit,
    /// Every copy is a duplicate.
    Suppress,
}

/// What becomes of a duplicate whose body is none of those that its key is remembered with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOtherBody {
    /// It is a duplicate like any other, counted apart.
    #[default]
    Drop,
    /// It goes on with [`event::Marks::UPDATE`]; its own repeats are duplicates.
    Pass,
    /// It dies: its letter can be replayed.
    DeadLetter,
}

/// A scope's rules of time, of other bodies and of dead events. One for all pipes of the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeOptions {
    /// Which time counts.
    pub clock: DedupClock,
    /// By how much an event may be older than its source's watermark; ms. Must cover the skew
    /// between the brokers of the scope. Without meaning under [`DedupClock::Received`].
    pub lateness_ms: i64,
    /// What becomes of what is later still.
    pub late: LatePolicy,
    /// An event more than this beyond the wall clock moves no watermark and follows `late`; ms.
    pub clock_ahead_max_ms: i64,
    /// A source without events for this long no longer holds the scope's keys; ms.
    pub source_idle_max_ms: i64,
    /// What becomes of a copy of a dead event.
    pub on_duplicate_of_dead: OnDuplicateOfDead,
    /// What becomes of a duplicate with another body.
    pub on_other_body: OnOtherBody,
    /// Whether a duplicate starts the window of its key anew.
    pub refresh: bool,
    /// What the scope's keys may take in memory; bytes.
    pub memory_bytes_max: u64,
}

impl Default for ScopeOptions {
    fn default() -> Self {
        Self {
            clock: DedupClock::Received,
            lateness_ms: 600_000,
            late: LatePolicy::Reject,
            clock_ahead_max_ms: 300_000,
            source_idle_max_ms: 3_600_000,
            on_duplicate_of_dead: OnDuplicateOfDead::Auto,
            on_other_body: OnOtherBody::Drop,
            refresh: false,
            memory_bytes_max: 1 << 30,
        }
    }
}
