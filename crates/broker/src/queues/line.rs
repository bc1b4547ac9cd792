//! One queue in memory: its definition, its counts, and the lists that its messages wait in.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use super::attributes::QueueAttributes;
use super::effect::Change;
use super::record::Definition;
use super::signal::Signal;
use super::slots::{Handle, STATES, Slot, Slots, State};
use super::statistics::Counters;
use crate::producer::{Producer, Sequence};

/// Stale entries that a list may hold beside as many as it has living ones.
const STALE_MAX: usize = 1024;

/// How far a producer has come.
pub(super) struct Published {
    pub(super) through: Option<Sequence>,
    /// The record that says so.
    pub(super) at: u64,
    /// A send of it is on the way to the disk.
    pub(super) busy: bool,
}

/// One queue. Its lists are lazy: an entry whose message changed since is skipped when it comes
/// up, and thrown out with the others once they are more than half.
pub(super) struct Line {
    pub(super) number: u32,
    pub(super) creation_id: u128,
    pub(super) name: Arc<str>,
    pub(super) created_ms: i64,
    pub(super) modified_ms: i64,
    pub(super) purged_ms: Option<i64>,
    pub(super) attributes: QueueAttributes,
    pub(super) tags: BTreeMap<String, String>,
    /// Its definition is durable (in a replay: was found).
    pub(super) defined: bool,
    /// Makings, changes, deletions and purges that are on the way to the disk. Nothing is written
    /// again that they might concern: the copy would stand behind them.
    pub(super) making: u32,
    pub(super) changing: u32,
    pub(super) deleting: u32,
    pub(super) purging: u32,
    pub(super) counters: Counters,
    /// The counters as of the last mark.
    pub(super) counters_marked: Counters,
    /// Nothing that stands in the journal before it says anything of the queue that isn't said
    /// again later, except messages.
    pub(super) at: u64,
    pub(super) producers: HashMap<Producer, Published>,
    visible: VecDeque<(u32, u32)>,
    hidden: BinaryHeap<Reverse<(i64, u32, u32)>>,
    ages: BinaryHeap<Reverse<(i64, u32, u32)>>,
    counts: [u64; STATES],
    pub(super) body_bytes: u64,
    pub(super) signal: Arc<Signal>,
    /// Expired messages that no warning has named yet, and when the last warning was.
    pub(super) expired_unnamed: u64,
    pub(super) warned_ms: Option<i64>,
    /// When it was last warned of messages whose retention is half over.
    pub(super) warned_of_half_ms: Option<i64>,
}

impl Line {
    pub(super) fn new(number: u32) -> Self {
        Self {
            number,
            creation_id: 0,
            name: Arc::from(""),
            created_ms: 0,
            modified_ms: 0,
            purged_ms: None,
            attributes: QueueAttributes::default(),
            tags: BTreeMap::new(),
            defined: false,
            making: 0,
            changing: 0,
            deleting: 0,
            purging: 0,
            counters: Counters::default(),
            counters_marked: Counters::default(),
            at: 0,
            producers: HashMap::new(),
            visible: VecDeque::new(),
            hidden: BinaryHeap::new(),
            ages: BinaryHeap::new(),
            counts: [0; STATES],
            body_bytes: 0,
            signal: Arc::new(Signal::default()),
            expired_unnamed: 0,
            warned_ms: None,
            warned_of_half_ms: None,
        }
    }

    /// Takes over what a definition says.
    pub(super) fn define(&mut self, definition: &Definition) {
        self.creation_id = definition.creation_id;
        self.name = Arc::from(definition.name.as_str());
        self.created_ms = definition.created_ms;
        self.modified_ms = definition.modified_ms;
        self.purged_ms = self.purged_ms.max(definition.purged_ms);
        self.attributes = definition.attributes.clone();
        self.tags = definition.tags.clone();
        self.defined = true;
    }

    pub(super) fn take_over(&mut self, change: Change) {
        match change {
            Change::Attributes(modified_ms, attributes) => {
                (self.modified_ms, self.attributes) = (modified_ms, attributes);
            }
            Change::Tags(tags) => self.tags = tags,
        }
    }

    /// What would make this queue as it is.
    pub(super) fn definition(&self, counters: Option<Counters>) -> Definition {
        Definition {
            number: self.number,
            creation_id: self.creation_id,
            name: self.name.to_string(),
            created_ms: self.created_ms,
            modified_ms: self.modified_ms,
            purged_ms: self.purged_ms,
            attributes: self.attributes.clone(),
            tags: self.tags.clone(),
            counters,
        }
    }

    pub(super) fn count(&self, state: State) -> u64 {
        self.counts.get(state as usize).copied().unwrap_or_default()
    }

    /// Messages that are there, those that are leaving included.
    pub(super) fn len(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn count_in(&mut self, state: State) {
        if let Some(count) = self.counts.get_mut(state as usize) {
            *count += 1;
        }
    }

    fn count_out(&mut self, state: State) {
        if let Some(count) = self.counts.get_mut(state as usize) {
            debug_assert!(*count > 0, "more leave than came");
            *count = count.saturating_sub(1);
        }
    }

    /// A message comes in, in the state that its slot says.
    pub(super) fn enter(&mut self, slot: &Slot, handle: Handle) {
        self.count_in(slot.state);
        self.body_bytes += u64::from(slot.body_bytes);
        self.list(slot, handle.index);
        self.list_age(slot, handle);
    }

    /// A message goes. Its slot is freed, or gets another generation.
    pub(super) fn leave(&mut self, slot: &Slot) {
        self.count_out(slot.state);
        self.body_bytes -= u64::from(slot.body_bytes);
    }

    pub(super) fn list_age(&mut self, slot: &Slot, handle: Handle) {
        self.ages.push(Reverse((slot.sent_ms, handle.index, handle.generation)));
    }

    /// Puts a message where its state and time belong; older entries of it are stale from now on.
    pub(super) fn change(&mut self, slot: &mut Slot, index: u32, state: State) {
        self.count_out(slot.state);
        slot.state = state;
        slot.stamp = slot.stamp.wrapping_add(1);
        self.count_in(state);
        self.list(slot, index);
    }

    fn list(&mut self, slot: &Slot, index: u32) {
        match slot.state {
            State::Visible => self.visible.push_back((index, slot.stamp)),
            State::Delayed | State::InFlight | State::InFlightLocal => {
                self.hidden.push(Reverse((slot.visible_at_ms, index, slot.stamp)));
            }
            State::Leaving => {}
        }
    }

    fn is_visible(&self, slots: &Slots, (index, stamp): (u32, u32)) -> bool {
        slots.get(index).is_some_and(|slot| {
            slot.queue == self.number && slot.stamp == stamp && slot.state == State::Visible
        })
    }

    fn is_hidden(&self, slots: &Slots, (at_ms, index, stamp): (i64, u32, u32)) -> bool {
        slots.get(index).is_some_and(|slot| {
            let hidden = !matches!(slot.state, State::Visible | State::Leaving);
            let same = slot.queue == self.number && slot.stamp == stamp;
            hidden && same && slot.visible_at_ms == at_ms
        })
    }

    /// The message that is visible longest.
    pub(super) fn first_visible(&mut self, slots: &Slots) -> Option<u32> {
        while let Some(entry) = self.visible.front().copied() {
            if self.is_visible(slots, entry) {
                return Some(entry.0);
            }
            self.visible.pop_front();
        }
        None
    }

    /// Shows the messages whose time has come; when the next one's does.
    pub(super) fn advance(&mut self, slots: &mut Slots, now_ms: i64) -> Option<i64> {
        while let Some(Reverse(entry)) = self.hidden.peek().copied() {
            if !self.is_hidden(slots, entry) {
                self.hidden.pop();
                continue;
            }
            if entry.0 > now_ms {
                return Some(entry.0);
            }
            self.hidden.pop();
            if let Some(slot) = slots.get_mut(entry.1) {
                self.change(slot, entry.1, State::Visible);
            }
        }
        None
    }

    /// The message that was sent first, and when; one that is leaving counts.
    pub(super) fn oldest(&mut self, slots: &Slots) -> Option<(i64, Handle)> {
        while let Some(Reverse((sent_ms, index, generation))) = self.ages.peek().copied() {
            let handle = Handle { index, generation };
            if slots.handle(index) == Some(handle) {
                return Some((sent_ms, handle));
            }
            self.ages.pop();
        }
        None
    }

    /// Forgets the age of the oldest, so that the next comes up: for one that is leaving.
    pub(super) fn pass_oldest(&mut self) {
        self.ages.pop();
    }

    /// All messages that are there, in no order.
    pub(super) fn members(&self, slots: &Slots) -> Vec<Handle> {
        let handle = |Reverse((_, index, generation)): &Reverse<(i64, u32, u32)>| Handle {
            index: *index,
            generation: *generation,
        };
        let mut members: Vec<_> = self
            .ages
            .iter()
            .map(handle)
            .filter(|handle| slots.handle(handle.index) == Some(*handle))
            .collect();
        members.sort_unstable_by_key(|handle| handle.index);
        members.dedup();
        members
    }

    /// Throws stale entries out where they are more than the others.
    pub(super) fn tidy(&mut self, slots: &Slots) {
        let stale = |len: usize, living: u64| len as u64 > 2 * living + STALE_MAX as u64;
        if stale(self.visible.len(), self.count(State::Visible)) {
            let mut visible = std::mem::take(&mut self.visible);
            visible.retain(|entry| self.is_visible(slots, *entry));
            visible.shrink_to(2 * visible.len());
            self.visible = visible;
        }
        let hidden = self.len() - self.count(State::Visible) - self.count(State::Leaving);
        if stale(self.hidden.len(), hidden) {
            let mut hidden = std::mem::take(&mut self.hidden).into_vec();
            hidden.retain(|Reverse(entry)| self.is_hidden(slots, *entry));
            hidden.shrink_to(2 * hidden.len());
            self.hidden = hidden.into();
        }
        if stale(self.ages.len(), self.len()) {
            let mut ages = std::mem::take(&mut self.ages).into_vec();
            ages.retain(|Reverse((_, index, generation))| {
                slots.get(*index).is_some_and(|slot| slot.generation == *generation)
            });
            ages.shrink_to(2 * ages.len());
            self.ages = ages.into();
        }
    }

    /// Sorts what became visible in a replay by its time of sending.
    pub(super) fn sort_visible(&mut self, slots: &Slots) {
        let key = |(index, _): &(u32, u32)| slots.get(*index).map(|slot| (slot.sent_ms, slot.at));
        self.visible.make_contiguous().sort_by_cached_key(key);
    }
}
