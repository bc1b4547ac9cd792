//! Lines that are too long for memory.

use connect::FilePattern;
use event::source::{Received, Source, Stop};

use crate::kit::{World, events, next_batch, texts};

fn long(len: usize, letter: char) -> String {
    letter.to_string().repeat(len)
}

#[test]
fn p6_a_line_over_event_bytes_max_goes_to_a_file_and_the_rest_goes_on() {
    for len in [100, 101, 1000, 70_000, 300_000, 10 << 20] {
        for bytes_max in [64, 4096, 1 << 20] {
            let mut world = World::new();
            world.limits.bytes_max = bytes_max;
            world.event_bytes_max = 100;
            let lines =
                ["1".to_owned(), long(len, 'x'), "3".into(), long(len, 'y'), long(len, 'z')];
            world.write("a", lines.join("\n"));
            let seen = world.read("a");
            assert_eq!(seen.len(), 5, "{len} bytes");
            assert!(texts(&seen) == lines, "{len} bytes");
            let spilled: Vec<bool> = seen.iter().map(|event| event.spilled).collect();
            let over = len > 100;
            assert_eq!(spilled, [false, over, false, over, over], "{len} bytes");
            assert_eq!(world.read("a"), []);
            world.append("a", "\nmore\n");
            assert_eq!(texts(&world.read("a")), ["more"]);
        }
    }
}

#[test]
fn a_long_line_in_a_compressed_file() {
    let mut world = World::new();
    world.event_bytes_max = 1000;
    world.limits.bytes_max = 2000;
    let lines = ["1".to_owned(), long(500_000, 'x'), "3".into()];
    world
        .write("a.zst", zstd::stream::encode_all((lines.join("\n") + "\n").as_bytes(), 1).unwrap());
    assert!(texts(&world.read("a.zst")) == lines);
    assert_eq!(world.read("a.zst"), []);
}

#[test]
fn p6_the_file_of_a_long_line_is_gone_with_its_batch() {
    let mut world = World::new();
    world.event_bytes_max = 10;
    world.write("a", long(1000, 'x') + "\n1\n");
    let mut source = world.open(FilePattern::Path(world.path("a"))).unwrap();
    let batch = next_batch(&mut source, &world.limits);
    assert_eq!(events(&batch).len(), 2);
    // It has no name from the start, so a kill leaves nothing behind either.
    assert_eq!(std::fs::read_dir(world.path("spill")).unwrap().count(), 0);
    drop(source);
    assert_eq!(events(&batch)[0].raw, vec![b'x'; 1000], "the batch owns it");
}

#[test]
fn a_spill_folder_that_cannot_be_made_is_named() {
    let mut world = World::new();
    world.event_bytes_max = 10;
    world.write("spill", "a file is in the way");
    world.write("a", long(1000, 'x'));
    let error = world.try_read("a").unwrap_err().to_string();
    assert!(error.contains("a line over event_bytes_max") && error.contains("spill"), "{error}");
}

#[test]
fn a_million_empty_lines() {
    let mut world = World::new();
    world.write("a", "\n".repeat(1_000_000));
    let seen = world.read("a");
    assert_eq!(seen.len(), 1_000_000);
    assert!(seen.iter().all(|event| event.raw.is_empty()));
    assert_eq!(world.settled(), 1_000_000);
}

#[test]
fn stop_is_heeded_in_the_middle_of_a_long_line() {
    let mut world = World::new();
    world.event_bytes_max = 10;
    world.limits.bytes_max = 1000;
    world.write("a", long(10 << 20, 'x') + "\n");
    let mut source = world.open(FilePattern::Path(world.path("a"))).unwrap();
    let stop = Stop::default();
    stop.ask();
    assert!(matches!(source.receive(&world.limits, &stop).unwrap(), Received::Idle));
    // Nothing was lost by that.
    let (seen, _) = world.drain(&mut source);
    assert_eq!((seen.len(), seen[0].raw.len()), (1, 10 << 20));
}
