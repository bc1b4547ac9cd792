//! What is damaged is named, and the rest is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use connect::archive::read::{Archive, ArchiveError, Range};

use super::kit::{PIPE, ROOT, START, World, open, options, payloads, read, replace};
use crate::fake_ledger::event;

/// A finished file of three blocks of two events, where its blocks begin, and its bytes.
fn finished() -> (World, PathBuf, Vec<u64>, Vec<u8>) {
    let mut world = World::new(options());
    for first in [1, 3, 5] {
        world.stage_events(&[event(first, START, 0), event(first + 1, START, 0)]);
    }
    world.finish(START, true);
    let path = &world.files()[0];
    let blocks = open(&world.disk, Range::ALL).files[0].blocks.iter().map(|b| b.offset).collect();
    let bytes = world.disk.read_file(path).unwrap();
    let path = path.clone();
    (world, path, blocks, bytes)
}

/// What is left when the file is `bytes`.
fn left(world: &World, path: &Path, bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    replace(&world.disk, path, bytes);
    let (found, damages) = read(&world.disk, Range::ALL);
    (payloads(&found), damages)
}

fn ids(ids: &[u64]) -> Vec<String> {
    ids.iter().map(|id| event(*id, START, 0).payload).collect()
}

#[test]
fn any_changed_byte_costs_one_block_at_most_and_is_named() {
    let (world, path, blocks, bytes) = finished();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x20;
        if at == 7 {
            continue; // the version: below
        }
        let (found, damages) = left(&world, &path, &changed);
        let block = blocks.iter().rposition(|offset| *offset <= at as u64);
        let expected: Vec<u64> =
            (1..7).filter(|id| block != Some((*id as usize - 1) / 2)).collect();
        assert_eq!(found, ids(&expected), "byte {at}: {damages:?}");
        let offset = block.map_or(0, |block| blocks[block]);
        let named = format!("{}, byte {offset}: the ", path.display());
        assert!(damages.len() == 1 && damages[0].starts_with(&named), "byte {at}: {damages:?}");
    }
}

#[test]
fn a_file_that_is_cut_off_gives_its_whole_blocks() {
    let (world, path, blocks, bytes) = finished();
    for len in 0..bytes.len() {
        let (found, damages) = left(&world, &path, &bytes[..len]);
        let whole = blocks[1..].iter().filter(|offset| **offset <= len as u64).count() * 2;
        assert_eq!(found, ids(&(1..=whole as u64).collect::<Vec<_>>()), "{len} bytes");
        // A cut between two blocks can't be seen in the file; the ledger knows the length.
        let between = blocks.contains(&(len as u64));
        assert_eq!(damages.len(), usize::from(!between), "{len} bytes: {damages:?}");
    }
}

#[test]
fn bytes_that_are_missing_or_too_many_in_the_middle_cost_their_block() {
    let (world, path, blocks, bytes) = finished();
    let at = blocks[1] as usize + 30;
    let (found, damages) = left(&world, &path, &[&bytes[..at], &bytes[at + 9..]].concat());
    assert_eq!((found, damages.len()), (ids(&[1, 2, 5, 6]), 1));
    let (found, damages) = left(&world, &path, &[&bytes[..at], b"xyz", &bytes[at..]].concat());
    assert_eq!((found, damages.len()), (ids(&[1, 2, 5, 6]), 1));
    let hole = vec![0; 3 << 20];
    let (found, damages) = left(&world, &path, &[&bytes[..at], &hole, &bytes[at..]].concat());
    assert_eq!((found, damages.len()), (ids(&[1, 2, 5, 6]), 1));
}

#[test]
fn a_block_of_another_file_is_no_block_of_this_one() {
    let (world, path, blocks, bytes) = finished();
    let mut other = World::on(journal::SimDisk::new(4), options_in_root(), 9);
    other.stage_events(&[event(72, START, 0)]);
    let foreign = other.disk.read_file(&other.files()[0]).unwrap();
    // An event's payload was an archive: after damage in front of it, its blocks are no blocks.
    let at = blocks[1] as usize;
    let mut mixed = [&bytes[..at], &foreign, &bytes[at..]].concat();
    mixed[blocks[0] as usize] ^= 1;
    let (found, damages) = left(&world, &path, &mixed);
    assert_eq!((found, damages.len()), (ids(&[3, 4, 5, 6]), 1));
}

fn options_in_root() -> connect::ArchiveOptions {
    connect::ArchiveOptions { root: "/other".into(), ..options() }
}

#[test]
fn the_tail_of_a_file_that_is_being_written_is_no_damage() {
    let (world, path, blocks, bytes) = finished();
    journal::Disk::unlink(&world.disk, &path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let open = path.with_file_name(format!("_{name}.open"));
    for len in 0..bytes.len() {
        journal::Disk::create_new(&world.disk, &open).unwrap();
        let (found, damages) = left(&world, &open, &bytes[..len]);
        let whole = blocks[1..].iter().filter(|offset| **offset <= len as u64).count();
        assert_eq!((found.len(), damages), (2 * whole, vec![]), "{len} bytes");
        journal::Disk::unlink(&world.disk, &open).unwrap();
    }
}

#[test]
fn a_newer_version_and_a_missing_folder_are_refused_by_name() {
    let (world, path, _, mut bytes) = finished();
    bytes[7] += 1;
    replace(&world.disk, &path, &bytes);
    let open = |root: &str| {
        Archive::open(Arc::new(world.disk.clone()), root.as_ref(), PIPE, Range::ALL).err().unwrap()
    };
    let error = open(ROOT);
    assert!(matches!(&error, ArchiveError::Newer { version: 2, .. }), "{error}");
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
    assert_eq!(open("/nowhere").to_string(), "there is no archive in /nowhere");
}
