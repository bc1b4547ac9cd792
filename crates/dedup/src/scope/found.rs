//! What the index says of an event: which entries of its key reach it.

use super::reach::Reach;

/// The event that is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sought {
    pub(super) recorded_ms: i64,
    pub(super) body_hash: u64,
    pub(super) window_ms: i64,
}

/// What was found of its key.
#[derive(Debug)]
pub(super) struct Found {
    /// A remembered entry reaches it, or one in flight in its own pipe, or a dead event is its
    /// original.
    pub(super) duplicate: bool,
    /// One of those has its body.
    pub(super) same_body: bool,
    /// Recorded time of the one of those that is closest; ms.
    pub(super) original_ms: i64,
    /// A dead event is its original.
    pub(super) dead_duplicate: bool,
    /// An entry in flight in another pipe reaches it.
    pub(super) elsewhere: bool,
    /// Dead events of its key have something to say, too.
    pub(super) dead: bool,
    /// An expired entry of its key, whose place may be taken.
    pub(super) over: Option<usize>,
    /// Where else a new entry may go.
    pub(super) free: Option<usize>,
    /// How far the closest entry is.
    distance_ms: u64,
    /// An entry says all that one more of the event's own would say.
    is_covered: bool,
}

impl Default for Found {
    fn default() -> Self {
        Self {
            duplicate: false,
            same_body: false,
            original_ms: 0,
            dead_duplicate: false,
            elsewhere: false,
            dead: false,
            over: None,
            free: None,
            distance_ms: u64::MAX,
            is_covered: false,
        }
    }
}

impl Found {
    /// An entry reaches the event, and is no later than it. Body hash 0: not known.
    #[inline]
    pub(super) fn reached_by(&mut self, reach: Reach, body_hash: u64, sought: Sought) {
        self.duplicate = true;
        self.same_body |= body_hash == sought.body_hash || body_hash == 0 || sought.body_hash == 0;
        let distance_ms = reach.recorded_ms.abs_diff(sought.recorded_ms);
        // Of two that are as close, the older one.
        if (distance_ms, reach.recorded_ms) < (self.distance_ms, self.original_ms)
            || self.distance_ms == u64::MAX
        {
            (self.distance_ms, self.original_ms) = (distance_ms, reach.recorded_ms);
        }
        let as_long = distance_ms == 0 && reach.window_ms >= sought.window_ms;
        self.is_covered |=
            reach.window_ms == i64::MAX || (as_long && body_hash == sought.body_hash);
    }

    /// What was found under a key that the event would have had before (`run --new-key`). An entry
    /// of its own is still worth making: the other one's key is looked up for a while only.
    pub(super) fn also(&mut self, previous: &Self) {
        if previous.duplicate {
            self.duplicate = true;
            self.same_body |= previous.same_body;
            if previous.distance_ms < self.distance_ms {
                (self.distance_ms, self.original_ms) = (previous.distance_ms, previous.original_ms);
            }
        }
    }

    /// A dead event is the event's original.
    pub(super) fn of_dead(&mut self, original_ms: i64, same_body: bool) {
        if !self.duplicate {
            self.original_ms = original_ms;
        }
        self.duplicate = true;
        self.dead_duplicate = true;
        self.same_body |= same_body;
    }

    /// Whether a duplicate's own entry makes its key remembered for longer. What is a duplicate of
    /// a dead event only must not: the letter's replay would find it delivered.
    pub(super) fn may_refresh(&self) -> bool {
        self.distance_ms != u64::MAX && !self.is_covered
    }
}
