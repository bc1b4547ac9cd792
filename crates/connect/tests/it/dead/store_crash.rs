//! The dead-letter store, crashed at every operation of the disk.

use std::collections::BTreeSet;
use std::sync::Arc;

use connect::dead::{DeadStore, LetterFilter};
use event::sink::{Sink, SinkIdentity};
use journal::{Disk, SimDisk};

use super::kit::{AllDead, ROOT, folder, options};
use crate::fake_ledger::{FakeLedger, Step, Sweep, TestEvent, event};

const HOUR_MS: i64 = 3_600_000;

fn make(disk: Arc<dyn Disk>, identity: SinkIdentity) -> Box<dyn Sink> {
    Box::new(AllDead(DeadStore::new(options(1 << 30), identity, disk)))
}

fn steps() -> Vec<Step> {
    let mut id = 0;
    let mut some = |count: u64, hour: i64| -> Vec<TestEvent> {
        id += count;
        (id - count..id).map(|id| event(id + 1, hour * HOUR_MS, i64::MIN)).collect()
    };
    vec![
        Step::Withdraw(some(1, 3)),
        Step::Stage(some(2, 3)),
        Step::Stage(some(4, 3)),
        Step::Withdraw(some(2, 5)),
        Step::Stage(some(1, 5)),
        Step::Finish { now_ms: 0, all: true },
    ]
}

/// Exactly the letters of the committed events are there, whole.
fn check(disk: &SimDisk, ledger: &FakeLedger, at_end: bool) -> Result<(), String> {
    let there: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut found = BTreeSet::new();
    for letter in folder(&there).letters(LetterFilter::default()) {
        let letter = letter.map_err(|skipped| skipped.to_string())?;
        if letter.edited {
            return Err(format!("{} isn't what was written", letter.name.path()));
        }
        found.insert(String::from_utf8(letter.letter.body.to_vec()).unwrap());
    }
    let expected: BTreeSet<String> =
        ledger.committed.iter().map(|event| event.payload.clone()).collect();
    if found != expected {
        return Err(format!("{} letters, {} are committed", found.len(), expected.len()));
    }
    for (path, _) in disk.files() {
        let path = path.strip_prefix(ROOT).unwrap().to_string_lossy().into_owned();
        // A staged file may come back after a loss of power; the next start removes it.
        let is_stray = if path.starts_with("_onceflow") { !at_end } else { path.ends_with(".tmp") };
        if is_stray {
            return Err(format!("{path} was left"));
        }
    }
    Ok(())
}

#[test]
fn p1_p5_dead_letter_store_every_sync_is_needed() {
    let sweep = Sweep {
        make: &make,
        steps: &steps(),
        prepare: &|_| {},
        check: &check,
        is_finished: |path| path.ends_with(".json"),
        seeds: 6,
    };
    sweep.every_sync_is_needed(&[
        "dead.folder",
        "dead.letter",
        "dead.levels",
        "dead.opened",
        "dead.published",
        "dead.staged",
    ]);
}
