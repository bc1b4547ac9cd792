//! P7: a full disk refuses puts, leaves no holes, and work goes on once there is room.

use std::collections::BTreeMap;

use broker::streams::{SequenceNumber, StreamsOptions};
use broker::{BrokerError, Sequence};
use event::{BatchNumber, TestClock};
use journal::SimDisk;

use super::kit::{HOUR_MS, NOW_MS, drain, open, open_with, producer, record, shard_records, small};

fn is_full(error: &BrokerError) -> bool {
    matches!(error, BrokerError::NoSpace { dir } if dir.starts_with("/streams"))
}

#[test]
fn p7_puts_that_found_no_space_leave_no_hole_and_later_ones_go_on() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    disk.set_capacity(3 * 4096);
    let (mut stored, mut refused) = (Vec::new(), 0);
    for round in 0..40_u32 {
        // Large and small ones together: a small one still fits behind a large one that doesn't.
        let sizes = [1500, 30, 700, 30];
        let data: Vec<_> = sizes.iter().map(|size| vec![round as u8; *size]).collect();
        let pending: Vec<_> =
            data.iter().map(|data| stream.put(vec![record("k", data.clone())])).collect();
        for (data, pending) in data.into_iter().zip(pending) {
            match pending.wait() {
                Ok(put) => {
                    stored.push(data);
                    assert_eq!(put[0].sequence.0, stored.len() as u64);
                }
                Err(error) => {
                    assert!(is_full(&error), "{error}");
                    refused += 1;
                }
            }
        }
        if round == 20 {
            disk.set_capacity(u64::MAX);
        }
    }
    assert!(refused > 10 && stored.len() > 80, "{refused} refused, {} stored", stored.len());
    let check = |found: Vec<(u64, bytes::Bytes)>| {
        assert_eq!(found.len(), stored.len());
        for (at, (number, data)) in found.into_iter().enumerate() {
            assert_eq!((number, &*data), (at as u64 + 1, stored[at].as_slice()));
        }
    };
    check(shard_records(&stream, 0).unwrap());
    drop((streams, stream));
    let streams = open(&disk.after_power_loss(1), &clock).unwrap();
    check(shard_records(&streams.get("s").unwrap(), 0).unwrap());
}

#[test]
fn p7_a_producer_whose_put_found_no_space_loses_nothing_when_it_comes_again() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    let at = |index| Sequence { batch: BatchNumber(1), index };
    let new = |index: u32, bytes| (at(index), record("k", vec![index as u8; bytes]));
    disk.set_capacity(2 * 4096);
    let mut index = 1;
    let refused = loop {
        // The small one would fit where the large one didn't; then the large one would count as a
        // repeat when it comes again.
        let large = stream.put_once(&producer(1), vec![new(index, 1900)]);
        let small = stream.put_once(&producer(1), vec![new(index + 1, 10)]);
        let (large, small) = (large.wait(), small.wait());
        if let Err(error) = large {
            assert!(is_full(&error), "{error}");
            assert!(is_full(&small.unwrap_err()));
            // Also when it comes alone, later: its user may not have seen the first answer yet.
            let late = stream.put_once(&producer(1), vec![new(index + 1, 10)]).wait();
            assert!(is_full(&late.unwrap_err()));
            // Others are not concerned.
            stream.put(vec![record("k", "")]).wait().unwrap();
            break index;
        }
        small.unwrap();
        index += 2;
    };
    let stored = shard_records(&stream, 0).unwrap().len() as u32;
    let through = stream.published_through(&producer(1)).map_or(0, |at| at.index);
    assert_eq!(through, refused - 1);
    disk.set_capacity(u64::MAX);
    let again = vec![new(refused, 1900), new(refused + 1, 10)];
    stream.put_once(&producer(1), again).wait().unwrap();
    assert_eq!(shard_records(&stream, 0).unwrap().len() as u32, stored + 2);
}

#[test]
fn p7_retention_gives_space_back_on_a_full_disk() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    disk.set_capacity(disk.files().iter().map(|(_, bytes)| bytes).sum::<u64>() + 4 * 4096);
    let full = std::iter::repeat_with(|| stream.put(vec![record("k", vec![1; 1000])]).wait());
    let stored = full.take_while(|answer| answer.is_ok()).count() as u64;
    assert!(stored >= 9, "{stored}");
    clock.advance(25 * HOUR_MS);
    assert!(stream.put(vec![record("k", vec![2; 1000])]).wait().is_err());
    let before = streams.bytes_on_disk();
    streams.trim();
    assert!(streams.bytes_on_disk() <= before - 3 * 4096, "all but the last segment");
    let put = stream.put(vec![record("k", vec![2; 1000])]).wait().unwrap();
    assert_eq!(put[0].sequence, SequenceNumber(stored + 1));
    drop((streams, stream));
    let streams = open(&disk.after_power_loss(1), &clock).unwrap();
    let found = drain(&mut streams.get("s").unwrap().reader(&[]).unwrap()).unwrap();
    assert_eq!(found, [(0, stored + 1, vec![2; 1000])]);
}

#[test]
fn p7_without_space_no_stream_is_made_and_nothing_is_left_of_it() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    for room in [0, 4096, 5000] {
        disk.set_capacity(room);
        let error = streams.create("s", 1, BTreeMap::new()).err().unwrap();
        assert!(is_full(&error), "{error}");
        assert_eq!(streams.list().len(), 0);
        let files = disk.files();
        assert!(files.iter().all(|(path, _)| path.starts_with("/streams/catalogue")), "{files:?}");
    }
    disk.set_capacity(u64::MAX);
    streams.create("s", 1, BTreeMap::new()).unwrap();
}

#[test]
fn p6_limits_have_names() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let options = StreamsOptions { shards_max: 3, producers_max: 2, ..small() };
    let streams = open_with(&disk, &clock, options).unwrap();
    let stream = streams.create("s", 2, BTreeMap::new()).unwrap();
    let over = |error: BrokerError, part: &str| match error {
        BrokerError::OverLimit { what } => assert!(what.contains(part), "{what}"),
        other => panic!("{other}"),
    };
    over(streams.create("t", 2, BTreeMap::new()).err().unwrap(), "3 shards (shards_max)");
    streams.create("t", 1, BTreeMap::new()).unwrap();
    let once = |number| {
        stream.put_once(&producer(number), vec![(Sequence::default(), record("k", "x"))]).wait()
    };
    once(1).unwrap();
    once(2).unwrap();
    over(once(3).unwrap_err(), "at most 2 producers");
    once(1).unwrap();

    let invalid = |error: BrokerError, part: &str| match error {
        BrokerError::Invalid { what } => assert!(what.contains(part), "{what}"),
        other => panic!("{other}"),
    };
    let put = |key: &str, bytes| stream.put(vec![record(key, vec![0; bytes])]).wait();
    put(&"ä".repeat(256), 0).unwrap();
    put("k", (1 << 20) - 1).unwrap();
    invalid(put("", 1).unwrap_err(), "0 characters");
    invalid(put(&"ä".repeat(257), 1).unwrap_err(), "257 characters");
    invalid(put("k", 1 << 20).unwrap_err(), "1048577 bytes");
    let many = vec![record("k", vec![0; 1 << 20 >> 1]); 33];
    invalid(stream.put(many).wait().unwrap_err(), "16777216");
    assert!(stream.put(Vec::new()).wait().unwrap().is_empty());
    for name in ["", "a/b", "ä", &"x".repeat(129)] {
        invalid(streams.create(name, 1, BTreeMap::new()).err().unwrap(), "name of a stream");
    }
    invalid(streams.create("u", 0, BTreeMap::new()).err().unwrap(), "1 to 65536");
    for retention_h in [0, 23, 8761] {
        invalid(stream.set_retention_h(retention_h).wait().unwrap_err(), "24 to 8760");
    }
    let exists = streams.create("s", 2, BTreeMap::new()).err().unwrap();
    assert!(matches!(exists, BrokerError::Exists { .. }), "{exists}");
    let error = stream.read(2, SequenceNumber(1), 1, 1).unwrap_err();
    assert!(matches!(error, BrokerError::NoSuchShard { shard: 2, .. }), "{error}");
}
