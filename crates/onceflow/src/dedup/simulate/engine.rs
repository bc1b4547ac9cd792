//! What each window does to the same events: exact, in one pass over them in order of time.
//!
//! As in a scope, an entry is made by an event that is let through, and an event is a duplicate
//! when the entry of its key is less than the window older. So a window's answers depend on what it
//! let through before, and no window's answers follow from another's: each has a track of its own
//! for a key. A key that came once has the same time in all of them, which is why it takes no more
//! room than one; it gets tracks when it comes again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// A window without end; ms.
pub(crate) const FOREVER_MS: i64 = i64::MAX;
/// Times below this stand for a place in the tracks.
const PLACES: i64 = i64::MIN / 2;
/// What a key takes while it is remembered: its place in the table, at the table's usual load.
const KEY_BYTES: usize = 40;
/// Keys that are added before those that are over are looked for.
const PRUNE_AFTER: usize = 1 << 20;

/// What one window does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The window; ms, [`FOREVER_MS`] without end.
    pub(crate) window_ms: i64,
    /// Whether it was asked for, or is only looked at for the suggestion.
    pub(crate) asked: bool,
    /// Events that it lets through.
    pub(crate) delivered: u64,
    /// Events that it calls duplicates.
    pub(crate) caught: u64,
    /// Events that it lets through and the longest window calls duplicates.
    pub(crate) missed: u64,
    /// Most keys that are remembered at the same time; 0 for a window that wasn't asked for.
    pub(crate) keys_peak: u64,
}

/// More keys than the memory takes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooManyKeys {
    /// How many there were.
    pub(crate) keys: u64,
}

/// The keys of the present time, and what happened so far.
pub(crate) struct Engine {
    windows: Vec<Outcome>,
    alive: Vec<Alive>,
    longest: usize,
    refresh: bool,
    keys: HashMap<[u64; 2], i64, BuildHasherDefault<HalfOfKey>>,
    /// For each key with tracks: its last entry in each window, and when it came last.
    tracks: Vec<i64>,
    free: Vec<usize>,
    /// Events by how long after the one before it with the same key each duplicate came: bucket
    /// `n` holds lags of less than 2^n ms.
    lags: [u64; 64],
    repeats: u64,
    events: u64,
    prune_at: usize,
    bytes_max: usize,
}

/// How many keys a window remembers.
#[derive(Default)]
struct Alive {
    /// When its entries were made, as far as they still count.
    made: VecDeque<i64>,
    /// Those of them that a later event of the same key replaced.
    replaced: BinaryHeap<Reverse<i64>>,
}

impl Alive {
    fn end(&mut self, now_ms: i64, window_ms: i64) {
        if window_ms == FOREVER_MS {
            return;
        }
        let over = |made_ms: i64| now_ms.saturating_sub(made_ms) >= window_ms;
        while self.made.front().is_some_and(|made_ms| over(*made_ms)) {
            self.made.pop_front();
        }
        while self.replaced.peek().is_some_and(|Reverse(made_ms)| over(*made_ms)) {
            self.replaced.pop();
        }
    }

    fn keys(&self) -> u64 {
        self.made.len().saturating_sub(self.replaced.len()) as u64
    }
}

impl Engine {
    /// `asked` are the windows to compare, ms; `others` are looked at beside them. Memory for keys
    /// is at most `bytes_max`.
    pub(crate) fn new(asked: &[i64], others: &[i64], refresh: bool, bytes_max: usize) -> Engine {
        let longest_ms = asked.iter().copied().max().unwrap_or(0);
        let shorter = others.iter().filter(|ms| **ms < longest_ms && !asked.contains(ms));
        let outcome = |window_ms: i64, asked: bool| Outcome {
            window_ms,
            asked,
            delivered: 0,
            caught: 0,
            missed: 0,
            keys_peak: 0,
        };
        let mut windows: Vec<Outcome> = asked.iter().map(|ms| outcome(*ms, true)).collect();
        windows.extend(shorter.map(|ms| outcome(*ms, false)));
        windows.sort_by_key(|window| window.window_ms);
        windows.dedup_by_key(|window| window.window_ms);
        let alive = windows.iter().map(|_| Alive::default()).collect();
        Engine {
            longest: windows.len().saturating_sub(1),
            windows,
            alive,
            refresh,
            keys: HashMap::default(),
            tracks: Vec::new(),
            free: Vec::new(),
            lags: [0; 64],
            repeats: 0,
            events: 0,
            prune_at: PRUNE_AFTER,
            bytes_max,
        }
    }

    /// The next event. Times never run backwards.
    ///
    /// # Errors
    /// [`TooManyKeys`].
    pub(crate) fn event(&mut self, key: u128, now_ms: i64) -> Result<(), TooManyKeys> {
        self.events += 1;
        let key = [key as u64, (key >> 64) as u64];
        let longest_ms = self.longest_ms();
        let known = self.keys.get(&key).copied();
        let Some(known) = known else {
            self.keys.insert(key, now_ms);
            self.admit_everywhere(now_ms);
            return self.prune_if_due(now_ms);
        };
        if known >= PLACES && !covers(known, now_ms, longest_ms) {
            // It came once, and is over in all windows.
            self.keys.insert(key, now_ms);
            self.admit_everywhere(now_ms);
            return Ok(());
        }
        let place = if known < PLACES {
            (known.wrapping_sub(i64::MIN)) as usize
        } else {
            let place = self.new_tracks(known);
            self.keys.insert(key, i64::MIN + place as i64);
            place
        };
        self.again(place, now_ms);
        Ok(())
    }

    /// An event whose key has tracks.
    fn again(&mut self, place: usize, now_ms: i64) {
        let width = self.windows.len() + 1;
        let Some(tracks) = self.tracks.get_mut(place * width..(place + 1) * width) else { return };
        let Some((came_ms, tracks)) = tracks.split_last_mut() else { return };
        let longest_ms = self.windows.get(self.longest).map_or(0, |window| window.window_ms);
        let by_longest =
            tracks.get(self.longest).is_some_and(|made_ms| covers(*made_ms, now_ms, longest_ms));
        if by_longest {
            self.repeats += 1;
            let lag_ms = now_ms.saturating_sub(*came_ms).max(0);
            let bucket = (64 - lag_ms.leading_zeros() as usize).min(63);
            if let Some(count) = self.lags.get_mut(bucket) {
                *count += 1;
            }
        }
        *came_ms = now_ms;
        let windows = self.windows.iter_mut().zip(&mut self.alive);
        for ((window, alive), made_ms) in windows.zip(tracks) {
            let caught = covers(*made_ms, now_ms, window.window_ms);
            if caught {
                window.caught += 1;
            } else {
                window.delivered += 1;
                window.missed += u64::from(by_longest);
            }
            if caught && !self.refresh {
                continue;
            }
            if window.asked {
                alive.end(now_ms, window.window_ms);
                if caught {
                    alive.replaced.push(Reverse(*made_ms));
                }
                alive.made.push_back(now_ms);
                window.keys_peak = window.keys_peak.max(alive.keys());
            }
            *made_ms = now_ms;
        }
    }

    fn admit_everywhere(&mut self, now_ms: i64) {
        for (window, alive) in self.windows.iter_mut().zip(&mut self.alive) {
            window.delivered += 1;
            if window.asked {
                alive.end(now_ms, window.window_ms);
                alive.made.push_back(now_ms);
                window.keys_peak = window.keys_peak.max(alive.keys());
            }
        }
    }

    /// Tracks of a key that came once, at `made_ms`.
    fn new_tracks(&mut self, made_ms: i64) -> usize {
        let width = self.windows.len() + 1;
        if let Some(place) = self.free.pop() {
            let tracks = self.tracks.get_mut(place * width..(place + 1) * width);
            tracks.unwrap_or_default().fill(made_ms);
            return place;
        }
        let place = self.tracks.len() / width;
        self.tracks.resize(self.tracks.len() + width, made_ms);
        place
    }

    fn prune_if_due(&mut self, now_ms: i64) -> Result<(), TooManyKeys> {
        if self.keys.len() < self.prune_at {
            return Ok(());
        }
        self.prune(now_ms);
        let bytes = self.memory_bytes();
        if bytes > self.bytes_max {
            return Err(TooManyKeys { keys: self.keys.len() as u64 });
        }
        let room = (self.bytes_max - bytes) / KEY_BYTES;
        self.prune_at = self.keys.len() + self.keys.len().max(PRUNE_AFTER).min(room.max(1));
        Ok(())
    }

    /// Forgets keys that no window remembers.
    fn prune(&mut self, now_ms: i64) {
        let (windows, longest_ms) = (&self.windows, self.longest_ms());
        let (tracks, free) = (&self.tracks, &mut self.free);
        let width = windows.len() + 1;
        self.keys.retain(|_, known| {
            if *known >= PLACES {
                return covers(*known, now_ms, longest_ms);
            }
            let place = known.wrapping_sub(i64::MIN) as usize;
            let made = tracks.get(place * width..(place + 1) * width).unwrap_or_default();
            let mut remembered = made.iter().zip(windows);
            let keep = remembered.any(|(made_ms, w)| covers(*made_ms, now_ms, w.window_ms));
            if !keep {
                free.push(place);
            }
            keep
        });
    }

    fn memory_bytes(&self) -> usize {
        let alive: usize =
            self.alive.iter().map(|alive| alive.made.len() + alive.replaced.len()).sum();
        self.keys.len() * KEY_BYTES + (self.tracks.len() + alive) * 8
    }

    fn longest_ms(&self) -> i64 {
        self.windows.get(self.longest).map_or(0, |window| window.window_ms)
    }

    /// All windows, shortest first.
    pub(crate) fn outcomes(&self) -> &[Outcome] {
        &self.windows
    }

    /// Duplicates of the longest window by lag: bucket `n` holds lags from 2^(n-1) to less than
    /// 2^n ms; bucket 0 those without any.
    pub(crate) fn lags(&self) -> &[u64; 64] {
        &self.lags
    }

    /// Events so far.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Duplicates of the longest window.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }
}

/// Whether an entry of that time covers an event of now.
fn covers(made_ms: i64, now_ms: i64, window_ms: i64) -> bool {
    window_ms == FOREVER_MS || now_ms.saturating_sub(made_ms) < window_ms
}

/// Keys are hashes: half of one is a good hash of it.
#[derive(Default)]
struct HalfOfKey(u64);

impl Hasher for HalfOfKey {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut half = [0; 8];
        half.iter_mut().zip(bytes).for_each(|(half, byte)| *half = *byte);
        self.0 ^= u64::from_le_bytes(half);
    }

    fn write_u64(&mut self, half: u64) {
        self.0 = half;
    }

    fn write_usize(&mut self, _len: usize) {}
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The same in the plainest way: a table a window.
    fn naive(windows: &[i64], refresh: bool, events: &[(u128, i64)]) -> Vec<Outcome> {
        let longest = *windows.iter().max().unwrap();
        let decide = |window_ms: i64| -> (Vec<bool>, u64) {
            let mut made: BTreeMap<u128, i64> = BTreeMap::new();
            let mut caught = Vec::new();
            let mut peak = 0;
            for (key, now_ms) in events {
                let alive = |made_ms: &i64| window_ms == FOREVER_MS || now_ms - made_ms < window_ms;
                let duplicate = made.get(key).is_some_and(alive);
                if !duplicate || refresh {
                    made.insert(*key, *now_ms);
                }
                caught.push(duplicate);
                peak = peak.max(made.values().filter(|made_ms| alive(made_ms)).count() as u64);
            }
            (caught, peak)
        };
        let (by_longest, _) = decide(longest);
        let mut sorted = windows.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let outcome = |window_ms: i64| {
            let (caught, keys_peak) = decide(window_ms);
            let of = |wanted: bool| caught.iter().filter(|it| **it == wanted).count() as u64;
            let missed = caught.iter().zip(&by_longest).filter(|(own, long)| !**own && **long);
            Outcome {
                window_ms,
                asked: true,
                delivered: of(false),
                caught: of(true),
                missed: missed.count() as u64,
                keys_peak,
            }
        };
        sorted.into_iter().map(outcome).collect()
    }

    fn simulated(windows: &[i64], refresh: bool, events: &[(u128, i64)], prune: bool) -> Engine {
        let mut engine = Engine::new(windows, &[3, 17], refresh, usize::MAX);
        for (key, now_ms) in events {
            engine.event(*key, *now_ms).unwrap();
            if prune {
                engine.prune(*now_ms);
            }
        }
        engine
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn it_is_exactly_what_a_table_a_window_would_do(
            windows in prop::collection::vec(prop_oneof![4 => 1..60_i64, 1 => Just(FOREVER_MS)], 1..5),
            steps in prop::collection::vec((0..6_u128, 0..15_i64), 0..150),
            refresh: bool,
            prune: bool,
        ) {
            let mut now_ms = 1_700_000_000_000;
            let events: Vec<(u128, i64)> = steps
                .into_iter()
                .map(|(key, step)| { now_ms += step; (key << 64 | key, now_ms) })
                .collect();
            let engine = simulated(&windows, refresh, &events, prune);
            let asked: Vec<Outcome> =
                engine.outcomes().iter().filter(|it| it.asked).cloned().collect();
            prop_assert_eq!(&asked, &naive(&windows, refresh, &events));
            prop_assert_eq!(engine.lags().iter().sum::<u64>(), engine.repeats());
            prop_assert_eq!(engine.repeats(), asked.last().unwrap().caught);
        }
    }

    #[test]
    fn a_longer_window_may_miss_what_a_shorter_one_catches() {
        let events = [(1, 0), (1, 95), (1, 101)];
        let engine = simulated(&[10, 100], false, &events, false);
        let caught: Vec<u64> = engine.outcomes().iter().map(|it| it.caught).collect();
        assert_eq!(caught, [0, 1, 1, 1], "3, 10, 17, 100");
        let missed: Vec<u64> = engine.outcomes().iter().map(|it| it.missed).collect();
        assert_eq!(missed, [1, 1, 1, 0]);
    }

    #[test]
    fn p6_more_keys_than_memory_is_said() {
        let mut engine = Engine::new(&[FOREVER_MS], &[], false, 1 << 20);
        let ended = (0..3_000_000_u128).find_map(|key| engine.event(key, 0).err());
        assert!(ended.is_some_and(|too_many| too_many.keys >= 1 << 20));
        let mut engine = Engine::new(&[5], &[], false, 100 << 20);
        for key in 0..3_000_000_u128 {
            engine.event(key, key as i64).unwrap();
        }
        assert_eq!(engine.outcomes()[0].keys_peak, 5);
    }
}
