//! A scope's keys are made in another way from now on (`run --new-key`).
//!
//! The old definition stays beside the new one until the last of its keys has ended: events are
//! looked up under both, and remembered under the new one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::core::Core;
use super::declare::refuse;
use super::harvest::journal_keys;
use super::{NewKey, PipeDeclaration, ScopeDeclaration, lock};
use crate::error::{LedgerError, OtherDefinition};
use crate::key::definition;
use crate::run::FOREVER;
use crate::scope::FOREVER_MS;
use crate::state::{LedgerState, PREVIOUS_DEFINITIONS_MAX, PreviousDefinition, ScopeState};

/// Fields of a key at most; greater numbers stand for other kinds of key.
const FIELDS_MAX: u32 = 1 << 16;

/// A definition that the keys of a pipe's scope had before, as long as it has to be looked up.
#[derive(Clone, Debug)]
pub struct PreviousKey {
    /// Number of key fields.
    pub fields: u32,
    /// Whether its keys left out the envelope's type.
    pub across_types: bool,
    /// The key's paths in this pipe's events, as they stood in its config.
    pub paths: Vec<String>,
    /// When the last of its keys ends; ms since the Unix epoch, `i64::MAX` for never.
    pub until_ms: i64,
    /// What the scope has forgotten by now.
    pub(super) forgotten_through_ms: Arc<AtomicI64>,
}

impl PreviousKey {
    /// Whether nothing can be found under it any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let through_ms = self.forgotten_through_ms.load(Ordering::Relaxed);
        self.until_ms != i64::MAX && self.until_ms <= through_ms
    }
}

/// The keys that a scope remembers.
#[derive(Clone, Copy, Debug)]
pub(super) struct OldKeys {
    /// When the last of those ends that end; `i64::MIN` without any.
    until_ms: i64,
    /// Whether one never ends.
    forever: bool,
}

/// Whose scope it is.
pub(super) struct Declaring<'a> {
    pub(super) declaration: &'a PipeDeclaration,
    pub(super) wanted: &'a ScopeDeclaration,
    pub(super) pipe: u16,
}

impl Core {
    /// What the scope remembers, where that matters: its definition changes, or keys that never end
    /// are to be forgotten.
    pub(super) fn old_keys(
        &self,
        declaration: &PipeDeclaration,
    ) -> Result<Option<OldKeys>, LedgerError> {
        let Some(wanted) = &declaration.scope else { return Ok(None) };
        let number = {
            let live = lock(&self.live);
            let known = live.state.scopes.iter().position(|scope| scope.name == wanted.name);
            let Some(number) = known else { return Ok(None) };
            let changes = live.state.scopes.get(number).is_some_and(|s| differs(s, wanted));
            let forgets = wanted.new_key.as_ref().is_some_and(|new| new.forget_forever);
            if !changes && !forgets {
                return Ok(None);
            }
            if changes {
                self.may_change(&live.state, number, declaration, wanted)?;
            }
            u16::try_from(number).map_err(|_| refuse(declaration, "too many scopes"))?
        };
        self.remembered(number).map(Some)
    }

    /// Whether a scope's definition may change now.
    fn may_change(
        &self,
        state: &LedgerState,
        number: usize,
        declaration: &PipeDeclaration,
        wanted: &ScopeDeclaration,
    ) -> Result<(), LedgerError> {
        let Some(known) = state.scopes.get(number) else { return Ok(()) };
        if wanted.new_key.is_none() {
            return Err(OtherDefinition {
                scope: wanted.name.clone(),
                pipe: declaration.pipe.clone(),
                recorded: definition(known.fields, known.across_types),
                wanted: definition(wanted.fields, wanted.across_types),
            }
            .into());
        }
        if declaration.store.is_some() {
            let what = "--new-key: the keys of its scope are in a shared store, which other workers \
                        use with the old key. Name a new `dedup.scope` in all of them instead";
            return Err(refuse(declaration, what));
        }
        if u16::try_from(number).is_ok_and(|number| lock(&self.scopes).contains_key(&number)) {
            let what = format!(
                "--new-key: another pipe of this run uses scope {} with keys of {}. All pipes of a \
                 scope change together: give them the same kind of key, {}",
                wanted.name,
                definition(known.fields, known.across_types),
                definition(wanted.fields, wanted.across_types),
            );
            return Err(refuse(declaration, &what));
        }
        let of_scope = |scope: Option<u16>| scope.map(usize::from) == Some(number);
        let parked = state.pipes.iter().filter(|pipe| of_scope(pipe.scope));
        match parked.clone().find(|pipe| !pipe.parked.is_empty()) {
            None => Ok(()),
            Some(pipe) => {
                let what = format!(
                    "--new-key: {} events of pipe {} are parked and hold keys of the old kind. \
                     Start it with the old key until they are settled (`onceflow report` counts \
                     them), then change the key",
                    pipe.parked.len(),
                    pipe.name
                );
                Err(refuse(declaration, &what))
            }
        }
    }

    /// Until when a scope remembers what it remembers.
    fn remembered(&self, number: u16) -> Result<OldKeys, LedgerError> {
        let places = lock(&self.key_places);
        let journal = self.running()?;
        let runs = lock(&self.live).state.runs.clone();
        let mut old = OldKeys { until_ms: i64::MIN, forever: false };
        for run in runs.iter().filter(|run| run.scope == number) {
            if run.class == FOREVER {
                old.forever = true;
            } else {
                old.until_ms = old.until_ms.max(run.expires_ms);
            }
        }
        let void = lock(&self.void).clone();
        journal_keys(
            &journal,
            places.keys_after,
            |position| void.contains(&position),
            number,
            |keys| {
                for key in keys {
                    if key.window_ms == FOREVER_MS {
                        old.forever = true;
                    } else {
                        old.until_ms = old.until_ms.max(key.expiry_ms());
                    }
                }
            },
        )
        .map_err(|what| self.stop(what))?;
        Ok(old)
    }
}

/// Whether a config makes a scope's keys in another way than they were made so far.
pub(super) fn differs(known: &ScopeState, wanted: &ScopeDeclaration) -> bool {
    (known.fields, known.across_types) != (wanted.fields, wanted.across_types)
}

/// The definitions of a scope before the present one that have to be looked up from now on.
pub(super) fn previous(
    state: &LedgerState,
    number: u16,
    declaring: &Declaring<'_>,
    old: Option<OldKeys>,
) -> Result<Vec<PreviousDefinition>, LedgerError> {
    let Declaring { declaration, wanted, pipe } = *declaring;
    let Some(known) = state.scopes.get(usize::from(number)) else { return Ok(Vec::new()) };
    let mut previous = known.previous.clone();
    if let Some(old) = old {
        if differs(known, wanted) {
            previous.push(PreviousDefinition {
                fields: known.fields,
                across_types: known.across_types,
                until_ms: if old.forever { i64::MAX } else { old.until_ms },
                paths: recorded_paths(state, number),
            });
        }
        if wanted.new_key.as_ref().is_some_and(|new| new.forget_forever) {
            let endless = previous.iter_mut().filter(|previous| previous.until_ms == i64::MAX);
            endless.for_each(|previous| previous.until_ms = old.until_ms);
        }
    }
    previous.retain(|previous| !previous.is_over(known.forgotten_through_ms));
    if previous.len() > PREVIOUS_DEFINITIONS_MAX {
        let what = format!(
            "--new-key: scope {} had {} definitions that are still looked up, and at most \
             {PREVIOUS_DEFINITIONS_MAX} may be. Wait until the windows of the oldest have ended",
            wanted.name,
            previous.len(),
        );
        return Err(refuse(declaration, &what));
    }
    let before = state.pipes.get(usize::from(pipe)).filter(|pipe| pipe.scope == Some(number));
    let unrecorded = before.is_some_and(|pipe| pipe.key_paths.is_empty());
    for previous in &mut previous {
        complete(previous, declaring, unrecorded)?;
    }
    warn_of_endless(&previous, declaring);
    Ok(previous)
}

/// The paths that the pipe's old key had, where the ledger doesn't know them.
fn complete(
    previous: &mut PreviousDefinition,
    declaring: &Declaring<'_>,
    unrecorded: bool,
) -> Result<(), LedgerError> {
    let Declaring { declaration, wanted, pipe } = *declaring;
    let given = wanted.new_key.as_ref().and_then(|NewKey { old_paths, .. }| old_paths.as_ref());
    let words = definition(previous.fields, previous.across_types);
    // The whole body, or the broker's id, is one word.
    let parts = if previous.fields > FIELDS_MAX { 1 } else { previous.fields as usize };
    match (previous.paths.get(&pipe), given) {
        (Some(recorded), Some(given)) if recorded != given => {
            let what = format!(
                "--old-key {}: the ledger has recorded the old key of this pipe, {}. Leave the \
                 option out",
                given.join(","),
                recorded.join(",")
            );
            Err(refuse(declaration, &what))
        }
        (None, Some(given)) if given.len() == parts => {
            previous.paths.insert(pipe, given.clone());
            Ok(())
        }
        (None, Some(given)) if unrecorded => {
            let what = format!(
                "--old-key {}: the old key was made of {words}. Name its paths in their order, \
                 separated by commas",
                given.join(",")
            );
            Err(refuse(declaration, &what))
        }
        (None, None) if unrecorded => {
            let what = format!(
                "this data folder was last written by a program that didn't record the paths of \
                 keys, and the old key ({words}) has to be looked up. Say with --new-key --old-key \
                 PATH,PATH what it was"
            );
            Err(refuse(declaration, &what))
        }
        _ => Ok(()),
    }
}

fn warn_of_endless(previous: &[PreviousDefinition], declaring: &Declaring<'_>) {
    if previous.iter().any(|previous| previous.until_ms == i64::MAX) {
        tracing::warn!(
            scope = declaring.wanted.name,
            "keys of an old definition are remembered for ever, so it is looked up for ever; a \
             start with --new-key --forget-old-forever forgets them"
        );
    }
}

/// The paths of the keys of a scope's pipes, where they were recorded.
fn recorded_paths(state: &LedgerState, scope: u16) -> BTreeMap<u16, Vec<String>> {
    let pipes = (0..).zip(&state.pipes).filter(|(_, pipe)| pipe.scope == Some(scope));
    let recorded = pipes.filter(|(_, pipe)| !pipe.key_paths.is_empty());
    recorded.map(|(number, pipe)| (number, pipe.key_paths.clone())).collect()
}
