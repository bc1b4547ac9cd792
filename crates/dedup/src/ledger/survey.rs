//! How many keys there are and what they take, without the lock.

use std::collections::BTreeMap;
use std::path::Path;

use journal::{Disk, Position};

use super::LedgerOptions;
use super::open::limits;
use super::replay::{Replayed, journal_error};
use crate::error::{Damaged, LedgerError, NoLedger};
use crate::folder::Folder;
use crate::record::{Record, Scratch};
use crate::run::{OpenRun, Place, RunReader};
use crate::scope::CommittedKey;
use crate::state::LedgerState;

/// How often a look begins anew because the owner moved keys meanwhile.
const LOOKS_MAX: u32 = 5;

/// The keys of a scope with windows of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeysByWindow {
    /// The longest window that belongs here; ms, `i64::MAX` for those without end.
    pub window_ms_max: i64,
    /// Keys in key runs; repeats and expired ones whose run isn't forgotten yet included.
    pub in_runs: u64,
    /// Keys that are in the journal only.
    pub in_journal: u64,
}

/// What the keys of a scope amount to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// By window class, shortest first.
    pub windows: Vec<KeysByWindow>,
    /// Key runs.
    pub runs: u64,
    /// Their bytes on disk.
    pub run_bytes: u64,
    /// What their filters and indexes take in memory while the scope is in use.
    pub filter_bytes: u64,
    /// The oldest and the newest recorded time of its keys; ms since the Unix epoch.
    pub recorded_ms: Option<(i64, i64)>,
}

impl Survey {
    fn add(&mut self, class: u8, in_runs: u64, in_journal: u64) {
        let window_ms_max = if class >= 63 { i64::MAX } else { 1 << class };
        let known = self.windows.iter_mut().find(|known| known.window_ms_max == window_ms_max);
        match known {
            Some(known) => {
                known.in_runs += in_runs;
                known.in_journal += in_journal;
            }
            None => {
                self.windows.push(KeysByWindow { window_ms_max, in_runs, in_journal });
                self.windows.sort_by_key(|known| known.window_ms_max);
            }
        }
    }

    fn span(&mut self, from_ms: i64, to_ms: i64) {
        let (first, last) = self.recorded_ms.unwrap_or((from_ms, to_ms));
        self.recorded_ms = Some((first.min(from_ms), last.max(to_ms)));
    }
}

/// The keys of a record of the journal, counted.
struct Counted {
    position: Position,
    scope: u16,
    classes: BTreeMap<u8, u64>,
    span: (i64, i64),
}

/// What is committed, and what the keys of each scope amount to, by its number; without the lock.
///
/// # Errors
/// [`LedgerError`]; nothing is ever changed.
pub fn survey(
    disk: &dyn Disk,
    dir: &Path,
) -> Result<(LedgerState, BTreeMap<u16, Survey>), LedgerError> {
    let mut looks = 0;
    loop {
        looks += 1;
        match look(disk, dir) {
            // The owner merged or forgot a run between our looks at the journal and at the run.
            Err(LedgerError::Damaged(_)) if looks < LOOKS_MAX => {}
            found => return found,
        }
    }
}

fn look(disk: &dyn Disk, dir: &Path) -> Result<(LedgerState, BTreeMap<u16, Survey>), LedgerError> {
    let folder = Folder::new(dir);
    let mut replayed = Replayed::new(&folder, limits(&LedgerOptions::default()));
    let mut counted: Vec<Counted> = Vec::new();
    let (mut scratch, mut keys) = (Scratch::default(), Vec::new());
    let read = journal::read_only(disk, &folder.journal, &mut |position, bytes| {
        replayed.record(position, bytes)?;
        let batch = Record::keyed(bytes).ok().flatten();
        if let Some((batch, scope)) = batch.and_then(|batch| Some((batch, batch.scope?))) {
            keys.clear();
            batch.keys(&mut scratch, &mut keys).map_err(|what| {
                let file = folder.journal.clone();
                LedgerError::from(Damaged { file, offset: None, what: what.to_string() })
            })?;
            counted.extend(count(position, scope, &keys));
        }
        Ok(())
    });
    read.map_err(|error| match error {
        journal::OpenError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            NoLedger { dir: folder.data.clone() }.into()
        }
        error => journal_error(error),
    })?;
    let (mut void, keys_after) = (std::mem::take(&mut replayed.void), replayed.keys_after);
    let state = replayed.finish()?.ok_or_else(|| NoLedger { dir: folder.data.clone() })?;
    // The shared store decides about these; nothing says yet that they count.
    void.extend(state.all_prepared());
    let mut surveys: BTreeMap<u16, Survey> = BTreeMap::new();
    for run in &state.runs {
        let survey = surveys.entry(run.scope).or_default();
        survey.add(run.class, run.count, 0);
        survey.runs += 1;
        survey.run_bytes += run.bytes;
        let open = OpenRun::open(disk, &folder.runs, run, state.ledger_id)?;
        survey.filter_bytes += open.memory_bytes() as u64;
        let (from_ms, to_ms) =
            RunReader::open(disk, &folder.runs, run, state.ledger_id)?.recorded_ms();
        survey.span(from_ms, to_ms);
    }
    for counted in counted {
        let in_runs = keys_after.is_some_and(|after| counted.position <= after);
        if in_runs || void.contains(&counted.position) {
            continue;
        }
        let survey = surveys.entry(counted.scope).or_default();
        counted.classes.iter().for_each(|(class, keys)| survey.add(*class, 0, *keys));
        survey.span(counted.span.0, counted.span.1);
    }
    Ok((state, surveys))
}

fn count(position: Position, scope: u16, keys: &[CommittedKey]) -> Option<Counted> {
    let first = keys.first()?.recorded_ms;
    let mut counted = Counted { position, scope, classes: BTreeMap::new(), span: (first, first) };
    for key in keys {
        *counted.classes.entry(Place::of(key).class).or_default() += 1;
        let (from, to) = counted.span;
        counted.span = (from.min(key.recorded_ms), to.max(key.recorded_ms));
    }
    Some(counted)
}
