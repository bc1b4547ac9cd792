//! A folder of streams as version 1 wrote it (docs/formats/streams.md) can still be read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use broker::Sequence;
use broker::streams::SequenceNumber;
use event::{BatchNumber, TestClock};
use journal::{Disk, SimDisk, SyncPoint};

use super::kit::{HOUR_MS, NOW_MS, drain, open, producer, record, record_for};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/streams-v1/folder")
}

/// What the fixture holds: a stream whose first segments retention has taken, one that is empty,
/// and a deleted one.
fn write(disk: &SimDisk, clock: &TestClock) {
    let streams = open(disk, clock).unwrap();
    let tags = BTreeMap::from([("team".to_owned(), "lake".to_owned())]);
    let stream = streams.create("app-events", 2, tags).unwrap();
    streams.create("deleted", 1, BTreeMap::new()).unwrap();
    streams.create("empty", 3, BTreeMap::new()).unwrap();
    streams.delete("deleted").unwrap();
    for _ in 0..12 {
        stream
            .put(vec![record_for(0, 2, vec![b'o'; 500]), record_for(1, 2, "old")])
            .wait()
            .unwrap();
    }
    let at = |index| Sequence { batch: BatchNumber(5), index };
    let once = vec![(at(0), record("k", "once")), (at(1), record("k", "twice"))];
    stream.put_once(&producer(9), once).wait().unwrap();
    clock.advance(25 * HOUR_MS);
    for number in 0..5 {
        stream.put(vec![record_for(number % 2, 2, number.to_string())]).wait().unwrap();
    }
    streams.trim();
    stream.set_retention_h(48).wait().unwrap();
    streams.close().unwrap();
}

fn load(disk: &SimDisk) {
    let mut folders = vec![fixture()];
    while let Some(folder) = folders.pop() {
        let inside = Path::new("/streams").join(folder.strip_prefix(fixture()).unwrap());
        disk.mkdir(&inside).unwrap();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let file = disk.create_new(&inside.join(path.file_name().unwrap())).unwrap();
            file.write_at(0, &std::fs::read(&path).unwrap()).unwrap();
            file.sync(SyncPoint("fixture")).unwrap();
        }
    }
}

fn check(disk: &SimDisk, clock: &TestClock) {
    let streams = open(disk, clock).unwrap();
    let names: Vec<_> = streams.list().iter().map(|stream| stream.name().to_owned()).collect();
    assert_eq!(names, ["app-events", "empty"]);
    let stream = streams.get("app-events").unwrap();
    assert_eq!((stream.retention_h(), stream.created_ms()), (48, NOW_MS));
    assert_eq!(stream.tags(), BTreeMap::from([("team".to_owned(), "lake".to_owned())]));
    let found = drain(&mut stream.reader(&[]).unwrap()).unwrap();
    let first = stream.shards().iter().map(|shard| shard.trim_horizon.0).collect::<Vec<_>>();
    assert_eq!(first.iter().sum::<u64>(), 2 + 24 + 2);
    let expected: Vec<_> = (0..5_u64)
        .map(|n| (n as u32 % 2, first[n as usize % 2] + n / 2, n.to_string().into_bytes()))
        .collect();
    assert_eq!(found, expected);
    let through = Sequence { batch: BatchNumber(5), index: 1 };
    assert_eq!(stream.published_through(&producer(9)), Some(through));
    let shards = streams.get("empty").unwrap().shards();
    assert!(shards.len() == 3 && shards.iter().all(|shard| shard.next == SequenceNumber(1)));
}

#[test]
fn a_folder_of_version_1_is_read_and_goes_on() {
    let clock = TestClock::new(NOW_MS + 25 * HOUR_MS);
    let disk = SimDisk::new(1);
    load(&disk);
    check(&disk, &clock);
    let streams = open(&disk, &clock).unwrap();
    let next = streams.get("app-events").unwrap().shards()[0].next;
    let put = vec![record_for(0, 2, "new")];
    let put = streams.get("app-events").unwrap().put(put).wait().unwrap();
    assert_eq!(put[0].sequence, next);
}

/// The fixture's journals carry random ids, so a new one is compared by what it says.
#[test]
fn what_is_written_today_says_the_same() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    write(&disk, &clock);
    let names = |disk: &SimDisk| {
        let name = |(path, _): (PathBuf, u64)| path.file_name().unwrap().to_owned();
        let mut names: Vec<_> = disk.files().into_iter().map(name).collect();
        names.sort();
        names
    };
    let frozen = SimDisk::new(1);
    load(&frozen);
    assert_eq!(names(&disk), names(&frozen), "the same segments");
    check(&disk, &clock);
}
