//! All keys that a ledger remembers, without the lock, also while another process writes.
//!
//! The journal is read twice. What it amounts to comes first: which runs there are, and after which
//! record keys are not in them. Those runs are opened, so that they can be read to their end
//! whatever a checkpoint removes meanwhile; then the keys of the journal are handed out, and those
//! of the runs. A checkpoint between the two readings may have let go of journal that isn't read
//! yet: that shows at its first record, before any key was handed out, and all begins again.

use std::collections::BTreeSet;
use std::path::Path;

use journal::{Disk, Position};

use super::LedgerOptions;
use super::open::limits;
use super::replay::{Replayed, journal_error};
use crate::error::{FolderIo, LedgerError, NoLedger};
use crate::folder::Folder;
use crate::record::{Record, Scratch};
use crate::run::RunReader;
use crate::scope::CommittedKey;
use crate::state::LedgerState;

/// How often it begins again, when checkpoints come in between.
const TRIES_MAX: u32 = 100;

/// What a reading begins with.
#[derive(Debug)]
pub struct KeyReading<'a> {
    /// What the ledger knows apart from keys.
    pub state: &'a LedgerState,
    /// The scope's number.
    pub scope: u16,
}

/// Whoever wants keys.
pub trait ReadKeys {
    /// It begins: said once, before the first key.
    ///
    /// # Errors
    /// Whatever ends the reading.
    fn begin(&mut self, reading: &KeyReading<'_>) -> Result<(), LedgerError>;

    /// Keys that the scope remembers, in no order; one may come twice.
    ///
    /// # Errors
    /// Whatever ends the reading.
    fn keys(&mut self, keys: &[CommittedKey]) -> Result<(), LedgerError>;
}

/// Hands all keys that a scope remembers to `reader`; what is committed, up to the last whole
/// record. Keys of open dead letters are not among them: those are in the state.
///
/// # Errors
/// [`LedgerError`]; nothing is ever changed.
pub fn read_keys(
    disk: &dyn Disk,
    dir: &Path,
    scope: &str,
    reader: &mut dyn ReadKeys,
) -> Result<(), LedgerError> {
    let folder = Folder::new(dir);
    let stat = disk.stat(&folder.journal);
    let there = stat.map_err(|error| FolderIo::new("look at", &folder.journal, error))?.is_some();
    if !there {
        return Err(NoLedger { dir: folder.data }.into());
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match attempt(disk, &folder, scope, reader) {
            Ok(true) => return Ok(()),
            Ok(false) if tries < TRIES_MAX => {}
            Ok(false) => {
                let what = format!(
                    "its owner made {TRIES_MAX} checkpoints while keys were read: try again when \
                     it has less to do"
                );
                return Err(LedgerError::Refused { what });
            }
            Err(error) => return Err(error),
        }
    }
}

/// One reading; `false` if a checkpoint came in between.
fn attempt(
    disk: &dyn Disk,
    folder: &Folder,
    scope: &str,
    reader: &mut dyn ReadKeys,
) -> Result<bool, LedgerError> {
    let Some(plan) = Plan::new(disk, folder, scope)? else { return Ok(false) };
    let forgotten_ms = plan.forgotten_ms;
    let mut living = Living { forgotten_ms, living: Vec::new(), reader };
    let mut first = Some(());
    let (mut scratch, mut keys) = (Scratch::default(), Vec::new());
    let mut later = Replayed::new(folder, limits(&LedgerOptions::default()));
    let mut gap = false;
    let read = journal::read_only(disk, &folder.journal, &mut |position, bytes| {
        if first.take().is_some() {
            if position > plan.begins {
                gap = true;
                return Err(Box::new(LedgerError::Closed));
            }
            living.reader.begin(&KeyReading { state: &plan.state, scope: plan.scope })?;
        }
        later.record(position, bytes)?;
        let is_old = plan.keys_after.is_some_and(|after| position <= after);
        let is_void = if position <= plan.ends {
            plan.void.contains(&position)
        } else {
            later.void.contains(&position)
        };
        if is_old || is_void {
            return Ok(());
        }
        let keyed = Record::keyed(bytes).ok().flatten();
        let Some(keyed) = keyed.filter(|keyed| keyed.scope == Some(plan.scope)) else {
            return Ok(());
        };
        keys.clear();
        let decoded = keyed.keys(&mut scratch, &mut keys);
        decoded.map_err(LedgerError::stopped)?;
        Ok(living.hand_out(&keys)?)
    });
    if gap {
        return Ok(false);
    }
    read.map_err(journal_error)?;
    for mut run in plan.runs {
        keys.clear();
        while run.next_block(&mut keys)? {
            living.hand_out(&keys)?;
            keys.clear();
        }
    }
    Ok(true)
}

/// What was found out before the first key is handed out.
struct Plan {
    state: LedgerState,
    scope: u16,
    runs: Vec<RunReader>,
    keys_after: Option<Position>,
    void: BTreeSet<Position>,
    /// Where the journal must still begin for all keys that are in no run to be in it.
    begins: Position,
    /// Its last record.
    ends: Position,
    forgotten_ms: i64,
}

impl Plan {
    fn new(disk: &dyn Disk, folder: &Folder, scope: &str) -> Result<Option<Self>, LedgerError> {
        let mut replayed = Replayed::new(folder, limits(&LedgerOptions::default()));
        let (mut first, mut last) = (None, Position(0));
        let read = journal::read_only(disk, &folder.journal, &mut |position, bytes| {
            first.get_or_insert(position);
            last = position;
            Ok(replayed.record(position, bytes)?)
        });
        read.map_err(journal_error)?;
        let state = replayed.finish()?;
        let state = state.ok_or_else(|| NoLedger { dir: folder.data.clone() })?;
        let (number, known) = (0..)
            .zip(&state.scopes)
            .find(|(_, known)| known.name == scope)
            .ok_or_else(|| LedgerError::UnknownScope { scope: scope.into() })?;
        let forgotten_ms = known.forgotten_through_ms;
        let mut runs = Vec::new();
        for run in state.runs.iter().filter(|run| run.scope == number) {
            let gone = || disk.stat(&folder.runs.join(&run.name)).is_ok_and(|stat| stat.is_none());
            match RunReader::open(disk, &folder.runs, run, state.ledger_id) {
                Ok(reader) => runs.push(reader),
                // A checkpoint has merged it meanwhile; one that is missing all the time is found
                // out by the number of tries.
                Err(LedgerError::Damaged(_)) if gone() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(Some(Self {
            scope: number,
            runs,
            keys_after: replayed.keys_after,
            void: std::mem::take(&mut replayed.void),
            begins: replayed.keys_after.or(first).unwrap_or(Position(0)),
            ends: last,
            forgotten_ms,
            state,
        }))
    }
}

/// Hands out what isn't forgotten.
struct Living<'a> {
    forgotten_ms: i64,
    living: Vec<CommittedKey>,
    reader: &'a mut dyn ReadKeys,
}

impl Living<'_> {
    fn hand_out(&mut self, keys: &[CommittedKey]) -> Result<(), LedgerError> {
        self.living.clear();
        let forgotten_ms = self.forgotten_ms;
        self.living.extend(keys.iter().filter(|key| key.expiry_ms() > forgotten_ms));
        if self.living.is_empty() { Ok(()) } else { self.reader.keys(&self.living) }
    }
}
