//! Parts of a record that later issues use: kept through checkpoint and restart already.

use dedup::ledger::{MessageIdChange, ParkedChange};
use dedup::state::{Attempt, ParkedEvent};
use event::{BatchNumber, Marks, ShardId};
use journal::SimDisk;

use crate::ledger_kit::*;

pub(crate) fn parked(id: u64) -> ParkedEvent {
    ParkedEvent {
        id,
        shard: ShardId::from("shard"),
        position: (5.into(), 6.into()),
        received_ms: NOW_MS,
        broker_ms: NOW_MS - 1,
        raw: b"{\"whole\":true}".to_vec(),
        attributes: vec![("a".into(), b"b".to_vec())],
        event_type: "app".into(),
        event_ms: NOW_MS - 2,
        key: 77,
        body_hash: 78,
        recorded_ms: NOW_MS - 1,
        window_ms: 600_000,
        marks: Marks::LATE,
        attempts: vec![Attempt { at_ms: NOW_MS, sink: "out".into(), error: "503".into() }],
    }
}

#[test]
fn parked_events_and_message_ids_survive_checkpoint_and_restart() {
    let disk = SimDisk::new(1);
    let add = |id, until_ms| MessageIdChange::Add { id, until_ms };
    {
        let ledger = open(&disk).unwrap();
        let pipe = app(&ledger).unwrap();
        let events = batch(&[], 0, NOW_MS);
        let mut first = settlement(BatchNumber(1), &events, Vec::new());
        first.message_ids = vec![add(1, i64::MAX), add(2, i64::MAX), add(3, NOW_MS)];
        first.parked =
            vec![ParkedChange::Add(Box::new(parked(1))), ParkedChange::Add(Box::new(parked(2)))];
        first.counters.minutes[0].1.received = 2;
        first.counters.in_flight[0].1 = 2;
        pipe.commit(&first).wait().unwrap();
        ledger.checkpoint().unwrap();
        let mut second = settlement(BatchNumber(2), &events, Vec::new());
        second.message_ids = vec![MessageIdChange::Remove { id: 1 }];
        second.parked = vec![ParkedChange::Remove { id: 1 }];
        second.counters.minutes[0].1.outcomes[0] = 1;
        second.counters.in_flight[0].1 = 1;
        pipe.commit(&second).wait().unwrap();
    }
    for _ in 0..2 {
        let ledger = open(&disk).unwrap();
        let state = ledger.state();
        let pipe = &state.pipes[0];
        assert_eq!(pipe.message_ids.keys().copied().collect::<Vec<_>>(), [2], "3 has expired");
        assert_eq!(pipe.parked.values().map(|(_, event)| event).collect::<Vec<_>>(), [&parked(2)]);
        assert_balanced(&state);
        ledger.checkpoint().unwrap();
    }
}
