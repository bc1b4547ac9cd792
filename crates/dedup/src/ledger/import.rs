//! Keys from elsewhere come into the ledger: records of their own, durable as a batch's is.

use std::sync::Arc;

use event::LedgerId;

use super::core::Core;
use super::lookup::Finder;
use super::{Ledger, lock};
use crate::error::{ImportDefinition, LedgerError, OtherSecret};
use crate::key::definition;
use crate::record::{ImportRecord, Record, ScopeEntry, Scratch};
use crate::scope::CommittedKey;
use crate::state::{LedgerState, ScopeState};

/// Keys of one record at most: as many as a large batch has.
const KEYS_OF_RECORD: usize = 1 << 16;

/// The scope that keys come into.
#[derive(Clone)]
pub struct ImportScope {
    /// Its name.
    pub name: String,
    /// What the keys were hashed with; `None` where they will be hashed with the scope's.
    pub secret: Option<[u8; 16]>,
    /// How the keys are made, as number of fields and `across_types`; `None` for as the scope's
    /// are, which must be known then.
    pub definition: Option<(u32, bool)>,
}

impl std::fmt::Debug for ImportScope {
    /// Without the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportScope")
            .field("name", &self.name)
            .field("definition", &self.definition)
            .finish_non_exhaustive()
    }
}

/// The scope as the ledger knows it.
#[derive(Clone, Debug)]
pub struct ImportedScope {
    /// Its number (index into [`crate::ledger::LedgerState::scopes`]).
    pub number: u16,
    /// All that the ledger knows of it.
    pub state: ScopeState,
    /// Whether it was made for this import.
    pub is_new: bool,
}

impl Ledger {
    /// The scope that keys are about to come into; it is made, durably, if it isn't there.
    ///
    /// # Errors
    /// [`LedgerError::OtherSecret`], [`LedgerError::ImportDefinition`]: the keys can't be compared
    /// with those of the scope; or the record couldn't be written.
    pub fn import_scope(&self, wanted: &ImportScope) -> Result<ImportedScope, LedgerError> {
        self.core().import_scope(wanted)
    }

    /// Remembers keys of a scope, those that it remembers already as well: that is harmless.
    /// Durable when it returns. How many there were that the scope hasn't forgotten by now.
    ///
    /// # Errors
    /// [`LedgerError`]: a scope that the ledger doesn't know, or the record not written. After
    /// [`LedgerError::DiskFull`] it may be called again.
    pub fn import(&self, scope: &str, keys: &[CommittedKey]) -> Result<u64, LedgerError> {
        let mut imported = 0;
        for keys in keys.chunks(KEYS_OF_RECORD) {
            imported += self.core().import(scope, keys)?;
        }
        Ok(imported)
    }
}

fn unknown(scope: &str) -> LedgerError {
    LedgerError::UnknownScope { scope: scope.into() }
}

impl Core {
    fn import_scope(self: &Arc<Self>, wanted: &ImportScope) -> Result<ImportedScope, LedgerError> {
        // No pipe declares a scope meanwhile.
        let _declaring = lock(&self.declaring);
        if let Some((number, state)) = self.scope_named(&wanted.name) {
            check(&state, wanted)?;
            return Ok(ImportedScope { number, state, is_new: false });
        }
        let Some((fields, across_types)) = wanted.definition else {
            return Err(unknown(&wanted.name));
        };
        let number = u16::try_from(lock(&self.live).state.scopes.len())
            .map_err(|_| LedgerError::Refused { what: "65,536 scopes are known already".into() })?;
        let name = wanted.name.clone();
        let secret = match wanted.secret {
            Some(secret) => secret,
            None => self.options.random.bytes(&format!("scope {name}"))?,
        };
        let entry = Some(ScopeEntry { number, name, secret, fields, across_types });
        self.append(Record::Import(ImportRecord { scope: number, entry, keys: 0 }))?;
        let (number, state) =
            self.scope_named(&wanted.name).ok_or_else(|| unknown(&wanted.name))?;
        Ok(ImportedScope { number, state, is_new: true })
    }

    fn scope_named(&self, name: &str) -> Option<(u16, ScopeState)> {
        let live = lock(&self.live);
        let mut scopes = (0..).zip(&live.state.scopes);
        scopes.find(|(_, scope)| scope.name == name).map(|(number, scope)| (number, scope.clone()))
    }

    fn import(self: &Arc<Self>, scope: &str, keys: &[CommittedKey]) -> Result<u64, LedgerError> {
        // No scope is loaded between the record and the moment at which its pipes know of it.
        let _declaring = lock(&self.declaring);
        let (number, state) = self.scope_named(scope).ok_or_else(|| unknown(scope))?;
        let cell = lock(&self.scopes).get(&number).cloned();
        let now_ms = self.clock.now_ms();
        let forgotten_ms = match &cell {
            Some(cell) => cell.with(|scope| scope.forgotten_through_ms(now_ms)),
            None => state.forgotten_through_ms,
        };
        let living: Vec<CommittedKey> =
            keys.iter().filter(|key| key.expiry_ms() > forgotten_ms).copied().collect();
        if living.is_empty() {
            return Ok(0);
        }
        let count = living.len() as u64;
        let record = ImportRecord { scope: number, entry: None, keys: count };
        let mut bytes = Vec::new();
        let mut scratch = Scratch::default();
        record.encode(&mut bytes, &mut scratch, living.len(), living.iter().copied());
        // No checkpoint moves them to a run before memory has them.
        let places = lock(&self.key_places);
        let pending = self.submit(bytes, Record::Import(record), None);
        self.wait(&pending)?;
        if let Some(cell) = cell {
            let runs = cell.runs();
            let mut finder = Finder::default();
            let found = finder.find_all(&runs, &living)?;
            cell.with(|scope| {
                scope.load_all(found);
                scope.load_imported(&living, places.imports);
            });
            cell.add_unsaved(count);
        }
        Ok(count)
    }
}

/// What [`Ledger::import_scope`] would answer; nothing is changed. A scope that isn't known has a
/// secret of zeros then, unless the keys bring one.
///
/// # Errors
/// As [`Ledger::import_scope`].
pub fn check_import(
    scopes: &[ScopeState],
    wanted: &ImportScope,
) -> Result<ImportedScope, LedgerError> {
    let known = (0..).zip(scopes).find(|(_, scope)| scope.name == wanted.name);
    if let Some((number, state)) = known {
        check(state, wanted)?;
        return Ok(ImportedScope { number, state: state.clone(), is_new: false });
    }
    let (fields, across_types) = wanted.definition.ok_or_else(|| unknown(&wanted.name))?;
    let mut state = LedgerState::new(LedgerId(0));
    let entry = ScopeEntry {
        number: 0,
        name: wanted.name.clone(),
        secret: wanted.secret.unwrap_or_default(),
        fields,
        across_types,
    };
    let admitted = state.apply_import(&ImportRecord { scope: 0, entry: Some(entry), keys: 0 });
    admitted.map_err(|misfit| LedgerError::stopped(misfit.0))?;
    let state = state.scopes.pop().ok_or_else(|| unknown(&wanted.name))?;
    Ok(ImportedScope { number: 0, state, is_new: true })
}

/// Whether keys can come into a scope that is known.
fn check(known: &ScopeState, wanted: &ImportScope) -> Result<(), LedgerError> {
    if wanted.secret.is_some_and(|secret| secret != known.secret) {
        return Err(OtherSecret { scope: known.name.clone() }.into());
    }
    match wanted.definition {
        Some(made) if made != (known.fields, known.across_types) => Err(ImportDefinition {
            scope: known.name.clone(),
            recorded: definition(known.fields, known.across_types),
            wanted: definition(made.0, made.1),
        }
        .into()),
        _ => Ok(()),
    }
}
