//! Which event comes next: a new one, or a copy of an earlier one.

use super::rng::Rng;
use super::template::{Item, Late, Sort};

/// A copy follows its original by at most so many new events.
pub(crate) const DUPLICATE_DISTANCE_MAX: u64 = 100_000;

/// How many events, and of which sort.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Amount {
    /// Events in all.
    pub(crate) events: u64,
    /// So many of them are exact copies of an earlier one; with `other_bodies` below `events`.
    pub(crate) duplicates: u64,
    /// So many of them have the key of an earlier one, and another body.
    pub(crate) other_bodies: u64,
    /// Some events' time lies behind.
    pub(crate) late: Option<Late>,
    /// Decides everything that is random.
    pub(crate) seed: u64,
}

/// Gives the events of an [`Amount`], in order. The numbers of copies are exact; where they stand
/// is random. A copy follows its original by at most [`DUPLICATE_DISTANCE_MAX`] new events.
#[derive(Debug)]
pub(crate) struct Order {
    left: u64,
    new: u64,
    copies_left: u64,
    other_bodies_left: u64,
    rng: Rng,
}

impl Order {
    pub(crate) fn new(amount: &Amount) -> Order {
        Order {
            left: amount.events,
            new: 0,
            copies_left: amount.duplicates,
            other_bodies_left: amount.other_bodies,
            // Apart from the events' own numbers, so that more copies don't change the events.
            rng: Rng::new(!amount.seed, u64::MAX),
        }
    }

    fn earlier(&mut self) -> u64 {
        self.new - 1 - self.rng.below(self.new.min(DUPLICATE_DISTANCE_MAX))
    }
}

impl Iterator for Order {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        if self.left == 0 {
            return None;
        }
        // Selection sampling: every choice of places for the copies is as likely, except that the
        // first event is new.
        let drawn = if self.new == 0 { u64::MAX } else { self.rng.below(self.left) };
        self.left -= 1;
        if drawn < self.copies_left {
            self.copies_left -= 1;
            return Some(Item { number: self.earlier(), sort: Sort::Copy });
        }
        if drawn < self.copies_left.saturating_add(self.other_bodies_left) {
            self.other_bodies_left -= 1;
            let number = self.earlier();
            return Some(Item { number, sort: Sort::OtherBody { salt: self.rng.next() } });
        }
        self.new += 1;
        Some(Item { number: self.new - 1, sort: Sort::New })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_shares_of_copies_are_exact_and_each_follows_its_original() {
        for (events, duplicates, other_bodies) in
            [(1, 0, 0), (2, 1, 0), (2, 0, 1), (10, 5, 4), (5000, 500, 100), (5000, 0, 0)]
        {
            let amount = Amount { events, duplicates, other_bodies, seed: 3, ..Amount::default() };
            let mut counts = [0; 3];
            let mut seen = HashSet::new();
            for item in Order::new(&amount) {
                let new = seen.insert(item.number);
                assert_eq!(new, item.sort == Sort::New, "{item:?}");
                counts[match item.sort {
                    Sort::New => 0,
                    Sort::Copy => 1,
                    Sort::OtherBody { .. } => 2,
                }] += 1;
            }
            assert_eq!(counts, [events - duplicates - other_bodies, duplicates, other_bodies]);
        }
    }

    #[test]
    fn a_copy_stays_near_its_original() {
        let events = 3 * DUPLICATE_DISTANCE_MAX;
        let amount = Amount {
            events,
            duplicates: events / 10,
            other_bodies: events / 50,
            seed: 1,
            ..Amount::default()
        };
        let (mut newest, mut furthest) = (0, 0);
        for item in Order::new(&amount) {
            newest = newest.max(item.number);
            furthest = furthest.max(newest - item.number);
        }
        assert!(furthest < DUPLICATE_DISTANCE_MAX, "{furthest}");
        assert!(furthest > DUPLICATE_DISTANCE_MAX / 2, "{furthest}");
    }
}
