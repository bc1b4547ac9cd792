//! `run --new-key`: a scope's definition changes, and nothing that it remembers is forgotten before
//! its window ends. And keys that come from elsewhere.

use std::sync::Arc;

use dedup::ledger::{
    ImportScope, KeyReading, Ledger, LedgerError, NewKey, PipeDeclaration, PipeLedger, ReadKeys,
    read_keys,
};
use dedup::scope::{CommittedKey, DedupClock, KeyState};
use event::batch::PreviousKeys;
use event::{BatchNumber, Fate};
use journal::SimDisk;

use crate::ledger_kit::*;

const WINDOW_MS: i64 = 600_000;

fn old() -> PipeDeclaration {
    let mut declared = declaration("app", "app", DedupClock::Received);
    declared.scope.as_mut().unwrap().paths = vec!["$.id".into()];
    declared
}

fn new(agreed: bool) -> PipeDeclaration {
    let mut declared = declaration("app", "app", DedupClock::Received);
    let scope = declared.scope.as_mut().unwrap();
    scope.paths = vec!["$.a".into(), "$.b".into()];
    scope.fields = 2;
    scope.new_key = agreed.then(NewKey::default);
    declared
}

/// The fates of events with these keys, of which each has the key less 100 under the old definition.
fn fates(pipe: &Arc<PipeLedger>, keys: &[u128], now_ms: i64) -> Vec<Fate> {
    let number = pipe.next_batch();
    let mut events = batch(keys, 500, now_ms);
    if pipe.previous_keys().iter().any(|previous| !previous.is_over()) {
        events.previous_keys = PreviousKeys::new(pipe.previous_keys().len(), keys.len());
        for (index, key) in keys.iter().enumerate() {
            events.previous_keys.set(index, 0, key - 100);
        }
    }
    pipe.reserve(number, &mut events).unwrap();
    let fates = events.events.iter().map(|event| event.fate).collect();
    pipe.release(number, &events);
    fates
}

#[test]
fn a_changed_definition_is_refused_unless_it_is_agreed_to() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    send(&ledger.pipe(old()).unwrap(), &[1, 2], 0, NOW_MS).unwrap();
    ledger.close().unwrap();
    let ledger = open(&disk).unwrap();
    let refused = ledger.pipe(new(false)).map(drop).unwrap_err();
    assert!(matches!(refused, LedgerError::OtherDefinition(_)), "{refused}");
    let text = refused.to_string();
    for words in ["1 field and the type", "2 fields and the type", "--new-key"] {
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn p2_old_keys_are_looked_up_until_the_last_of_them_has_ended() {
    for checkpointed in [false, true] {
        let disk = SimDisk::new(1);
        let ledger = open(&disk).unwrap();
        send(&ledger.pipe(old()).unwrap(), &[1, 2], 0, NOW_MS).unwrap();
        if checkpointed {
            ledger.checkpoint().unwrap();
        }
        ledger.close().unwrap();

        let ledger = open_at(&disk, NOW_MS + 1_000).unwrap();
        let pipe = ledger.pipe(new(true)).unwrap();
        let known = &pipe.previous_keys()[0];
        assert_eq!((known.fields, known.paths.as_slice()), (1, &["$.id".to_owned()][..]));
        assert_eq!(known.until_ms, NOW_MS + WINDOW_MS);
        let found = fates(&pipe, &[101, 102, 103], NOW_MS + 1_000);
        assert_eq!(found, [Fate::Duplicate, Fate::Duplicate, Fate::Deliver]);
        send(&pipe, &[201], 10, NOW_MS + 2_000).unwrap();
        drop(pipe);
        ledger.close().unwrap();

        // Without saying so again: the ledger has agreed.
        let ledger = open_at(&disk, NOW_MS + 3_000).unwrap();
        let pipe = ledger.pipe(new(false)).unwrap();
        assert_eq!(fates(&pipe, &[101, 201], NOW_MS + 3_000), [Fate::Duplicate; 2]);
        send(&pipe, &[301], 20, NOW_MS + WINDOW_MS + 1).unwrap();
        assert_eq!(fates(&pipe, &[101], NOW_MS + WINDOW_MS + 2), [Fate::Deliver]);
        assert!(pipe.previous_keys()[0].is_over(), "its keys needn't be made any more");
        ledger.checkpoint().unwrap();
        assert!(ledger.state().scopes[0].previous.is_empty());
    }
}

#[test]
fn p2_a_crash_at_any_operation_of_the_change_forgets_nothing() {
    let begun = SimDisk::new(0);
    let ledger = open(&begun).unwrap();
    send(&ledger.pipe(old()).unwrap(), &[1, 2], 0, NOW_MS).unwrap();
    ledger.close().unwrap();
    let change = |disk: &SimDisk| -> Result<(), LedgerError> {
        let ledger = open_at(disk, NOW_MS + 1_000)?;
        let pipe = ledger.pipe(new(true))?;
        send(&pipe, &[201], 10, NOW_MS + 2_000)?;
        ledger.checkpoint()?;
        drop(pipe);
        ledger.close()
    };
    let whole = begun.after_process_kill();
    change(&whole).unwrap();
    for op in 0..whole.ops() {
        let disk = begun.after_process_kill();
        disk.crash_at(op);
        // That it fails is the point of it.
        let _ = change(&disk);
        for seed in 0..4 {
            let found = disk.after_power_loss(op * 4 + seed);
            let ledger = open_at(&found, NOW_MS + 3_000).unwrap();
            let pipe = ledger.pipe(new(true)).unwrap_or_else(|e| panic!("crash at {op}: {e}"));
            let fates = fates(&pipe, &[101, 102], NOW_MS + 3_000);
            assert_eq!(fates, [Fate::Duplicate; 2], "crash at {op}, seed {seed}");
        }
    }
}

#[test]
fn a_folder_that_never_recorded_paths_is_told_them() {
    let disk = SimDisk::new(1);
    let ledger = open(&disk).unwrap();
    send(&app(&ledger).unwrap(), &[1], 0, NOW_MS).unwrap();
    ledger.close().unwrap();
    let ledger = open_at(&disk, NOW_MS + 1_000).unwrap();
    let refused = ledger.pipe(new(true)).map(drop).unwrap_err().to_string();
    assert!(refused.contains("--old-key"), "{refused}");
    let mut told = new(true);
    told.scope.as_mut().unwrap().new_key.as_mut().unwrap().old_paths = Some(vec!["$.id".into()]);
    let pipe = ledger.pipe(told).unwrap();
    assert_eq!(pipe.previous_keys()[0].paths, ["$.id"]);
    assert_eq!(fates(&pipe, &[101], NOW_MS + 1_000), [Fate::Duplicate]);
}

fn foreign(keys: std::ops::Range<u128>) -> Vec<CommittedKey> {
    let key = |key| CommittedKey {
        key,
        recorded_ms: NOW_MS,
        window_ms: WINDOW_MS,
        body_hash: 0,
        state: KeyState::Delivered,
        by: Default::default(),
    };
    keys.map(key).collect()
}

fn scope() -> ImportScope {
    ImportScope { name: "app".into(), secret: Some([7; 16]), definition: Some((1, false)) }
}

/// All keys of scope `app`.
struct All(Vec<u128>);

impl ReadKeys for All {
    fn begin(&mut self, _: &KeyReading<'_>) -> Result<(), LedgerError> {
        Ok(())
    }

    fn keys(&mut self, keys: &[CommittedKey]) -> Result<(), LedgerError> {
        self.0.extend(keys.iter().map(|key| key.key));
        Ok(())
    }
}

fn remembered(disk: &SimDisk) -> Vec<u128> {
    let mut all = All(Vec::new());
    read_keys(disk, std::path::Path::new(DIR), "app", &mut all).unwrap();
    all.0.sort_unstable();
    all.0.dedup();
    all.0
}

fn import(disk: &SimDisk, acknowledged: &mut u128) -> Result<(), LedgerError> {
    let ledger: Arc<Ledger> = open(disk)?;
    ledger.import_scope(&scope())?;
    for first in (0..60).step_by(20) {
        ledger.import("app", &foreign(first..first + 20))?;
        *acknowledged = (*acknowledged).max(first + 20);
        if first == 20 {
            ledger.checkpoint()?;
        }
    }
    ledger.close()
}

#[test]
fn p2_keys_from_elsewhere_survive_a_crash_at_any_operation() {
    let whole = SimDisk::new(0);
    import(&whole, &mut 0).unwrap();
    assert_eq!(remembered(&whole), (0..60).collect::<Vec<_>>());
    for op in 0..whole.ops() {
        let disk = SimDisk::new(op);
        disk.crash_at(op);
        let mut acknowledged = 0;
        let _ = import(&disk, &mut acknowledged);
        for seed in 0..3 {
            let found = disk.after_power_loss(op * 3 + seed);
            if acknowledged > 0 {
                let keys = remembered(&found);
                let missing = (0..acknowledged).find(|key| !keys.contains(key));
                assert_eq!(missing, None, "crash at {op}, seed {seed}");
            }
            // Again from the start: harmless, and whole.
            import(&found, &mut 0).unwrap_or_else(|e| panic!("crash at {op}: {e}"));
            assert_eq!(remembered(&found), (0..60).collect::<Vec<_>>(), "crash at {op}");
        }
    }
}

#[test]
fn imported_keys_make_duplicates_in_a_scope_that_is_in_use_and_after_a_restart() {
    let disk = SimDisk::new(3);
    let ledger = open(&disk).unwrap();
    let pipe = ledger.pipe(old()).unwrap();
    ledger.import("app", &foreign(1..3)).unwrap();
    assert_eq!(probe(&pipe, &[1, 2, 3], NOW_MS)[..2], [Fate::Duplicate; 2]);
    let refused = ledger.import_scope(&scope()).map(drop).unwrap_err();
    assert!(matches!(refused, LedgerError::OtherSecret(_)), "{refused}");
    assert_eq!(ledger.state().scopes[0].keys_imported, 2);
    ledger.checkpoint().unwrap();
    drop(pipe);
    ledger.close().unwrap();
    let ledger = open(&disk).unwrap();
    let pipe = ledger.pipe(old()).unwrap();
    let found = probe(&pipe, &[1, 2, 3], NOW_MS);
    assert_eq!(found, [Fate::Duplicate, Fate::Duplicate, Fate::Deliver]);
    assert_eq!(pipe.next_batch(), BatchNumber(1));
}
