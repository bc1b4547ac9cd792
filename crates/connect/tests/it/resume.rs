//! A file is read on where it was settled; grown, replaced, cut, changed and renamed files.

use std::fs;
use std::os::unix::fs::MetadataExt;

use connect::FilePattern;
use event::source::{Received, Source, Stop};

use crate::kit::{World, changed, texts};

const LINES: &str = "{\"a\":1}\n\n{\"b\":22}\r\n\0x\u{e9}\nlast";

fn lines() -> Vec<&'static str> {
    vec!["{\"a\":1}", "", "{\"b\":22}\r", "\0x\u{e9}", "last"]
}

#[test]
fn every_line_is_an_event_also_an_empty_one_and_one_without_newline() {
    let mut world = World::new();
    world.write("a", LINES);
    let seen = world.read("a");
    assert_eq!(texts(&seen), lines());
    assert_eq!(seen[0].start, 0.into());
    assert_eq!(seen[4].end, (LINES.len() as u64).into());
    assert_eq!(world.settled(), LINES.len() as u64);
}

#[test]
fn resume_at_every_place_of_a_small_file_with_batches_of_every_size() {
    for bytes_max in 1..=LINES.len() {
        for events_max in 1..=5 {
            for settle_max in 0..=5 {
                let mut world = World::new();
                world.write("a", LINES);
                world.limits.bytes_max = bytes_max;
                world.limits.events_max = events_max;
                world.event_bytes_max = 64;
                world.settle_max = settle_max;
                let first = world.read("a");
                assert_eq!(texts(&first), lines());
                let through = world.state.values().next().map_or(0.into(), |s| s.settled_through);
                world.settle_max = usize::MAX;
                let rest: Vec<_> = first.into_iter().filter(|e| e.start >= through).collect();
                assert_eq!(world.read("a"), rest, "{bytes_max} {events_max} {settle_max}");
                assert_eq!(world.read("a"), []);
            }
        }
    }
}

#[test]
fn a_file_that_was_read_to_its_end_is_not_read_again() {
    let mut world = World::new();
    let path = world.write("app.ndjson", "1\n2\n");
    assert_eq!(world.open(FilePattern::Path(path.clone())).unwrap().remarks(), [""; 0]);
    world.read("app.ndjson");
    let mut source = world.open(FilePattern::Path(path)).unwrap();
    assert_eq!(source.name(), "file:app.ndjson");
    assert_eq!(
        source.remarks(),
        ["app.ndjson was read to its end (4 bytes) by an earlier run; --reread reads it again"]
    );
    let end = source.receive(&world.limits, &Stop::default()).unwrap();
    assert!(matches!(end, Received::End));
}

#[test]
fn reread_reads_everything_again_under_a_shard_that_the_ledger_does_not_know() {
    let mut world = World::new();
    world.write("a", "1\n2\n");
    let first = world.read("a");
    world.reread = true;
    let second = world.read("a");
    let third = world.read("a");
    assert_eq!((texts(&second), texts(&third)), (texts(&first), texts(&first)));
    assert_eq!(second[0].shard.as_ref(), format!("{}#2", first[0].shard));
    assert_eq!(third[0].shard.as_ref(), format!("{}#3", first[0].shard));
    world.reread = false;
    assert_eq!(world.read("a"), []);
    world.append("a", "3\n");
    let grown = world.read("a");
    assert_eq!((texts(&grown), &grown[0].shard), (vec!["3".into()], &third[0].shard));
}

#[test]
fn a_grown_file_is_read_on() {
    let mut world = World::new();
    world.write("a", "1\n");
    let mut shards = vec![world.read("a")[0].shard.clone()];
    for round in 0..2000 {
        let line = format!("line {round} of a file that passes 4 KiB");
        world.append("a", format!("{line}\n"));
        let seen = world.read("a");
        assert_eq!(texts(&seen), [line]);
        shards.push(seen[0].shard.clone());
    }
    shards.dedup();
    assert_eq!(shards.len(), 1, "its head is as long as when it was first read");
}

#[test]
fn a_line_that_was_read_without_its_newline_and_goes_on_later() {
    let mut world = World::new();
    world.write("a", "1\n2");
    assert_eq!(texts(&world.read("a")), ["1", "2"]);
    world.append("a", "\n");
    assert_eq!(texts(&world.read("a")), [""; 0], "only the newline came");
    world.append("a", "3\n\n");
    assert_eq!(texts(&world.read("a")), ["3", ""]);
    world.append("a", "{\"half");
    assert_eq!(texts(&world.read("a")), ["{\"half"]);
    world.append("a", "\":1}\n4\n");
    assert_eq!(texts(&world.read("a")), ["\":1}", "4"], "nothing is lost");
}

#[test]
fn a_replaced_file_is_a_new_one() {
    let mut world = World::new();
    world.write("a", "old 1 with some more bytes\nold 2\n");
    let old = world.read("a");
    // In place, so that device and inode stay.
    world.write("a", "new 1 with some more bytes\nnew 2\nnew 3\n");
    let new = world.read("a");
    assert_eq!(texts(&new), ["new 1 with some more bytes", "new 2", "new 3"]);
    assert_ne!(new[0].shard, old[0].shard);
    assert_eq!(world.state.len(), 2, "the old shard is left alone");
    // Shorter than the old ones, but certainly no rest of them.
    world.write("a", "another beginning\n");
    assert_eq!(texts(&world.read("a")), ["another beginning"]);
    // By another file of that name.
    world.write("b", "from b\n");
    fs::rename(world.path("b"), world.path("a")).unwrap();
    assert_eq!(texts(&world.read("a")), ["from b"]);
}

#[test]
fn a_shorter_file_is_a_named_error() {
    for len in 0..10 {
        let mut world = World::new();
        let path = world.write("a", "1\n2\n3\n4\n5\n");
        world.read("a");
        fs::File::options().write(true).open(path).unwrap().set_len(len).unwrap();
        let what = changed(world.try_read("a"));
        assert!(what.contains("shorter than it was") && what.contains("10 were read"), "{what}");
        world.reread = true;
        assert_eq!(world.read("a").len() as u64, len.div_ceil(2));
    }
}

#[test]
fn a_file_that_was_cut_beyond_its_head_is_a_named_error() {
    let mut world = World::new();
    let path = world.write("a", "0123456789abcde\n".repeat(1000));
    world.read("a");
    fs::File::options().write(true).open(path).unwrap().set_len(15_999).unwrap();
    let what = changed(world.try_read("a"));
    assert!(what.contains("15999 bytes, and 16000 were read"), "{what}");
}

#[test]
fn a_changed_tail_is_a_named_error() {
    let mut world = World::new();
    let mut bytes = "0123456789abcde\n".repeat(1000).into_bytes();
    world.write("a", &bytes);
    world.read("a");
    bytes[15_000] = b'X';
    bytes.extend(b"more\n");
    world.write("a", &bytes);
    let what = changed(world.try_read("a"));
    assert!(what.contains("bytes 11904 to 16000 are not what they were"), "{what}");
    bytes[15_000] = b'0' + 8;
    world.write("a", &bytes);
    assert_eq!(texts(&world.read("a")), ["more"], "with the old bytes it goes on");
}

#[test]
fn a_renamed_file_keeps_its_place() {
    let mut world = World::new();
    world.write("app.log", "1\n2\n");
    let first = world.read("app.log");
    fs::rename(world.path("app.log"), world.path("app.log.1")).unwrap();
    world.append("app.log.1", "3\n");
    world.write("app.log", "new\n");
    let rest = world.read("app.log.1");
    assert_eq!((texts(&rest), &rest[0].shard), (vec!["3".into()], &first[0].shard));
    assert_eq!(texts(&world.read("app.log")), ["new"]);
    assert_eq!(world.state.len(), 2);
}

#[test]
fn an_inode_that_was_given_to_another_file_begins_anew() {
    // A file system may give the inode of a deleted file to the next one.
    let mut world = World::new();
    for round in 0..20 {
        let path = world.write("a", format!("{round}\n"));
        let inode = fs::metadata(&path).unwrap().ino();
        assert_eq!(texts(&world.read("a")), [round.to_string()], "inode {inode}");
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn what_is_settled_beyond_a_gap_comes_again_from_the_gap_on() {
    let mut world = World::new();
    world.write("a", "1\n2\n3\n4\n5\n");
    world.limits.events_max = 1;
    world.settle_max = 1;
    let all = world.read("a");
    // The third was settled as well; the ledger holds it as a range of its own.
    let state = world.state.values_mut().next().unwrap();
    state.settle(all[2].start, all[2].end);
    assert_eq!(world.read("a"), all[1..]);
}

#[test]
fn the_ledgers_newest_mark_may_lie_beyond_a_gap() {
    let mut world = World::new();
    world.write("a", "1\n2\n3\n4\n5\n");
    let all = world.read("a");
    let state = world.state.values_mut().next().unwrap();
    state.settled_through = 2.into();
    state.settled_beyond = vec![(4.into(), 10.into())];
    assert_eq!(world.read("a"), all[1..]);
}
