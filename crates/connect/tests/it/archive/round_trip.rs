//! What goes in comes out, in order of receipt.

use std::sync::Arc;

use bytes::Bytes;
use connect::archive::read::Range;
use event::batch::{Attribute, Mixed, MixedShard, NO_TIME, Offsets, Spilled};
use event::sink::SinkIdentity;
use event::{Batch, Fate, Marks, Offset, Replay, Span};

use super::kit::{HOUR, START, World, open, options, payloads, read};
use crate::fake_ledger::{TestEvent, batch, event, identity};

fn some(ids: std::ops::Range<u64>, received_ms: i64) -> Vec<TestEvent> {
    ids.map(|id| event(id, received_ms, START - 5)).collect()
}

/// A batch of one record of each of two shards, with everything that a source can say.
fn rich() -> Batch {
    let mut batch = batch(&some(1..3, START + 7));
    let extent = &mut batch.extents[0];
    extent.broker_ms = vec![START - 100, START - 90];
    let shard = |name: &str| MixedShard {
        shard: name.into(),
        start: Offset::ZERO,
        end: Offset::from(90),
        mark: None,
    };
    extent.offsets = Offsets::Mixed(Mixed {
        shards: vec![shard("s/0"), shard("s/1")],
        of: vec![1, 0],
        offsets: vec![Offset::from_parts(4, u128::MAX), Offset::from(9)],
    });
    batch.partition_keys.push(b"key");
    batch.partition_keys.push(b"");
    let value = Bytes::from_static(b"\x00v");
    let attribute = Attribute { name: "n".into(), data_type: "Binary".into(), value };
    batch.attributes.push((1, Arc::from([attribute])));
    batch.events[1].fate = Fate::Filtered;
    batch
}

#[test]
fn everything_that_a_source_said_comes_back() {
    let mut world = World::new(options());
    let rich = rich();
    world.stage(&rich, START + 7);
    let (found, damages) = read(&world.disk, Range::ALL);
    assert!(damages.is_empty(), "{damages:?}");
    let (first, second) = (&found[0], &found[1]);
    assert_eq!(first.payload, rich.raw(&rich.events[0]));
    assert_eq!((&*first.origin.shard, first.origin.source.as_str()), ("s/1", "file:test"));
    assert_eq!(first.origin.start, Offset::from_parts(4, u128::MAX));
    assert_eq!(first.origin.end, Offset::from_parts(5, 0));
    assert_eq!((first.origin.received_ms, first.origin.broker_ms), (START + 7, START - 100));
    assert_eq!((first.event_ms, first.recorded_ms), (START - 5, START + 7));
    assert_eq!((first.partition_key.as_ref(), &first.attributes), (&b"key"[..], &None));
    assert_eq!((&*second.origin.shard, second.origin.start), ("s/0", Offset::from(9)));
    assert_eq!(second.attributes.as_deref(), Some(rich.attributes(1)));
    assert_eq!((second.partition_key.as_ref(), second.recorded_ms), (&b""[..], NO_TIME));
    assert_eq!(found.len(), 2);
}

#[test]
fn events_come_in_order_of_receipt_over_files_and_hours() {
    let mut world = World::new(options());
    let mut other = World::on(world.disk.clone(), options(), 77);
    world.stage_events(&some(1..4, START + HOUR - 1));
    world.stage_events(&[some(4..6, START + HOUR - 1), some(6..9, START + HOUR)].concat());
    // Retried for long: received with the first, settled with the last.
    world.stage_events(&[some(20..21, START + 1), some(9..11, START + 2 * HOUR)].concat());
    // Two files of the same hour.
    other.stage_events(&some(30..31, START + HOUR + 5));
    let (found, _) = read(&world.disk, Range::ALL);
    let times: Vec<i64> = found.iter().map(|event| event.origin.received_ms - START).collect();
    let end = HOUR - 1;
    // Within a file the order is that of writing.
    let expected = [end, end, end, end, end, 1, HOUR, HOUR, HOUR, HOUR + 5, 2 * HOUR, 2 * HOUR];
    assert_eq!(times, expected);
    assert_eq!(world.files().len(), 4, "{:?}", world.files());

    let range = Range { from_ms: START + HOUR, to_ms: START + 2 * HOUR };
    let archive = open(&world.disk, range);
    assert_eq!(archive.files.len(), 2 + 1, "the hour after is listed for what its range ends with");
    assert_eq!(archive.read().count(), 4);
    let nothing = Range { from_ms: START + 3, to_ms: START + HOUR - 1 };
    assert_eq!(read(&world.disk, nothing), (vec![], vec![]));
}

#[test]
fn replayed_events_are_not_archived_again() {
    let mut world = World::new(options());
    let mut replay = batch(&some(1..4, START));
    replay.replay = Some(Box::new(Replay::default()));
    assert!(world.stage(&replay, START).is_empty());
    let mut marked = batch(&some(4..6, START));
    marked.events[0].marks = Marks::REPLAYED;
    world.stage(&marked, START);
    assert_eq!(payloads(&read(&world.disk, Range::ALL).0), [event(5, 0, 0).payload]);
}

#[derive(Debug)]
struct Long(u64);

impl Spilled for Long {
    fn len(&self) -> u64 {
        self.0
    }
    fn read_at(&self, offset: u64, into: &mut [u8]) -> std::io::Result<usize> {
        let read = into.len().min((self.0 - offset) as usize).min(1000);
        into[..read].fill(b'l');
        Ok(read)
    }
}

#[test]
fn long_payloads_have_blocks_of_their_own_and_endless_ones_are_left_out() {
    let mut world = World::new(options());
    let mut batch = batch(&some(1..5, START));
    for (index, len) in [(1, 9_000_000), (2, 65 << 20)] {
        batch.events[index].raw = Span::default();
        batch.spilled.push((index as u32, Arc::new(Long(len))));
    }
    world.stage(&batch, START);
    let archive = open(&world.disk, Range::ALL);
    assert_eq!(archive.files[0].blocks.len(), 2);
    let lens: Vec<usize> = archive.read().map(|event| event.payload.len()).collect();
    let short = |index: usize| batch.events[index].raw.len as usize;
    assert_eq!(lens, [short(0), 9_000_000, short(3)]);
    assert_eq!(world.sink.stats().left_out.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn other_pipes_in_the_same_folder_are_not_seen() {
    let mut world = World::new(options());
    world.stage_events(&some(1..3, START));
    let other = SinkIdentity { pipe: "my-pipe-2".into(), ..identity(9) };
    let clock = Arc::new(world.clock.clone());
    let disk = Arc::new(world.disk.clone());
    world.sink = connect::ArchiveSink::new(options(), other, disk, clock);
    event::sink::Sink::open(&mut world.sink, &event::sink::SinkState::default()).unwrap();
    world.stage_events(&some(3..9, START));
    assert_eq!(read(&world.disk, Range::ALL).0.len(), 2);
}
