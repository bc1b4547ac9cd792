//! Events that wait for one in flight.
//!
//! An event that must wait is registered and leaves its batch. Its pipe submits it again, and it
//! is known by its pipe and position. Among the events that wait for one key, the first by time of
//! receipt goes first: a registered event holds back every later one that its window reaches, and
//! every event that isn't registered. An event that left its batch to be tried again holds its key:
//! it goes before all of them, whenever they were received.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use event::{BatchNumber, Offset, ShardId};

use super::PipeId;
use super::reach::Reach;

/// Whether an event that waits has a claim to its key. Those that hold come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// It had reserved the key, and only left its batch to come again.
    Holds,
    /// It waits its turn.
    Waits,
}

/// The order in which waiters of a key may go on: claim, time of receipt, pipe, order of
/// registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    claim: Claim,
    /// When it was received; of one that lets others go first, when the last of them was.
    turn_ms: i64,
    pipe: PipeId,
    order: u64,
}

/// An event that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) key: u128,
    pub(super) rank: Rank,
    /// When it was received, whatever its turn: tells it from the same message received again.
    pub(super) received_ms: i64,
    /// Its recorded time stays what it was when it first had to wait: an original that settles
    /// late makes it no less a duplicate.
    pub(super) recorded_ms: i64,
    pub(super) window_ms: i64,
    /// Passed although late, when it first came.
    pub(super) late: bool,
}

/// When an event may go on, and with which recorded time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) rank: Rank,
    pub(super) recorded_ms: i64,
    /// It passes although late.
    pub(super) late: bool,
}

impl Waiter {
    /// Its turn is the one that it got first.
    pub(super) fn turn(&self) -> Turn {
        Turn { rank: self.rank, recorded_ms: self.recorded_ms, late: self.late }
    }
}

/// What a waiter holds back, seen from its key.
#[derive(Clone, Copy, Debug)]
struct Standing {
    reach: Reach,
    /// It had the key and let others go first.
    yielded: bool,
}

/// About what one takes in memory, its places in three maps included.
pub(super) const WAITER_BYTES: usize = 320;

/// The events of a scope that wait.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    by_key: HashMap<u128, BTreeMap<Rank, Standing>>,
    by_position: HashMap<ShardId, BTreeMap<(PipeId, Offset), Waiter>>,
    /// How often each recorded time occurs among them.
    recorded: BTreeMap<i64, usize>,
    len: usize,
    /// The batches in flight that one of them waits for.
    awaited: BTreeSet<(PipeId, BatchNumber)>,
    wakeups: u64,
    order: u64,
}

impl Waiters {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn wakeups(&self) -> u64 {
        self.wakeups
    }

    /// The oldest recorded time of an event that waits.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.recorded.first_key_value().map(|(recorded_ms, _)| *recorded_ms)
    }

    /// Whether any event waits for this key.
    pub(super) fn has(&self, key: u128) -> bool {
        self.by_key.contains_key(&key)
    }

    /// The waiter that stood at this position.
    pub(super) fn get(&self, pipe: PipeId, shard: &ShardId, start: Offset) -> Option<Waiter> {
        self.by_position.get(shard)?.get(&(pipe, start)).copied()
    }

    /// The rank of an event that would be registered now.
    pub(super) fn next_rank(&self, pipe: PipeId, received_ms: i64) -> Rank {
        Rank { claim: Claim::Waits, turn_ms: received_ms, pipe, order: self.order }
    }

    /// The rank of an event that holds its key while it is away.
    pub(super) fn holding_rank(&self, pipe: PipeId, received_ms: i64) -> Rank {
        Rank { claim: Claim::Holds, ..self.next_rank(pipe, received_ms) }
    }

    /// The rank of an event that had reserved its key, behind all that wait for it now.
    pub(super) fn yielding_rank(&self, key: u128, pipe: PipeId, received_ms: i64) -> Rank {
        let last = self.by_key.get(&key).and_then(|ranks| ranks.last_key_value());
        let after_ms = last.map(|(rank, _)| rank.turn_ms.saturating_add(1));
        self.next_rank(pipe, after_ms.map_or(received_ms, |after_ms| after_ms.max(received_ms)))
    }

    /// The rank of a duplicate whose original, of the same pipe, left its batch: by time of
    /// receipt, but never before an original that lets others go first.
    pub(super) fn rank_behind_own(&self, key: u128, pipe: PipeId, received_ms: i64) -> Rank {
        let ranks = self.by_key.get(&key).into_iter().flatten();
        let own = ranks.filter(|(rank, standing)| rank.pipe == pipe && standing.yielded);
        let turn_ms = own.map(|(rank, _)| rank.turn_ms).fold(received_ms, i64::max);
        self.next_rank(pipe, turn_ms)
    }

    /// Whether an event of another pipe waits for a key that `pipe` holds with this reach, and
    /// would get on without it.
    pub(super) fn awaits(&self, key: u128, pipe: PipeId, held: Reach) -> bool {
        let Some(ranks) = self.by_key.get(&key) else { return false };
        let behind_own = |rank: Rank, recorded_ms: i64| {
            let own = |(before, _): &(&Rank, &Standing)| {
                before.pipe == pipe && before.claim == Claim::Holds
            };
            ranks.range(..rank).filter(own).any(|(_, before)| before.reach.covers(recorded_ms))
        };
        ranks.iter().any(|(rank, standing)| {
            let recorded_ms = standing.reach.recorded_ms;
            rank.pipe != pipe && held.covers(recorded_ms) && !behind_own(*rank, recorded_ms)
        })
    }

    /// Whether a waiter of an earlier rank reaches this time.
    pub(super) fn holds_back(&self, key: u128, rank: Rank, recorded_ms: i64) -> bool {
        let earlier = self.by_key.get(&key).into_iter().flat_map(|ranks| ranks.range(..rank));
        earlier.into_iter().any(|(_, standing)| standing.reach.covers(recorded_ms))
    }

    /// Registers an event; harmless for one that is registered already.
    pub(super) fn register(&mut self, shard: &ShardId, start: Offset, waiter: Waiter) {
        self.stand(shard, start, waiter, false);
    }

    /// Registers an event that had its key and lets others go first.
    pub(super) fn register_yielded(&mut self, shard: &ShardId, start: Offset, waiter: Waiter) {
        self.stand(shard, start, waiter, true);
    }

    fn stand(&mut self, shard: &ShardId, start: Offset, waiter: Waiter, yielded: bool) {
        let at = (waiter.rank.pipe, start);
        if self.by_position.get(shard).is_some_and(|known| known.contains_key(&at)) {
            return;
        }
        self.by_position.entry(shard.clone()).or_default().insert(at, waiter);
        let reach = Reach { recorded_ms: waiter.recorded_ms, window_ms: waiter.window_ms };
        self.by_key.entry(waiter.key).or_default().insert(waiter.rank, Standing { reach, yielded });
        *self.recorded.entry(waiter.recorded_ms).or_default() += 1;
        self.len += 1;
        self.order += 1;
    }

    /// Whoever waits may try again.
    pub(super) fn wake(&mut self) {
        self.wakeups += 1;
    }

    /// Notes that a waiter waits for what this batch holds.
    pub(super) fn wait_for(&mut self, pipe: PipeId, number: BatchNumber) {
        self.awaited.insert((pipe, number));
    }

    /// A waiter reserved its key in this batch. Who waited behind it waits for the batch now.
    pub(super) fn reserved(
        &mut self,
        pipe: PipeId,
        shard: &ShardId,
        start: Offset,
        number: BatchNumber,
    ) {
        if let Some(waiter) = self.take(pipe, shard, start)
            && self.has(waiter.key)
        {
            self.wait_for(pipe, number);
        }
    }

    /// A waiter waits no more and holds no key. Who waited behind it may go on.
    pub(super) fn gone(&mut self, pipe: PipeId, shard: &ShardId, start: Offset) {
        if let Some(waiter) = self.take(pipe, shard, start)
            && self.has(waiter.key)
        {
            self.wakeups += 1;
        }
    }

    /// All waiters of a pipe are [`Waiters::gone`].
    pub(super) fn all_gone(&mut self, pipe: PipeId) {
        let mut positions = Vec::new();
        for (shard, known) in &self.by_position {
            let own = known.range((pipe, Offset::ZERO)..).take_while(|((of, _), _)| *of == pipe);
            positions.extend(own.map(|((_, start), _)| (shard.clone(), *start)));
        }
        for (shard, start) in positions {
            self.gone(pipe, &shard, start);
        }
    }

    /// A pipe has committed through `number`.
    pub(super) fn committed(&mut self, pipe: PipeId, number: BatchNumber) {
        let mut any = false;
        while let Some(batch) =
            self.awaited.range((pipe, BatchNumber(0))..=(pipe, number)).next().copied()
        {
            self.awaited.remove(&batch);
            any = true;
        }
        self.wakeups += u64::from(any);
    }

    /// A pipe has let go of what batch `number` held.
    pub(super) fn released(&mut self, pipe: PipeId, number: BatchNumber) {
        self.wakeups += u64::from(self.awaited.remove(&(pipe, number)));
    }

    fn take(&mut self, pipe: PipeId, shard: &ShardId, start: Offset) -> Option<Waiter> {
        let known = self.by_position.get_mut(shard)?;
        let waiter = known.remove(&(pipe, start))?;
        if known.is_empty() {
            self.by_position.remove(shard);
        }
        if let Some(ranks) = self.by_key.get_mut(&waiter.key) {
            ranks.remove(&waiter.rank);
            if ranks.is_empty() {
                self.by_key.remove(&waiter.key);
            }
        }
        self.len -= 1;
        if let Some(count) = self.recorded.get_mut(&waiter.recorded_ms) {
            *count -= 1;
            if *count == 0 {
                self.recorded.remove(&waiter.recorded_ms);
            }
        }
        Some(waiter)
    }
}
