use event::batch::Offsets;
use event::{Event, Extent, Span};

use super::*;

const LIMITS: BatchLimits =
    BatchLimits { bytes_max: 1 << 20, events_max: 3, interval_max: Duration::from_millis(1) };

fn unsettled(events_max: usize, park_after_ms: u64) -> Unsettled {
    Unsettled::new(UnsettledLimits {
        events_max,
        bytes_max: 1000,
        park_after: Duration::from_millis(park_after_ms),
        parked_bytes_max: 1000,
    })
}

fn batch(first: u64, fates: &[Fate]) -> Batch {
    let mut buffer = Vec::new();
    let mut batch = Batch::default();
    for (index, fate) in fates.iter().enumerate() {
        let start = buffer.len() as u32;
        buffer.extend_from_slice(format!("e{}\n", first + index as u64).as_bytes());
        let raw = Span { start, len: buffer.len() as u32 - start - 1 };
        let key = u128::from(first) + index as u128;
        batch.events.push(Event { raw, fate: *fate, key, ..Event::default() });
    }
    batch.extents.push(Extent {
        shard: "s".into(),
        first_event: 0,
        events_received: fates.len() as u32,
        received_ms: 60_000,
        broker_ms: vec![],
        offsets: Offsets::Contiguous { base: 100 * first },
        start: (100 * first).into(),
        end: (100 * first + buffer.len() as u64).into(),
        mark: None,
    });
    batch.buffer = buffer.into();
    batch
}

/// The events of `batch` that wait leave with record `number`.
fn leave(unsettled: &Unsettled, batch: &Batch, number: u64, due: Due, lane: Option<u64>) {
    for (extent, range) in batch.extent_ranges() {
        for index in range.clone().filter(|index| batch.events[*index].fate == Fate::Waits) {
            let copy = Carried::copy(batch, extent, &range, index).unwrap();
            let history = History { lane, ..History::default() };
            unsettled.leave(copy, BatchNumber(number), due, history, 0);
        }
    }
}

fn keys(taken: &Taken) -> Vec<u128> {
    taken.batch.events.iter().map(|event| event.key).collect()
}

#[test]
fn waiters_keep_payload_position_and_order() {
    let unsettled = unsettled(4, 1 << 40);
    leave(&unsettled, &batch(0, &[Fate::Waits, Fate::Deliver, Fate::Waits]), 1, Due::Key, None);
    leave(&unsettled, &batch(10, &[Fate::Deliver, Fate::Waits, Fate::Waits]), 2, Due::Key, None);
    assert!(unsettled.is_full());
    assert!(unsettled.take(0, &LIMITS).is_none(), "nothing has changed");
    unsettled.wake();
    let taken = unsettled.take(0, &LIMITS).unwrap();
    assert_eq!(keys(&taken), [0, 2, 11]);
    assert_eq!(taken.batch.raw(&taken.batch.events[1]), b"e2");
    let (extent, range) = taken.batch.extent_of(1).unwrap();
    assert_eq!(taken.batch.position(extent, &range, 1), (6.into(), 9.into()));
    assert_eq!(taken.batch.extents.iter().map(|e| e.events_received).sum::<u32>(), 0);
    unsettled.settle(taken.ids[0], BatchNumber(3));
    unsettled.leave_again(taken.ids[1], Due::Key, None);
    unsettled.leave_again(taken.ids[2], Due::Key, None);
    let last = unsettled.take(0, &LIMITS).unwrap();
    assert_eq!(keys(&last), [12], "all that woke are asked for, also past one batch");
    unsettled.leave_again(last.ids[0], Due::Key, None);
    assert!(unsettled.take(0, &LIMITS).is_none());
    unsettled.wake();
    assert_eq!(keys(&unsettled.take(0, &LIMITS).unwrap()), [2, 11, 12], "the oldest is first");
}

#[test]
fn p4_in_flight_is_counted_from_what_is_held_record_by_record() {
    let unsettled = unsettled(10, 1 << 40);
    let minute = MinuteBucket(1);
    leave(&unsettled, &batch(0, &[Fate::Waits, Fate::Waits]), 3, Due::Now, None);
    assert_eq!(unsettled.in_flight(BatchNumber(2), false), []);
    assert_eq!(unsettled.in_flight(BatchNumber(3), false), [(minute, 2)]);
    assert_eq!(unsettled.in_flight(BatchNumber(3), true), []);
    let taken = unsettled.take(0, &LIMITS).unwrap();
    unsettled.settle(taken.ids[0], BatchNumber(5));
    assert_eq!(unsettled.in_flight(BatchNumber(4), false), [(minute, 2)]);
    assert_eq!(unsettled.in_flight(BatchNumber(5), false), [(minute, 1)]);
    unsettled.committed(BatchNumber(4));
    assert_eq!(unsettled.in_flight(BatchNumber(4), false), [(minute, 2)]);
    unsettled.committed(BatchNumber(5));
    assert_eq!(unsettled.counts().events, 1);
    assert_eq!(unsettled.give_back(BatchNumber(6), false), [(minute, 1)]);
    assert_eq!(unsettled.in_flight(BatchNumber(6), false), []);
    unsettled.committed(BatchNumber(6));
    assert!(unsettled.is_empty());
    assert_eq!(unsettled.counts(), UnsettledCounts::default());
}

#[test]
fn one_that_is_tried_later_keeps_back_its_lane_and_nobody_else() {
    let unsettled = unsettled(10, 1 << 40);
    leave(&unsettled, &batch(0, &[Fate::Waits]), 1, Due::At(500), Some(7));
    leave(&unsettled, &batch(1, &[Fate::Waits]), 1, Due::At(i64::MIN), Some(7));
    leave(&unsettled, &batch(2, &[Fate::Waits]), 1, Due::At(i64::MIN), Some(8));
    assert_eq!(keys(&unsettled.take(499, &LIMITS).unwrap()), [2]);
    assert!(unsettled.take(499, &LIMITS).is_none());
    assert_eq!(unsettled.lanes().get(&7), Some(&0));
    let taken = unsettled.take(500, &LIMITS).unwrap();
    assert_eq!(keys(&taken), [0, 1], "in order, in one batch");
    unsettled.settle(taken.ids[0], BatchNumber(2));
    assert_eq!(unsettled.lanes().get(&7), Some(&1));
}

#[test]
fn what_is_unsettled_for_long_is_parked_whole_and_comes_back() {
    let first = unsettled(10, 1000);
    let mut source = batch(0, &[Fate::Waits]);
    source.partition_keys.push(b"pk");
    let attribute = event::batch::Attribute {
        name: "n".into(),
        data_type: "Number.int".into(),
        value: b"1".as_slice().into(),
    };
    source.attributes.push((0, vec![attribute].into()));
    leave(&first, &source, 1, Due::At(10), None);
    let name = |_| "t".into();
    assert!(first.park(BatchNumber(2), 999, name).is_empty());
    assert!(first.park(BatchNumber(1), 1000, name).is_empty(), "its record comes first");
    let parking = first.park(BatchNumber(2), 1000, name);
    assert_eq!(parking.batch.events[0].fate, Fate::Parked);
    let counts = first.counts();
    assert_eq!((counts.events, counts.parked, counts.parked_bytes), (0, 1, 2));
    assert_eq!(first.in_flight(BatchNumber(2), false), [(MinuteBucket(1), 1)]);
    assert!(first.give_back(BatchNumber(3), false).is_empty(), "parked events stay");
    let [dedup::ledger::ParkedChange::Add(parked)] = parking.changes.as_slice() else {
        panic!("{:?}", parking.changes)
    };
    assert!(first.park(BatchNumber(4), 2000, name).is_empty(), "once");
    let taken = first.take(2000, &LIMITS).unwrap();
    assert!(matches!(taken.batch.extents[0].offsets, Offsets::Nowhere(_)), "settled there");
    first.settle(taken.ids[0], BatchNumber(5));
    let [dedup::ledger::ParkedChange::Remove { id }] =
        first.park(BatchNumber(5), 2000, name).changes[..]
    else {
        panic!("its end is recorded")
    };
    assert_eq!(id, parked.id);

    let second = unsettled(10, 1000);
    let attempt = |sink: &str, error: &str| event::Attempt {
        at_ms: 1,
        sink: sink.into(),
        error: error.into(),
    };
    let mut parked = (**parked).clone();
    parked.attempts = vec![attempt("a", ""), attempt("b", "no"), attempt("b", "no")];
    let place = |name: &str| ["a", "b"].iter().position(|it| *it == name).map(|at| at as u8);
    second.unpark(parked, Prepared::default(), 0, place);
    let taken = second.take(0, &LIMITS).unwrap();
    assert_eq!(taken.batch.raw(&taken.batch.events[0]), b"e0");
    assert_eq!(taken.batch.partition_keys.get(0), Some(b"pk".as_slice()));
    assert_eq!(taken.batch.attributes(0), source.attributes(0));
    let history = second.history(taken.ids[0]);
    assert_eq!((history.delivered, history.charged_at(1), history.charged_at(0)), (1, 2, 0));
}
