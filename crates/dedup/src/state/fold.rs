//! Balanced minutes that are old fold into hours, then days, so that counters stay bounded.

use std::collections::BTreeMap;

use event::BatchNumber;

use super::{MinuteBucket, SourceCounters, Tally};

const MINUTES_OF_HOUR: i64 = 60;
const HOURS_OF_DAY: i64 = 24;
/// Hours that are kept before they fold into days.
const HOURS_MAX: i64 = 40 * 24;
/// Minutes that don't balance are kept too, up to this many times the limit.
const UNBALANCED_FACTOR: usize = 4;

/// Folds minutes that are more than `minutes_max` older than the newest. One that doesn't balance
/// stays, so that it can be named, as long as there aren't too many.
pub(super) fn fold(source: &mut SourceCounters, minutes_max: u32) {
    let Some(newest) = source.minutes.keys().next_back() else { return };
    let old = MinuteBucket(newest.0.saturating_sub(i64::from(minutes_max.max(1))));
    let mut surplus =
        source.minutes.len().saturating_sub(minutes_max.max(1) as usize * UNBALANCED_FACTOR);
    let in_flight = &source.in_flight;
    let folds: Vec<MinuteBucket> = source
        .minutes
        .range(..old)
        .filter(|(minute, tally)| {
            let balanced = balances(tally) && !in_flight.contains_key(minute);
            let fold = balanced || surplus > 0;
            surplus -= usize::from(fold && surplus > 0);
            fold
        })
        .map(|(minute, _)| *minute)
        .collect();
    for minute in folds {
        if let Some(tally) = source.minutes.remove(&minute) {
            add(&mut source.hours, minute.0.div_euclid(MINUTES_OF_HOUR), &tally);
            fold_broken(&mut source.broken, minute, 1, MINUTES_OF_HOUR);
        }
    }
    let old_hour = old.0.div_euclid(MINUTES_OF_HOUR).saturating_sub(HOURS_MAX);
    while let Some(first) = source.hours.first_entry().filter(|first| *first.key() < old_hour) {
        let (hour, tally) = first.remove_entry();
        add(&mut source.days, hour.div_euclid(HOURS_OF_DAY), &tally);
        let first = MinuteBucket(hour.saturating_mul(MINUTES_OF_HOUR));
        fold_broken(&mut source.broken, first, MINUTES_OF_HOUR, HOURS_OF_DAY * MINUTES_OF_HOUR);
    }
}

/// What left these minutes unbalanced stands at the beginning of the hour or day that they are
/// folded into.
fn fold_broken(
    broken: &mut BTreeMap<MinuteBucket, BatchNumber>,
    first: MinuteBucket,
    minutes: i64,
    into_minutes: i64,
) {
    let end = MinuteBucket(first.0.saturating_add(minutes));
    let Some(by) = broken.range(first..end).map(|(_, by)| *by).min() else { return };
    broken.retain(|minute, _| *minute < first || *minute >= end);
    let into = MinuteBucket(first.0.div_euclid(into_minutes) * into_minutes);
    let known = broken.entry(into).or_insert(by);
    *known = by.min(*known);
}

fn balances(tally: &Tally) -> bool {
    tally.received == tally.settled()
}

fn add(folded: &mut BTreeMap<i64, Tally>, number: i64, tally: &Tally) {
    folded.entry(number).or_default().add(tally);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(received: u64, delivered: u64) -> Tally {
        Tally { received, outcomes: [delivered, 0, 0, 0, 0, 0] }
    }

    #[test]
    fn old_balanced_minutes_fold_and_nothing_is_lost() {
        let mut source = SourceCounters::default();
        for minute in 0..2_000 {
            source.minutes.insert(MinuteBucket(minute), tally(3, 3));
            fold(&mut source, 60);
        }
        assert_eq!(source.minutes.len(), 61);
        assert_eq!(source.hours.len(), 1_939 / 60 + 1);
        assert_eq!(source.total(), tally(6_000, 6_000));
    }

    #[test]
    fn a_minute_that_does_not_balance_stays_where_it_can_be_named() {
        let mut source = SourceCounters::default();
        source.minutes.insert(MinuteBucket(5), tally(3, 2));
        source.minutes.insert(MinuteBucket(6), tally(3, 3));
        source.in_flight.insert(MinuteBucket(7), 1);
        source.minutes.insert(MinuteBucket(7), tally(1, 0));
        source.minutes.insert(MinuteBucket(9_000), tally(1, 1));
        fold(&mut source, 10);
        let kept: Vec<i64> = source.minutes.keys().map(|minute| minute.0).collect();
        assert_eq!(kept, [5, 7, 9_000]);
    }

    #[test]
    fn minutes_that_never_balance_are_bounded_and_stay_visible_as_hours() {
        let mut source = SourceCounters::default();
        for minute in 0..1_000 {
            source.minutes.insert(MinuteBucket(minute), tally(1, 0));
            fold(&mut source, 10);
            assert!(source.minutes.len() <= 40);
        }
        assert_eq!(source.total(), tally(1_000, 0));
        assert!(source.hours.values().all(|tally| !balances(tally)));
    }

    #[test]
    fn old_hours_fold_into_days() {
        let mut source = SourceCounters::default();
        for day in 0..100 {
            source.minutes.insert(MinuteBucket(day * 1440), tally(1, 1));
            fold(&mut source, 60);
        }
        assert!(source.hours.len() <= 42, "{} hours", source.hours.len());
        assert!(source.days.len() >= 50);
        assert_eq!(source.total(), tally(100, 100));
    }
}
