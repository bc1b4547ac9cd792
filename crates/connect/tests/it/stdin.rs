//! Standard input, over a pipe.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use connect::{Compression, FilePattern, FileSource};
use event::TestClock;
use event::source::{Received, Source, Stop};

use crate::kit::{NOW, World, events, next_batch, texts};

fn source(world: &World, pipe: impl Into<OwnedFd>) -> FileSource {
    let options = world.options(FilePattern::Stdin);
    let clock = Arc::new(TestClock::new(NOW));
    FileSource::open_pipe(options, pipe.into(), &world.state, clock).unwrap()
}

#[test]
fn everything_that_is_piped_in_is_read() {
    let mut world = World::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut source = source(&world, reader);
    assert_eq!(source.name(), "file:-");
    let lines: Vec<String> = (0..100_000).map(|i| format!("line {i}")).collect();
    let text = lines.join("\n");
    let thread = std::thread::spawn(move || writer.write_all(text.as_bytes()).unwrap());
    let (seen, error) = world.drain(&mut source);
    thread.join().unwrap();
    assert!(error.is_none());
    assert!(texts(&seen) == lines);
}

#[test]
fn positions_of_another_run_are_not_taken_as_settled() {
    let mut world = World::new();
    let mut last = 0.into();
    for round in 0..5 {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(format!("{round}\n{round}").as_bytes()).unwrap();
        drop(writer);
        let mut source = source(&world, reader);
        let batch = next_batch(&mut source, &world.limits);
        let seen = events(&batch);
        let state = world.state.get(&seen[0].shard);
        let settled = |at| state.is_some_and(|state| state.is_settled(at));
        assert!(seen.iter().all(|event| !settled(event.start)), "round {round}");
        // After the gap that round 2 left, the first event closes it.
        assert!(round == 3 || seen[0].start >= last);
        assert!(seen[0].end > last);
        last = seen[1].end;
        if round == 2 {
            // As if the first event of this run had never been settled.
            let state = world.state.get_mut(&seen[0].shard).unwrap();
            state.settle(seen[1].start, seen[1].end);
            assert_eq!(state.settled_beyond.len(), 1);
        } else {
            world.settle(&batch);
        }
    }
    assert_eq!(world.state.len(), 1, "the ledger doesn't grow by runs");
    assert!(world.state.values().all(|state| state.settled_beyond.is_empty()));
}

#[test]
fn a_batch_closes_after_interval_max_with_its_whole_lines() {
    let mut world = World::new();
    world.limits.interval_max = Duration::from_millis(20);
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut source = source(&world, reader);
    writer.write_all(b"1\n2\nhal").unwrap();
    let batch = next_batch(&mut source, &world.limits);
    assert_eq!(texts(&events(&batch)), ["1", "2"]);
    writer.write_all(b"f\n").unwrap();
    let batch = next_batch(&mut source, &world.limits);
    assert_eq!(texts(&events(&batch)), ["half"]);
    drop(writer);
    assert!(matches!(source.receive(&world.limits, &Stop::default()).unwrap(), Received::End));
}

#[test]
fn stop_is_heeded_while_nothing_comes() {
    let world = World::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut source = source(&world, reader);
    let began = Instant::now();
    assert!(matches!(source.receive(&world.limits, &Stop::default()).unwrap(), Received::Idle));
    assert!(began.elapsed() < Duration::from_secs(10), "it came back by itself");
    let stop = Stop::default();
    stop.ask();
    writer.write_all(b"1\n").unwrap();
    let waited = Instant::now();
    drop(source.receive(&world.limits, &stop).unwrap());
    assert!(waited.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_compressed_stream_is_read_when_asked_for() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let mut world = World::new();
        world.compression = compression;
        let text = "line\n".repeat(10_000);
        let bytes = match compression {
            Compression::Gzip => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            _ => zstd::stream::encode_all(text.as_bytes(), 1).unwrap(),
        };
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut source = source(&world, reader);
        let thread = std::thread::spawn(move || {
            for part in bytes.chunks(7) {
                writer.write_all(part).unwrap();
            }
        });
        let (seen, error) = world.drain(&mut source);
        thread.join().unwrap();
        assert!(error.is_none(), "{error:?}");
        assert_eq!(seen.len(), 10_000);
    }
}
