//! What becomes of an event.

use std::fmt;

/// What became of a received event, as it is counted (DESIGN §1, P4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// In every sink that should have it.
    Delivered,
    /// Its key is remembered, or its message was settled before (redelivered).
    Duplicate,
    /// The pipe's filter, or no route, takes it.
    Filtered,
    /// It can't be read or breaks a rule; whole in the rejected file.
    Rejected,
    /// It could not be delivered; whole as a dead letter.
    Dead,
    /// Given back to its source unsettled.
    Returned,
}

impl Outcome {
    /// All outcomes, in the order in which tables show them.
    pub const ALL: [Self; 6] = [
        Self::Delivered,
        Self::Duplicate,
        Self::Filtered,
        Self::Rejected,
        Self::Dead,
        Self::Returned,
    ];

    /// The word for it in config, metrics and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Duplicate => "duplicate",
            Self::Filtered => "filtered",
            Self::Rejected => "rejected",
            Self::Dead => "dead",
            Self::Returned => "returned",
        }
    }

    /// Its place in [`Outcome::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where an event of a batch stands on its way to an outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// No stage has decided yet.
    #[default]
    Undecided,
    /// Its key is reserved (or it needs none): it goes to the sinks of its batch.
    Deliver,
    /// A duplicate of a settled event, or of one that settles no later than this batch.
    Duplicate,
    /// A redelivery of a message that was settled before; counted as duplicate.
    Redelivered,
    /// Not wanted.
    Filtered,
    /// Not usable; the reason is [`crate::Batch::rejections`] at this index.
    Rejected(u32),
    /// It can't settle in this batch: its key is in flight elsewhere, it is tried again later, or
    /// it goes behind one that is. It leaves this batch and joins a later one.
    Waits,
    /// Written whole into the ledger by this batch's record, because it is unsettled for long: its
    /// source can forget it, but it has no outcome yet.
    Parked,
    /// It can't be delivered; [`crate::Batch::deaths`] at this index says why.
    Dead(u32),
    /// Settled by an earlier run; recovery drops it and counts it as `reread`.
    Reread,
}

impl Fate {
    /// The outcome that this fate counts as, or `None` while it has none.
    #[must_use]
    pub const fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Deliver => Some(Outcome::Delivered),
            Self::Duplicate | Self::Redelivered => Some(Outcome::Duplicate),
            Self::Filtered => Some(Outcome::Filtered),
            Self::Rejected(_) => Some(Outcome::Rejected),
            Self::Dead(_) => Some(Outcome::Dead),
            Self::Undecided | Self::Waits | Self::Parked | Self::Reread => None,
        }
    }

    /// Whether its source can forget the event once the batch's record is durable: it has an
    /// outcome, or is parked in the ledger. This, and not the outcome, decides on positions,
    /// message ids and acknowledgements.
    #[must_use]
    pub const fn leaves_source(self) -> bool {
        self.outcome().is_some() || matches!(self, Self::Parked)
    }
}

/// Why an event that a strict reading would hold back was let through (P2). Goes to disk in
/// sidecars: bits never change their meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks(pub u8);

impl Marks {
    /// No mark.
    pub const NONE: Self = Self(0);
    /// Later than the watermark less `lateness`, under `late: pass`.
    pub const LATE: Self = Self(1);
    /// Same key, other body, under `on_other_body: pass`.
    pub const UPDATE: Self = Self(2);
    /// No key, under `missing_key: pass`.
    pub const NO_KEY: Self = Self(4);
    /// A copy of a dead event.
    pub const COPY_OF_DEAD: Self = Self(8);
    /// From a replay or playback.
    pub const REPLAYED: Self = Self(16);

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without the bits of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}
