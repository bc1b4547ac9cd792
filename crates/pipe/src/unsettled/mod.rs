//! Events that left their batch: their key is in flight elsewhere, they are tried again later, or
//! they go behind one that is (DESIGN §3 "Waiting"). Copied out of their read buffer, bounded, and
//! carried over into later batches. What is here for long is parked in the ledger.
//!
//! The steps of a pipe share it: `decide` takes out what may go on, `stage` puts in what left and
//! says what settles, `commit` counts. An entry stays until the record that settles it is durable,
//! so what a record says of `in_flight` is counted from what is really held (P4).

mod carried;
mod entry;
mod parking;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dedup::state::MinuteBucket;
use event::source::BatchLimits;
use event::{Batch, BatchNumber, Fate};

pub(crate) use carried::Carried;
pub(crate) use entry::{Due, History};
pub(crate) use parking::{Parking, Prepared, to_prepare};

use carried::Refill;
use entry::{Entry, Stand};

/// How much may be unsettled before the pipe pauses its source (P6), and for how long.
#[derive(Clone, Copy, Debug)]
pub struct UnsettledLimits {
    /// Events in memory.
    pub events_max: usize,
    /// Their payload bytes.
    pub bytes_max: usize,
    /// What is unsettled for longer is parked.
    pub park_after: Duration,
    /// Payload bytes of parked events.
    pub parked_bytes_max: u64,
}

/// Numbers of a store, for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnsettledCounts {
    /// Events in memory that aren't parked.
    pub events: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// Parked events.
    pub parked: u64,
    /// Their payload bytes.
    pub parked_bytes: u64,
}

/// A batch of events that go on, with the number of each in the store.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) batch: Batch,
    pub(crate) ids: Vec<u64>,
}

/// The unsettled events of one pipe.
#[derive(Debug)]
pub(crate) struct Unsettled {
    limits: UnsettledLimits,
    store: Mutex<Store>,
}

#[derive(Debug, Default)]
struct Store {
    /// By the order in which they left.
    entries: BTreeMap<u64, Entry>,
    next_id: u64,
    counts: UnsettledCounts,
    /// Batches that were decided and haven't passed the stage step.
    batches_out: usize,
}

impl Unsettled {
    pub(crate) fn new(limits: UnsettledLimits) -> Self {
        Self { limits, store: Mutex::new(Store::default()) }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the source has to pause.
    pub(crate) fn is_full(&self) -> bool {
        let counts = self.store().counts;
        counts.events >= self.limits.events_max as u64
            || counts.bytes >= self.limits.bytes_max as u64
            || counts.parked_bytes >= self.limits.parked_bytes_max
    }

    /// Whether nothing is unsettled, in batches that are under way neither.
    pub(crate) fn is_idle(&self) -> bool {
        let store = self.store();
        store.entries.is_empty() && store.batches_out == 0
    }

    /// Whether nothing but parked events is unsettled, and no batch is under way.
    pub(crate) fn is_parked(&self) -> bool {
        let store = self.store();
        store.batches_out == 0 && store.entries.values().all(|entry| entry.parked.is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.store().entries.is_empty()
    }

    pub(crate) fn counts(&self) -> UnsettledCounts {
        self.store().counts
    }

    /// A batch goes to the stage step.
    pub(crate) fn batch_goes_out(&self) {
        self.store().batches_out += 1;
    }

    /// A batch has passed the stage step.
    pub(crate) fn batch_is_through(&self) {
        let mut store = self.store();
        store.batches_out = store.batches_out.saturating_sub(1);
    }

    /// An event leaves batch `number`, whose record is the first after which it is in flight.
    pub(crate) fn leave(
        &self,
        carried: Carried,
        number: BatchNumber,
        due: Due,
        history: History,
        now_ms: i64,
    ) {
        let mut store = self.store();
        let id = store.next_id;
        store.next_id += 1;
        store.counts.events += 1;
        store.counts.bytes += carried.bytes() as u64;
        store.entries.insert(id, Entry::new(carried, number, due, history, now_ms));
    }

    /// An event that was taken out leaves its batch again.
    pub(crate) fn leave_again(&self, id: u64, due: Due, history: Option<History>) {
        if let Some(entry) = self.store().entries.get_mut(&id) {
            entry.stand = Stand::Waits(due);
            entry.stays = false;
            if let Some(history) = history {
                entry.history = history;
                entry.to_record |= entry.parked.is_some();
            }
        }
    }

    /// As [`Unsettled::leave`], for an event that waits for a key in a store that workers share.
    /// `held`: for how long a batch elsewhere holds it at most, ms.
    pub(crate) fn leave_to_ask(
        &self,
        carried: Carried,
        number: BatchNumber,
        held: Option<u64>,
        now_ms: i64,
    ) {
        let mut store = self.store();
        let id = store.next_id;
        store.next_id += 1;
        store.counts.events += 1;
        store.counts.bytes += carried.bytes() as u64;
        let mut entry = Entry::new(carried, number, Due::Key, History::default(), now_ms);
        entry.stay(held, now_ms);
        store.entries.insert(id, entry);
    }

    /// As [`Unsettled::leave_again`], likewise.
    pub(crate) fn leave_again_to_ask(&self, id: u64, held: Option<u64>, now_ms: i64) {
        if let Some(entry) = self.store().entries.get_mut(&id) {
            entry.stay(held, now_ms);
        }
    }

    /// What was tried for an event.
    pub(crate) fn history(&self, id: u64) -> History {
        self.store().entries.get(&id).map(|entry| entry.history.clone()).unwrap_or_default()
    }

    /// An event that was taken out settles with batch `number`.
    pub(crate) fn settle(&self, id: u64, number: BatchNumber) {
        if let Some(entry) = self.store().entries.get_mut(&id) {
            entry.stand = Stand::Settles(number);
        }
    }

    /// The record of batch `number` is durable: what it settled is gone.
    pub(crate) fn committed(&self, number: BatchNumber) {
        let mut store = self.store();
        let settled = |(id, entry): (&u64, &Entry)| {
            matches!(entry.stand, Stand::Settles(of) if of <= number).then_some(*id)
        };
        let gone: Vec<u64> = store.entries.iter().filter_map(settled).collect();
        for id in gone {
            store.remove(id);
        }
    }

    /// Events that are in flight after the record of batch `number`, by minute of receipt: those
    /// of replays, or the others.
    pub(crate) fn in_flight(&self, number: BatchNumber, replays: bool) -> Vec<(MinuteBucket, u64)> {
        let store = self.store();
        let mut minutes = BTreeMap::new();
        for entry in store.entries.values() {
            let settled = matches!(entry.stand, Stand::Settles(of) if of <= number);
            let ours = entry.carried.replay.is_some() == replays;
            if ours && entry.left_in <= number && !settled {
                let minute = MinuteBucket::of(entry.carried.received_ms);
                *minutes.entry(minute).or_insert(0) += 1;
            }
        }
        minutes.into_iter().collect()
    }

    /// A key that somebody waits for may be free: those that wait for one are asked again.
    pub(crate) fn wake(&self) {
        for entry in self.store().entries.values_mut() {
            if let Stand::Waits(due @ Due::Key) = &mut entry.stand {
                *due = Due::Now;
            }
        }
    }

    /// When the next event is due by the clock; ms since the Unix epoch.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        let store = self.store();
        let due = |entry: &Entry| match entry.stand {
            Stand::Waits(Due::Now) => Some(i64::MIN),
            Stand::Waits(Due::At(ms)) => Some(ms),
            _ => None,
        };
        store.entries.values().filter_map(due).min()
    }

    /// Whether an event waits for a key.
    pub(crate) fn waits_for_a_key(&self) -> bool {
        let waits = |entry: &Entry| matches!(entry.stand, Stand::Waits(Due::Key));
        self.store().entries.values().any(waits)
    }

    /// Takes out what may go on now and fits into one batch, in order. Events of one partition
    /// stay in order: one that waits keeps back those behind it.
    pub(crate) fn take(&self, now_ms: i64, limits: &BatchLimits) -> Option<Taken> {
        let mut store = self.store();
        let mut kept_back: HashSet<u64> = HashSet::new();
        let mut refill = Refill::new();
        let mut ids = Vec::new();
        let mut replay: Option<Option<String>> = None;
        for (id, entry) in &mut store.entries {
            let lane = entry.history.lane;
            let is_ready = entry.is_ready(now_ms);
            let of_this_batch =
                replay.as_ref().is_none_or(|known| known.as_deref() == entry.carried.replay_id());
            let goes = is_ready && of_this_batch && lane.is_none_or(|l| !kept_back.contains(&l));
            if !goes {
                if !matches!(entry.stand, Stand::Settles(_)) {
                    kept_back.extend(lane);
                }
                continue;
            }
            replay.get_or_insert_with(|| entry.carried.replay_id().map(str::to_owned));
            refill.push(&entry.carried, Fate::Undecided);
            ids.push(*id);
            entry.stand = Stand::Taken;
            if refill.len() >= limits.events_max || refill.bytes() >= limits.bytes_max {
                break;
            }
        }
        (!ids.is_empty()).then(|| Taken { batch: refill.finish(), ids })
    }

    /// The lanes in which an event is unsettled, with the first such event of each.
    pub(crate) fn lanes(&self) -> HashMap<u64, u64> {
        let mut first = HashMap::new();
        for (id, entry) in &self.store().entries {
            if let Some(lane) = entry.history.lane
                && !matches!(entry.stand, Stand::Settles(_))
            {
                first.entry(lane).or_insert(*id);
            }
        }
        first
    }

    /// Takes all but parked events, to give them back to their source with the record of batch
    /// `number`: how many of each minute of receipt, of replays or of the others.
    pub(crate) fn give_back(&self, number: BatchNumber, replays: bool) -> Vec<(MinuteBucket, u64)> {
        let mut store = self.store();
        let mut minutes = BTreeMap::new();
        for entry in store.entries.values_mut() {
            let settles = matches!(entry.stand, Stand::Settles(_));
            let ours = entry.carried.replay.is_some() == replays;
            if ours && entry.parked.is_none() && !settles {
                let minute = MinuteBucket::of(entry.carried.received_ms);
                *minutes.entry(minute).or_insert(0) += 1;
                entry.stand = Stand::Settles(number);
            }
        }
        minutes.into_iter().collect()
    }
}

impl Store {
    fn remove(&mut self, id: u64) {
        if let Some(entry) = self.entries.remove(&id) {
            let bytes = entry.carried.bytes() as u64;
            if entry.parked.is_some() {
                self.counts.parked -= 1;
                self.counts.parked_bytes -= bytes;
            } else {
                self.counts.events -= 1;
                self.counts.bytes -= bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests;
