//! What a run says when its file isn't what was written.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::run::{LookupRoom, OpenRun, look_up};

/// Looks up every key of `run`, and some that aren't there.
fn look_all_up(disk: &SimDisk, run: &RunState) -> Result<Vec<CommittedKey>, LedgerError> {
    let open = OpenRun::open(disk, Path::new("/"), run, ID)?;
    let keys: Vec<u128> = (0..2 * run.count).map(|i| key(i).key).collect();
    let mut found = Vec::new();
    look_up(&[Arc::new(open)], &keys, &mut LookupRoom::default(), &mut found)?;
    found.sort_by_key(sort_key);
    Ok(found)
}

#[test]
fn every_flipped_bit_is_named_by_a_look_up() {
    let disk = SimDisk::new(1);
    let run = write(&disk, "a.run", 0..300);
    assert_eq!(look_all_up(&disk, &run).unwrap(), read(&disk, &run).unwrap());
    for offset in 0..run.bytes {
        let disk = disk.after_process_kill();
        assert!(disk.flip_bit(Path::new("/a.run"), offset));
        match look_all_up(&disk, &run) {
            Err(LedgerError::Damaged(damaged)) => {
                assert_eq!(damaged.file, PathBuf::from("/a.run"));
                let at = damaged.offset.unwrap();
                assert!(at <= offset && offset < run.bytes, "byte {offset}: named at {at}");
            }
            other => panic!("byte {offset}: {other:?}"),
        }
    }
}

#[test]
fn every_flipped_bit_is_named_by_a_merge_or_harmless_to_it() {
    let disk = SimDisk::new(1);
    let run = write(&disk, "a.run", 0..300);
    let sound = read(&disk, &run).unwrap();
    let mut unread = BTreeSet::new();
    for offset in 0..run.bytes {
        let disk = disk.after_process_kill();
        disk.flip_bit(Path::new("/a.run"), offset);
        match read(&disk, &run) {
            Err(LedgerError::Damaged(damaged)) => {
                assert_eq!(damaged.file, PathBuf::from("/a.run"));
            }
            Ok(keys) => {
                assert_eq!(keys, sound, "byte {offset}");
                unread.insert(offset);
            }
            Err(other) => panic!("byte {offset}: {other}"),
        }
    }
    // Who reads from front to back needs neither filter nor index: 8 lines, 3 blocks.
    assert!(unread.len() <= 8 * 64 + 3 * 16, "{} bytes are not read", unread.len());
}

#[test]
fn a_filter_that_lost_a_bit_would_hide_a_key() {
    // Why the filter has a checksum: without it, this is what a flipped bit does.
    let disk = SimDisk::new(1);
    let run = write(&disk, "a.run", 0..300);
    let open = OpenRun::open(&disk, Path::new("/"), &run, ID).unwrap();
    let keys: Vec<u128> = (0..300).map(|i| key(i).key).collect();
    let hidden = (0..300).filter(|&i| {
        let (upper, lower) = ((keys[i] >> 64) as u64, keys[i] as u64);
        let cleared = open.filter.without_bit_of(upper, lower);
        !cleared.may_hold(upper, lower)
    });
    assert_eq!(hidden.count(), 300);
}
