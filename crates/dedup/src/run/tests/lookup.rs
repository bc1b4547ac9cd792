//! Look-ups in several runs against a plain map.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::record::any_key;
use crate::run::{LookupRoom, OpenRun, look_up};

fn open(disk: &SimDisk, run: &RunState) -> Arc<OpenRun> {
    Arc::new(OpenRun::open(disk, Path::new("/"), run, ID).unwrap())
}

fn write_keys(disk: &SimDisk, name: &str, mut keys: Vec<CommittedKey>) -> RunState {
    keys.sort_by_key(sort_key);
    let (name, keys_max) = (name.to_owned(), keys.len() as u64);
    let mut writer = RunWriter::create(disk, Path::new("/"), name, ID, 3, PLACE, keys_max).unwrap();
    keys.into_iter().for_each(|key| writer.push(key).unwrap());
    writer.finish().unwrap()
}

/// Every entry of every run, as text in order: entries have no order of their own.
fn expect(runs: &[Vec<CommittedKey>], keys: &[u128]) -> Vec<String> {
    let wanted: BTreeSet<u128> = keys.iter().copied().collect();
    let mut expected = Vec::new();
    for run in runs {
        let entries: BTreeMap<_, _> = run.iter().map(|key| (sort_key(key), *key)).collect();
        expected.extend(entries.into_values().filter(|key| wanted.contains(&key.key)));
    }
    in_order(&expected)
}

fn in_order(keys: &[CommittedKey]) -> Vec<String> {
    let mut lines: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    lines.sort_unstable();
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn all_entries_are_found_and_no_others(
        runs in prop::collection::vec(
            prop::collection::vec((any_key(), 0_u64..400, 0_i64..3), 0..400), 0..5),
        wanted in prop::collection::vec(0_u64..500, 0..300),
        // Keys spread like hashes, bunched, and some that differ in their lower half only.
        spread in prop_oneof![Just(0_u32), Just(60), Just(110)],
    ) {
        let disk = SimDisk::new(1);
        let name = |number: u64| super::key(number).key >> spread;
        let runs: Vec<Vec<CommittedKey>> = runs
            .into_iter()
            .map(|run| {
                let each = |(key, number, recorded_ms)| CommittedKey {
                    key: name(number), recorded_ms, window_ms: 9, ..key
                };
                run.into_iter().map(each).collect()
            })
            .collect();
        let open: Vec<_> = runs
            .iter()
            .enumerate()
            .map(|(i, keys)| open(&disk, &write_keys(&disk, &format!("{i}"), keys.clone())))
            .collect();
        let keys: Vec<u128> = wanted.iter().map(|&number| name(number)).collect();
        let mut found = Vec::new();
        look_up(&open, &keys, &mut LookupRoom::default(), &mut found).unwrap();
        prop_assert_eq!(in_order(&found), expect(&runs, &keys));
    }
}

#[test]
fn one_key_with_entries_over_several_blocks_is_found_whole() {
    let disk = SimDisk::new(1);
    for upper in [0, 7, u64::MAX] {
        let entry = |i: i64| CommittedKey {
            key: u128::from(upper) << 64 | 5,
            recorded_ms: i,
            ..key(i as u64)
        };
        let other =
            |i: u64| CommittedKey { key: u128::from(upper) << 64 | u128::from(i), ..key(i) };
        let keys: Vec<_> = (0..300).map(entry).chain((0..300).map(other)).collect();
        let run = write_keys(&disk, &format!("{upper}"), keys);
        let mut found = Vec::new();
        let wanted = [u128::from(upper) << 64 | 5];
        look_up(&[open(&disk, &run)], &wanted, &mut LookupRoom::default(), &mut found).unwrap();
        assert_eq!(found.len(), 301, "upper half {upper}");
    }
}

#[test]
fn threads_find_the_same_in_the_same_order() {
    let disk = SimDisk::new(1);
    let runs = [write(&disk, "a", 0..100_000), write(&disk, "b", 60_000..160_000)];
    let runs = runs.map(|run| open(&disk, &run));
    let keys: Vec<u128> = (0..200_000).step_by(499).map(|i| key(i).key).collect();
    let mut found = [Vec::new(), Vec::new()];
    look_up(&runs, &keys, &mut LookupRoom::default(), &mut found[0]).unwrap();
    let mut room = LookupRoom::new(8);
    room.slow_read = std::time::Duration::ZERO;
    look_up(&runs, &keys, &mut room, &mut found[1]).unwrap();
    assert!(room.threads_used > 1, "{} threads", room.threads_used);
    assert!(found[0].len() >= 400);
    assert_eq!(found[0], found[1]);
    // And an error that one of them meets comes out.
    disk.flip_bit(Path::new("/b"), runs[1].state().bytes / 2);
    let failed = look_up(&runs, &keys, &mut room, &mut found[1]);
    assert!(matches!(failed, Err(LedgerError::Damaged(_))), "{failed:?}");
}

#[test]
fn a_room_is_used_again_and_again() {
    let disk = SimDisk::new(1);
    let run = open(&disk, &write(&disk, "a", 0..5_000));
    let (mut room, mut found) = (LookupRoom::default(), Vec::new());
    for begin in [0, 4_000, 9_000, 100] {
        found.clear();
        let keys: Vec<u128> = (begin..begin + 2_000).map(|i| key(i).key).collect();
        look_up(&[Arc::clone(&run)], &keys, &mut room, &mut found).unwrap();
        assert_eq!(found.len() as u64, 5_000_u64.saturating_sub(begin).min(2_000));
    }
}

#[test]
fn filter_and_index_take_less_than_2_bytes_a_key() {
    let disk = SimDisk::new(1);
    let run = open(&disk, &write(&disk, "a", 0..100_000));
    let bytes = run.memory_bytes();
    assert!(bytes <= 200_000, "{} bytes a key", bytes as f64 / 100_000.0);
}

#[test]
fn a_run_stays_readable_when_its_file_is_gone() {
    let disk = SimDisk::new(1);
    let run = open(&disk, &write(&disk, "a", 0..1_000));
    disk.unlink(Path::new("/a")).unwrap();
    let mut found = Vec::new();
    look_up(&[run], &[key(500).key], &mut LookupRoom::default(), &mut found).unwrap();
    assert_eq!(found, [key(500)]);
}
