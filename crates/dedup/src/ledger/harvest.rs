//! Brings keys from the journal into key runs.

use std::collections::BTreeMap;

use journal::{Journal, Position, ReadError};

use super::checkpoint::Draft;
use super::lock;
use crate::error::{FolderIo, LedgerError};
use crate::record::{BatchRecord, Record, Scratch};
use crate::run::{Place, sort_key};
use crate::scope::CommittedKey;

/// Keys held in memory (about 40 MiB) before they are written.
const KEYS_MAX: usize = 1 << 19;

/// Keys on their way from the journal into runs.
pub(super) struct Harvest<'a, 'b> {
    draft: &'a mut Draft<'b>,
    places: BTreeMap<(u16, Place), Vec<CommittedKey>>,
    held: usize,
    scratch: Scratch,
    keys: Vec<CommittedKey>,
    /// By pipe: the last batch whose keys were read.
    saved: BTreeMap<u16, u64>,
}

impl<'a, 'b> Harvest<'a, 'b> {
    pub(super) fn new(draft: &'a mut Draft<'b>) -> Self {
        let (places, scratch, keys) = (BTreeMap::new(), Scratch::default(), Vec::new());
        Self { draft, places, held: 0, scratch, keys, saved: BTreeMap::new() }
    }

    /// Writes the keys of all batches after `from`, up to and including `through`, into runs.
    pub(super) fn read(
        mut self,
        journal: &Journal,
        from: Option<Position>,
        through: Position,
    ) -> Result<BTreeMap<u16, u64>, LedgerError> {
        let void = lock(&self.draft.core.void).clone();
        let core = self.draft.core;
        let mut reader = journal.reader(from.unwrap_or_else(|| journal.begin()));
        loop {
            match reader.next().map_err(|error| core.stop(error))? {
                Some((position, _)) if from.is_some_and(|from| position <= from) => {}
                Some((position, bytes)) if position <= through => {
                    if !void.contains(&position)
                        && let Some(batch) = batch(bytes).map_err(|what| core.stop(what))?
                    {
                        self.take(&batch)?;
                    }
                    if position == through {
                        break;
                    }
                }
                _ => break,
            }
        }
        self.write()?;
        Ok(self.saved)
    }

    fn take(&mut self, batch: &BatchRecord<'_>) -> Result<(), LedgerError> {
        let Some(scope) = batch.scope else { return Ok(()) };
        self.keys.clear();
        let decoded = batch.keys(&mut self.scratch, &mut self.keys);
        decoded.map_err(|malformed| self.draft.core.stop(malformed))?;
        if let Some(last) = self.keys.last().filter(|last| last.by.batch.0 > 0) {
            let saved = self.saved.entry(last.by.pipe).or_default();
            *saved = last.by.batch.0.max(*saved);
        }
        let forgotten = self.draft.forgotten.get(&scope).copied().unwrap_or(i64::MIN);
        // Neighbours mostly share a place.
        for run in self.keys.chunk_by(|a, b| Place::of(a) == Place::of(b)) {
            let Some(first) = run.first() else { continue };
            let kept = self.places.entry((scope, Place::of(first))).or_default();
            let before = kept.len();
            kept.extend(run.iter().filter(|key| key.expiry_ms() > forgotten));
            self.held += kept.len() - before;
        }
        if self.held >= KEYS_MAX { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), LedgerError> {
        self.held = 0;
        for ((scope, place), keys) in std::mem::take(&mut self.places) {
            if keys.is_empty() {
                continue;
            }
            let (mut writer, path) = self.draft.begin_run(scope, place, keys.len() as u64)?;
            for_each_sorted(&keys, |key| {
                let pushed = writer.push(key);
                pushed.map_err(|error| FolderIo::new("write", &path, error))
            })?;
            self.draft.end_run(writer, &path)?;
        }
        Ok(())
    }
}

/// Hands out keys in the order of [`sort_key`], equal ones in the order in which they are.
///
/// Sorts the upper halves of the keys, which are hashes: only few are equal, and little is moved.
fn for_each_sorted<E>(
    keys: &[CommittedKey],
    mut each: impl FnMut(CommittedKey) -> Result<(), E>,
) -> Result<(), E> {
    let mut order: Vec<(u64, u32)> =
        keys.iter().zip(0..).map(|(key, index)| ((key.key >> 64) as u64, index)).collect();
    order.sort_unstable();
    let mut equal: Vec<CommittedKey> = Vec::new();
    for run in order.chunk_by(|a, b| a.0 == b.0) {
        equal.extend(run.iter().filter_map(|(_, index)| keys.get(*index as usize)));
        if equal.len() > 1 {
            equal.sort_by_key(sort_key);
        }
        equal.drain(..).try_for_each(&mut each)?;
    }
    Ok(())
}

/// The keys of a batch or of an import.
fn batch(bytes: &[u8]) -> Result<Option<BatchRecord<'_>>, String> {
    Record::keyed(bytes).map_err(|_| "a record that could be read no longer can".into())
}

/// Hands all keys of a scope that are in no run to `take`.
pub(super) fn journal_keys(
    journal: &Journal,
    from: Option<Position>,
    is_void: impl Fn(Position) -> bool,
    scope: u16,
    mut take: impl FnMut(&[CommittedKey]),
) -> Result<(), String> {
    let (mut scratch, mut keys) = (Scratch::default(), Vec::new());
    let mut reader = journal.reader(from.unwrap_or_else(|| journal.begin()));
    while let Some((position, bytes)) = reader.next().map_err(|e: ReadError| e.to_string())? {
        if from.is_some_and(|from| position <= from) || is_void(position) {
            continue;
        }
        let Some(batch) = batch(bytes)?.filter(|batch| batch.scope == Some(scope)) else {
            continue;
        };
        keys.clear();
        batch.keys(&mut scratch, &mut keys).map_err(|malformed| malformed.to_string())?;
        take(&keys);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::KeyState;

    #[test]
    fn keys_are_handed_out_sorted_and_equal_ones_in_their_order() {
        let key = |i: u64| CommittedKey {
            key: u128::from(i * 7919 % 50) << 60,
            recorded_ms: (i % 3) as i64,
            window_ms: 9,
            body_hash: i,
            state: KeyState::Delivered,
            by: Default::default(),
        };
        let keys: Vec<CommittedKey> = (0..1000).map(key).collect();
        let mut expected = keys.clone();
        expected.sort_by_key(sort_key);
        let mut sorted = Vec::new();
        let each = |key| {
            sorted.push(key);
            Ok::<(), ()>(())
        };
        for_each_sorted(&keys, each).unwrap();
        assert_eq!(sorted, expected);
    }
}
