//! Runs over the simulated disk.

mod damage;
mod lookup;

use std::path::{Path, PathBuf};

use event::LedgerId;
use journal::{Disk, SimDisk};

use super::*;
use crate::error::LedgerError;
use crate::scope::{CommittedBy, CommittedKey, DeadState, KeyState};
use crate::state::RunState;

const ID: LedgerId = LedgerId(77);
const PLACE: Place = Place { class: 20, bucket: 5 };

fn key(i: u64) -> CommittedKey {
    CommittedKey {
        key: u128::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        recorded_ms: 1_700_000_000_000 + (i as i64 * 7_919) % 200_000,
        window_ms: [600_000, 900_000][i as usize % 2],
        body_hash: i,
        state: KeyState::Delivered,
        by: CommittedBy { pipe: (i % 2) as u16, batch: event::BatchNumber(1_000 + i / 50) },
    }
}

fn write(disk: &SimDisk, name: &str, keys: impl Iterator<Item = u64>) -> RunState {
    let mut keys: Vec<CommittedKey> = keys.map(key).collect();
    keys.sort_by_key(sort_key);
    let (name, keys_max) = (name.into(), keys.len() as u64);
    let mut writer = RunWriter::create(disk, Path::new("/"), name, ID, 3, PLACE, keys_max).unwrap();
    keys.into_iter().for_each(|key| writer.push(key).unwrap());
    writer.finish().unwrap()
}

fn read(disk: &SimDisk, run: &RunState) -> Result<Vec<CommittedKey>, LedgerError> {
    let mut reader = RunReader::open(disk, Path::new("/"), run, ID)?;
    let mut keys = Vec::new();
    while reader.next_block(&mut keys)? {}
    Ok(keys)
}

#[test]
fn a_run_gives_back_what_it_was_given_in_order() {
    let disk = SimDisk::new(1);
    for count in [0, 1, 127, 128, 129, 1_000, 60_000] {
        let run = write(&disk, &format!("{count}.run"), 0..count);
        let keys = read(&disk, &run).unwrap();
        assert_eq!((run.count, keys.len() as u64), (count, count));
        assert!(keys.is_sorted_by_key(sort_key));
        let expires_ms = keys.iter().map(CommittedKey::expiry_ms).max();
        assert_eq!(run.expires_ms, expires_ms.unwrap_or(i64::MIN));
        if count == 60_000 {
            assert!(run.bytes <= 30 * count, "{} bytes a key", run.bytes as f64 / count as f64);
        }
    }
}

#[test]
fn of_equal_entries_the_last_one_stays() {
    let disk = SimDisk::new(1);
    let name = "a.run".to_owned();
    let mut writer = RunWriter::create(&disk, Path::new("/"), name, ID, 3, PLACE, 128).unwrap();
    let dead = KeyState::Dead(DeadState { deterministic_under: None, sinks: 1 });
    let mut keys: Vec<u64> = (0..128).collect();
    keys.sort_by_key(|&i| sort_key(&key(i)));
    keys.iter().for_each(|&i| writer.push(key(i)).unwrap());
    let last = key(*keys.last().unwrap());
    writer.push(CommittedKey { state: dead, ..last }).unwrap();
    let run = writer.finish().unwrap();
    assert_eq!(run.count, 128);
    assert_eq!(read(&disk, &run).unwrap().last().unwrap().state, dead);
}

#[test]
fn a_missing_cut_or_exchanged_run_is_named() {
    let disk = SimDisk::new(1);
    let run = write(&disk, "a.run", 0..300);
    let other = write(&disk, "b.run", 300..600);
    let expect = |disk: &SimDisk, what: &str| match read(disk, &run) {
        Err(LedgerError::Damaged(damaged)) => {
            assert!(damaged.to_string().contains(what), "{damaged}");
        }
        other => panic!("{other:?}"),
    };
    let cut = disk.after_process_kill();
    cut.open(Path::new("/a.run")).unwrap().set_len(run.bytes - 1).unwrap();
    expect(&cut, "recorded");
    let gone = disk.after_process_kill();
    gone.unlink(Path::new("/a.run")).unwrap();
    expect(&gone, "missing");
    let foreign = RunReader::open(&disk, Path::new("/"), &run, LedgerId(1)).err().unwrap();
    assert!(foreign.to_string().contains("not the run"), "{foreign}");
    let moved = RunState { scope: 9, ..other };
    assert!(RunReader::open(&disk, Path::new("/"), &moved, ID).is_err());
}

#[test]
fn merged_runs_hold_every_key_once_in_order_and_forget_what_expired() {
    let disk = SimDisk::new(1);
    let runs = [write(&disk, "a", 0..500), write(&disk, "b", 400..900), write(&disk, "c", 0..1)];
    let open = |run| RunReader::open(&disk, Path::new("/"), run, ID).unwrap();
    let readers = runs.iter().map(open).collect();
    let mut writer =
        RunWriter::create(&disk, Path::new("/"), "m".into(), ID, 3, PLACE, 1_001).unwrap();
    let forgotten_through_ms = 1_700_000_000_000 + 650_000;
    merge(readers, &mut writer, forgotten_through_ms, LedgerError::stopped).unwrap();
    let merged = writer.finish().unwrap();
    let mut expected: Vec<CommittedKey> =
        (0..900).map(key).filter(|key| key.expiry_ms() > forgotten_through_ms).collect();
    expected.sort_by_key(sort_key);
    assert!(expected.len() < 900);
    assert_eq!(read(&disk, &merged).unwrap(), expected);
}
