//! P7: a full disk shows before an append; those appends fail, the journal lives.

use std::sync::Arc;

use journal::{AppendError, Journal, JournalConfig, SimDisk};

use crate::support::{History, SMALL, dir, open};

#[test]
fn p7_a_full_disk_fails_the_append_and_the_journal_lives() {
    let disk = SimDisk::new(3);
    disk.set_capacity(2 * SMALL.segment_bytes + 100);
    let mut history = History::default();
    let (journal, _) = open(&disk).unwrap();
    let error = loop {
        let end = journal.end();
        match history.append(&journal, &[1000]) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(journal.end(), end);
                break error;
            }
        }
    };
    assert!(matches!(error, AppendError::DiskFull { segment_bytes: 4096, .. }), "{error}");
    assert!(error.to_string().contains("in /j: "), "{error}");
    assert_eq!(history.answered, 6, "three in each of two segments");
    history.records.pop();
    let half_made = disk.files().iter().any(|(path, _)| path.extension() == Some("new".as_ref()));
    assert!(!half_made, "{:?}", disk.files());
    assert_eq!(journal.bytes_on_disk(), disk.files().iter().map(|(_, bytes)| bytes).sum::<u64>());

    // Still full.
    assert!(matches!(history.append(&journal, &[1000]), Err(AppendError::DiskFull { .. })));
    history.records.pop();
    // What fits into the segment that is there still goes.
    history.append(&journal, &[10]).unwrap();
    // Room again: work goes on.
    history.drop_eighths(&journal, 5).unwrap();
    assert!(journal.begin().0 > 0);
    history.append(&journal, &[1000]).unwrap();
    journal.close().unwrap();
    let (_, found) = open(&disk.after_power_loss(1)).unwrap();
    history.check(&found).unwrap();
}

#[test]
fn everything_queued_behind_a_full_disk_is_refused_and_nothing_is_written() {
    let disk = SimDisk::new(3);
    disk.set_capacity(SMALL.segment_bytes);
    let (journal, _) = open(&disk).unwrap();
    let pending = journal.submit_all(vec![vec![1; 1000], vec![2; 3500], vec![3; 10]]);
    let answers: Vec<_> = pending.into_iter().map(|pending| pending.wait()).collect();
    assert!(answers[0].is_ok());
    assert!(matches!(answers[1], Err(AppendError::DiskFull { .. })), "{answers:?}");
    assert!(matches!(answers[2], Err(AppendError::DiskFull { .. })), "{answers:?}");
    drop(journal);
    let (_, found) = open(&disk).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn what_was_queued_for_a_later_group_is_refused_as_well() {
    let disk = SimDisk::new(3);
    disk.set_capacity(SMALL.segment_bytes);
    let config = JournalConfig { record_bytes_max: 32 << 20, queue_bytes_max: 64 << 20, ..SMALL };
    let disk = Arc::new(disk);
    let journal = Journal::open(disk, &dir(), config, &mut |_, _| Ok(())).unwrap();
    // Too much for one group, so the small one, for which there is room, is still queued.
    let pending = journal.submit_all(vec![vec![1; 20 << 20], vec![2; 10]]);
    for answer in pending.into_iter().map(|pending| pending.wait()) {
        assert!(matches!(answer, Err(AppendError::DiskFull { .. })), "{answer:?}");
    }
    journal.append(vec![2; 10]).unwrap();
}

#[test]
fn a_half_made_segment_that_was_left_behind_is_no_obstacle() {
    use journal::Disk;
    let disk = SimDisk::new(3);
    disk.mkdir(&dir()).unwrap();
    disk.create_new(&dir().join(format!("{:020}.new", 1))).unwrap().preallocate(9999).unwrap();
    let (journal, _) = open(&disk).unwrap();
    journal.append(vec![1]).unwrap();
    assert_eq!(disk.files().len(), 1);
}

#[test]
fn a_record_over_the_limit_is_refused_alone() {
    let disk = SimDisk::new(3);
    let (journal, _) = open(&disk).unwrap();
    let error = journal.append(vec![0; SMALL.record_bytes_max as usize + 1]).unwrap_err();
    assert!(matches!(error, AppendError::TooLarge { .. }), "{error}");
    journal.append(vec![0; SMALL.record_bytes_max as usize]).unwrap();
    assert!(journal.bytes_on_disk() < u64::from(SMALL.record_bytes_max) + 2 * SMALL.segment_bytes);
}
