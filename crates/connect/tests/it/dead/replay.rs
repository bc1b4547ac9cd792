//! Letters become batches again.

use std::sync::Arc;

use connect::dead::replay::{ReplayBatch, admit, batch_of, offset};
use connect::dead::{Found, Letter, LetterFilter, LetterName, Refused};
use event::Marks;
use event::batch::{NO_TIME, Offsets};
use event::death::Death;
use journal::{Disk, SimDisk};

use super::kit::{NOW, death, found, letter, settle, store};

fn as_found(letter: Letter) -> Found {
    let bytes = letter.encode().len() as u64;
    Found { name: LetterName::of(&letter), bytes, letter, edited: false }
}

fn two() -> [Found; 2] {
    let plain = Letter {
        id: 9,
        partition_key: None,
        broker_ms: None,
        attributes: Vec::new(),
        replay_count: 0,
        ..letter()
    };
    [as_found(letter()), as_found(plain)]
}

#[test]
fn p5_a_replayed_event_is_what_was_received() {
    let letters = two();
    let request = ReplayBatch { id: "r1", sinks: 0b10, now_ms: NOW + 5 };
    let batch = batch_of(&letters, &request);
    let (extent, range) = batch.extent_ranges().next().unwrap();
    assert_eq!(
        (&*extent.shard, extent.events_received, extent.received_ms),
        ("replay/r1", 2, NOW + 5)
    );
    let Offsets::Nowhere(_) = &extent.offsets else { panic!("{extent:?}") };
    let replay = batch.replay.as_deref().unwrap();
    assert_eq!(replay.id, "r1");
    for (index, found) in letters.iter().enumerate() {
        let (event, letter) = (&batch.events[index], &found.letter);
        assert_eq!(batch.raw(event), &letter.body[..]);
        assert!(event.marks.has(Marks::REPLAYED));
        assert_eq!(batch.attributes(index), letter.attributes.as_slice());
        assert_eq!(batch.partition_keys.get(index), letter.partition_key.as_deref());
        assert_eq!(batch.position(extent, &range, index).0, offset(letter.id));
        assert_eq!(extent.broker_ms[index], letter.broker_ms.unwrap_or(NO_TIME));
        let one = &replay.events[index];
        assert_eq!((one.letter, one.count), (Some(letter.id), letter.replay_count + 1));
        assert_eq!((one.recorded_ms, one.sinks), (Some(letter.recorded_ms), 0b10));
        assert_eq!(one.origin.as_ref().unwrap().start, letter.start);
    }
}

#[test]
fn p5_an_event_that_dies_again_keeps_where_it_came_from() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(5));
    let mut sink = store(&disk, 1 << 30);
    let letters = two();
    let request = ReplayBatch { id: "r1", sinks: u64::MAX, now_ms: NOW + 9_000 };
    let mut batch = batch_of(&letters, &request);
    batch.kill(0, death(NOW + 10_000));
    batch.kill(1, Death { attempts: Vec::new(), ..death(0) });
    settle(&mut sink, 4, &batch).unwrap();
    let again = found(&disk, LetterFilter::default());
    assert_eq!(again.len(), 2);
    for first in &letters {
        let first = &first.letter;
        let count = first.replay_count + 1;
        let again = again.iter().find(|one| one.letter.replay_count == count).unwrap();
        let again = &again.letter;
        assert_ne!(again.id, first.id);
        assert_eq!(again.replay, "r1");
        assert_eq!(
            (&again.source, &again.shard, again.start, again.end),
            (&first.source, &first.shard, first.start, first.end)
        );
        assert_eq!((again.received_ms, again.broker_ms), (first.received_ms, first.broker_ms));
        assert_eq!((&again.body, &again.attributes), (&first.body, &first.attributes));
        assert_eq!(again.partition_key, first.partition_key);
    }
}

#[test]
fn the_loop_guard_edited_files_and_processed_letters_are_refused_by_name() {
    let one = as_found(letter());
    let path = one.name.path();
    assert_eq!(admit(&one, 2, false), Ok(()));
    assert_eq!(admit(&one, 1, false), Err(Refused::TooOften { path: path.clone(), count: 1 }));
    let edited = Found { edited: true, ..one.clone() };
    assert_eq!(admit(&edited, 2, false), Err(Refused::Edited { path: path.clone() }));
    assert!(admit(&edited, 2, false).unwrap_err().to_string().contains("--edited"));
    assert_eq!(admit(&edited, 2, true), Ok(()));
    let mut done = one;
    done.name.done = true;
    assert!(matches!(admit(&done, 2, true), Err(Refused::Done { .. })));
}
