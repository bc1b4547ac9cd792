//! The simulated disk loses what a real one may lose, and keeps what a real one must keep.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use journal::{Disk, Fault, SimDisk, SyncPoint, mkdir_all_synced};
use proptest::prelude::*;

const POINT: SyncPoint = SyncPoint("test");
const SEEDS: u64 = 200;

fn p(path: &str) -> &Path {
    Path::new(path)
}

/// What may be found of some files after a loss of power.
fn found<T: Ord>(disk: &SimDisk, look: impl Fn(&SimDisk) -> T) -> BTreeSet<T> {
    (0..5 * SEEDS).map(|seed| look(&disk.after_power_loss(seed))).collect()
}

fn content(path: &'static str) -> impl Fn(&SimDisk) -> Option<Vec<u8>> {
    move |disk| disk.read_file(p(path))
}

fn names(disk: &SimDisk) -> String {
    let names = disk.files().into_iter().map(|(path, _)| path.display().to_string());
    names.collect::<Vec<_>>().join(" ")
}

fn set<T: Ord, const N: usize>(all: [T; N]) -> BTreeSet<T> {
    all.into()
}

fn synced(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let file = disk.create_new(p(path)).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync(POINT).unwrap();
    disk.sync_dir(p(path).parent().unwrap(), POINT).unwrap();
}

#[test]
fn synced_data_stays_and_unsynced_data_may_go() {
    let disk = SimDisk::new(1);
    synced(&disk, "/a", b"old");
    let file = disk.open(p("/a")).unwrap();
    file.write_at(0, b"new").unwrap();
    assert_eq!(disk.read_file(p("/a")).unwrap(), b"new");
    assert_eq!(found(&disk, content("/a")), set([Some(b"old".to_vec()), Some(b"new".to_vec())]));
    file.sync(POINT).unwrap();
    assert_eq!(found(&disk, content("/a")), set([Some(b"new".to_vec())]));
}

#[test]
fn a_write_is_torn_at_sectors_and_in_any_order() {
    let disk = SimDisk::new(1);
    synced(&disk, "/a", &[0; 1536]);
    disk.open(p("/a")).unwrap().write_at(0, &[1; 1536]).unwrap();
    let sectors = |disk: &SimDisk| {
        let bytes = disk.read_file(p("/a")).unwrap();
        let sectors = bytes.chunks(512);
        sectors
            .map(|sector| {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a torn sector");
                sector[0]
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&disk, sectors).len(), 8, "every subset of three sectors");
}

#[test]
fn later_writes_to_a_sector_are_kept_only_with_the_earlier_ones() {
    let disk = SimDisk::new(1);
    synced(&disk, "/a", b"....");
    let file = disk.open(p("/a")).unwrap();
    file.write_at(0, b"1").unwrap();
    file.write_at(1, b"2").unwrap();
    let all = [b"....", b"1...", b"12.."].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(found(&disk, content("/a")), set(all));
}

#[test]
fn length_and_data_are_apart() {
    let disk = SimDisk::new(1);
    synced(&disk, "/a", b"");
    let file = disk.open(p("/a")).unwrap();
    file.write_at(0, b"ab").unwrap();
    let all = [&b""[..], b"ab", b"\0\0"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(found(&disk, content("/a")), set(all));
    file.sync(POINT).unwrap();
    file.set_len(1).unwrap();
    let all = [&b"ab"[..], b"a", b"a\0"].map(|bytes| Some(bytes.to_vec()));
    assert_eq!(found(&disk, content("/a")), set(all));
    file.sync(POINT).unwrap();
    file.set_len(2).unwrap();
    assert_eq!(disk.read_file(p("/a")).unwrap(), b"a\0", "what was cut is gone");
}

#[test]
fn a_name_needs_its_folder_synced_and_a_rename_keeps_one_of_the_two() {
    let disk = SimDisk::new(1);
    let file = disk.create_new(p("/a")).unwrap();
    file.write_at(0, b"x").unwrap();
    file.sync(POINT).unwrap();
    disk.rename(p("/a"), p("/b")).unwrap();
    assert_eq!(found(&disk, names), set(["", "/a", "/b"].map(String::from)));
    disk.sync_dir(p("/"), POINT).unwrap();
    assert_eq!(found(&disk, names), set(["/b".to_string()]));
    assert_eq!(found(&disk, content("/b")), set([Some(b"x".to_vec())]));
}

#[test]
fn a_rename_over_a_file_leaves_the_old_or_the_new_one() {
    let disk = SimDisk::new(1);
    synced(&disk, "/a", b"old");
    synced(&disk, "/a.tmp", b"new");
    disk.rename(p("/a.tmp"), p("/a")).unwrap();
    assert_eq!(found(&disk, content("/a")), set([Some(b"old".to_vec()), Some(b"new".to_vec())]));
}

#[test]
fn a_rename_from_folder_to_folder_needs_both_synced() {
    let disk = SimDisk::new(1);
    mkdir_all_synced(&disk, p("/"), p("/d"), POINT).unwrap();
    synced(&disk, "/a", b"x");
    disk.rename(p("/a"), p("/d/b")).unwrap();
    assert_eq!(names(&disk), "/d/b");
    assert_eq!(found(&disk, names), set(["", "/a", "/d/b", "/a /d/b"].map(String::from)));
    disk.sync_dir(p("/d"), POINT).unwrap();
    assert_eq!(found(&disk, names), set(["/d/b", "/a /d/b"].map(String::from)));
    disk.sync_dir(p("/"), POINT).unwrap();
    assert_eq!(found(&disk, names), set(["/d/b".to_string()]));
}

#[test]
fn what_stands_in_a_lost_folder_is_lost() {
    let disk = SimDisk::new(1);
    disk.mkdir(p("/d")).unwrap();
    synced(&disk, "/d/a", b"x");
    assert_eq!(found(&disk, names), set(["", "/d/a"].map(String::from)));
    disk.sync_dir(p("/"), POINT).unwrap();
    assert_eq!(found(&disk, names), set(["/d/a".to_string()]));
}

#[test]
fn mkdir_all_synced_makes_every_level_durable_also_after_a_kill() {
    let disk = SimDisk::new(1);
    mkdir_all_synced(&disk, p("/"), p("/d/e/f"), POINT).unwrap();
    let there = |disk: &SimDisk| disk.stat(p("/d/e/f")).unwrap().is_some();
    assert_eq!(found(&disk, there), set([true]));
    let disk = SimDisk::new(1);
    disk.mkdir(p("/d")).unwrap();
    let disk = disk.after_process_kill();
    mkdir_all_synced(&disk, p("/"), p("/d/e/f"), POINT).unwrap();
    assert_eq!(found(&disk, there), set([true]));
}

#[test]
fn an_unlink_may_come_undone_until_its_folder_is_synced() {
    let disk = SimDisk::new(1);
    synced(&disk, "/a", b"x");
    let open = disk.open_read(p("/a")).unwrap();
    disk.unlink(p("/a")).unwrap();
    assert_eq!(open.read_at(0, &mut [0]).unwrap(), 1, "whoever has it open goes on");
    assert_eq!(found(&disk, content("/a")), set([None, Some(b"x".to_vec())]));
    disk.sync_dir(p("/"), POINT).unwrap();
    assert_eq!(found(&disk, content("/a")), set([None]));
}

#[test]
fn only_an_empty_folder_is_removed_and_that_may_come_undone_until_its_parent_is_synced() {
    let disk = SimDisk::new(2);
    disk.mkdir(p("/d")).unwrap();
    disk.sync_dir(p("/"), POINT).unwrap();
    synced(&disk, "/d/f", b"1");
    let full = disk.rmdir(p("/d")).unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::DirectoryNotEmpty);
    disk.unlink(p("/d/f")).unwrap();
    disk.rmdir(p("/d")).unwrap();
    let there = |disk: &SimDisk| disk.stat(p("/d")).unwrap().is_some();
    assert!(!there(&disk));
    assert_eq!(found(&disk, there), set([false, true]));
    disk.sync_dir(p("/"), POINT).unwrap();
    assert_eq!(found(&disk, there), set([false]));
}

#[test]
fn a_killed_process_leaves_everything_visible_and_as_unsynced_as_before() {
    let disk = SimDisk::new(1);
    let file = disk.create_new(p("/a")).unwrap();
    file.write_at(0, b"x").unwrap();
    let killed = disk.after_process_kill();
    assert_eq!(killed.read_file(p("/a")).unwrap(), b"x");
    assert!(found(&killed, names).contains(""));
    killed.open(p("/a")).unwrap().sync(POINT).unwrap();
    killed.sync_dir(p("/"), POINT).unwrap();
    assert_eq!(found(&killed, content("/a")), set([Some(b"x".to_vec())]));
    assert!(found(&disk, names).contains(""), "the two are disks of their own");
}

#[test]
fn a_sync_covers_what_came_before_it_and_only_once_it_is_waited_for() {
    let disk = SimDisk::new(1);
    synced(&disk, "/a", &[0; 1024]);
    let file = disk.open(p("/a")).unwrap();
    file.write_at(0, &[1; 512]).unwrap();
    let pending = file.sync_start(POINT);
    file.write_at(512, &[2; 512]).unwrap();
    let first = |disk: &SimDisk| disk.read_file(p("/a")).unwrap()[0];
    let second = |disk: &SimDisk| disk.read_file(p("/a")).unwrap()[512];
    assert_eq!(found(&disk, first), set([0, 1]));
    pending.wait().unwrap();
    assert_eq!(found(&disk, first), set([1]));
    assert_eq!(found(&disk, second), set([0, 2]));
}

#[test]
fn a_crash_fails_every_call_and_does_its_operation_in_part() {
    let mut lengths = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        let file = disk.create_new(p("/a")).unwrap();
        file.write_at(0, &[1; 4]).unwrap();
        assert_eq!(disk.ops(), 2);
        disk.crash_at(2);
        assert!(SimDisk::is_crash(&file.write_at(4, &[2; 4]).unwrap_err()));
        assert!(SimDisk::is_crash(&file.sync(POINT).unwrap_err()));
        assert!(SimDisk::is_crash(&file.read_at(0, &mut [0]).unwrap_err()));
        assert!(SimDisk::is_crash(&disk.open(p("/a")).err().unwrap()));
        assert!(SimDisk::is_crash(&disk.list(p("/")).unwrap_err()));
        assert!(disk.has_crashed());
        assert!(!SimDisk::is_crash(&io::Error::other("another")));
        let killed = disk.after_process_kill();
        lengths.insert(killed.read_file(p("/a")).unwrap().len());
        assert!(killed.open(p("/a")).is_ok());
    }
    assert_eq!(lengths, (4..=8).collect());
}

#[test]
fn a_failed_sync_may_have_lost_what_readers_still_see() {
    let mut outcomes = BTreeSet::new();
    for seed in 0..SEEDS {
        let disk = SimDisk::new(seed);
        synced(&disk, "/a", b"old");
        let file = disk.open(p("/a")).unwrap();
        file.write_at(0, b"new").unwrap();
        disk.fail_at(disk.ops(), Fault::Io);
        assert_eq!(file.sync(POINT).unwrap_err().raw_os_error(), Some(5));
        assert!(file.sync(POINT).is_err(), "the same handle never syncs again");
        assert_eq!(disk.read_file(p("/a")).unwrap(), b"new");
        disk.open(p("/a")).unwrap().sync(POINT).unwrap();
        outcomes.insert(disk.after_power_loss(seed).read_file(p("/a")).unwrap());
    }
    assert_eq!(outcomes, set([b"old".to_vec(), b"new".to_vec()]));
}

#[test]
fn a_fault_comes_once() {
    let disk = SimDisk::new(1);
    disk.fail_at(0, Fault::NoSpace);
    assert_eq!(disk.create_new(p("/a")).err().unwrap().kind(), io::ErrorKind::StorageFull);
    assert_eq!(names(&disk), "");
    disk.create_new(p("/a")).unwrap();
}

#[test]
fn room_ends_at_the_capacity() {
    let disk = SimDisk::new(1);
    disk.set_capacity(1000);
    let file = disk.create_new(p("/a")).unwrap();
    file.preallocate(800).unwrap();
    let other = disk.create_new(p("/b")).unwrap();
    assert_eq!(other.preallocate(201).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(other.write_at(0, &[1; 300]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(other.len().unwrap(), 200, "as much as fits");
    file.write_at(0, &[1; 800]).unwrap();
    disk.unlink(p("/b")).unwrap();
    file.write_at(800, &[1; 200]).unwrap();
    file.set_len(0).unwrap();
    disk.create_new(p("/c")).unwrap().preallocate(1000).unwrap();
}

#[test]
fn a_skipped_sync_does_nothing_also_after_a_restart() {
    let disk = SimDisk::new(1);
    disk.skip_sync(SyncPoint("skipped"));
    let disk = disk.after_process_kill();
    synced(&disk, "/a", b"old");
    let file = disk.open(p("/a")).unwrap();
    file.write_at(0, b"new").unwrap();
    file.sync(SyncPoint("skipped")).unwrap();
    assert_eq!(found(&disk, content("/a")).len(), 2);
    let seen: Vec<_> = disk.sync_points_seen().into_iter().map(|point| point.0).collect();
    assert_eq!(seen, ["skipped", "test"]);
    assert_eq!(disk.sync_counts()[&POINT], 2);
}

#[test]
fn errors_are_those_of_a_file_system() {
    let disk = SimDisk::new(1);
    disk.mkdir(p("/d")).unwrap();
    disk.create_new(p("/a")).unwrap();
    let kind = |outcome: io::Result<()>| outcome.unwrap_err().kind();
    assert_eq!(kind(disk.mkdir(p("/d"))), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.mkdir(p("/x/y"))), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.mkdir(p("/a/y"))), io::ErrorKind::NotADirectory);
    assert_eq!(kind(disk.create_new(p("/a")).map(drop)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(disk.open(p("/x")).map(drop)), io::ErrorKind::NotFound);
    assert_eq!(kind(disk.open(p("/d")).map(drop)), io::ErrorKind::IsADirectory);
    assert_eq!(kind(disk.unlink(p("/d"))), io::ErrorKind::IsADirectory);
    assert_eq!(kind(disk.rename(p("/x"), p("/y"))), io::ErrorKind::NotFound);
    assert_eq!(
        disk.open_read(p("/a")).unwrap().write_at(0, b"x").unwrap_err().raw_os_error(),
        Some(9)
    );
    assert_eq!(disk.ops(), 2, "what was refused is no operation");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_file_is_a_run_of_bytes(
        ops in prop::collection::vec((0_u8..4, 0_u64..20_000, 0_usize..9000, any::<u8>()), 1..30),
        seed: u64,
    ) {
        let disk = SimDisk::new(seed);
        let file = disk.create_new(p("/a")).unwrap();
        disk.sync_dir(p("/"), POINT).unwrap();
        let mut model: Vec<u8> = Vec::new();
        let mut durable = None;
        for (op, at, bytes, fill) in ops {
            durable = None;
            match op {
                0 | 1 => {
                    file.write_at(at, &vec![fill; bytes]).unwrap();
                    let end = at as usize + bytes;
                    if bytes > 0 {
                        model.resize(model.len().max(end), 0);
                        model[at as usize..end].fill(fill);
                    }
                }
                2 => {
                    file.set_len(at).unwrap();
                    model.resize(at as usize, 0);
                }
                _ => {
                    file.sync(POINT).unwrap();
                    durable = Some(model.clone());
                }
            }
            prop_assert_eq!(&disk.read_file(p("/a")).unwrap(), &model);
        }
        let after = disk.after_power_loss(seed).read_file(p("/a")).unwrap();
        prop_assert_eq!(&after, &disk.after_power_loss(seed).read_file(p("/a")).unwrap());
        if let Some(durable) = durable {
            prop_assert_eq!(after, durable);
        }
    }
}
