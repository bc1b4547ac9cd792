//! Reading inside a record, and being told before the answer.

use std::sync::{Arc, Mutex};

use journal::{Position, ReadError, SimDisk};

use crate::support::{open, record};

#[test]
fn bytes_inside_a_record_are_read_up_to_the_end_of_its_segment() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    let (one, two) = (record(1, 3000), record(2, 3000));
    let first = journal.append(one.clone()).unwrap();
    let second = journal.append(two.clone()).unwrap();
    let read = |from: Position, bytes| journal.read_bytes(from, bytes).unwrap();
    assert_eq!(read(Position(first.0 + 8), 3000), one);
    assert_eq!(read(Position(first.0 + 8 + 100), 50), one[100..150]);
    assert_eq!(read(Position(second.0 + 8 + 2990), 5000)[..10], two[2990..]);
    let to_the_end = read(Position(first.0 + 8), 1 << 20);
    assert!(to_the_end.starts_with(&one) && to_the_end.len() < 4096, "the next segment's");
    assert_eq!(journal.segment_begins().len(), 2);
    assert_eq!(journal.segment_begin(second), Some(journal.segment_begins()[1]));
    assert!(read(journal.end(), 10).is_empty());
    journal.drop_before(second).unwrap();
    let gone = journal.read_bytes(first, 10);
    assert!(matches!(gone, Err(ReadError::Dropped { .. })), "{gone:?}");
    assert_eq!(journal.segment_begin(first), None);
    assert_eq!(journal.read(second).unwrap(), two);
}

#[test]
fn an_owner_is_told_in_order_before_the_answer_and_refused_after_the_end() {
    let disk = SimDisk::new(1);
    let (journal, _) = open(&disk).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let submit = |n: u64| {
        let told = Arc::clone(&told);
        let then = move |outcome: &Result<Position, _>| {
            told.lock().unwrap().push((n, outcome.as_ref().ok().copied()));
        };
        journal.submit_then(record(n, 100), Box::new(then))
    };
    let pending: Vec<_> = (0..20).map(|n| submit(n).unwrap()).collect();
    let answers: Vec<_> = pending.into_iter().map(|pending| pending.wait().unwrap()).collect();
    let expected: Vec<_> = (0..20).zip(answers.into_iter().map(Some)).collect();
    assert_eq!(*told.lock().unwrap(), expected);
    disk.crash_at(disk.ops());
    assert!(submit(20).unwrap().wait().is_err());
    assert_eq!(told.lock().unwrap().last(), Some(&(20, None)));
    assert!(submit(21).is_err());
    assert_eq!(told.lock().unwrap().len(), 21);
    journal.shut(true).unwrap_err();
}
