//! Reads and iterators against a plain list of everything that was put.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::streams::{NewRecord, SequenceNumber, Stream, Streams, StreamsOptions};
use event::{Clock, TestClock};
use journal::SimDisk;
use proptest::prelude::*;

use super::kit::{HOUR_MS, NOW_MS, drain, open, open_with, record, record_for, small};

#[derive(Clone, Debug)]
enum Op {
    /// Shard and bytes of each record.
    Put(Vec<(u32, usize)>),
    Pass(i64),
    Retention(u32),
    Trim,
    Reopen,
    /// Shard, first number in percent of those that there are, records, bytes.
    Read(u32, u64, usize, usize),
    /// Shard, time in percent of the time that passed.
    Time(u32, i64),
    /// First number of each shard in percent.
    Reader(Vec<u64>),
}

const SHARDS: u32 = 3;

fn op() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![4 => 0..200_usize, 1 => 200..9_000_usize, 1 => 9_000..40_000_usize];
    let ms = prop_oneof![3 => 0..1_000_i64, 1 => 0..30 * HOUR_MS];
    let percent = 0..110_u64;
    prop_oneof![
        8 => prop::collection::vec((0..SHARDS, bytes), 1..8).prop_map(Op::Put),
        3 => ms.prop_map(Op::Pass),
        1 => (24..100_u32).prop_map(Op::Retention),
        1 => Just(Op::Trim),
        1 => Just(Op::Reopen),
        6 => (0..SHARDS, percent.clone(), 1..9_usize, 0..30_000_usize)
            .prop_map(|(shard, from, records, bytes)| Op::Read(shard, from, records, bytes)),
        3 => (0..SHARDS, -10..110_i64).prop_map(|(shard, at)| Op::Time(shard, at)),
        2 => prop::collection::vec(percent, 0..=SHARDS as usize).prop_map(Op::Reader),
    ]
}

/// What was put: arrival, shard, number, data.
type All = Vec<(i64, u32, u64, Vec<u8>)>;

struct World {
    disk: SimDisk,
    clock: TestClock,
    streams: Option<Streams>,
    all: All,
    retention_h: u32,
    gone_before_ms: i64,
}

impl World {
    fn new() -> Self {
        let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
        let streams = Self::open(&disk, &clock);
        streams.create("s", SHARDS, BTreeMap::new()).unwrap();
        let (all, retention_h, gone_before_ms) = (Vec::new(), 24, i64::MIN);
        Self { disk, clock, streams: Some(streams), all, retention_h, gone_before_ms }
    }

    fn open(disk: &SimDisk, clock: &TestClock) -> Streams {
        let options = StreamsOptions { segment_bytes: 64 << 10, ..small() };
        open_with(disk, clock, options).unwrap()
    }

    fn stream(&self) -> Arc<Stream> {
        self.streams.as_ref().unwrap().get("s").unwrap()
    }

    fn hide(&mut self) {
        let before = self.clock.now_ms() - i64::from(self.retention_h) * HOUR_MS;
        self.gone_before_ms = self.gone_before_ms.max(before);
    }

    fn next(&self, shard: u32) -> u64 {
        self.all.iter().filter(|record| record.1 == shard).count() as u64 + 1
    }

    fn kept(&self) -> impl Iterator<Item = &(i64, u32, u64, Vec<u8>)> {
        self.all.iter().filter(|(arrived_ms, ..)| *arrived_ms >= self.gone_before_ms)
    }

    fn run(&mut self, op: &Op) {
        self.hide();
        match op {
            Op::Put(records) => self.put(records),
            Op::Pass(ms) => self.clock.advance(*ms),
            Op::Retention(hours) => {
                self.stream().set_retention_h(*hours).wait().unwrap();
                self.retention_h = *hours;
            }
            Op::Trim => self.streams.as_ref().unwrap().trim(),
            Op::Reopen => {
                drop(self.streams.take());
                self.streams = Some(Self::open(&self.disk, &self.clock));
            }
            Op::Read(shard, percent, records, bytes) => {
                self.read(*shard, *percent, *records, *bytes)
            }
            Op::Time(shard, percent) => self.time(*shard, *percent),
            Op::Reader(percents) => self.reader(percents),
        }
        self.hide();
        self.counts();
    }

    fn put(&mut self, records: &[(u32, usize)]) {
        let mut new = Vec::new();
        for (shard, bytes) in records {
            let number = self.next(*shard);
            let data = format!("{:_<width$}", self.all.len(), width = bytes);
            new.push(record_for(*shard, SHARDS, data.clone()));
            self.all.push((self.clock.now_ms(), *shard, number, data.into_bytes()));
        }
        self.stream().put(new).wait().unwrap();
    }

    fn read(&self, shard: u32, percent: u64, records_max: usize, bytes_max: usize) {
        let (from, end) = (self.next(shard) * percent / 100, self.next(shard));
        let found =
            self.stream().read(shard, SequenceNumber(from), records_max, bytes_max).unwrap();
        let kept: Vec<_> = self.kept().filter(|record| record.1 == shard).collect();
        let from = from.max(kept.first().map_or(end, |record| record.2));
        let mut bytes = 0;
        let fits = |(at, record): &(usize, &&(i64, u32, u64, Vec<u8>))| {
            bytes += record.3.len() + 1;
            *at < records_max && (*at == 0 || bytes <= bytes_max)
        };
        let from_there = kept.iter().copied().filter(|record| record.2 >= from).collect::<Vec<_>>();
        let expected: Vec<_> =
            from_there.iter().enumerate().take_while(fits).map(|(_, record)| *record).collect();
        let flat: Vec<_> = found
            .records
            .into_iter()
            .map(|r| (r.arrived_ms, shard, r.sequence.0, r.data.to_vec()))
            .collect();
        assert!(flat.iter().eq(expected.iter().copied()), "{flat:?} instead of {expected:?}");
        let next = expected.last().map_or(from, |record| record.2 + 1);
        assert_eq!(found.next, SequenceNumber(next));
        let behind = expected.last().filter(|_| next < end);
        assert_eq!(found.behind_ms, behind.map_or(0, |record| self.clock.now_ms() - record.0));
    }

    fn time(&self, shard: u32, percent: i64) {
        let ms = NOW_MS + (self.clock.now_ms() - NOW_MS) * percent / 100;
        let found = self.stream().at_timestamp(shard, ms).unwrap();
        let mut of = self.kept().filter(|record| record.1 == shard);
        let expected = of.find(|record| record.0 >= ms).map_or(self.next(shard), |record| record.2);
        assert_eq!(found, SequenceNumber(expected), "at {ms}");
    }

    /// It may begin earlier, but from its first record on it gives everything, in order.
    fn reader(&self, percents: &[u64]) {
        let from: Vec<_> = percents
            .iter()
            .zip(0..)
            .map(|(percent, shard)| SequenceNumber(self.next(shard) * percent / 100))
            .collect();
        let found = drain(&mut self.stream().reader(&from).unwrap()).unwrap();
        let kept: Vec<_> = self.kept().map(|r| (r.1, r.2, r.3.clone())).collect();
        assert!(kept.ends_with(&found), "not the end of what is kept");
        let left_out = &kept[..kept.len() - found.len()];
        let wanted = |(shard, number, _): &&(u32, u64, Vec<u8>)| {
            *number >= from.get(*shard as usize).map_or(0, |from| from.0)
        };
        assert_eq!(left_out.iter().find(wanted), None, "left out");
    }

    fn counts(&self) {
        let (stream, kept) = (self.stream(), self.kept().collect::<Vec<_>>());
        for shard in stream.shards() {
            let next = self.next(shard.number);
            let first = kept.iter().find(|record| record.1 == shard.number);
            assert_eq!(shard.next, SequenceNumber(next));
            assert_eq!(shard.trim_horizon.0, first.map_or(next, |record| record.2));
        }
        let statistics = stream.statistics();
        assert_eq!(statistics.put, self.all.len() as u64);
        assert_eq!(statistics.records, kept.len() as u64);
        assert_eq!(statistics.oldest_ms, kept.first().map(|record| record.0));
        assert_eq!(statistics.newest_ms, kept.last().map(|record| record.0));
        let files = self.disk.files();
        let of = files.iter().filter(|(path, _)| !path.starts_with("/streams/catalogue"));
        assert_eq!(statistics.bytes_on_disk, of.map(|(_, bytes)| bytes).sum::<u64>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reads_and_iterators_see_what_a_plain_list_says(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.run(op));
    }
}

#[test]
fn arrival_times_never_run_backwards_also_after_a_restart() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let mut streams = open(&disk, &clock).unwrap();
    streams.create("s", 1, BTreeMap::new()).unwrap();
    for ms in [NOW_MS, NOW_MS - 5, NOW_MS + 1, NOW_MS - 90_000, NOW_MS + 2] {
        clock.set(ms);
        streams.get("s").unwrap().put(vec![record("k", "")]).wait().unwrap();
        drop(streams);
        streams = open(&disk, &clock).unwrap();
    }
    let read = streams.get("s").unwrap().read(0, SequenceNumber(1), 9, 99).unwrap();
    let times: Vec<_> = read.records.iter().map(|record| record.arrived_ms - NOW_MS).collect();
    assert_eq!(times, [0, 0, 1, 1, 2]);
}

#[test]
fn a_reader_that_retention_has_passed_goes_on_at_what_is_left() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    let put = || stream.put(vec![record("k", vec![1; 1000])]).wait().unwrap();
    (0..20).for_each(|_| drop(put()));
    let mut reader = stream.reader(&[]).unwrap();
    reader.next_chunk().unwrap().unwrap();
    clock.advance(25 * HOUR_MS);
    (0..3).for_each(|_| drop(put()));
    streams.trim();
    let found = drain(&mut reader).unwrap();
    let numbers: Vec<_> = found.iter().map(|(_, number, _)| *number).collect();
    assert_eq!(numbers, [21, 22, 23]);
    assert_eq!(stream.shards()[0].trim_horizon, SequenceNumber(21));
}

#[test]
fn records_go_where_their_keys_say_and_come_back_as_they_were() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 4, BTreeMap::new()).unwrap();
    let new = |key: &str, hash| NewRecord {
        partition_key: key.into(),
        explicit_hash_key: hash,
        data: key.to_owned().into(),
    };
    // MD5: a 0cc1…, abc 9001…, message digest f96b…
    let records = vec![
        new("a", None),
        new("abc", None),
        new("message digest", None),
        new("message digest", Some(0)),
        new("a", Some(u128::MAX)),
        new("\u{e4}\u{1f600}", Some(1 << 126)),
    ];
    let puts = stream.put(records).wait().unwrap();
    let shards: Vec<_> = puts.iter().map(|put| put.shard).collect();
    assert_eq!(shards, [0, 2, 3, 0, 3, 1]);
    let read = stream.read(1, SequenceNumber(0), 9, 99).unwrap();
    assert_eq!(read.records[0].partition_key, "\u{e4}\u{1f600}");
    let mut reader = stream.reader(&[]).unwrap();
    let chunk = reader.next_chunk().unwrap().unwrap();
    assert_eq!(chunk.records.len(), 6);
    assert!(chunk.records.iter().all(|record| record.partition_key == record.data));
    assert_eq!(chunk.arrived_ms, NOW_MS);
}

#[test]
fn a_read_ends_where_the_next_record_of_its_shard_is_far() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 2, BTreeMap::new()).unwrap();
    let put = |shard, bytes| drop(stream.put(vec![record_for(shard, 2, vec![1; bytes])]).wait());
    put(0, 1);
    (0..40).for_each(|_| put(1, 1_000_000));
    put(0, 2);
    // So many that the index is asked, and not the memory of the newest.
    (0..70).for_each(|_| put(0, 3));
    let first = stream.read(0, SequenceNumber(1), 2, 99).unwrap();
    assert_eq!((first.records.len(), first.next), (1, SequenceNumber(2)));
    let second = stream.read(0, first.next, 2, 99).unwrap();
    let bytes: Vec<_> = second.records.iter().map(|record| record.data.len()).collect();
    assert_eq!(bytes, [2, 3]);
}

#[test]
fn what_was_hidden_stays_hidden_when_the_clock_runs_backwards() {
    let (disk, clock) = (SimDisk::new(1), TestClock::new(NOW_MS));
    let streams = open(&disk, &clock).unwrap();
    let stream = streams.create("s", 1, BTreeMap::new()).unwrap();
    stream.put(vec![record("k", "old")]).wait().unwrap();
    clock.advance(24 * HOUR_MS);
    assert_eq!(stream.read(0, SequenceNumber(0), 9, 99).unwrap().records.len(), 1, "to the ms");
    clock.advance(1);
    assert!(stream.read(0, SequenceNumber(0), 9, 99).unwrap().records.is_empty());
    clock.advance(-HOUR_MS);
    assert!(stream.read(0, SequenceNumber(0), 9, 99).unwrap().records.is_empty());
    assert!(stream.reader(&[]).unwrap().next_chunk().unwrap().is_none());
    assert_eq!(stream.shards()[0].trim_horizon, SequenceNumber(2));
}
