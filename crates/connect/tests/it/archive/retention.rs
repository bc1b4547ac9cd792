//! Files go once their hour ended longer ago than the retention.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use connect::ArchiveOptions;
use connect::archive::read::Range;
use event::sink::Sink;
use journal::Disk;

use super::kit::{HOUR, ROOT, START, World, options, read};
use crate::fake_ledger::event;

const MINUTE: i64 = 60_000;

fn world() -> World {
    let mut world =
        World::new(ArchiveOptions { retention: Some(Duration::from_secs(2 * 3600)), ..options() });
    for hour in 0..3 {
        world.stage_events(&[event(hour as u64 + 1, START + hour * HOUR, 0)]);
        world.finish(START + hour * HOUR, true);
    }
    world
}

fn left(world: &World) -> Vec<i64> {
    let events = read(&world.disk, Range::ALL).0;
    events.iter().map(|event| (event.origin.received_ms - START) / HOUR).collect()
}

#[test]
fn files_go_when_their_hour_is_over_for_longer_than_the_retention() {
    let mut world = world();
    assert_eq!(left(&world), [0, 1, 2]);
    world.finish(START + 3 * HOUR - 1, false);
    assert_eq!(left(&world), [0, 1, 2], "the hour ended not quite two hours ago");
    world.finish(START + 3 * HOUR, false);
    assert_eq!(left(&world), [0, 1, 2], "looked at a moment ago");
    world.finish(START + 3 * HOUR + MINUTE, false);
    assert_eq!(left(&world), [1, 2]);
    let stats = world.sink.stats();
    assert_eq!(stats.removed_files.load(Ordering::Relaxed), 1);
    assert!(stats.removed_bytes.load(Ordering::Relaxed) > 100);
    world.finish(START + 30 * HOUR, false);
    assert!(left(&world).is_empty());
    assert_eq!(world.files(), Vec::<std::path::PathBuf>::new());
    let listed = world.disk.list(Path::new(ROOT)).unwrap();
    let names: Vec<&str> = listed.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["_onceflow"], "empty folders go as well");
    // And come back for the next event.
    world.stage_events(&[event(9, START + 31 * HOUR, 0)]);
    assert_eq!(left(&world), [31]);
}

#[test]
fn files_of_others_stay_and_late_ones_go() {
    let mut world = world();
    let folder = Path::new(ROOT).join("year=2025/month=11/day=03/hour=10");
    let theirs = |name: &str| folder.join(name);
    let own = world.files()[0].file_name().unwrap().to_str().unwrap().to_owned();
    let foreign = [
        own.replace("feed", "fade"),
        own.replace("my-pipe", "my-pipes"),
        own.replace("-out-", "-other-"),
        "notes.txt".to_owned(),
    ];
    for name in &foreign {
        world.disk.create_new(&theirs(name)).unwrap();
    }
    // Retried for a long time; its file is finished at once, since its hour is over.
    world.stage(&crate::fake_ledger::batch(&[event(8, START, 0)]), START + 9 * HOUR);
    assert_eq!(left(&world), [0]);
    world.finish(START + 9 * HOUR + MINUTE, false);
    assert!(left(&world).is_empty());
    for name in &foreign {
        assert!(world.disk.stat(&theirs(name)).unwrap().is_some(), "{name}");
    }
}

#[test]
fn a_file_that_somebody_else_removed_is_missed_by_name() {
    let mut world = world();
    let output = world.stage_events(&[event(9, START + 5 * HOUR, 0)]);
    let name = output.files.iter().find(|file| file.base_len == 0).unwrap().name.clone();
    let mut state = event::sink::SinkState::default();
    let known = event::sink::FileState { len: output.files[0].len, finished: true };
    state.files.insert(name.clone(), known);
    let open = world.files().into_iter().find(|path| path.to_string_lossy().ends_with("open"));
    world.disk.unlink(&open.unwrap()).unwrap();
    let error = world.sink.open(&state).unwrap_err().to_string();
    assert!(error.contains(&name) && error.contains("is gone"), "{error}");
}
