//! A pipe starts: its numbers, its scope's definition, and the scope's keys.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

use event::Epoch;
use journal::Journal;

use super::core::Core;
use super::harvest::journal_keys;
use super::lock;
use super::lookup::{Finder, OpenRuns};
use super::new_key::{Declaring, OldKeys, PreviousKey, previous};
use super::scope_cell::ScopeCell;
use super::shared::SharedPipe;
use super::{PipeDeclaration, ScopeDeclaration};
use crate::error::{ClockSetBack, LedgerError, OtherOptions};
use crate::record::{KeyPart, LettersRecord, PipeRecord, Record, ScopeEntry, SourceRecord};
use crate::scope::{CommittedKey, DedupClock, PipeId, Scope, SourceId};
use crate::state::{LedgerState, Letter, LetterOp, ScopeState, SourceCounters};

/// By how much the wall clock may be behind the highest recorded time of `clock: received`.
const CLOCK_BEHIND_MAX_MS: i64 = 300_000;
/// Keys that are looked up in runs at a time.
const LOOK_UP_KEYS: usize = 1 << 16;
/// What a key takes in the journal at least; for a guess at how many there are.
const JOURNAL_KEY_BYTES: u64 = 24;

/// What a declared pipe is called in the ledger.
pub(super) struct Declared {
    pub(super) pipe: u16,
    pub(super) source: u16,
    /// The place of each declared sink in the pipe's state.
    pub(super) sinks: Vec<u16>,
    pub(super) scope: Option<(u16, Arc<ScopeCell>)>,
    /// The source that its replays count as, once there was one.
    pub(super) replays: OnceLock<u16>,
    /// The epoch that it runs in.
    pub(super) epoch: Epoch,
    /// Its side of the store, where its scope is in one.
    pub(super) shared: Option<Arc<SharedPipe>>,
    /// Definitions of its scope's keys before the present one.
    pub(super) previous: Vec<PreviousKey>,
}

/// What the source of a pipe's replays is called.
fn replays_of(pipe: &str) -> String {
    format!("replay:{pipe}")
}

impl Core {
    /// Starts a pipe.
    pub(super) fn declare(
        self: &Arc<Self>,
        declaration: &PipeDeclaration,
    ) -> Result<Declared, LedgerError> {
        // Not with a lock: the store may be slow.
        let joined = self.join(declaration)?;
        let mut running = lock(&self.declaring);
        let old = self.old_keys(declaration)?;
        let secret = joined.as_ref().map(|(scope, _)| scope.secret);
        let record = self.plan(declaration, secret, old)?;
        if running.contains(&record.pipe) {
            return Err(refuse(declaration, "it is running already; give this one another name"));
        }
        let (pipe, source) = (record.pipe, record.source);
        self.resolve(pipe, declaration)?;
        let ran_before = !lock(&self.sharing.started).insert(pipe);
        let epoch = self.begin_again(pipe, ran_before)?;
        let scope = match (&record.scope, &declaration.scope) {
            (Some(entry), Some(scope)) => {
                Some((entry.number, self.scope(entry, scope, declaration)?))
            }
            _ => None,
        };
        self.append(Record::Pipe(record))?;
        if let Some((number, cell)) = &scope {
            // Not before: without the record a new scope has no number.
            lock(&self.scopes).insert(*number, Arc::clone(cell));
            cell.with(|scope| scope.declare_source(SourceId(source)));
        }
        let shared = match (joined, &declaration.store, &scope) {
            (Some((name, joined)), Some(store), Some((number, _))) => {
                self.note_joined(*number, &store.store, &joined)?;
                Some(Arc::new(SharedPipe::new(self, store, name, *number, (pipe, epoch))?))
            }
            _ => None,
        };
        let sinks = {
            let live = lock(&self.live);
            let known = live.state.pipes.get(usize::from(pipe)).map(|pipe| pipe.sinks.as_slice());
            let known = known.unwrap_or_default();
            let place = |name: &String| known.iter().position(|sink| sink.name == *name);
            let place = |name| place(name).and_then(|place| u16::try_from(place).ok());
            declaration.sinks.iter().map(place).collect::<Option<Vec<u16>>>()
        };
        let sinks = sinks.ok_or_else(|| refuse(declaration, "it has too many sinks"))?;
        if let Some((_, cell)) = &scope {
            let plan = declaration.config_fingerprint;
            cell.with(|scope| scope.declare_pipe(PipeId(pipe), plan, &sinks));
        }
        let replays = {
            let name = replays_of(&declaration.pipe);
            let live = lock(&self.live);
            let of_pipe = |known: &SourceCounters| known.pipe == pipe && known.name == name;
            let known = live.state.sources.iter().position(of_pipe);
            known.and_then(|number| u16::try_from(number).ok())
        };
        let replays = replays.map_or_else(OnceLock::new, OnceLock::from);
        running.insert(pipe);
        let previous = self.previous_keys(pipe, scope.as_ref());
        Ok(Declared { pipe, source, sinks, scope, replays, epoch, shared, previous })
    }

    /// The definitions before the present one under which events of a pipe have to be looked up.
    fn previous_keys(&self, pipe: u16, scope: Option<&(u16, Arc<ScopeCell>)>) -> Vec<PreviousKey> {
        let Some((number, cell)) = scope else { return Vec::new() };
        let live = lock(&self.live);
        let known = live.state.scopes.get(usize::from(*number));
        let all = known.map(|known| known.previous.as_slice()).unwrap_or_default();
        let of_pipe = all.iter().filter_map(|previous| {
            Some(PreviousKey {
                fields: previous.fields,
                across_types: previous.across_types,
                paths: previous.paths.get(&pipe)?.clone(),
                until_ms: previous.until_ms,
                forgotten_through_ms: Arc::clone(cell.forgotten_through_ms()),
            })
        });
        of_pipe.collect()
    }

    /// The source that the replays of a pipe count as; a new one with the first of them.
    pub(super) fn replays(
        self: &Arc<Self>,
        declared: &Declared,
        pipe: &str,
    ) -> Result<u16, LedgerError> {
        if let Some(known) = declared.replays.get() {
            return Ok(*known);
        }
        // No other source gets a number meanwhile.
        let _declaring = lock(&self.declaring);
        if let Some(known) = declared.replays.get() {
            return Ok(*known);
        }
        let next = lock(&self.live).state.sources.len();
        let source = u16::try_from(next).map_err(|_| LedgerError::Declaration {
            pipe: pipe.into(),
            what: "this data folder knows 65,536 sources already".into(),
        })?;
        let record = SourceRecord { source, pipe: declared.pipe, name: replays_of(pipe) };
        self.append(Record::Source(record))?;
        Ok(*declared.replays.get_or_init(|| source))
    }

    /// Purges letters; see [`super::Ledger::remove_letters`].
    pub(super) fn remove_letters(
        self: &Arc<Self>,
        pipe: &str,
        ids: &[u128],
    ) -> Result<u64, LedgerError> {
        // No scope is loaded with them meanwhile.
        let _declaring = lock(&self.declaring);
        let (pipe, letters) = {
            let live = lock(&self.live);
            let unknown = || LedgerError::Declaration {
                pipe: pipe.into(),
                what: "this data folder doesn't know it".into(),
            };
            let (id, known) = live.state.pipe(pipe).ok_or_else(unknown)?;
            let ids: BTreeSet<u128> = ids.iter().copied().collect();
            let open = ids.into_iter().filter(|id| known.letters.contains_key(id));
            (id.0, open.map(|id| LetterOp::Remove { id }).collect::<Vec<_>>())
        };
        let count = letters.len() as u64;
        if count > 0 {
            self.append(Record::Letters(LettersRecord { pipe, letters }))?;
        }
        Ok(count)
    }

    /// The record of a pipe that starts, with the numbers that it has or gets.
    fn plan(
        &self,
        declaration: &PipeDeclaration,
        secret: Option<[u8; 16]>,
        old: Option<OldKeys>,
    ) -> Result<PipeRecord, LedgerError> {
        let live = lock(&self.live);
        let state = &live.state;
        let number = |found: Option<usize>, next: usize| {
            u16::try_from(found.unwrap_or(next)).map_err(|_| {
                refuse(declaration, "this data folder knows 65,536 of its kind already")
            })
        };
        let pipe = state.pipes.iter().position(|pipe| pipe.name == declaration.pipe);
        let pipe = number(pipe, state.pipes.len())?;
        let source = state
            .sources
            .iter()
            .position(|source| source.pipe == pipe && source.name == declaration.source);
        let source = number(source, state.sources.len())?;
        let mut names = declaration.sinks.clone();
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            let what = format!("two sinks are called {name}; give one of them another name");
            return Err(refuse(declaration, &what));
        }
        let scope = declaration.scope.as_ref();
        let entry = |scope| self.scope_entry(state, scope, declaration, secret);
        let scope = scope.map(entry).transpose()?;
        let key = match (&scope, &declaration.scope) {
            (Some(entry), Some(wanted)) => {
                let declaring = Declaring { declaration, wanted, pipe };
                let previous = previous(state, entry.number, &declaring, old)?;
                let (paths, clock) = (wanted.paths.clone(), wanted.options.clock);
                let says = !paths.is_empty() || !previous.is_empty();
                says.then_some(KeyPart { paths, clock, previous })
            }
            _ => None,
        };
        Ok(PipeRecord {
            pipe,
            name: declaration.pipe.clone(),
            source,
            source_name: declaration.source.clone(),
            sinks: declaration.sinks.clone(),
            scope,
            config_fingerprint: declaration.config_fingerprint,
            key,
        })
    }

    /// The scope as the ledger knows it, or a new one with a secret of its own.
    fn scope_entry(
        &self,
        state: &LedgerState,
        wanted: &ScopeDeclaration,
        declaration: &PipeDeclaration,
        secret: Option<[u8; 16]>,
    ) -> Result<ScopeEntry, LedgerError> {
        let known = state.scopes.iter().position(|scope| scope.name == wanted.name);
        let number = u16::try_from(known.unwrap_or(state.scopes.len()))
            .map_err(|_| refuse(declaration, "this data folder knows 65,536 scopes already"))?;
        let Some(known) = state.scopes.get(usize::from(number)) else {
            let (name, fields) = (wanted.name.clone(), wanted.fields);
            let drawn = || self.options.random.bytes(&format!("scope {name}"));
            let secret = secret.map_or_else(drawn, Ok)?;
            let across_types = wanted.across_types;
            return Ok(ScopeEntry { number, name, secret, fields, across_types });
        };
        self.check_clock(known, wanted)?;
        Ok(ScopeEntry {
            number,
            name: known.name.clone(),
            secret: known.secret,
            // Where they differ from the known ones, `old_keys` has let them.
            fields: wanted.fields,
            across_types: wanted.across_types,
        })
    }

    /// With `received`, recorded time never runs backwards.
    fn check_clock(
        &self,
        known: &ScopeState,
        wanted: &ScopeDeclaration,
    ) -> Result<(), LedgerError> {
        let (now_ms, recorded_max_ms) = (self.clock.now_ms(), known.recorded_max_ms);
        let behind = recorded_max_ms.saturating_sub(now_ms) > CLOCK_BEHIND_MAX_MS;
        if wanted.options.clock == DedupClock::Received && behind {
            let scope = wanted.name.clone();
            return Err(ClockSetBack { scope, recorded_max_ms, now_ms }.into());
        }
        Ok(())
    }

    /// The scope in use, or now taken into use with its keys.
    fn scope(
        &self,
        entry: &ScopeEntry,
        wanted: &ScopeDeclaration,
        declaration: &PipeDeclaration,
    ) -> Result<Arc<ScopeCell>, LedgerError> {
        let used = lock(&self.scopes).get(&entry.number).cloned();
        if let Some(cell) = used {
            if *cell.options() != wanted.options {
                let (scope, pipe) = (wanted.name.clone(), declaration.pipe.clone());
                return Err(OtherOptions { scope, pipe }.into());
            }
            return Ok(cell);
        }
        self.load(entry.number, Scope::new(wanted.options)).map(Arc::new)
    }

    /// Takes a scope into use: its key runs are opened, the keys that are in the journal alone come
    /// into memory. No checkpoint moves any of them meanwhile.
    fn load(&self, number: u16, mut scope: Scope) -> Result<ScopeCell, LedgerError> {
        let places = lock(&self.key_places);
        let journal = self.running()?;
        let (known, runs, letters, pipes) = {
            let live = lock(&self.live);
            let known = live.state.scopes.get(usize::from(number)).cloned();
            let letters = letters_of(&live.state, number);
            let pipes: Vec<_> = live.state.pipes.iter().map(|pipe| pipe.committed).collect();
            (known, live.state.runs.clone(), letters, pipes)
        };
        let Some(known) = known else { return Ok(ScopeCell::new(scope)) };
        scope.restore_forgotten_through(known.forgotten_through_ms);
        if known.recorded_max_ms > i64::MIN {
            scope.restore_recorded_max(known.recorded_max_ms);
        }
        for (&source, &watermark_ms) in &known.watermarks {
            scope.restore_watermark(SourceId(source), watermark_ms);
        }
        for (pipe, committed) in (0..).map(PipeId).zip(pipes) {
            scope.restore_pipe(pipe, committed);
        }
        let runs = self.open_runs(number, &runs, &OpenRuns::default())?;
        let in_journal = journal_bytes(&journal, places.keys_after) / JOURNAL_KEY_BYTES;
        let keys_max = in_journal.min(known.keys_committed);
        scope.reserve_capacity(usize::try_from(keys_max).unwrap_or(usize::MAX));
        let (mut finder, mut failed, mut unsaved) = (Finder::default(), None, 0);
        let take = |keys: &[CommittedKey]| {
            unsaved += keys.len() as u64;
            if failed.is_none() {
                failed = take_unsaved(&mut scope, &runs, &mut finder, keys, places.imports).err();
            }
        };
        let mut void = lock(&self.void).clone();
        // Nobody knows yet whether these count; the store does.
        void.extend(lock(&self.live).state.all_prepared());
        let is_void = |position| void.contains(&position);
        journal_keys(&journal, places.keys_after, is_void, number, take)
            .map_err(|what| self.stop(what))?;
        if let Some(error) = failed {
            return Err(error);
        }
        for (pipe, id, letter) in &letters {
            scope.letter_open(*pipe, *id, letter);
        }
        let cell = ScopeCell::new(scope);
        cell.set_runs(runs);
        cell.add_unsaved(unsaved);
        Ok(cell)
    }
}

/// Brings keys of the journal into memory, with all that runs have of them.
fn take_unsaved(
    scope: &mut Scope,
    runs: &OpenRuns,
    finder: &mut Finder,
    keys: &[CommittedKey],
    imports: u32,
) -> Result<(), LedgerError> {
    for keys in keys.chunks(LOOK_UP_KEYS) {
        scope.load_all(finder.find_all(runs, keys)?);
        // Of a batch, unless they were imported: neighbours are of one kind.
        for keys in keys.chunk_by(|a, b| (a.by.batch.0 == 0) == (b.by.batch.0 == 0)) {
            match keys.first() {
                Some(first) if first.by.batch.0 == 0 => scope.load_imported(keys, imports),
                _ => scope.load_all_unsaved(keys),
            }
        }
    }
    Ok(())
}

/// The open letters whose key belongs to a scope.
fn letters_of(state: &LedgerState, scope: u16) -> Vec<(PipeId, u128, Letter)> {
    let of_scope = |letter: &Letter| letter.key.is_some_and(|key| key.scope == scope);
    let mut found = Vec::new();
    for (pipe, known) in (0..).map(PipeId).zip(&state.pipes) {
        let letters = known.letters.iter().filter(|(_, letter)| of_scope(letter));
        found.extend(letters.map(|(id, letter)| (pipe, *id, letter.clone())));
    }
    found
}

fn journal_bytes(journal: &Journal, from: Option<journal::Position>) -> u64 {
    journal.end().0.saturating_sub(from.unwrap_or_else(|| journal.begin()).0)
}

pub(super) fn refuse(declaration: &PipeDeclaration, what: &str) -> LedgerError {
    LedgerError::Declaration { pipe: declaration.pipe.clone(), what: what.into() }
}
