//! From a decided batch to what its ledger record says: positions and counts.

use std::collections::BTreeMap;

use dedup::ledger::{CounterChange, MessageIdChange, PositionChange};
use dedup::state::{MinuteBucket, Tally};
use event::batch::{Mixed, Offsets};
use event::source::MemoryChange;
use event::{Batch, Event, Fate, Offset, Outcome};

use super::Decided;
use crate::types::Types;

/// What `batch` settles in its source: everything but the events that wait.
pub(super) fn positions(batch: &Batch) -> Vec<PositionChange> {
    let mut changes: Vec<PositionChange> = Vec::with_capacity(batch.extents.len());
    for (extent, range) in batch.extent_ranges() {
        match &extent.offsets {
            Offsets::Contiguous { .. } | Offsets::Listed(_) => {}
            Offsets::Mixed(mixed) => {
                mixed_positions(mixed, batch.events.get(range).unwrap_or(&[]), &mut changes);
                continue;
            }
            Offsets::Messages(_) | Offsets::Nowhere(_) => continue,
        }
        let mut ranges: Vec<(Offset, Offset)> = Vec::new();
        let mut from = extent.start;
        for index in range.clone() {
            if batch.events.get(index).is_some_and(|event| event.fate == Fate::Waits) {
                let (start, end) = batch.position(extent, &range, index);
                if from < start {
                    ranges.push((from, start));
                }
                from = end;
            }
        }
        if from < extent.end {
            ranges.push((from, extent.end));
        }
        let mark = extent.mark.clone().map(|mark| (extent.end, mark));
        if ranges.is_empty() && mark.is_none() {
            continue;
        }
        changes.push(PositionChange { shard: extent.shard.clone(), ranges, mark });
    }
    changes
}

fn mixed_positions(mixed: &Mixed, events: &[Event], changes: &mut Vec<PositionChange>) {
    // One pass over the events, whatever the number of shards: the ranges that end before an event
    // that waits, and where the next range of each shard begins.
    let mut open: Vec<(Offset, Vec<(Offset, Offset)>)> =
        mixed.shards.iter().map(|shard| (shard.start, Vec::new())).collect();
    for (index, _) in events.iter().enumerate().filter(|(_, event)| event.fate == Fate::Waits) {
        let (Some(&of), Some(&start)) = (mixed.of.get(index), mixed.offsets.get(index)) else {
            continue;
        };
        let Some((from, ranges)) = open.get_mut(usize::from(of)) else { continue };
        if *from < start {
            ranges.push((*from, start));
        }
        *from = start.next();
    }
    for (shard, (from, mut ranges)) in mixed.shards.iter().zip(open) {
        if from < shard.end {
            ranges.push((from, shard.end));
        }
        let mark = shard.mark.clone().map(|mark| (shard.end, mark));
        if !ranges.is_empty() || mark.is_some() {
            changes.push(PositionChange { shard: shard.shard.clone(), ranges, mark });
        }
    }
}

/// What is remembered of the messages that `batch` settles, after `known`, what became known of
/// earlier ones meanwhile. A message that came again is remembered already.
pub(super) fn message_ids(batch: &Batch, known: Vec<MemoryChange>) -> Vec<MessageIdChange> {
    let mut changes: Vec<MessageIdChange> = known
        .into_iter()
        .map(|change| match change.until_ms {
            Some(until_ms) => MessageIdChange::Add { id: change.id, until_ms },
            None => MessageIdChange::Remove { id: change.id },
        })
        .collect();
    for (extent, range) in batch.extent_ranges() {
        let Offsets::Messages(messages) = &extent.offsets else { continue };
        let until_ms = messages.until_ms;
        let events = batch.events.get(range).unwrap_or(&[]);
        changes.extend(messages.ids.iter().zip(events).filter_map(|(&id, event)| {
            let settled = event.fate.leaves_source() && event.fate != Fate::Redelivered;
            settled.then_some(MessageIdChange::Add { id, until_ms })
        }));
    }
    changes
}

/// What `decided` adds to the counters (P4). `received` is what the source counted when it handed
/// the events over; outcomes are counted here, from what each event came to.
pub(super) fn counters(
    decided: &Decided,
    in_flight: Vec<(MinuteBucket, u64)>,
    types: &Types,
) -> CounterChange {
    let mut minutes: BTreeMap<MinuteBucket, Tally> = BTreeMap::new();
    let mut by_type: BTreeMap<u32, [u64; 6]> = BTreeMap::new();
    let mut reread = 0;
    let batch = &decided.batch;
    for (extent, range) in batch.extent_ranges() {
        let tally = minutes.entry(MinuteBucket::of(extent.received_ms)).or_default();
        let mut reread_here = 0;
        let mut last_type = (u32::MAX, [0_u64; 6]);
        for event in batch.events.get(range).unwrap_or(&[]) {
            match event.fate.outcome() {
                Some(outcome) => {
                    tally.add_outcome(outcome, 1);
                    if event.type_id != last_type.0 {
                        flush(&mut by_type, last_type);
                        last_type = (event.type_id, [0; 6]);
                    }
                    add(&mut last_type.1, outcome, 1);
                }
                None if event.fate == Fate::Reread => reread_here += 1,
                None => {}
            }
        }
        flush(&mut by_type, last_type);
        tally.received += u64::from(extent.events_received) - reread_here;
        reread += reread_here;
    }
    for (minute, count) in &decided.returned {
        minutes.entry(*minute).or_default().add_outcome(Outcome::Returned, *count);
    }
    CounterChange {
        minutes: minutes.into_iter().collect(),
        types: by_type.into_iter().map(|(id, row)| (types.name(id).to_string(), row)).collect(),
        reread,
        expired: batch.expired,
        in_flight,
    }
}

fn add(row: &mut [u64; 6], outcome: Outcome, count: u64) {
    if let Some(cell) = row.get_mut(outcome.index()) {
        *cell += count;
    }
}

fn flush(by_type: &mut BTreeMap<u32, [u64; 6]>, (id, row): (u32, [u64; 6])) {
    if id == u32::MAX {
        return;
    }
    for (cell, count) in by_type.entry(id).or_default().iter_mut().zip(row) {
        *cell += count;
    }
}
