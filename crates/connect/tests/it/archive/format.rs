//! The format: a file of version 1 is read, and what is written today is the same bytes.

use std::path::PathBuf;

use connect::archive::read::Range;

use super::kit::{START, World, open, options, payloads, read, replace};
use crate::fake_ledger::event;

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/archive-v1.archive")
}

fn written() -> (World, PathBuf) {
    let mut world = World::new(options());
    world.stage_events(&[event(1, START, START - 3), event(2, START + 1, i64::MIN)]);
    world.stage_events(&[event(3, START + 60_000, i64::MIN)]);
    world.finish(START + 60_000, true);
    let path = world.files().remove(0);
    (world, path)
}

#[test]
fn an_archive_file_of_version_1_is_read() {
    let (world, path) = written();
    let fixture = std::fs::read(fixture()).unwrap();
    let today = read(&world.disk, Range::ALL);
    replace(&world.disk, &path, &fixture);
    assert_eq!(read(&world.disk, Range::ALL), today);
    assert_eq!(payloads(&today.0), [1, 2, 3].map(|id| event(id, 0, 0).payload));
    assert_eq!(today.1, Vec::<String>::new());
}

/// The body is compared as it is before compression: another release of zstd may pack it another
/// way.
#[test]
fn what_is_written_today_is_the_fixture() {
    let (world, path) = written();
    let bodies = |bytes: &[u8]| -> Vec<Vec<u8>> {
        replace(&world.disk, &path, bytes);
        let blocks = open(&world.disk, Range::ALL).files.remove(0).blocks;
        let body = |block: &connect::archive::read::Block| {
            let start = block.offset as usize + 72;
            let packed = &bytes[start..start + block.head.body_bytes as usize];
            zstd::bulk::decompress(packed, block.head.raw_bytes as usize).unwrap()
        };
        blocks.iter().map(body).collect()
    };
    let today = world.disk.read_file(&path).unwrap();
    let fixture = std::fs::read(fixture()).unwrap();
    let blocks = bodies(&today);
    assert_eq!((blocks.len(), &blocks), (2, &bodies(&fixture)));
    let head = 8 + 16 + 8 + 8 + 4 + 2 + "my-pipe".len() + 8;
    assert_eq!(today[..head], fixture[..head]);
    // All of a block's head but what depends on the packed body.
    assert_eq!(today[head..head + 52], fixture[head..head + 52]);
}
