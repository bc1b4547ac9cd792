//! When two events are the same.

/// A recorded time and the window that was promised with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) recorded_ms: i64,
    /// `i64::MAX`: without end.
    pub(crate) window_ms: i64,
}

impl Reach {
    /// Whether an event of the same key at this time is the same event: the times differ by less
    /// than the window, in either direction.
    #[inline]
    pub(crate) fn covers(self, recorded_ms: i64) -> bool {
        self.window_ms == i64::MAX
            || i128::from(self.recorded_ms.abs_diff(recorded_ms)) < i128::from(self.window_ms)
    }

    /// Whether it covers nothing from `forgotten_through_ms` on, neither now nor later.
    #[inline]
    pub(super) fn is_over(self, forgotten_through_ms: i64) -> bool {
        self.window_ms != i64::MAX
            && self.recorded_ms.saturating_add(self.window_ms) <= forgotten_through_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_less_than_the_window_in_both_directions() {
        let reach = Reach { recorded_ms: 1_000, window_ms: 10 };
        for (time, covered) in [(990, false), (991, true), (1_000, true), (1_009, true)] {
            assert_eq!(reach.covers(time), covered, "{time}");
        }
        assert!(!reach.covers(1_010));
        assert!(!Reach { recorded_ms: 5, window_ms: 0 }.covers(5));
    }

    #[test]
    fn extremes_neither_overflow_nor_end() {
        let forever = Reach { recorded_ms: i64::MIN + 1, window_ms: i64::MAX };
        assert!(forever.covers(i64::MAX));
        assert!(!forever.is_over(i64::MAX));
        let last = Reach { recorded_ms: i64::MAX, window_ms: 10 };
        assert!(last.covers(i64::MAX - 9));
        assert!(!last.covers(i64::MIN + 1));
        assert!(!last.is_over(i64::MAX - 1));
    }
}
