//! Many threads at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use broker::streams::{Record, SequenceNumber, StreamsOptions};
use broker::{BrokerError, Sequence};
use event::{BatchNumber, Clock, TestClock};
use journal::{Disk, Fault, SimDisk};

use super::kit::{
    HOUR_MS, NOW_MS, drain, open, open_with, producer, record, record_for, shard_records, small,
};

/// "Parallel PutRecord loses records": what users of local emulators report.
#[test]
fn p1_parallel_puts_lose_nothing_and_every_answer_is_true() {
    const THREADS: u64 = 8;
    const PUTS: u64 = 300;
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let options = StreamsOptions { segment_bytes: 64 << 10, ..small() };
    let streams = open_with(&disk, &clock, options.clone()).unwrap();
    let stream = streams.create("s", 3, BTreeMap::new()).unwrap();
    let put_by = |thread: u64| {
        let mut places = Vec::new();
        for number in 0..PUTS {
            let data = format!("{thread} {number}");
            let new = vec![record(&data, data.clone()), record("k", data.clone())];
            for put in stream.put(new).wait().unwrap() {
                places.push((put.shard, put.sequence.0, data.clone().into_bytes()));
            }
        }
        places
    };
    let done = AtomicU64::new(0);
    let (places, seen) = std::thread::scope(|scope| {
        // A reader at the tip meanwhile, woken by arrivals only.
        let reading = scope.spawn(|| {
            let (mut reader, mut all) = (stream.reader(&[]).unwrap(), Vec::new());
            loop {
                let seen = stream.arrivals();
                let ended = done.load(Ordering::SeqCst) == THREADS;
                all.extend(drain(&mut reader).unwrap());
                if ended {
                    return all;
                }
                stream.wait(seen, Instant::now() + Duration::from_secs(60));
            }
        });
        let threads: Vec<_> =
            (0..THREADS).map(|thread| scope.spawn(move || put_by(thread))).collect();
        let places: Vec<_> = threads
            .into_iter()
            .flat_map(|thread| {
                let places = thread.join().unwrap();
                done.fetch_add(1, Ordering::SeqCst);
                places
            })
            .collect();
        // The reader may wait for one more arrival.
        stream.put(vec![record("k", "last")]).wait().unwrap();
        (places, reading.join().unwrap())
    });
    let places: BTreeSet<_> = places.into_iter().collect();
    assert_eq!(places.len() as u64, 2 * THREADS * PUTS, "numbers given twice");
    let seen: BTreeSet<_> = seen.into_iter().collect();
    assert!(places.is_subset(&seen), "the reader missed some");
    drop((streams, stream));
    let streams = open_with(&disk.after_power_loss(2), &clock, options).unwrap();
    let stream = streams.get("s").unwrap();
    let found: BTreeSet<_> = drain(&mut stream.reader(&[]).unwrap()).unwrap().into_iter().collect();
    assert!(places.is_subset(&found));
    assert_eq!(found.len(), places.len() + 1);
    for shard in 0..3 {
        let numbers = shard_records(&stream, shard).unwrap();
        assert!(numbers.iter().zip(1..).all(|((number, _), expected)| *number == expected));
    }
}

#[test]
fn p2_parallel_repeats_of_a_producer_are_stored_once() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    let records = |upto: u32| -> Vec<_> {
        let at = |index| Sequence { batch: BatchNumber(1), index };
        (1..=upto).map(|index| (at(index), record("k", index.to_string()))).collect()
    };
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for upto in 1..=50 {
                    stream.put_once(&producer(1), records(upto)).wait().unwrap();
                }
            });
        }
    });
    let found = shard_records(&stream, 0).unwrap();
    let data: Vec<_> = found.iter().map(|(_, data)| data.to_vec()).collect();
    let expected: Vec<_> = (1..=50).map(|index: u32| index.to_string().into_bytes()).collect();
    assert_eq!(data, expected);
    let unsorted = vec![records(2).remove(1), records(1).remove(0)];
    assert!(stream.put_once(&producer(2), unsorted).wait().is_err());
}

#[test]
fn p7_after_a_failed_sync_no_stream_takes_anything_until_a_restart() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    let other = streams.create("t", 1, BTreeMap::new()).unwrap();
    stream.put(vec![record("k", "a")]).wait().unwrap();
    disk.fail_at(disk.ops() + 1, Fault::Io);
    let seen = stream.arrivals();
    let failed = stream.put(vec![record("k", "b")]);
    stream.wait(seen, Instant::now() + Duration::from_secs(60));
    let first = failed.wait().unwrap_err().to_string();
    assert!(first.contains("cannot sync"), "{first}");
    for stream in [&stream, &other] {
        let error = stream.put(vec![record("k", "c")]).wait().unwrap_err().to_string();
        assert!(error.contains("cannot sync"), "{error}");
    }
    let at = vec![(Sequence::default(), record("k", "c"))];
    assert!(stream.put_once(&producer(1), at).wait().is_err());
    assert!(streams.create("u", 1, BTreeMap::new()).is_err());
    assert!(streams.delete("t").is_err());
    assert!(stream.set_retention_h(30).wait().is_err());
    // What is durable can still be read.
    let read = stream.read(0, SequenceNumber(0), 9, 99).unwrap();
    assert_eq!(read.records.len(), 1);
    drop((streams, stream, other));
    let streams = open(&disk.after_power_loss(1), &clock).unwrap();
    let stream = streams.get("s").unwrap();
    assert!(matches!(shard_records(&stream, 0).unwrap().len(), 1 | 2));
    stream.put(vec![record("k", "d")]).wait().unwrap();
}

#[test]
fn a_put_that_nobody_waits_for_is_stored_and_wakes_tasks_at_once() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let seen = stream.arrivals();
    let waiting = {
        let stream = Arc::clone(&stream);
        async move { stream.arrived(seen, Duration::from_secs(60)).await }
    };
    drop(stream.put(vec![record("k", "a")]));
    let began = Instant::now();
    runtime.block_on(waiting);
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(stream.read(0, SequenceNumber(1), 9, 99).unwrap().records.len(), 1);
    let seen = stream.arrivals();
    runtime.block_on(stream.arrived(seen, Duration::from_millis(1)));
    let put = async { stream.put(vec![record("k", "b")]).await.unwrap() };
    assert_eq!(runtime.block_on(put)[0].sequence, SequenceNumber(2));
}

#[test]
fn reads_go_on_while_retention_takes_what_they_read() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 2, BTreeMap::new()).unwrap();
    let done = AtomicBool::new(false);
    let numbers = |all: &[(u32, u64, Vec<u8>)], last: &mut [u64; 2]| {
        for (shard, number, data) in all {
            // What retention took may be missing; nothing comes twice, late, or as another one.
            assert!(*number > last[*shard as usize]);
            last[*shard as usize] = *number;
            assert_eq!(data, &[*shard as u8; 300]);
        }
    };
    let read = |shard: u32, from: SequenceNumber| {
        let read = stream.read(shard, from, 20, 1 << 20).unwrap();
        let flat = |r: Record| (shard, r.sequence.0, r.data.to_vec());
        (read.records.into_iter().map(flat).collect::<Vec<_>>(), read.next)
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut reader, mut last) = (stream.reader(&[]).unwrap(), [0; 2]);
            while !done.load(Ordering::SeqCst) {
                numbers(&drain(&mut reader).unwrap(), &mut last);
            }
            numbers(&drain(&mut reader).unwrap(), &mut last);
            assert_eq!(last, [1_500; 2], "the newest are there");
        });
        scope.spawn(|| {
            let (mut last, mut from) = ([0; 2], SequenceNumber(0));
            while !done.load(Ordering::SeqCst) {
                let (records, next) = read(1, from);
                numbers(&records, &mut last);
                from = next;
                let first = stream.at_timestamp(1, clock.now_ms() - 5 * HOUR_MS).unwrap();
                numbers(&read(1, first).0, &mut [0; 2]);
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                streams.trim();
            }
        });
        for _ in 0..1_500 {
            let new = |shard: u32| record_for(shard, 2, vec![shard as u8; 300]);
            stream.put(vec![new(0), new(1)]).wait().unwrap();
            clock.advance(HOUR_MS);
        }
        done.store(true, Ordering::SeqCst);
    });
    streams.trim();
    assert!(streams.bytes_on_disk() < 16 * 4096, "{}", streams.bytes_on_disk());
}

#[test]
fn deleting_and_making_again_while_others_put_and_read_mixes_nothing() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let done = AtomicBool::new(false);
    streams.create("s", 1, BTreeMap::new()).unwrap();
    let gone = |error: &BrokerError| matches!(error, BrokerError::NoSuchStream { .. });
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let Ok(stream) = streams.get("s") else { continue };
                    let id = stream.creation_id().to_string();
                    let answer = stream.put(vec![record("k", id.clone())]).wait();
                    let found = stream.read(0, SequenceNumber(0), 1_000, 1 << 20);
                    match (answer, found) {
                        (Ok(_), Ok(found)) => {
                            assert!(found.records.iter().all(|r| r.data == id.as_bytes()));
                        }
                        (Err(error), _) | (_, Err(error)) => assert!(gone(&error), "{error}"),
                    }
                }
            });
        }
        for _ in 0..100 {
            streams.delete("s").unwrap();
            streams.create("s", 1, BTreeMap::new()).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
    let folders = disk.list("/streams".as_ref()).unwrap();
    assert_eq!(folders.len(), 2, "the catalogue and one stream");
}

#[test]
fn a_thread_gives_space_back_where_nobody_puts_or_reads() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let options = StreamsOptions { trim_interval: Duration::from_millis(1), ..small() };
    let streams = open_with(&disk, &clock, options).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    (0..20).for_each(|_| drop(stream.put(vec![record("k", vec![1; 1000])]).wait().unwrap()));
    let full = streams.bytes_on_disk();
    clock.advance(25 * HOUR_MS);
    let began = Instant::now();
    while streams.bytes_on_disk() > full - 4 * 4096 {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was given back");
        std::thread::yield_now();
    }
}
