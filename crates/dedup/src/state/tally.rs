//! Counts by minute of receipt.

use event::Outcome;

/// A minute of receipt: whole minutes since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MinuteBucket(pub i64);

impl MinuteBucket {
    /// The minute that a time in ms since the Unix epoch lies in.
    #[must_use]
    pub const fn of(time_ms: i64) -> Self {
        Self(time_ms.div_euclid(60_000))
    }

    /// When it begins; ms since the Unix epoch.
    #[must_use]
    pub const fn start_ms(self) -> i64 {
        self.0.saturating_mul(60_000)
    }
}

/// What was received and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Counted where the source hands events over.
    pub received: u64,
    /// Counted where they settle, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; 6],
}

impl Tally {
    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        for (sum, more) in self.outcomes.iter_mut().zip(other.outcomes) {
            *sum += more;
        }
    }

    /// Adds `count` events of one outcome.
    pub fn add_outcome(&mut self, outcome: Outcome, count: u64) {
        if let Some(sum) = self.outcomes.get_mut(outcome.index()) {
            *sum += count;
        }
    }

    /// How many had one outcome.
    #[must_use]
    pub fn outcome(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome.index()).copied().unwrap_or(0)
    }

    /// How many have an outcome.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.outcomes.iter().sum()
    }
}
