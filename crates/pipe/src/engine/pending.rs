//! The events of a batch that a sink is still to be called with.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::lanes::Lanes;

/// Events to deliver, in order; of each lane only the first may be under way.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Events without a lane.
    free: VecDeque<u32>,
    /// Lanes whose first event isn't under way, by that event: the oldest goes first.
    ready: BTreeMap<u32, u64>,
    lanes: HashMap<u64, VecDeque<u32>>,
}

impl Pending {
    pub(super) fn new(events: impl Iterator<Item = u32>, lanes: &Lanes) -> Self {
        let mut pending = Self::default();
        for index in events {
            match lanes.of(index) {
                None => pending.free.push_back(index),
                Some(lane) => pending.lanes.entry(lane).or_default().push_back(index),
            }
        }
        for (lane, events) in &pending.lanes {
            pending.ready.extend(events.front().map(|first| (*first, *lane)));
        }
        pending
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty() && self.ready.is_empty()
    }

    /// Takes at most `most` events that may be under way together, ascending.
    pub(super) fn wave(&mut self, most: usize) -> Vec<u32> {
        let mut wave: Vec<u32> = self.free.drain(..most.min(self.free.len())).collect();
        while wave.len() < most
            && let Some((index, lane)) = self.ready.pop_first()
        {
            if let Some(events) = self.lanes.get_mut(&lane) {
                events.pop_front();
            }
            wave.push(index);
        }
        wave.sort_unstable();
        wave
    }

    /// Takes the event that could go next for which `tries` is least.
    pub(super) fn probe(&mut self, tries: impl Fn(u32) -> u32) -> Vec<u32> {
        let free = self.free.iter().copied().min_by_key(|index| tries(*index));
        let laned = self.ready.keys().copied().min_by_key(|index| tries(*index));
        let chosen = free.into_iter().chain(laned).min_by_key(|index| tries(*index));
        let Some(chosen) = chosen else { return Vec::new() };
        match self.ready.remove(&chosen) {
            Some(lane) => {
                if let Some(events) = self.lanes.get_mut(&lane) {
                    events.pop_front();
                }
            }
            None => self.free.retain(|index| *index != chosen),
        }
        vec![chosen]
    }

    /// An event is through: the next of its lane may go.
    pub(super) fn through(&mut self, index: u32, lanes: &Lanes) {
        let Some(lane) = lanes.of(index) else { return };
        let next = self.lanes.get(&lane).and_then(|events| events.front());
        self.ready.extend(next.map(|next| (*next, lane)));
    }

    /// An event was not tried, or is to be tried again before anything behind it.
    pub(super) fn back(&mut self, index: u32, lanes: &Lanes) {
        match lanes.of(index) {
            None => {
                let at = self.free.partition_point(|other| *other < index);
                self.free.insert(at, index);
            }
            Some(lane) => {
                self.lanes.entry(lane).or_default().push_front(index);
                self.ready.insert(index, lane);
            }
        }
    }

    /// Leaves out events that are no longer to be delivered.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        self.free.retain(|index| keep(*index));
        for events in self.lanes.values_mut() {
            events.retain(|index| keep(*index));
        }
        let lanes = self.ready.values().copied().collect::<Vec<u64>>();
        self.ready.clear();
        for lane in lanes {
            let first = self.lanes.get(&lane).and_then(|events| events.front());
            self.ready.extend(first.map(|first| (*first, lane)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lanes() -> Lanes {
        // 0 and 5 have none; 1, 3, 4 are of one lane, 2 of another.
        Lanes::of_each(vec![None, Some(7), Some(8), Some(7), Some(7), None])
    }

    #[test]
    fn of_a_lane_one_is_under_way_and_the_others_follow_in_order() {
        let lanes = lanes();
        let mut pending = Pending::new(0..6, &lanes);
        assert_eq!(pending.wave(10), [0, 1, 2, 5]);
        assert!(pending.is_empty(), "nothing more may go");
        pending.through(1, &lanes);
        assert_eq!(pending.wave(10), [3]);
        pending.back(3, &lanes);
        assert_eq!(pending.wave(10), [3], "nothing passes it");
        // It failed: nobody says that it is through, and 4 stays behind.
        assert!(pending.wave(10).is_empty());
    }

    #[test]
    fn a_probe_is_the_event_that_was_tried_least() {
        let lanes = lanes();
        let mut pending = Pending::new(0..6, &lanes);
        assert_eq!(pending.probe(|index| if index == 2 { 0 } else { 1 }), [2]);
        assert_eq!(pending.probe(|index| if index == 5 { 0 } else { 1 }), [5]);
        assert_eq!(pending.probe(|_| 1), [0]);
        pending.back(0, &lanes);
        pending.retain(|index| index != 1);
        assert_eq!(pending.wave(10), [0, 3]);
    }

    #[test]
    fn waves_are_bounded() {
        let lanes = Lanes::default();
        let mut pending = Pending::new(0..5, &lanes);
        assert_eq!(pending.wave(2), [0, 1]);
        pending.back(1, &lanes);
        assert_eq!(pending.wave(2), [1, 2]);
        assert_eq!(pending.wave(9), [3, 4]);
        assert!(pending.is_empty());
    }
}
