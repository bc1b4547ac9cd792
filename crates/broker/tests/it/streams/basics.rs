//! Making, putting, reading, deleting.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use broker::streams::{SequenceNumber, Streams};
use broker::{Broker, BrokerError, BrokerOptions};
use event::{Clock, TestClock};
use journal::{Disk, SimDisk, SyncPoint};

use super::kit::{NOW_MS, drain, open, producer, record, record_for, shard_records, small};

fn start() -> (SimDisk, TestClock, Streams) {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    (disk, clock, streams)
}

#[test]
fn what_is_put_is_read_by_shard_and_by_journal_also_after_a_restart() {
    let (disk, clock, streams) = start();
    let stream = streams.create("app-events", 2, BTreeMap::new()).unwrap();
    let records = vec![
        record_for(0, 2, "a"),
        record_for(1, 2, "b"),
        record_for(1, 2, "c"),
        record_for(0, 2, "d"),
    ];
    let puts = stream.put(records).wait().unwrap();
    let places: Vec<_> = puts.iter().map(|put| (put.shard, put.sequence.0)).collect();
    assert_eq!(places, [(0, 1), (1, 1), (1, 2), (0, 2)]);
    clock.advance(5);
    stream.put(vec![record("x", "e"), record_for(1, 2, "f")]).wait().unwrap();
    streams.close().unwrap();
    drop((streams, stream));

    let streams = open(&disk.after_power_loss(3), &clock).unwrap();
    let stream = streams.get("app-events").unwrap();
    let shard = stream.shard_of("x", None);
    let data = |shard| {
        let all = shard_records(&stream, shard).unwrap();
        all.into_iter().map(|(n, data)| (n, String::from_utf8(data.to_vec()).unwrap())).collect()
    };
    let zero: Vec<(u64, String)> = data(0);
    let one: Vec<(u64, String)> = data(1);
    assert_eq!(zero.len() + one.len(), 6);
    assert_eq!(zero[..2], [(1, "a".into()), (2, "d".into())]);
    assert_eq!(one[..2], [(1, "b".into()), (2, "c".into())]);
    assert_eq!([&zero, &one][shard as usize][2], (3, "e".into()));
    let mut reader = stream.reader(&[]).unwrap();
    let all = drain(&mut reader).unwrap();
    let data: Vec<_> = all.iter().map(|(.., data)| data[0]).collect();
    assert_eq!(data, b"abcdef");
    assert!(reader.next_chunk().unwrap().is_none());
    stream.put(vec![record("x", "g")]).wait().unwrap();
    assert_eq!(drain(&mut reader).unwrap().len(), 1);
    let statistics = stream.statistics();
    assert_eq!((statistics.records, statistics.put), (7, 7));
    assert_eq!((statistics.oldest_ms, statistics.newest_ms), (Some(NOW_MS), Some(NOW_MS + 5)));
}

#[test]
fn a_deleted_stream_is_gone_for_everyone_who_holds_it() {
    let (disk, clock, streams) = start();
    let stream = streams.create("one", 1, BTreeMap::new()).unwrap();
    streams.create("two", 1, BTreeMap::new()).unwrap();
    stream.put(vec![record("k", "a")]).wait().unwrap();
    let mut reader = stream.reader(&[]).unwrap();
    let seen = stream.arrivals();
    let waiter = std::thread::spawn({
        let stream = Arc::clone(&stream);
        move || stream.wait(seen, std::time::Instant::now() + std::time::Duration::from_secs(60))
    });
    streams.delete("one").unwrap();
    waiter.join().unwrap();
    let gone = |error: BrokerError| match error {
        BrokerError::NoSuchStream { name, existing } => {
            assert_eq!((name.as_str(), existing), ("one", vec!["two".to_owned()]));
        }
        other => panic!("{other}"),
    };
    gone(stream.put(vec![record("k", "b")]).wait().unwrap_err());
    gone(stream.put(Vec::new()).wait().unwrap_err());
    gone(stream.put_once(&producer(1), Vec::new()).wait().unwrap_err());
    gone(stream.set_retention_h(30).wait().unwrap_err());
    gone(stream.set_tags(BTreeMap::new()).wait().unwrap_err());
    gone(stream.at_timestamp(0, 0).unwrap_err());
    gone(stream.read(0, SequenceNumber(0), 1, 1).unwrap_err());
    gone(stream.reader(&[]).err().unwrap());
    gone(reader.next_chunk().unwrap_err());
    gone(streams.get("one").err().unwrap());
    gone(streams.delete("one").unwrap_err());
    let again = streams.create("one", 1, BTreeMap::new()).unwrap();
    assert_ne!(again.creation_id(), stream.creation_id());
    let put = again.put(vec![record("k", "c")]).wait().unwrap();
    assert_eq!(put[0].sequence, SequenceNumber(1));
    drop(streams);
    let streams = open(&disk, &clock).unwrap();
    assert_eq!(streams.list().len(), 2);
}

#[test]
fn the_brokers_folder_is_durable_before_anything_in_it() {
    let open = |disk: &SimDisk| {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let clock: Arc<dyn Clock> = Arc::new(TestClock::new(NOW_MS));
        let options = BrokerOptions { streams: small(), ..BrokerOptions::default() };
        Broker::open(&disk, Path::new("/broker"), options, &clock).unwrap()
    };
    let lost = |skipped: Option<SyncPoint>| {
        let disk = SimDisk::new(1);
        skipped.into_iter().for_each(|point| disk.skip_sync(point));
        let broker = open(&disk);
        let stream = broker.streams().create("s", 1, BTreeMap::new()).unwrap();
        stream.put(vec![record("k", "a")]).wait().unwrap();
        broker.close().unwrap();
        let lost = |seed| open(&disk.after_power_loss(seed)).streams().get("s").is_err();
        (0..20).any(lost)
    };
    assert!(!lost(None));
    assert!(lost(Some(SyncPoint("broker.folder"))), "or the sync is needless");
}
