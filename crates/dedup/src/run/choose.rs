//! Which runs to merge.
//!
//! Every look-up asks the filter of every run of its scope (a few ns each), so there may be no more
//! than `runs_max` of them, all classes and buckets together; and every merge costs each of its
//! keys a copy (some 40 ns, and 30 B of writes). So runs are left alone until they get too many,
//! and then those are merged that get rid of most runs for the fewest copies: of equal runs all,
//! and seldom a big one with small ones. With `s` runs to spare, about `s²/2` runs of a harvest go
//! into a bucket before a key is copied a second time.
//!
//! A bucket that gets no more keys is merged into one run as soon as it takes up much of what
//! there is to spare: it stays for some windows, and would make the other buckets' keys be copied
//! more often.

use std::collections::{BTreeMap, BTreeSet};

use super::place::Place;
use crate::state::RunState;

/// Past this part of `runs_max`, buckets that get no more keys are merged.
const SETTLED_PART: usize = 2;
/// How much dearer a copy counts that brings a key among those of other buckets, where it is
/// forgotten later; and among those of other classes, where that may be much later.
const OTHER_BUCKETS_COST: u64 = 3;
const OTHER_CLASSES_COST: u64 = 12;
/// A settled bucket with this many runs is merged.
const SETTLED_RUNS: usize = 3;

/// Which runs to merge next, oldest first; `None` when there is nothing to gain. `fresh`: where
/// this checkpoint brought new keys.
pub(crate) fn choose(
    runs: &[RunState],
    fresh: &BTreeSet<(u16, Place)>,
    runs_max: usize,
) -> Option<Vec<RunState>> {
    let mut scopes: BTreeMap<u16, BTreeMap<Place, Vec<&RunState>>> = BTreeMap::new();
    for run in runs {
        let places = scopes.entry(run.scope).or_default();
        places.entry(Place { class: run.class, bucket: run.bucket }).or_default().push(run);
    }
    let chosen = scopes.into_iter().find_map(|(scope, places)| {
        let count: usize = places.values().map(Vec::len).sum();
        let settled = |place: &Place| !fresh.contains(&(scope, *place));
        if count > runs_max / SETTLED_PART {
            let group = places
                .iter()
                .filter(|(place, group)| group.len() >= SETTLED_RUNS && settled(place))
                .min_by_key(|(_, group)| sum(group));
            if let Some((_, group)) = group {
                return Some(group.clone());
            }
        }
        if count <= runs_max.max(1) {
            return None;
        }
        cheapest(&places)
    })?;
    let chosen: BTreeSet<&str> = chosen.iter().map(|run| run.name.as_str()).collect();
    Some(runs.iter().filter(|run| chosen.contains(run.name.as_str())).cloned().collect())
}

/// Where the run lies that chosen runs are merged into: with those that live longest.
pub(crate) fn place_of(chosen: &[RunState]) -> Option<Place> {
    chosen.iter().map(|run| Place { class: run.class, bucket: run.bucket }).max()
}

fn sum(runs: &[&RunState]) -> u64 {
    runs.iter().map(|run| run.count).sum()
}

/// The runs that cost the fewest copies for each run that there is less then. Runs of one bucket
/// are best; with other buckets of their class, or with all others, they go later than they could.
fn cheapest<'a>(places: &BTreeMap<Place, Vec<&'a RunState>>) -> Option<Vec<&'a RunState>> {
    let (mut classes, mut all) = (BTreeMap::<u8, Vec<&RunState>>::new(), Vec::new());
    for (place, group) in places {
        classes.entry(place.class).or_default().extend(group);
        all.extend(group.iter().copied());
    }
    let buckets = places.values().map(|group| (1, group));
    let classes = classes.values().map(|group| (OTHER_BUCKETS_COST, group));
    let all = std::iter::once((OTHER_CLASSES_COST, &all));
    let mut best: Option<(u64, Vec<&RunState>)> = None;
    for (factor, group) in buckets.chain(classes).chain(all) {
        let mut by_size = group.clone();
        by_size.sort_by_key(|run| run.count);
        let mut copies = 0_u64;
        for (others, run) in by_size.iter().enumerate() {
            copies = copies.saturating_add(run.count.saturating_mul(factor));
            let Some(cost) = copies.checked_div(others as u64) else { continue };
            if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                best = Some((cost, by_size.get(..=others).unwrap_or_default().to_vec()));
            }
        }
    }
    best.map(|(_, chosen)| chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, (scope, class, bucket): (u16, u8, i64), count: u64) -> RunState {
        RunState { name: name.into(), scope, class, bucket, count, bytes: 0, expires_ms: 0 }
    }

    fn names(chosen: Option<Vec<RunState>>) -> Vec<String> {
        chosen.unwrap_or_default().into_iter().map(|run| run.name).collect()
    }

    fn all_fresh(runs: &[RunState]) -> BTreeSet<(u16, Place)> {
        let place = |run: &RunState| (run.scope, Place { class: run.class, bucket: run.bucket });
        runs.iter().map(place).collect()
    }

    #[test]
    fn small_runs_of_a_place_are_merged_and_the_big_one_is_left() {
        let runs = [
            run("big", (0, 20, 1), 1_000_000),
            run("a", (0, 20, 1), 10),
            run("b", (0, 20, 1), 10),
            run("c", (0, 20, 1), 12),
            run("other bucket", (0, 20, 2), 10),
            run("other scope", (1, 20, 1), 10),
        ];
        let fresh = all_fresh(&runs);
        assert_eq!(choose(&runs, &fresh, 5), None, "scope 0 has just five");
        assert_eq!(names(choose(&runs, &fresh, 4)), ["a", "b", "c"]);
    }

    #[test]
    fn a_bucket_without_new_keys_becomes_one_run() {
        let mut runs: Vec<_> = (0..3).map(|i| run(&i.to_string(), (0, 20, 1), 500)).collect();
        runs.extend((3..6).map(|i| run(&i.to_string(), (0, 20, 2), 1)));
        let fresh = [(0, Place { class: 20, bucket: 2 })].into();
        assert_eq!(choose(&runs, &fresh, 16), None, "there are few");
        assert_eq!(names(choose(&runs, &fresh, 10)), ["0", "1", "2"]);
    }

    #[test]
    fn where_every_place_has_one_run_buckets_of_a_class_are_merged_and_then_classes() {
        let runs = [
            run("a", (0, 20, 1), 900),
            run("b", (0, 20, 2), 10),
            run("c", (0, 20, 4), 20),
            run("d", (0, 23, 1), 1),
        ];
        let chosen = choose(&runs, &BTreeSet::new(), 3).unwrap();
        assert_eq!(place_of(&chosen), Some(Place { class: 20, bucket: 4 }));
        assert_eq!(names(Some(chosen)), ["b", "c"]);
        let lone = [run("a", (0, 20, 1), 900), run("b", (0, 21, 2), 10), run("c", (0, 63, 0), 20)];
        assert_eq!(names(choose(&lone, &BTreeSet::new(), 2)), ["b", "c"]);
    }

    /// Lets time pass: a checkpoint brings `step` keys of each window, buckets begin and expire.
    /// Copies of a key, on average; and the most runs that there were.
    fn simulate(
        windows: &[(i64, u64)],
        checkpoint_ms: i64,
        harvest: u64,
        runs_max: usize,
    ) -> (f64, usize) {
        let (mut runs, mut most, mut number) = (Vec::<RunState>::new(), 0, 0);
        let (mut keys, mut copied) = (0, 0);
        let end_ms = 4 * windows.iter().map(|window| window.0).max().unwrap();
        for time_ms in (0..end_ms).step_by(checkpoint_ms as usize) {
            runs.retain(|run| run.expires_ms > time_ms);
            let mut fresh = BTreeSet::new();
            for &(window_ms, step) in windows {
                let key = crate::scope::CommittedKey {
                    key: 0,
                    recorded_ms: time_ms,
                    window_ms,
                    body_hash: 0,
                    state: crate::scope::KeyState::Delivered,
                    by: Default::default(),
                };
                let place = Place::of(&key);
                fresh.insert((0, place));
                for _ in 0..step.div_ceil(harvest) {
                    number += 1;
                    let count = step.min(harvest);
                    runs.push(RunState {
                        expires_ms: key.expiry_ms() + checkpoint_ms,
                        ..run(&number.to_string(), (0, place.class, place.bucket), count)
                    });
                    keys += count;
                }
            }
            while let Some(chosen) = choose(&runs, &fresh, runs_max) {
                let place = place_of(&chosen).unwrap();
                number += 1;
                let count = chosen.iter().map(|run| run.count).sum();
                copied += count;
                runs.retain(|run| !chosen.contains(run));
                let expires_ms = chosen.iter().map(|run| run.expires_ms).max().unwrap();
                let merged = run(&number.to_string(), (0, place.class, place.bucket), count);
                runs.push(RunState { expires_ms, ..merged });
            }
            most = most.max(runs.len());
        }
        (copied as f64 / keys as f64, most)
    }

    #[test]
    fn runs_stay_few_and_a_key_is_copied_about_twice() {
        const M: u64 = 1 << 20;
        let day = 86_400_000;
        // 100M keys live for a day, a checkpoint each 5M keys; three windows; for ever, without an
        // end; windows of ten classes.
        let one = vec![(day, 5 * M)];
        let three = vec![(180_000, 2 * M), (300_000, M), (600_000, M)];
        let many: Vec<_> = (0..10).map(|i| (600_000 << i, M / 2)).collect();
        for (windows, checkpoint_ms, copies_max) in
            [(one, day / 20, 2.2), (three, 30_000, 2.2), (many, 1_000_000, 7.0)]
        {
            let (copies, most) = simulate(&windows, checkpoint_ms, M, 16);
            eprintln!("{} windows: {copies:.2} copies a key, {most} runs", windows.len());
            assert!(most <= 16, "{most} runs");
            assert!(copies <= copies_max, "{copies} copies a key");
        }
    }
}
