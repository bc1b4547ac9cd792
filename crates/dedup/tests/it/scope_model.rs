//! The naive reference of a scope: lists, a clock, and DESIGN's rules one by one. Nothing here is
//! quick or clever, and nothing is taken from the crate.

use std::collections::{BTreeMap, HashMap};

use dedup::scope::{
    CommittedKey, DedupClock, KeyState, LatePolicy, OnDuplicateOfDead, OnOtherBody, PipeId,
    ScopeOptions, SourceId,
};
use event::batch::NO_TIME;

use crate::scope_kit::Incoming;

/// A key that an event holds, or that is remembered.
#[derive(Clone, Debug)]
struct Held {
    recorded_ms: i64,
    window_ms: i64,
    /// The batch that holds it; none once committed.
    batch: Option<(PipeId, u64)>,
    body_hash: u64,
    /// A duplicate put it there.
    refreshes: bool,
}

#[derive(Clone, Debug)]
struct Waiting {
    /// Whether it holds no key, its turn by time of receipt, pipe, order: who goes first.
    rank: (bool, i64, PipeId, u64),
    /// It had its key and let others go first.
    yielded: bool,
    received_ms: i64,
    pipe: PipeId,
    shard: &'static str,
    start: u64,
    key: u128,
    recorded_ms: i64,
    window_ms: i64,
    late: bool,
}

/// How far the scope's sources are, as it would be persisted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) watermarks: BTreeMap<SourceId, i64>,
    pub(crate) recorded_max_ms: Option<i64>,
    pub(crate) forgotten_through_ms: Option<i64>,
}

/// What the model says of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) fate: &'static str,
    pub(crate) recorded_ms: Option<i64>,
    /// The sinks that it goes to.
    pub(crate) routes: u64,
    /// Whether it is marked as copy of a dead event.
    pub(crate) copy: bool,
    /// Whether it is marked as an update: all that reach it have another body.
    pub(crate) update: bool,
    /// What a duplicate is one of.
    pub(crate) original: Option<Original>,
    /// The letters that its delivery supersedes.
    pub(crate) supersedes: Vec<u128>,
}

/// What a duplicate is one of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Original {
    pub(crate) recorded_ms: i64,
    pub(crate) other_body: bool,
    /// The duplicate starts its key's window anew.
    pub(crate) refreshes: bool,
}

impl Decision {
    fn new(fate: &'static str, recorded_ms: Option<i64>, event: &Incoming) -> Self {
        Self {
            fate,
            recorded_ms,
            routes: event.routes,
            copy: false,
            update: false,
            original: None,
            supersedes: Vec::new(),
        }
    }
}

/// A dead event whose letter is open.
#[derive(Clone, Debug)]
pub(crate) struct Dead {
    pub(crate) pipe: PipeId,
    pub(crate) id: u128,
    pub(crate) event: Incoming,
    pub(crate) recorded_ms: i64,
    /// The plan under which it dies again.
    pub(crate) plan: Option<u64>,
    /// The sinks that hold it, as bits.
    pub(crate) sinks: u64,
    pub(crate) superseded: bool,
}

#[derive(Debug)]
pub(crate) struct Model {
    options: ScopeOptions,
    held: HashMap<u128, Vec<Held>>,
    waiting: Vec<Waiting>,
    /// Recorded time of what is decided and in flight, by pipe and batch.
    in_flight: Vec<(PipeId, u64, i64)>,
    order: u64,
    pub(crate) dead: Vec<Dead>,
    /// The plan that all pipes run under.
    pub(crate) plan: u64,
    pub(crate) progress: Progress,
    /// When each source was heard of last; `None`: known, no clock yet.
    heard: BTreeMap<SourceId, Option<i64>>,
}

/// Two events are the same when their recorded times differ by less than the window.
fn same(recorded_ms: i64, window_ms: i64, other_ms: i64) -> bool {
    window_ms == i64::MAX
        || (i128::from(recorded_ms) - i128::from(other_ms)).abs() < i128::from(window_ms)
}

fn expiry(recorded_ms: i64, window_ms: i64) -> Option<i64> {
    (window_ms != i64::MAX).then(|| recorded_ms + window_ms)
}

impl Model {
    pub(crate) fn new(options: ScopeOptions) -> Self {
        Self {
            options,
            held: HashMap::new(),
            waiting: Vec::new(),
            in_flight: Vec::new(),
            order: 0,
            dead: Vec::new(),
            plan: 0,
            progress: Progress::default(),
            heard: BTreeMap::new(),
        }
    }

    /// What comes back from disk: keys and progress.
    pub(crate) fn restored(
        options: ScopeOptions,
        keys: &[CommittedKey],
        progress: &Progress,
    ) -> Self {
        let mut model = Self::new(options);
        model.progress = progress.clone();
        for source in progress.watermarks.keys() {
            model.heard.insert(*source, None);
        }
        for key in keys {
            let held = Held {
                recorded_ms: key.recorded_ms,
                window_ms: key.window_ms,
                batch: None,
                body_hash: key.body_hash,
                refreshes: false,
            };
            model.held.entry(key.key).or_default().push(held);
        }
        model.drop_forgotten();
        model
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn received(&self) -> bool {
        self.options.clock == DedupClock::Received
    }

    pub(crate) fn forget(&mut self, now_ms: i64) -> Option<i64> {
        let mut least: Option<Option<i64>> = None;
        for (source, heard) in &mut self.heard {
            let mut far = if self.options.clock == DedupClock::Received {
                self.progress.recorded_max_ms
            } else {
                self.progress.watermarks.get(source).copied()
            };
            let heard_ms = *heard.get_or_insert(now_ms);
            if now_ms - heard_ms >= self.options.source_idle_max_ms {
                far = far.max(Some(now_ms - self.options.source_idle_max_ms));
            }
            least = Some(least.map_or(far, |least| least.min(far)));
        }
        if let Some(Some(least)) = least {
            let lateness_ms = if self.received() { 0 } else { self.options.lateness_ms };
            let waiting = self.waiting.iter().map(|waiting| waiting.recorded_ms);
            let in_flight = self.in_flight.iter().map(|(.., recorded_ms)| *recorded_ms);
            let unsettled = waiting.chain(in_flight).min();
            let through = (least - lateness_ms).min(unsettled.unwrap_or(i64::MAX));
            self.progress.forgotten_through_ms =
                self.progress.forgotten_through_ms.max(Some(through));
            self.drop_forgotten();
        }
        self.progress.forgotten_through_ms
    }

    fn is_forgotten(&self, recorded_ms: i64, window_ms: i64) -> bool {
        let through = self.progress.forgotten_through_ms;
        matches!((expiry(recorded_ms, window_ms), through), (Some(e), Some(f)) if e <= f)
    }

    fn drop_forgotten(&mut self) {
        let Some(through) = self.progress.forgotten_through_ms else { return };
        for held in self.held.values_mut() {
            held.retain(|held| {
                let over = expiry(held.recorded_ms, held.window_ms).is_some_and(|e| e <= through);
                held.batch.is_some() || !over
            });
        }
    }

    /// `None`: replays, which tell nothing of a source.
    pub(crate) fn begin_batch(&mut self, source: Option<SourceId>, events: usize, now_ms: i64) {
        if let Some(source) = source {
            self.heard.entry(source).or_insert(None);
            if events > 0 {
                self.heard.insert(source, Some(now_ms));
            }
        }
        self.forget(now_ms);
    }

    pub(crate) fn decide(
        &mut self,
        pipe: PipeId,
        source: SourceId,
        number: u64,
        event: &Incoming,
        now_ms: i64,
    ) -> Decision {
        if event.window_ms < 0 || matches!(event.replay, Some((_, None))) {
            let stated = match self.options.clock {
                DedupClock::Received => {
                    event.received_ms.max(self.progress.recorded_max_ms.unwrap_or(i64::MIN))
                }
                _ if event.stated_ms == NO_TIME => event.received_ms,
                _ => event.stated_ms,
            };
            return Decision::new("deliver", Some(stated), event);
        }
        let at = |w: &Waiting| {
            (w.pipe, w.shard, w.start) == (pipe, event.shard, event.start)
                && w.received_ms == event.received_ms
        };
        let known = self.waiting.iter().find(|w| at(w)).cloned();
        let (recorded_ms, late, rank) = match &known {
            Some(known) => (known.recorded_ms, known.late, known.rank),
            None if event.replay.is_some() => {
                let recorded_ms = event.replay.unwrap().1.unwrap();
                (recorded_ms, false, (true, event.received_ms, pipe, self.order))
            }
            None => match self.time(source, event, now_ms) {
                Ok((recorded_ms, late)) => {
                    (recorded_ms, late, (true, event.received_ms, pipe, self.order))
                }
                Err(decision) => return decision,
            },
        };

        let mut covering: Vec<Held> = self
            .held
            .get(&event.key)
            .into_iter()
            .flatten()
            .filter(|held| same(held.recorded_ms, held.window_ms, recorded_ms))
            .cloned()
            .collect();
        let settles_before = |held: &Held| match held.batch {
            None => true,
            Some((by, batch)) => by == pipe && batch <= number,
        };
        // What a duplicate in flight refreshed counts in its own pipe only.
        covering.retain(|held| settles_before(held) || !held.refreshes);
        let (originals, elsewhere): (Vec<Held>, Vec<Held>) =
            covering.into_iter().partition(settles_before);
        let held_back = self.waiting.iter().any(|other| {
            other.key == event.key
                && other.rank < rank
                && same(other.recorded_ms, other.window_ms, recorded_ms)
        });

        let mut decision = Decision::new("", Some(recorded_ms), event);
        let of_dead = self.ask_the_dead(pipe, event, recorded_ms, &mut decision);
        let known_body = originals.iter().any(|held| held.body_hash == event.body);
        let on_other_body = self.options.on_other_body;
        let drops = known_body || on_other_body == OnOtherBody::Drop;
        let fate = if of_dead.is_some() || (!originals.is_empty() && drops) {
            "duplicate"
        } else if !elsewhere.is_empty() || held_back {
            "waits"
        } else if !originals.is_empty() && on_other_body == OnOtherBody::DeadLetter {
            "dead"
        } else if late {
            "deliver late"
        } else {
            "deliver"
        };
        match (fate, known) {
            ("waits", None) => {
                self.waiting.push(Waiting {
                    rank,
                    yielded: false,
                    received_ms: event.received_ms,
                    pipe,
                    shard: event.shard,
                    start: event.start,
                    key: event.key,
                    recorded_ms,
                    window_ms: event.window_ms,
                    late,
                });
                self.order += 1;
            }
            ("waits", Some(_)) | (_, None) => {}
            (_, Some(_)) => self.waiting.retain(|w| !at(w)),
        }
        if fate != "waits" {
            self.in_flight.push((pipe, number, recorded_ms));
        }
        decision.update = !originals.is_empty();
        let original =
            (fate == "duplicate").then(|| self.original(event, recorded_ms, &originals, of_dead));
        let refreshes = original.as_ref().is_some_and(|original| original.refreshes);
        if fate.starts_with("deliver") || refreshes {
            self.held.entry(event.key).or_default().push(Held {
                recorded_ms,
                window_ms: event.window_ms,
                batch: Some((pipe, number)),
                body_hash: event.body,
                refreshes,
            });
        }
        if fate.starts_with("deliver") {
            Decision { fate, ..decision }
        } else {
            Decision { original, ..Decision::new(fate, Some(recorded_ms), event) }
        }
    }

    /// What an event is a duplicate of: the closest entry, else a dead event, recorded then and
    /// with its body or not.
    fn original(
        &self,
        event: &Incoming,
        recorded_ms: i64,
        originals: &[Held],
        of_dead: Option<(i64, bool)>,
    ) -> Original {
        let distance = |ms: i64| ((i128::from(ms) - i128::from(recorded_ms)).abs(), ms);
        let closest = originals.iter().map(|held| held.recorded_ms).min_by_key(|ms| distance(*ms));
        let same_body = originals.iter().any(|held| held.body_hash == event.body)
            || of_dead.is_some_and(|(_, same_body)| same_body);
        // An entry that says all that one more would say.
        let nothing_new = originals.iter().any(|held| {
            let as_it_is = (held.recorded_ms, held.body_hash) == (recorded_ms, event.body);
            held.window_ms == i64::MAX || (as_it_is && held.window_ms >= event.window_ms)
        });
        Original {
            recorded_ms: closest.or(of_dead.map(|(ms, _)| ms)).unwrap(),
            other_body: !same_body,
            refreshes: self.options.refresh && closest.is_some() && !nothing_new,
        }
    }

    /// What the dead of its key make of an event that would go on. If it is a duplicate, when the
    /// closest of those that say so was recorded, and whether one of them has its body.
    fn ask_the_dead(
        &self,
        pipe: PipeId,
        event: &Incoming,
        recorded_ms: i64,
        decision: &mut Decision,
    ) -> Option<(i64, bool)> {
        let mut originals: Vec<&Dead> = Vec::new();
        for dead in self.dead.iter().filter(|dead| dead.event.key == event.key) {
            if event.replay.is_some_and(|(letter, _)| letter == dead.id) {
                originals.extend(dead.superseded.then_some(dead));
                continue;
            }
            if same(recorded_ms, event.window_ms, dead.recorded_ms) {
                decision.supersedes.push(dead.id);
            }
            if !same(dead.recorded_ms, dead.event.window_ms, recorded_ms) {
                continue;
            }
            let same_body = dead.event.body == event.body;
            match self.options.on_duplicate_of_dead {
                OnDuplicateOfDead::Suppress => originals.push(dead),
                OnDuplicateOfDead::Auto if same_body && dead.plan == Some(self.plan) => {
                    originals.push(dead);
                }
                _ if same_body && dead.pipe == pipe => decision.routes &= !dead.sinks,
                _ => decision.copy |= !same_body || dead.sinks != 0,
            }
        }
        decision.supersedes.sort_unstable();
        let times = originals.iter().map(|dead| dead.recorded_ms);
        let closest_ms = times.min_by_key(|ms| (ms.abs_diff(recorded_ms), *ms))?;
        Some((closest_ms, originals.iter().any(|dead| dead.event.body == event.body)))
    }

    fn time(
        &mut self,
        source: SourceId,
        event: &Incoming,
        now_ms: i64,
    ) -> Result<(i64, bool), Decision> {
        let progress = &mut self.progress;
        if self.options.clock == DedupClock::Received {
            let recorded = Some(event.received_ms)
                .max(progress.recorded_max_ms)
                .max(progress.forgotten_through_ms);
            progress.recorded_max_ms = recorded;
            progress.watermarks.insert(source, recorded.unwrap());
            return Ok((recorded.unwrap(), false));
        }
        let time = event.stated_ms;
        if time == NO_TIME {
            return Err(Decision::new("time_missing", None, event));
        }
        let mut amiss = None;
        if time > now_ms + self.options.clock_ahead_max_ms {
            amiss = Some("too_far_ahead");
        } else {
            let watermark = progress.watermarks.get(&source).copied();
            if watermark.is_some_and(|watermark| time < watermark - self.options.lateness_ms)
                || progress.forgotten_through_ms.is_some_and(|through| time < through)
            {
                amiss = Some("late");
            }
            progress.watermarks.insert(source, watermark.map_or(time, |w| w.max(time)));
            progress.recorded_max_ms = progress.recorded_max_ms.max(Some(time));
        }
        match (amiss, self.options.late) {
            (None, _) => Ok((time, false)),
            (Some(_), LatePolicy::Pass) => Ok((time, true)),
            (Some(reason), LatePolicy::Reject) => Err(Decision::new(reason, Some(time), event)),
            (Some(_), LatePolicy::DeadLetter) => Err(Decision::new("dead", Some(time), event)),
        }
    }

    /// An event of a batch that is about to be committed died: its letter has its key.
    pub(crate) fn died(&mut self, number: u64, dead: Dead) {
        let of_key = self.held.get_mut(&dead.event.key).unwrap();
        let own = |held: &Held| {
            (held.batch, held.recorded_ms) == (Some((dead.pipe, number)), dead.recorded_ms)
                && held.body_hash == dead.event.body
                && held.window_ms == dead.event.window_ms
                && !held.refreshes
        };
        let at = of_key.iter().position(own).unwrap();
        of_key.remove(at);
        self.drop_refreshed(dead.pipe, number, dead.event.key);
        self.dead.push(dead);
    }

    /// An original leaves its batch, or is dead: what its duplicates refreshed since goes.
    fn drop_refreshed(&mut self, pipe: PipeId, number: u64, key: u128) {
        let since =
            |held: &Held| held.batch.is_some_and(|(of, batch)| of == pipe && batch >= number);
        let of_key = self.held.entry(key).or_default();
        of_key.retain(|held| !(held.refreshes && since(held)));
    }

    /// The keys that this commit makes remembered, as the ledger would write them.
    pub(crate) fn commit(&mut self, pipe: PipeId, number: u64) -> Vec<CommittedKey> {
        let mut committed = Vec::new();
        for (key, held) in &mut self.held {
            for held in held.iter_mut().filter(|held| held.batch == Some((pipe, number))) {
                held.batch = None;
                committed.push(CommittedKey {
                    key: *key,
                    recorded_ms: held.recorded_ms,
                    window_ms: held.window_ms,
                    body_hash: held.body_hash,
                    state: KeyState::Delivered,
                    by: Default::default(),
                });
            }
        }
        self.in_flight.retain(|(of, batch, _)| *of != pipe || *batch > number);
        self.drop_forgotten();
        committed
    }

    pub(crate) fn release(&mut self, pipe: PipeId, number: u64) {
        for held in self.held.values_mut() {
            held.retain(|held| held.batch != Some((pipe, number)));
        }
        self.in_flight.retain(|(of, batch, _)| (*of, *batch) != (pipe, number));
    }

    /// An event leaves its batch: one that held its key for it (`held`), or a duplicate of one.
    pub(crate) fn leave(
        &mut self,
        pipe: PipeId,
        number: u64,
        event: &Incoming,
        (recorded_ms, late): (i64, bool),
        (held, holds): (bool, bool),
    ) {
        if held {
            let of_key = self.held.get_mut(&event.key).unwrap();
            let own = |held: &Held| {
                (held.batch, held.recorded_ms) == (Some((pipe, number)), recorded_ms)
                    && held.body_hash == event.body
                    && held.window_ms == event.window_ms
                    && !held.refreshes
            };
            let at = of_key.iter().position(own).unwrap();
            of_key.remove(at);
        }
        self.drop_refreshed(pipe, number, event.key);
        let of_key = self.waiting.iter().filter(|w| w.key == event.key);
        let turn_ms = match (held, holds) {
            (_, true) => event.received_ms,
            // Behind all that wait.
            (true, false) => of_key
                .max_by_key(|w| w.rank)
                .map_or(event.received_ms, |last| event.received_ms.max(last.rank.1 + 1)),
            // Not before an original that let others go first.
            (false, false) => of_key
                .filter(|w| w.pipe == pipe && w.yielded)
                .fold(event.received_ms, |turn_ms, own| turn_ms.max(own.rank.1)),
        };
        self.waiting.push(Waiting {
            rank: (!holds, turn_ms, pipe, self.order),
            yielded: held && !holds,
            received_ms: event.received_ms,
            pipe,
            shard: event.shard,
            start: event.start,
            key: event.key,
            recorded_ms,
            window_ms: event.window_ms,
            late,
        });
        self.order += 1;
    }

    /// Whether an event of another pipe waits for what this pipe holds, and would get it.
    pub(crate) fn is_awaited(&self, pipe: PipeId, event: &Incoming, recorded_ms: i64) -> bool {
        self.waiting.iter().any(|w| {
            let of_key = w.key == event.key && w.pipe != pipe;
            let behind_own = self.waiting.iter().any(|own| {
                let before = own.key == w.key && own.rank < w.rank && !own.rank.0;
                before && own.pipe == pipe && same(own.recorded_ms, own.window_ms, w.recorded_ms)
            });
            of_key && same(recorded_ms, event.window_ms, w.recorded_ms) && !behind_own
        })
    }

    pub(crate) fn forget_waiter(&mut self, pipe: PipeId, shard: &str, start: u64) {
        self.waiting.retain(|w| (w.pipe, w.shard, w.start) != (pipe, shard, start));
    }

    pub(crate) fn forget_waiters(&mut self, pipe: PipeId) {
        self.waiting.retain(|w| w.pipe != pipe);
    }

    /// Whether a key is remembered, for checks from outside.
    pub(crate) fn remembers(&self, key: &CommittedKey) -> bool {
        !self.is_forgotten(key.recorded_ms, key.window_ms)
    }
}
