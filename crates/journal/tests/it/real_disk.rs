//! The journal and the disk trait on the real file system.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use journal::{
    Disk, Journal, JournalConfig, Position, RealDisk, SyncPoint, mkdir_all_synced, read_only,
};
use tempfile::tempdir;

use crate::support::{History, open_on, read_all, record};

const POINT: SyncPoint = SyncPoint("test");

#[test]
fn files_and_folders() {
    let base = tempdir().unwrap();
    let at = |name: &str| base.path().join(name);
    let disk = RealDisk::new();
    let file = disk.create_new(&at("a")).unwrap();
    assert_eq!(disk.create_new(&at("a")).err().unwrap().kind(), io::ErrorKind::AlreadyExists);
    file.preallocate(10_000).unwrap();
    assert_eq!(file.len().unwrap(), 10_000);
    file.preallocate(5000).unwrap();
    assert_eq!(file.len().unwrap(), 5000);
    file.write_at(4999, b"xyz").unwrap();
    file.sync(POINT).unwrap();
    file.sync_start(POINT).wait().unwrap();
    let mut bytes = [0; 8];
    assert_eq!(file.read_at(4998, &mut bytes).unwrap(), 4);
    assert_eq!(&bytes[..4], b"\0xyz");
    file.set_len(2).unwrap();
    let stat = disk.stat(&at("a")).unwrap().unwrap();
    assert_eq!((stat.is_dir, stat.bytes), (false, 2));

    mkdir_all_synced(&disk, base.path(), &at("d/e/f"), POINT).unwrap();
    mkdir_all_synced(&disk, base.path(), &at("d/e/f"), POINT).unwrap();
    assert!(mkdir_all_synced(&disk, &at("d"), base.path(), POINT).is_err());
    assert_eq!(disk.mkdir(&at("d")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    disk.rename(&at("a"), &at("d/b")).unwrap();
    disk.sync_dir(&at("d"), POINT).unwrap();
    let names: Vec<_> = disk.list(&at("d")).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["b", "e"]);
    disk.unlink(&at("d/b")).unwrap();
    assert_eq!(disk.stat(&at("d/b")).unwrap(), None);
    assert_eq!(disk.open(&at("d/b")).err().unwrap().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_vectored_write_of_more_parts_than_the_system_takes() {
    let base = tempdir().unwrap();
    let file = RealDisk::new().create_new(&base.path().join("a")).unwrap();
    let bytes = record(1, 9000);
    let mut parts: Vec<_> = bytes.chunks(3).map(IoSlice::new).collect();
    parts.insert(1024, IoSlice::new(&[]));
    parts.insert(0, IoSlice::new(&[]));
    parts.push(IoSlice::new(&[]));
    file.write_vectored_at(5, &parts).unwrap();
    let mut read = vec![0; 9005];
    assert_eq!(file.read_at(0, &mut read).unwrap(), 9005);
    assert_eq!(&read[5..], bytes);
}

#[test]
fn a_journal_comes_back() {
    let base = tempdir().unwrap();
    let dir = base.path().join("journal");
    let mut history = History::default();
    for clean in [true, false, true] {
        let (journal, found) = open_on(Arc::new(RealDisk::new()), &dir).unwrap();
        history.check(&found).unwrap();
        history.append(&journal, &[100, 0, 3000, 20_000, 70_000, 10]).unwrap();
        history.append(&journal, &[50; 200]).unwrap();
        if clean { journal.close().unwrap() } else { drop(journal) }
    }
    let found = read_all(&RealDisk::new(), &dir).unwrap();
    history.check(&found).unwrap();
    assert_eq!(found.len(), 3 * 206);
}

#[test]
fn a_torn_tail_is_cut_and_a_new_segment_begun() {
    let base = tempdir().unwrap();
    let mut history = History::default();
    let (journal, _) = open_on(Arc::new(RealDisk::new()), base.path()).unwrap();
    history.append(&journal, &[100]).unwrap();
    let end = journal.end();
    drop(journal);
    let file = RealDisk::new().open(&segment(base.path(), 1)).unwrap();
    file.write_at(64 + end.0 + 30, b"half a group").unwrap();
    for _ in 0..2 {
        let (journal, found) = open_on(Arc::new(RealDisk::new()), base.path()).unwrap();
        history.check(&found).unwrap();
        history.append(&journal, &[200]).unwrap();
    }
    assert_eq!(std::fs::metadata(segment(base.path(), 1)).unwrap().len(), 64 + end.0);
    assert!(segment(base.path(), 3).exists());
    history.check(&read_all(&RealDisk::new(), base.path()).unwrap()).unwrap();
}

fn segment(dir: &Path, id: u64) -> std::path::PathBuf {
    dir.join(format!("{id:020}.journal"))
}

#[test]
fn reading_without_the_lock_while_the_owner_writes_rolls_and_drops() {
    let base = tempdir().unwrap();
    let disk = Arc::new(RealDisk::new());
    let config = JournalConfig { segment_bytes: 4096, ..JournalConfig::default() };
    let journal = Journal::open(disk.clone(), base.path(), config, &mut |_, _| Ok(())).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let owner = scope.spawn(|| {
            let mut positions = Vec::new();
            for n in 0..1500_u64 {
                positions.push(journal.append(record(n, 100 + n as usize % 700)).unwrap());
                if n % 50 == 49 {
                    journal.drop_before(positions[positions.len() - 20]).unwrap();
                }
            }
            done.store(true, Ordering::Release);
        });
        let mut reads = 0;
        let mut newest = 0;
        while !done.load(Ordering::Acquire) && !owner.is_finished() {
            let before = journal.end();
            let mut numbers = Vec::new();
            let end = read_only(&*disk, base.path(), &mut |_, bytes| {
                // The record's number, found by its first bytes.
                let next = numbers.last().map_or(0, |last| last + 1);
                let is = |n: &u64| record(*n, bytes.len()) == bytes;
                numbers.push((next..1500).find(is).ok_or("an unknown record")?);
                Ok(())
            });
            let end = end.unwrap();
            assert!(end >= before, "durable records are missing: {end} < {before}");
            assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{numbers:?}");
            newest = newest.max(numbers.last().copied().unwrap_or_default());
            reads += 1;
        }
        owner.join().unwrap();
        assert!(reads > 0 && newest > 0);
    });
    assert_eq!(journal.reader(Position(0)).next().map(drop).is_err(), journal.begin().0 > 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let base = tempdir().unwrap();
    let dir = base.path().join("file/journal");
    std::fs::write(base.path().join("file"), b"").unwrap();
    let error = open_on(Arc::new(RealDisk::new()), &dir).err().unwrap().to_string();
    assert!(error.contains(&format!("{}", dir.display())), "{error}");
}
