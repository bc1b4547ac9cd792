//! What can't be read is named, and nothing is changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use broker::BrokerError;
use event::TestClock;
use journal::{Disk, Journal, JournalConfig, SimDisk};

use super::kit::{NOW_MS, open, record};

/// Two streams, closed; their folders.
fn two() -> (SimDisk, TestClock, [PathBuf; 2]) {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let folders = ["one", "two"].map(|name| {
        let stream = streams.create(name, 2, BTreeMap::new()).unwrap();
        (0..9).for_each(|_| drop(stream.put(vec![record("k", vec![1; 1000])]).wait().unwrap()));
        Path::new("/streams").join(format!("{:032x}", stream.creation_id()))
    });
    streams.close().unwrap();
    (disk, clock, folders)
}

fn refused(disk: &SimDisk, clock: &TestClock) -> String {
    let files = disk.files();
    let error = open(disk, clock).err().expect("it must not open");
    assert!(matches!(error, BrokerError::Unreadable { .. }), "{error}");
    assert_eq!(disk.files(), files, "nothing was changed");
    error.to_string()
}

fn append(disk: &SimDisk, dir: &Path, bytes: Vec<u8>) {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let journal = Journal::open(disk, dir, JournalConfig::default(), &mut |_, _| Ok(())).unwrap();
    journal.append(bytes).unwrap();
    journal.close().unwrap();
}

#[test]
fn a_missing_folder_is_named() {
    let (disk, clock, [one, _]) = two();
    disk.rename(&one, Path::new("/streams/elsewhere")).unwrap();
    let what = refused(&disk, &clock);
    assert!(what.contains("`one`") && what.contains(one.to_str().unwrap()), "{what}");
    disk.rename(Path::new("/streams/elsewhere"), &one).unwrap();
    open(&disk, &clock).unwrap();
}

#[test]
fn another_streams_journal_is_named() {
    let (disk, clock, [one, two]) = two();
    disk.rename(&one, Path::new("/streams/elsewhere")).unwrap();
    disk.rename(&two, &one).unwrap();
    disk.rename(Path::new("/streams/elsewhere"), &two).unwrap();
    let what = refused(&disk, &clock);
    let id = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(what.contains(&id(&one)) && what.contains(&id(&two)), "{what}");
}

#[test]
fn a_journal_without_its_front_is_not_taken_for_a_new_one() {
    let (disk, clock, [one, _]) = two();
    for file in disk.list(&one).unwrap() {
        disk.unlink(&one.join(file.name)).unwrap();
    }
    let error = open(&disk, &clock).err().unwrap().to_string();
    assert!(error.contains("`one`") && error.contains("no state"), "{error}");
}

#[test]
fn records_that_are_newer_or_none_are_named() {
    for (bytes, part) in [
        (vec![2, 1, 0, 0], "format version 2"),
        (vec![1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "unknown kind, 9"),
        (vec![1, 1, 0, 0, 1], "lengths"),
        // One record of shard 2, of 2.
        (vec![1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0], "shard 2"),
    ] {
        let (disk, clock, [one, _]) = two();
        append(&disk, &one, bytes);
        let what = refused(&disk, &clock);
        assert!(what.contains("`one`") && what.contains(part), "{what}");
    }
    for (bytes, part) in [(vec![2, 1], "format version 2"), (vec![1, 9], "not one of a catalogue")]
    {
        let (disk, clock, _) = two();
        append(&disk, Path::new("/streams/catalogue"), bytes);
        let what = refused(&disk, &clock);
        assert!(what.contains(part), "{what}");
    }
}
