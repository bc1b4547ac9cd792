//! Archived events come again, at their pace, marked.

use std::sync::Arc;

use bytes::Bytes;
use connect::archive::playback::{Playback, PlaybackOptions, Polled, Speed};
use connect::archive::read::{Archived, Range};
use event::batch::{Attribute, Offsets};
use event::source::Stop;
use event::{Batch, Marks, Offset, TestClock};

use super::kit::{START, World, open, options};
use crate::fake_ledger::{TestEvent, batch, event};

/// One event at each of these seconds after the start.
fn world(seconds: &[i64]) -> World {
    let mut world = World::new(options());
    let at = |(index, second): (usize, &i64)| event(index as u64 + 1, START + second * 1000, 0);
    let events: Vec<TestEvent> = seconds.iter().enumerate().map(at).collect();
    let mut batch = batch(&events);
    let value = Bytes::from_static(b"v");
    let attribute = Attribute { name: "n".into(), data_type: "String".into(), value };
    batch.attributes.push((0, Arc::from([attribute])));
    events.iter().for_each(|event| batch.partition_keys.push(event.id.to_string().as_bytes()));
    world.stage(&batch, START);
    world
}

fn playback(world: &World, options: PlaybackOptions) -> Playback {
    let reader = open(&world.disk, Range::ALL).read();
    Playback::new(reader, Box::new(|_: &Archived| true), options)
}

fn with(speed: Speed) -> PlaybackOptions {
    PlaybackOptions { speed, ..PlaybackOptions::new("id".into()) }
}

/// When (ms after the first) how many events come, polled whenever the playback says.
fn pace(mut playback: Playback) -> Vec<(i64, usize)> {
    let (began, mut now, mut all) = (50_000, 50_000, Vec::new());
    loop {
        match playback.poll(now) {
            Polled::Batch(batch) => all.push((now - began, batch.events.len())),
            Polled::Wait(until) => {
                assert!(until > now);
                now = until;
            }
            Polled::End => return all,
        }
    }
}

#[test]
fn batches_are_marked_and_carry_what_the_source_said() {
    let world = world(&[0, 0, 9]);
    let Polled::Batch(batch) = playback(&world, with(Speed::Max)).poll(777) else { panic!() };
    assert_eq!(batch.events.len(), 3);
    assert!(batch.events.iter().all(|event| event.marks == Marks::REPLAYED));
    let replay = batch.replay.as_deref().unwrap();
    assert_eq!((replay.id.as_str(), replay.events.len()), ("id", 3));
    let second = &replay.events[1];
    assert_eq!((second.letter, second.count, second.sinks), (None, 0, u64::MAX));
    assert_eq!(second.recorded_ms, None, "around dedup");
    assert_eq!(replay.events[2].origin.as_ref().unwrap().received_ms, START + 9000);
    let extent = &batch.extents[0];
    assert_eq!((&*extent.shard, extent.events_received, extent.received_ms), ("replay/id", 3, 777));
    let offsets = [0, 1, 2].map(Offset::from).to_vec();
    assert!(matches!(&extent.offsets, Offsets::Nowhere(found) if *found == offsets));
    assert_eq!(batch.raw(&batch.events[1]), event(2, 0, 0).payload.as_bytes());
    assert_eq!((batch.attributes(0).len(), batch.attributes(1).len()), (1, 0));
    assert_eq!(batch.partition_keys.get(2), Some(&b"3"[..]));
}

#[test]
fn with_dedup_the_recorded_time_is_kept() {
    let world = world(&[0, 4]);
    let options = PlaybackOptions { dedup: true, sinks: 2, ..with(Speed::Max) };
    let Polled::Batch(batch) = playback(&world, options).poll(0) else { panic!() };
    let replayed = &batch.replay.as_deref().unwrap().events[1];
    assert_eq!((replayed.recorded_ms, replayed.sinks), (Some(START + 4000), 2));
}

#[test]
fn the_pace_is_the_original_one_or_a_multiple() {
    let world = world(&[0, 0, 1, 10, 10]);
    let original = pace(playback(&world, with(Speed::Times(1.0))));
    assert_eq!(original, [(0, 2), (1000, 1), (10_000, 2)]);
    let faster = pace(playback(&world, with(Speed::Times(10.0))));
    assert_eq!(faster, [(0, 2), (100, 1), (1000, 2)]);
    let slower = pace(playback(&world, with(Speed::Times(0.5))));
    assert_eq!(slower, [(0, 2), (2000, 1), (20_000, 2)]);
    assert_eq!(pace(playback(&world, with(Speed::Max))), [(0, 5)]);
    // Neighbours in time come together.
    let fast = pace(playback(&world, with(Speed::Times(1000.0))));
    assert_eq!(fast, [(0, 2), (50, 3)]);
}

#[test]
fn a_rate_holds_whatever_the_speed() {
    let world = world(&[0; 30]);
    let options = PlaybackOptions { events_per_s_max: Some(10), ..with(Speed::Max) };
    let paced = pace(playback(&world, options));
    assert_eq!(paced.iter().map(|(_, events)| events).sum::<usize>(), 30);
    assert_eq!(paced.last(), Some(&(2900, 1)));
    let options = PlaybackOptions { batch_events_max: 7, ..with(Speed::Max) };
    let batches = pace(playback(&world, options));
    assert_eq!(batches, [(0, 7), (0, 7), (0, 7), (0, 7), (0, 2)]);
}

#[test]
fn only_what_is_accepted_comes_and_the_first_of_it_sets_the_pace() {
    let world = world(&[0, 3600, 3601]);
    let reader = open(&world.disk, Range::ALL).read();
    let accept = |event: &Archived| event.origin.received_ms > START;
    let playback = Playback::new(reader, Box::new(accept), with(Speed::Times(1.0)));
    assert_eq!(pace(playback), [(0, 1), (1000, 1)]);
}

#[test]
fn waiting_ends_by_the_clock_and_by_a_stop() {
    let world = world(&[0, 60]);
    let clock = TestClock::new(5);
    let stop = Stop::default();
    let mut playback = playback(&world, with(Speed::Times(1.0)));
    let next = |playback: &mut Playback| -> Option<Batch> { playback.next_batch(&clock, &stop) };
    assert_eq!(next(&mut playback).unwrap().events.len(), 1);
    let moved = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| next(&mut playback));
        clock.advance(60_000);
        waiting.join().unwrap()
    });
    assert_eq!(moved.unwrap().events.len(), 1);
    assert!(next(&mut playback).is_none());
    stop.ask();
    assert!(next(&mut playback).is_none());
    assert_eq!(playback.given(), 2);
}
