//! A ledger whose scope is in a store that workers share, frozen with a batch that is prepared: this
//! program goes on reading it, and resolves it.
//!
//! Written by this test with `DEDUP_WRITE_FIXTURE=1`; never write it again over an old one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dedup::ledger::{Ledger, LedgerOptions, read_only};
use dedup::store::StoreFault;
use event::{BatchNumber, TestClock};
use journal::RealDisk;

use crate::ledger_kit::*;
use crate::shared_store::{Line, Memory};
use crate::shared_world::declaration_in;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1-shared")
}

fn open_real(dir: &Path) -> Arc<Ledger> {
    let options = LedgerOptions { lock: true, ..options() };
    Ledger::open(Arc::new(RealDisk::new()), dir, options, Arc::new(TestClock::new(NOW_MS))).unwrap()
}

/// One batch is committed, the next prepared when the store is away.
fn write(dir: &Path) {
    let ledger = open_real(dir);
    let line = Line::new(&Arc::new(Memory::default()));
    let pipe = ledger.pipe(declaration_in(Arc::clone(&line))).unwrap();
    send(&pipe, &[1, 2, 3], 0, NOW_MS).unwrap();
    let number = pipe.next_batch();
    let mut more = batch(&[4, 3], 3, NOW_MS + 1_000);
    pipe.reserve(number, &mut more).unwrap();
    let answer = {
        let settlement = settlement(number, &more, Vec::new());
        let commit = pipe.commit(&settlement);
        *line.fault.lock().unwrap() = Some(StoreFault::Away);
        commit.wait()
    };
    assert!(answer.is_err_and(|error| error.passes()));
    drop(pipe);
    ledger.checkpoint().unwrap();
    ledger.close().unwrap();
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            std::fs::create_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn a_ledger_with_a_prepared_batch_is_read_and_goes_on() {
    if std::env::var_os("DEDUP_WRITE_FIXTURE").is_some() {
        write(&folder());
    }
    let state = read_only(&RealDisk::new(), &folder()).unwrap();
    let pipe = &state.pipes[0];
    assert_eq!(pipe.committed, BatchNumber(1));
    assert_eq!(
        pipe.prepared.iter().map(|batch| batch.number()).collect::<Vec<_>>(),
        [BatchNumber(2)]
    );
    let shared = state.scopes[0].shared.as_ref().unwrap();
    assert_eq!((shared.place.as_str(), shared.incarnation, shared.losses), ("memory:", 1, 0));
    assert_balanced(&state);

    // A store that knows nothing of it: it never happened, and its events come again.
    let dir = tempfile::tempdir().unwrap();
    copy(&folder(), dir.path());
    let ledger = open_real(dir.path());
    let line = Line::new(&Arc::new(Memory::default()));
    let pipe = ledger.pipe(declaration_in(Arc::clone(&line))).unwrap();
    assert_eq!(pipe.next_batch(), BatchNumber(2));
    assert_eq!(ledger.state().pipes[0].prepared.len(), 0);
    let shard = &pipe.source_state()["shard"];
    assert!(shard.is_settled(2.into()) && !shard.is_settled(3.into()));
    assert_balanced(&ledger.state());
}
