//! Parked events hold their keys across a restart, and stay in the balance.

use dedup::ledger::{MinuteBucket, ParkedChange, Tally};
use dedup::state::ParkedEvent;
use event::batch::Offsets;
use event::{Batch, BatchNumber, Fate, Outcome};
use journal::SimDisk;

use crate::ledger_kit::*;
use crate::ledger_records;

fn parked(id: u64, key: u128, received_ms: i64) -> ParkedEvent {
    let position = (id.into(), (id + 1).into());
    let (recorded_ms, broker_ms) = (received_ms, received_ms);
    ParkedEvent { key, received_ms, broker_ms, recorded_ms, position, ..ledger_records::parked(id) }
}

/// A parked event as its pipe brings it along again.
fn again(parked: &ParkedEvent) -> Batch {
    let mut again = batch(&[parked.key], 0, parked.received_ms);
    again.carried = true;
    again.extents[0].shard = parked.shard.clone();
    again.extents[0].events_received = 0;
    again.extents[0].offsets = Offsets::Nowhere(vec![parked.position.0]);
    again
}

#[test]
fn p3_duplicates_wait_for_a_parked_event_after_a_restart() {
    let disk = SimDisk::new(1);
    let (first, second) = (parked(3, 7, NOW_MS - 90_000), parked(4, 7, NOW_MS - 30_000));
    let keyless = ParkedEvent { window_ms: -1, ..parked(5, 8, NOW_MS - 10_000) };
    let minutes = [&first, &second, &keyless].map(|parked| parked.minute());
    {
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        let events = batch(&[], 0, NOW_MS);
        let mut park = settlement(BatchNumber(1), &events, Vec::new());
        let all = [&second, &first, &keyless].map(|parked| Box::new(parked.clone()));
        park.parked = all.map(ParkedChange::Add).into();
        let received = Tally { received: 1, ..Tally::default() };
        park.counters.minutes = minutes.map(|minute| (minute, received)).into();
        // One more of the first minute was received, and is lost with the restart.
        park.counters.minutes.push((minutes[0], received));
        park.counters.in_flight = minutes.map(|minute| (minute, 1)).into();
        park.counters.in_flight.push((minutes[0], 1));
        pipe.commit(&park).wait().unwrap();
        assert_balanced(&ledger.state());
    }
    let ledger = open(&disk).unwrap();
    assert_eq!(outcome(&ledger.state(), Outcome::Returned), 1);
    assert_eq!(ledger.state().sources[0].in_flight_total(), 3, "parked ones stay");
    assert_balanced(&ledger.state());
    let pipe = app(&ledger).unwrap();
    let restored = pipe.restore_parked();
    assert_eq!(restored, [first.clone(), second.clone(), keyless], "by time of receipt");

    let mut duplicate = batch(&[7, 8], 100, NOW_MS - 100_000);
    pipe.reserve(BatchNumber(2), &mut duplicate).unwrap();
    let fates = duplicate.events.iter().map(|event| event.fate).collect::<Vec<_>>();
    assert_eq!(fates, [Fate::Waits, Fate::Deliver], "whenever it was received");
    let mut late = again(&second);
    pipe.reserve(BatchNumber(2), &mut late).unwrap();
    assert_eq!(late.events[0].fate, Fate::Waits, "the first goes first");

    // It dies: it counts in the minute of its receipt.
    let mut gone = again(&first);
    pipe.reserve(BatchNumber(2), &mut gone).unwrap();
    assert_eq!((gone.events[0].fate, gone.events[0].recorded_ms), (Fate::Deliver, NOW_MS - 90_000));
    let mut settles = settlement(BatchNumber(2), &gone, Vec::new());
    settles.parked = vec![ParkedChange::Remove { id: 3 }];
    settles.positions = Vec::new();
    settles.counters.minutes[0].1.received = 0;
    settles.counters.in_flight = vec![(minutes[1], 1), (minutes[2], 1)];
    pipe.commit(&settles).wait().unwrap();
    let source = &ledger.state().sources[0];
    assert_eq!(source.minutes[&MinuteBucket::of(first.received_ms)].settled(), 2);
    assert_balanced(&ledger.state());
    pipe.reserve(BatchNumber(3), &mut duplicate).unwrap();
    let mut late = again(&second);
    pipe.reserve(BatchNumber(3), &mut late).unwrap();
    assert_eq!(late.events[0].fate, Fate::Duplicate);
    drop((pipe, ledger));
    let ledger = open(&disk).unwrap();
    assert_eq!(ledger.state().pipes[0].parked.len(), 2);
    assert_balanced(&ledger.state());
}
