//! When TTL may delete an item. TTL is a broom: it may come days late, and it must never come
//! early, so nothing is decided by it.

use crate::store::Asked;

/// A batch's record outlives every entry that names it by so long, since TTL deletes items in no
/// order; ms.
const RECORD_EXTRA_MS: i64 = 7 * 86_400_000;

/// When TTL may delete something; ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Expiry {
    /// Seconds since the Unix epoch.
    At(i64),
    Never,
}

impl Expiry {
    /// Of an entry: the end of its window or now, whichever is later, and the margin. Now is the
    /// store's time; without it there is no telling what is past, so TTL leaves the entry alone.
    pub(super) fn of_entry(
        recorded_ms: i64,
        window_ms: i64,
        now_ms: Option<i64>,
        margin_ms: i64,
    ) -> Self {
        let Some(now_ms) = now_ms else { return Self::Never };
        let Some(end_ms) = recorded_ms.checked_add(window_ms) else { return Self::Never };
        // FOREVER_MS and a recorded time before 1970 add up to a number, too.
        if window_ms == crate::scope::FOREVER_MS {
            return Self::Never;
        }
        Self::after(end_ms.max(now_ms), margin_ms)
    }

    /// Of what nobody needs from now on.
    pub(super) fn of_rest(now_ms: Option<i64>, margin_ms: i64) -> Self {
        now_ms.map_or(Self::Never, |now_ms| Self::after(now_ms, margin_ms))
    }

    /// Of the record of a batch that asks for these keys: later than that of each of its entries.
    pub(super) fn of_record(asked: &[Asked], now_ms: Option<i64>, margin_ms: i64) -> Self {
        let entries = asked
            .iter()
            .map(|key| Self::of_entry(key.recorded_ms, key.window_ms, now_ms, margin_ms))
            .max();
        match entries.unwrap_or_else(|| Self::of_rest(now_ms, margin_ms)) {
            Self::At(s) => match s.checked_add(RECORD_EXTRA_MS / 1000) {
                Some(s) => Self::At(s),
                None => Self::Never,
            },
            Self::Never => Self::Never,
        }
    }

    fn after(end_ms: i64, margin_ms: i64) -> Self {
        // Rounded up: a second early would be early.
        end_ms
            .checked_add(margin_ms)
            .and_then(|ms| ms.checked_add(999))
            .map_or(Self::Never, |ms| Self::At(ms.div_euclid(1000)))
    }
}

/// Whether an entry may be left out when its item is written again. By recorded times *and* by
/// the store's time, so that neither an event with a wrong time nor a wrong clock does it alone.
pub(super) fn is_over(
    (recorded_ms, window_ms): (i64, i64),
    asked_recorded_ms: i64,
    now_ms: Option<i64>,
    margin_ms: i64,
) -> bool {
    if window_ms == crate::scope::FOREVER_MS {
        return false;
    }
    let Some(now_ms) = now_ms else { return false };
    let end = i128::from(recorded_ms) + i128::from(window_ms) + i128::from(margin_ms);
    i128::from(asked_recorded_ms.min(now_ms)) > end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::FOREVER_MS;

    const DAY: i64 = 86_400_000;

    fn asked(recorded_ms: i64, window_ms: i64) -> Asked {
        Asked { key: 1, recorded_ms, window_ms, body_hash: 0 }
    }

    #[test]
    fn ttl_never_comes_before_window_and_margin_have_ended() {
        for recorded_ms in [0, 1, 999, 1_000, 1_700_000_000_123] {
            for window_ms in [0, 1, 300_000, 400 * DAY] {
                for at_ms in [0, recorded_ms, recorded_ms + 30 * DAY] {
                    let of = Expiry::of_entry(recorded_ms, window_ms, Some(at_ms), 15 * DAY);
                    let Expiry::At(s) = of else { panic!("{of:?}") };
                    // DynamoDB deletes when its time in seconds is greater than the number.
                    assert!(s * 1000 >= recorded_ms + window_ms + 15 * DAY);
                    assert!(s * 1000 >= at_ms + 15 * DAY);
                }
            }
        }
    }

    #[test]
    fn what_is_read_late_is_kept_from_when_it_was_read() {
        // An event of last year, out of an archive: its window ended long ago, yet a copy of it
        // may be the next event.
        let now_ms = 1_700_000_000_000;
        let of = Expiry::of_entry(now_ms - 365 * DAY, 300_000, Some(now_ms), 15 * DAY);
        assert_eq!(of, Expiry::At((now_ms + 15 * DAY) / 1000));
    }

    #[test]
    fn forever_overflow_and_an_unknown_time_are_never() {
        assert_eq!(Expiry::of_entry(5, FOREVER_MS, Some(5), DAY), Expiry::Never);
        assert_eq!(Expiry::of_entry(-5, FOREVER_MS, Some(5), DAY), Expiry::Never);
        assert_eq!(Expiry::of_entry(i64::MAX - 5, 10, Some(5), DAY), Expiry::Never);
        assert_eq!(Expiry::of_entry(i64::MAX - 5, 1, Some(5), DAY), Expiry::Never);
        assert_eq!(Expiry::of_entry(5, 10, None, DAY), Expiry::Never);
        assert!(Expiry::At(i64::MAX) < Expiry::Never);
    }

    #[test]
    fn a_record_outlives_its_keys() {
        let keys = [asked(1_000, 10), asked(9_000_000, 5_000), asked(0, 1)];
        let longest = keys
            .iter()
            .map(|key| Expiry::of_entry(key.recorded_ms, key.window_ms, Some(7), DAY))
            .max()
            .unwrap();
        let record = Expiry::of_record(&keys, Some(7), DAY);
        let (Expiry::At(longest), Expiry::At(record)) = (longest, record) else { panic!() };
        assert!(record >= longest + 7 * 86_400);
        let with_forever = [keys[0], asked(0, FOREVER_MS)];
        assert_eq!(Expiry::of_record(&with_forever, Some(7), DAY), Expiry::Never);
    }

    #[test]
    fn an_entry_goes_from_its_item_only_when_both_times_are_past_it() {
        let entry = (1_000, 500);
        let end = 1_500 + DAY;
        assert!(is_over(entry, end + 1, Some(end + 1), DAY));
        assert!(!is_over(entry, end + 1, Some(end), DAY));
        assert!(!is_over(entry, end, Some(end + 1), DAY));
        assert!(!is_over(entry, end + 1, None, DAY));
        assert!(!is_over((1_000, FOREVER_MS), i64::MAX, Some(i64::MAX), DAY));
        assert!(!is_over((i64::MAX, i64::MAX - 1), i64::MAX, Some(i64::MAX), DAY));
    }
}
