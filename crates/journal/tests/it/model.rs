//! The journal does what a list of records would do.

use journal::{Journal, Position, ReadError, SimDisk};
use proptest::prelude::*;

use crate::support::{History, open, read_all};

#[derive(Clone, Debug)]
enum Op {
    Append(Vec<usize>),
    Drop(u64),
    Reopen { clean: bool, killed: bool },
    Read(usize),
    ReadFrom(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = prop_oneof![4 => 0_usize..300, 1 => 0_usize..9000];
    prop_oneof![
        6 => prop::collection::vec(bytes, 1..8).prop_map(Op::Append),
        1 => (0_u64..9).prop_map(Op::Drop),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(|(clean, killed)| Op::Reopen { clean, killed }),
        2 => any::<usize>().prop_map(Op::Read),
        1 => any::<usize>().prop_map(Op::ReadFrom),
    ]
}

/// The answered records that aren't dropped, and where they stand.
fn kept(history: &History, journal: &Journal) -> Vec<(Position, Vec<u8>)> {
    let answered = history.records.iter().take(history.answered);
    let all = answered.map(|(record, position)| (position.unwrap(), record.clone()));
    all.filter(|(position, _)| *position >= journal.begin()).collect()
}

fn read_from(journal: &Journal, from: Position) -> Vec<(Position, Vec<u8>)> {
    let mut reader = journal.reader(from);
    let mut found = Vec::new();
    while let Some((position, record)) = reader.next().unwrap() {
        found.push((position, record.to_vec()));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn the_journal_is_a_list_of_records(ops in prop::collection::vec(op(), 1..40)) {
        let mut disk = SimDisk::new(0);
        let mut history = History::default();
        let (mut journal, _) = open(&disk).unwrap();
        for op in ops {
            let kept_now = kept(&history, &journal);
            match op {
                Op::Append(sizes) => history.append(&journal, &sizes).unwrap(),
                Op::Drop(eighths) => history.drop_eighths(&journal, eighths).unwrap(),
                Op::Reopen { clean, killed } => {
                    let end = journal.end();
                    if clean { journal.close().unwrap() } else { drop(journal) }
                    if killed {
                        disk = disk.after_process_kill();
                    }
                    let (again, found) = open(&disk).unwrap();
                    journal = again;
                    prop_assert_eq!(&found, &kept_now);
                    prop_assert_eq!(journal.end(), end);
                }
                Op::Read(n) if !kept_now.is_empty() => {
                    let (position, record) = &kept_now[n % kept_now.len()];
                    prop_assert_eq!(&journal.read(*position).unwrap(), record);
                    let between = Position(position.0 + 1);
                    let nothing = matches!(journal.read(between), Err(ReadError::NotARecord { .. }));
                    prop_assert!(nothing);
                }
                Op::ReadFrom(n) if !kept_now.is_empty() => {
                    let n = n % kept_now.len();
                    prop_assert_eq!(&read_from(&journal, kept_now[n].0)[..], &kept_now[n..]);
                }
                Op::Read(_) | Op::ReadFrom(_) => {}
            }
            let kept_now = kept(&history, &journal);
            prop_assert_eq!(&read_from(&journal, journal.begin()), &kept_now);
            prop_assert_eq!(&read_all(&disk, "/j".as_ref()).unwrap(), &kept_now);
            let bytes: u64 = disk.files().iter().map(|(_, bytes)| bytes).sum();
            prop_assert_eq!(journal.bytes_on_disk(), bytes);
        }
    }
}

#[test]
fn a_dropped_position_is_named() {
    let disk = SimDisk::new(0);
    let (journal, _) = open(&disk).unwrap();
    let first = journal.append(vec![1; 3000]).unwrap();
    let second = journal.append(vec![2; 3000]).unwrap();
    let mut reader = journal.reader(first);
    reader.next().unwrap().unwrap();
    journal.drop_before(second).unwrap();
    let error = journal.read(first).unwrap_err();
    assert!(matches!(error, ReadError::Dropped { begins, .. } if begins <= second), "{error}");
    assert_eq!(reader.next().unwrap().unwrap().0, second);
    assert_eq!(journal.read(second).unwrap(), [2; 3000]);
    assert!(matches!(journal.read(journal.end()), Err(ReadError::NotARecord { .. })));
}

#[test]
fn a_reader_follows_the_end() {
    let disk = SimDisk::new(0);
    let (journal, _) = open(&disk).unwrap();
    let mut reader = journal.reader(journal.end());
    for n in 0..200_u8 {
        assert_eq!(reader.next().unwrap(), None);
        let position = journal.append(vec![n; 300]).unwrap();
        assert_eq!(reader.next().unwrap(), Some((position, &[n; 300][..])));
    }
}
