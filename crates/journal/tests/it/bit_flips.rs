//! A bit that flips in a closed journal is named, or nothing is lost by it.

use std::error::Error;

use journal::{Journal, OpenError, Position, SimDisk};

use crate::support::{History, SMALL, dir, open};

fn closed_journal() -> (SimDisk, History) {
    let disk = SimDisk::new(1);
    let mut history = History::default();
    for round in 0..3 {
        let (journal, _) = open(&disk).unwrap();
        history.append(&journal, &[700, 0, 20]).unwrap();
        history.append(&journal, &[1100 + round]).unwrap();
        history.append(&journal, &[33; 9]).unwrap();
        journal.close().unwrap();
    }
    (disk, history)
}

#[test]
fn every_flipped_bit_of_a_closed_journal_is_named_or_harmless() {
    let (disk, history) = closed_journal();
    let (mut named, mut harmless) = (0, 0);
    for (path, bytes) in disk.files() {
        for offset in 0..bytes {
            let flipped = disk.after_process_kill();
            assert!(flipped.flip_bit(&path, offset));
            match open(&flipped) {
                Ok((_, found)) => {
                    harmless += 1;
                    let expected = history.records.iter().map(|(record, _)| record);
                    let same = found.iter().map(|(_, record)| record).eq(expected);
                    assert!(same, "{} byte {offset}: lost in silence", path.display());
                }
                Err(OpenError::Corrupt { file, .. } | OpenError::NewerVersion { file, .. }) => {
                    named += 1;
                    assert_eq!(file, path, "byte {offset}");
                }
                Err(error) => panic!("{} byte {offset}: {error}", path.display()),
            }
        }
    }
    assert!(named > 6000 && harmless > 500, "{named} named, {harmless} harmless");
}

#[test]
fn a_clean_close_attests_also_what_an_earlier_process_left() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    let position = journal.append(vec![1; 50]).unwrap();
    drop(journal); // without a closing group
    let (journal, _) = open(&disk).unwrap();
    journal.close().unwrap();
    assert!(disk.flip_bit(segment(1).as_ref(), 64 + position.0 + 20));
    let error = open(&disk).err().unwrap();
    assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
}

#[test]
fn the_error_names_file_and_place_and_a_way_out() {
    let (disk, _) = closed_journal();
    let (path, _) = disk.files()[1].clone();
    assert!(disk.flip_bit(&path, 200));
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("00000000000000000002.journal is corrupt at byte 64"), "{error}");
    assert!(error.contains("Restore the data folder from a copy"), "{error}");
}

fn copy(disk: &SimDisk, from: &str, to: &str) {
    use journal::Disk;
    let bytes = disk.read_file(from.as_ref()).unwrap();
    if disk.stat(to.as_ref()).unwrap().is_some() {
        disk.unlink(to.as_ref()).unwrap();
    }
    disk.create_new(to.as_ref()).unwrap().write_at(0, &bytes).unwrap();
}

fn segment(id: u64) -> String {
    format!("/j/{id:020}.journal")
}

#[test]
fn a_missing_segment_is_named() {
    use journal::Disk;
    let (disk, _) = closed_journal();
    disk.unlink(segment(2).as_ref()).unwrap();
    let error = open(&disk).err().unwrap();
    assert!(matches!(error, OpenError::MissingSegment { .. }), "{error}");
    assert!(error.to_string().contains(&format!("missing in /j: {}", segment(3))), "{error}");
}

#[test]
fn a_segment_of_another_journal_is_named() {
    let (disk, _) = closed_journal();
    let (other, _) = closed_journal();
    let bytes = other.read_file(segment(2).as_ref()).unwrap();
    use journal::Disk;
    disk.unlink(segment(2).as_ref()).unwrap();
    disk.create_new(segment(2).as_ref()).unwrap().write_at(0, &bytes).unwrap();
    let error = open(&disk).err().unwrap();
    assert!(matches!(error, OpenError::ForeignSegment { .. }), "{error}");
}

#[test]
fn a_renamed_segment_is_named() {
    let (disk, _) = closed_journal();
    copy(&disk, &segment(1), &segment(3));
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("says that it is segment 1"), "{error}");
}

#[test]
fn a_segment_of_another_branch_of_this_journal_is_named() {
    use journal::Disk;
    let (disk, _) = closed_journal();
    let other = disk.after_process_kill();
    for (disk, byte) in [(&disk, 1), (&other, 2)] {
        for _ in 0..2 {
            let (journal, _) = open(disk).unwrap();
            journal.append(vec![byte; 100]).unwrap();
            journal.close().unwrap();
        }
    }
    let bytes = other.read_file(segment(4).as_ref()).unwrap();
    disk.open(segment(4).as_ref()).unwrap().write_at(0, &bytes).unwrap();
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("does not go on from the one before it"), "{error}");
    assert!(error.contains(&segment(5)), "{error}");
}

#[test]
fn a_newer_version_is_named() {
    use journal::Disk;
    let (disk, _) = closed_journal();
    let file = disk.open(segment(3).as_ref()).unwrap();
    file.write_at(8, &7_u32.to_le_bytes()).unwrap();
    let error = open(&disk).err().unwrap();
    assert!(matches!(error, OpenError::NewerVersion { found: 7, supported: 1, .. }), "{error}");
    assert!(error.to_string().contains("Use the newer program that wrote it"), "{error}");
}

#[test]
fn files_of_others_in_the_folder_are_left_alone() {
    use journal::Disk;
    let (disk, history) = closed_journal();
    for name in ["/j/notes.txt", "/j/1.journal", "/j/x.journal"] {
        disk.create_new(name.as_ref()).unwrap().write_at(0, b"mine").unwrap();
    }
    let (journal, found) = open(&disk).unwrap();
    assert_eq!(found.len(), history.records.len());
    journal.drop_before(journal.end()).unwrap();
    assert_eq!(disk.read_file("/j/notes.txt".as_ref()).unwrap(), b"mine");
}

#[test]
fn a_replay_that_is_refused_ends_the_opening() {
    let (disk, _) = closed_journal();
    let mut count = 0;
    let mut refuse = |_: Position, _: &[u8]| -> Result<(), Box<dyn Error + Send + Sync>> {
        count += 1;
        if count == 3 { Err("it is full".into()) } else { Ok(()) }
    };
    let opened = Journal::open(std::sync::Arc::new(disk), &dir(), SMALL, &mut refuse);
    let error = opened.err().unwrap();
    assert!(matches!(error, OpenError::Replay { .. }), "{error}");
    assert!(error.to_string().contains("it is full"), "{error}");
    assert_eq!(count, 3);
}
