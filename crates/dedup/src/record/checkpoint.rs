//! A checkpoint: everything that the records before it amount to, apart from keys.

use std::collections::BTreeMap;

use event::{BatchNumber, Epoch, LedgerId};
use journal::Position;

use super::cursor::{Cursor, Decoded, put_i64, put_list, put_option, put_str, put_u64};
use super::key_part::{put_clock, put_paths, take_clock, take_paths};
use super::{BatchHead, OnDisk};
use crate::scope::DedupClock;
use crate::state::{
    DedupCounts, LedgerState, Letter, MinuteBucket, PipeState, PreparedBatch, PreviousDefinition,
    ScopeState, SharedState, SourceCounters,
};

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CheckpointRecord {
    /// When it was made; ms since the Unix epoch. What had expired then is left out.
    pub(crate) made_ms: i64,
    /// Keys of batches after this record are not in key runs: the journal keeps them. `None`: of
    /// all batches.
    pub(crate) keys_after: Option<Position>,
    /// Batches after that which don't count, because one before them had no room.
    pub(crate) void: Vec<Position>,
    /// The effect of all records before it.
    pub(crate) state: LedgerState,
}

impl OnDisk for CheckpointRecord {
    fn put(&self, out: &mut Vec<u8>) {
        let state = &self.state;
        put_str(out, &state.onceflow_version);
        out.extend_from_slice(&state.ledger_id.0.to_le_bytes());
        put_u64(out, state.epoch.0);
        put_i64(out, state.opened_ms);
        put_i64(out, self.made_ms);
        put_option(out, self.keys_after, |out, position| put_u64(out, position.0));
        put_list(out, self.void.iter(), |out, position| put_u64(out, position.0));
        put_list(out, state.scopes.iter(), |out, scope| scope.put(out));
        put_list(out, state.pipes.iter(), |out, pipe| pipe.put(out));
        put_list(out, state.sources.iter(), |out, source| source.put(out));
        put_list(out, state.runs.iter(), |out, run| run.put(out));
        put_later_parts(out, state);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        let onceflow_version = cursor.string()?;
        let ledger_id = LedgerId(cursor.u128()?);
        let (epoch, opened_ms) = (Epoch(cursor.u64()?), cursor.i64()?);
        let made_ms = cursor.i64()?;
        let keys_after = cursor.option(|cursor| cursor.u64().map(Position))?;
        let void = cursor.list(|cursor| cursor.u64().map(Position))?;
        let mut scopes: Vec<ScopeState> = cursor.list(OnDisk::take)?;
        let mut pipes: Vec<PipeState> = cursor.list(OnDisk::take)?;
        let mut sources: Vec<SourceCounters> = cursor.list(OnDisk::take)?;
        let runs = cursor.list(OnDisk::take)?;
        take_later_parts(cursor, &mut scopes, &mut pipes, &mut sources)?;
        take_keys_made(cursor, &mut scopes, &mut pipes)?;
        take_dedup_counts(cursor, &mut pipes)?;
        let state = LedgerState {
            ledger_id,
            epoch,
            opened_ms,
            onceflow_version,
            scopes,
            pipes,
            sources,
            runs,
        };
        Ok(Self { made_ms, keys_after, void, state })
    }
}

/// What later versions added: what expired, of the sources that lost something; the open letters,
/// of pipes that have some; the minutes that don't balance, of sources that have some; the batches
/// that are prepared, of pipes that have some; the stores that scopes are in; how keys are made, were
/// made, and came in otherwise, of scopes and pipes that know; and what is counted beside
/// outcomes, of pipes that have some. A part is left out where
/// it and all after it have nothing to say, so that records without it read as they always did.
fn put_later_parts(out: &mut Vec<u8>, state: &LedgerState) {
    let sources = || state.sources.iter().enumerate();
    let lossy: Vec<_> = sources().filter(|(_, source)| source.expired > 0).collect();
    let dead: Vec<_> =
        state.pipes.iter().enumerate().filter(|(_, pipe)| !pipe.letters.is_empty()).collect();
    let broken: Vec<_> = sources().filter(|(_, source)| !source.broken.is_empty()).collect();
    let prepared: Vec<_> =
        state.pipes.iter().enumerate().filter(|(_, pipe)| !pipe.prepared.is_empty()).collect();
    let scopes = state.scopes.iter().enumerate();
    let shared: Vec<_> =
        scopes.filter_map(|(n, scope)| scope.shared.as_ref().map(|shared| (n, shared))).collect();
    let counted: Vec<_> = state
        .pipes
        .iter()
        .map(|pipe| pipe.dedup_counts.as_list())
        .enumerate()
        .filter(|(_, counts)| !counts.is_empty())
        .collect();
    let said = [
        &lossy.is_empty(),
        &dead.is_empty(),
        &broken.is_empty(),
        &prepared.is_empty(),
        &shared.is_empty(),
        &!says_how_keys_are_made(state),
        &counted.is_empty(),
    ];
    let parts = said.iter().rposition(|is_empty| !**is_empty).map_or(0, |last| last + 1);
    if parts >= 1 {
        put_list(out, lossy.into_iter(), |out, (number, source)| {
            put_u64(out, number as u64);
            put_u64(out, source.expired);
        });
    }
    if parts >= 2 {
        put_list(out, dead.into_iter(), |out, (number, pipe)| {
            put_u64(out, number as u64);
            put_list(out, pipe.letters.iter(), |out, (id, letter)| {
                out.extend_from_slice(&id.to_le_bytes());
                letter.put(out);
            });
        });
    }
    if parts >= 3 {
        put_list(out, broken.into_iter(), |out, (number, source)| {
            put_u64(out, number as u64);
            put_list(out, source.broken.iter(), |out, (minute, batch)| {
                put_i64(out, minute.0);
                put_u64(out, batch.0);
            });
        });
    }
    if parts >= 4 {
        put_list(out, prepared.into_iter(), |out, (number, pipe)| {
            put_u64(out, number as u64);
            put_list(out, pipe.prepared.iter(), |out, batch| batch.put(out));
        });
    }
    if parts >= 5 {
        put_list(out, shared.into_iter(), |out, (number, shared)| {
            put_u64(out, number as u64);
            shared.put(out);
        });
    }
    if parts >= 6 {
        put_keys_made(out, state);
    }
    if parts >= 7 {
        put_list(out, counted.into_iter(), |out, (number, counts)| {
            put_u64(out, number as u64);
            put_list(out, counts.iter(), |out, count| put_u64(out, *count));
        });
    }
}

fn says_how_keys_are_made(state: &LedgerState) -> bool {
    state.scopes.iter().any(says_something) || state.pipes.iter().any(|p| !p.key_paths.is_empty())
}

fn says_something(scope: &ScopeState) -> bool {
    scope.clock.is_some() || !scope.previous.is_empty() || scope.keys_imported > 0
}

fn put_keys_made(out: &mut Vec<u8>, state: &LedgerState) {
    let scopes = state.scopes.iter().enumerate().filter(|(_, scope)| says_something(scope));
    let scopes: Vec<_> = scopes.collect();
    put_list(out, scopes.into_iter(), |out, (number, scope)| {
        put_u64(out, number as u64);
        put_option(out, scope.clock, put_clock);
        put_list(out, scope.previous.iter(), |out, previous| previous.put(out));
        put_u64(out, scope.keys_imported);
    });
    let pipes: Vec<_> =
        state.pipes.iter().enumerate().filter(|(_, pipe)| !pipe.key_paths.is_empty()).collect();
    put_list(out, pipes.into_iter(), |out, (number, pipe)| {
        put_u64(out, number as u64);
        put_paths(out, &pipe.key_paths);
    });
}

fn take_keys_made(
    cursor: &mut Cursor<'_>,
    scopes: &mut [ScopeState],
    pipes: &mut [PipeState],
) -> Decoded<()> {
    if cursor.is_at_end() {
        return Ok(());
    }
    type Made = (u16, Option<DedupClock>, Vec<PreviousDefinition>, u64);
    let scope = |cursor: &mut Cursor<'_>| {
        let (number, clock) = (cursor.u16()?, cursor.option(take_clock)?);
        Ok((number, clock, cursor.list(OnDisk::take)?, cursor.u64()?))
    };
    let made: Vec<Made> = cursor.list(scope)?;
    for (number, clock, previous, keys_imported) in made {
        let missing = cursor.missing("scope whose keys are made");
        let scope = scopes.get_mut(usize::from(number)).ok_or(missing)?;
        (scope.clock, scope.previous, scope.keys_imported) = (clock, previous, keys_imported);
    }
    let paths: Vec<(u16, Vec<String>)> =
        cursor.list(|cursor| Ok((cursor.u16()?, take_paths(cursor)?)))?;
    for (number, paths) in paths {
        let missing = cursor.missing("pipe with a key");
        pipes.get_mut(usize::from(number)).ok_or(missing)?.key_paths = paths;
    }
    Ok(())
}

fn take_dedup_counts(cursor: &mut Cursor<'_>, pipes: &mut [PipeState]) -> Decoded<()> {
    if cursor.is_at_end() {
        return Ok(());
    }
    let counted: Vec<(u16, Vec<u64>)> =
        cursor.list(|cursor| Ok((cursor.u16()?, cursor.list(Cursor::u64)?)))?;
    for (number, counts) in counted {
        let missing = cursor.missing("pipe with counts");
        let pipe = pipes.get_mut(usize::from(number)).ok_or(missing)?;
        pipe.dedup_counts = DedupCounts::of_list(&counts);
    }
    Ok(())
}

fn take_later_parts(
    cursor: &mut Cursor<'_>,
    scopes: &mut [ScopeState],
    pipes: &mut [PipeState],
    sources: &mut [SourceCounters],
) -> Decoded<()> {
    if cursor.is_at_end() {
        return Ok(());
    }
    let lossy: Vec<(u16, u64)> = cursor.list(|cursor| Ok((cursor.u16()?, cursor.u64()?)))?;
    for (number, expired) in lossy {
        let missing = cursor.missing("source that lost events");
        sources.get_mut(usize::from(number)).ok_or(missing)?.expired = expired;
    }
    if cursor.is_at_end() {
        return Ok(());
    }
    type Letters = BTreeMap<u128, Letter>;
    let letter = |cursor: &mut Cursor<'_>| Ok((cursor.u128()?, Letter::take(cursor)?));
    let dead: Vec<(u16, Letters)> =
        cursor.list(|cursor| Ok((cursor.u16()?, cursor.list(letter)?)))?;
    for (number, letters) in dead {
        let missing = cursor.missing("pipe with letters");
        pipes.get_mut(usize::from(number)).ok_or(missing)?.letters = letters;
    }
    if cursor.is_at_end() {
        return Ok(());
    }
    type Broken = BTreeMap<MinuteBucket, BatchNumber>;
    let minute =
        |cursor: &mut Cursor<'_>| Ok((MinuteBucket(cursor.i64()?), BatchNumber(cursor.u64()?)));
    let broken: Vec<(u16, Broken)> =
        cursor.list(|cursor| Ok((cursor.u16()?, cursor.list(minute)?)))?;
    for (number, broken) in broken {
        let missing = cursor.missing("source that doesn't balance");
        sources.get_mut(usize::from(number)).ok_or(missing)?.broken = broken;
    }
    if cursor.is_at_end() {
        return Ok(());
    }
    type Prepared = Vec<PreparedBatch>;
    let prepared: Vec<(u16, Prepared)> =
        cursor.list(|cursor| Ok((cursor.u16()?, cursor.list(OnDisk::take)?)))?;
    for (number, prepared) in prepared {
        let missing = cursor.missing("pipe with prepared batches");
        pipes.get_mut(usize::from(number)).ok_or(missing)?.prepared = prepared;
    }
    if cursor.is_at_end() {
        return Ok(());
    }
    let shared: Vec<(u16, SharedState)> =
        cursor.list(|cursor| Ok((cursor.u16()?, OnDisk::take(cursor)?)))?;
    for (number, shared) in shared {
        let missing = cursor.missing("scope in a store");
        scopes.get_mut(usize::from(number)).ok_or(missing)?.shared = Some(shared);
    }
    Ok(())
}

impl OnDisk for PreparedBatch {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.position.0);
        put_u64(out, self.epoch.0);
        put_u64(out, self.attempt);
        self.head.put(out);
    }

    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self> {
        Ok(Self {
            position: Position(cursor.u64()?),
            epoch: Epoch(cursor.u64()?),
            attempt: cursor.u64()?,
            head: Box::new(BatchHead::take(cursor)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::super::batch::tests::any_head;
    use super::super::key_part::tests::any_key_part;
    use super::super::letters::tests::any_letter;
    use super::super::pipe::tests::any_pipe;
    use super::super::runs::tests::any_run;
    use super::super::scope::tests::any_scope;
    use super::super::shared::tests::any_shared;
    use super::super::sources::tests::any_source;
    use super::super::tests::record_round_trip;
    use super::*;

    prop_compose! {
        fn any_state()(
            (id, epoch, opened_ms) in any::<(u128, u64, i64)>(),
            onceflow_version: String,
            scopes in prop::collection::vec(any_scope(), 0..3),
            pipes in prop::collection::vec(any_pipe(), 0..3),
            sources in prop::collection::vec(any_source(), 0..3),
            runs in prop::collection::vec(any_run(), 0..3),
        ) -> LedgerState {
            LedgerState {
                ledger_id: LedgerId(id), epoch: Epoch(epoch), opened_ms, onceflow_version,
                scopes, pipes, sources, runs,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn checkpoints_round_trip(
            (made_ms, keys_after, void) in any::<(i64, Option<u64>, Vec<u64>)>(),
            mut state in any_state(),
            expired: u64,
            letters in prop::collection::btree_map(any::<u128>(), any_letter(), 0..3),
            broken in prop::collection::btree_map(any::<i64>(), any::<u64>(), 0..3),
            prepared in prop::collection::vec(any_head(), 0..2),
            shared in prop::option::of(any_shared()),
            made in prop::option::of(any_key_part()),
            (other_body, no_key, refreshed) in (0..2_u64, 0..2_u64, 0..2_u64),
        ) {
            if let Some(scope) = state.scopes.last_mut() {
                scope.shared = shared;
            }
            if let Some(source) = state.sources.last_mut() {
                source.expired = expired;
                let minute = |(minute, batch)| (MinuteBucket(minute), BatchNumber(batch));
                source.broken = broken.into_iter().map(minute).collect();
            }
            if let Some(pipe) = state.pipes.last_mut() {
                pipe.letters = letters;
                pipe.dedup_counts = DedupCounts { other_body, no_key, refreshed };
                let batch = |head| PreparedBatch {
                    position: Position(7), epoch: Epoch(2), attempt: 9, head: Box::new(head),
                };
                pipe.prepared = prepared.into_iter().map(batch).collect();
                pipe.key_paths = made.clone().map(|made| made.paths).unwrap_or_default();
            }
            if let (Some(scope), Some(made)) = (state.scopes.last_mut(), made) {
                scope.clock = Some(made.clock);
                (scope.previous, scope.keys_imported) = (made.previous, expired);
            }
            let (keys_after, void) =
                (keys_after.map(Position), void.into_iter().map(Position).collect());
            let record = CheckpointRecord { made_ms, keys_after, void, state };
            record_round_trip(&Record::Checkpoint(Box::new(record)));
        }
    }
}
