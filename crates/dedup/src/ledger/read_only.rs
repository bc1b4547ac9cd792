//! What is committed, without the lock.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use journal::Disk;

use super::LedgerOptions;
use super::open::limits;
use super::replay::{Replayed, journal_error};
use crate::error::{Damaged, FolderIo, LedgerError, NoLedger};
use crate::folder::Folder;
use crate::record::{Record, Scratch};
use crate::run::{LookupRoom, OpenRun, look_up};
use crate::scope::CommittedKey;
use crate::state::LedgerState;

/// What is committed, without the lock: up to the last whole record, also while another process
/// writes.
///
/// # Errors
/// [`LedgerError`]; nothing is ever changed.
pub fn read_only(disk: &dyn Disk, dir: &Path) -> Result<LedgerState, LedgerError> {
    let folder = Folder::new(dir);
    let stat = disk.stat(&folder.journal);
    let there = stat.map_err(|error| FolderIo::new("look at", &folder.journal, error))?.is_some();
    if !there {
        return Err(NoLedger { dir: folder.data }.into());
    }
    let mut replayed = Replayed::new(&folder, limits(&LedgerOptions::default()));
    let read = journal::read_only(disk, &folder.journal, &mut |position, bytes| {
        Ok(replayed.record(position, bytes)?)
    });
    read.map_err(journal_error)?;
    replayed.finish()?.ok_or_else(|| NoLedger { dir: folder.data }.into())
}

/// How often a look begins anew because the owner moved keys meanwhile.
const LOOKS_MAX: u32 = 5;

/// An entry of a key that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// Its scope (index into [`LedgerState::scopes`]).
    pub scope: u16,
    /// The entry.
    pub entry: CommittedKey,
    /// The key run that holds it; `None`: the journal.
    pub run: Option<String>,
}

/// What is committed, and every entry of these keys (scope and key), without the lock: those in the
/// journal and in key runs, expired ones that are still there included. Oldest first.
///
/// # Errors
/// [`LedgerError`]; nothing is ever changed.
pub fn find_keys(
    disk: &dyn Disk,
    dir: &Path,
    wanted: &BTreeSet<(u16, u128)>,
) -> Result<(LedgerState, Vec<FoundKey>), LedgerError> {
    let mut looks = 0;
    loop {
        looks += 1;
        match look(disk, dir, wanted) {
            // The owner merged or forgot a run between our looks at the journal and at the run.
            Err(LedgerError::Damaged(_)) if looks < LOOKS_MAX => {}
            found => return found,
        }
    }
}

fn look(
    disk: &dyn Disk,
    dir: &Path,
    wanted: &BTreeSet<(u16, u128)>,
) -> Result<(LedgerState, Vec<FoundKey>), LedgerError> {
    let folder = Folder::new(dir);
    let mut replayed = Replayed::new(&folder, limits(&LedgerOptions::default()));
    let mut in_journal = Vec::new();
    let (mut scratch, mut keys) = (Scratch::default(), Vec::new());
    let read = journal::read_only(disk, &folder.journal, &mut |position, bytes| {
        replayed.record(position, bytes)?;
        let batch = Record::keyed(bytes).ok().flatten();
        let Some((batch, scope)) = batch.and_then(|batch| Some((batch, batch.scope?))) else {
            return Ok(());
        };
        keys.clear();
        let malformed = |what: crate::record::Malformed| {
            let file = folder.journal.clone();
            LedgerError::from(Damaged { file, offset: None, what: what.to_string() })
        };
        batch.keys(&mut scratch, &mut keys).map_err(malformed)?;
        let found = keys.iter().filter(|key| wanted.contains(&(scope, key.key)));
        let found = found.copied();
        in_journal.extend(found.map(|entry| (position, FoundKey { scope, entry, run: None })));
        Ok(())
    });
    read.map_err(|error| match error {
        journal::OpenError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            NoLedger { dir: folder.data.clone() }.into()
        }
        error => journal_error(error),
    })?;
    let mut void = std::mem::take(&mut replayed.void);
    let state = replayed.finish()?.ok_or_else(|| NoLedger { dir: folder.data.clone() })?;
    // The shared store decides about these; nothing says yet that they count.
    void.extend(state.all_prepared());
    let mut all = Vec::new();
    for run in &state.runs {
        let of_scope = wanted.range((run.scope, 0)..=(run.scope, u128::MAX));
        let of_scope: Vec<u128> = of_scope.map(|(_, key)| *key).collect();
        if of_scope.is_empty() {
            continue;
        }
        let open = OpenRun::open(disk, &folder.runs, run, state.ledger_id)?;
        keys.clear();
        look_up(&[Arc::new(open)], &of_scope, &mut LookupRoom::default(), &mut keys)?;
        all.extend(keys.drain(..).map(|entry| FoundKey {
            scope: run.scope,
            entry,
            run: Some(run.name.clone()),
        }));
    }
    // What lies in a run, too, is known from there; the journal says more of who committed it.
    for (_, found) in in_journal.into_iter().filter(|(position, _)| !void.contains(position)) {
        let same = |known: &&mut FoundKey| {
            let (a, b) = (&known.entry, &found.entry);
            known.scope == found.scope
                && (a.key, a.recorded_ms, a.window_ms, a.body_hash)
                    == (b.key, b.recorded_ms, b.window_ms, b.body_hash)
        };
        match all.iter_mut().find(same) {
            Some(known) => known.entry.by = found.entry.by,
            None => all.push(found),
        }
    }
    all.sort_by_key(|found| (found.entry.recorded_ms, found.entry.by));
    Ok((state, all))
}
