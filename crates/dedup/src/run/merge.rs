//! Merges runs of one window class and expiry bucket, so that a lookup probes few.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::place::Place;
use super::reader::RunReader;
use super::writer::{RunWriter, sort_key};
use crate::error::LedgerError;
use crate::scope::CommittedKey;
use crate::state::RunState;

/// A run may be merged with smaller ones that together have at least this part of its keys, so
/// that a key is copied only a few times in its life.
const RATIO: u64 = 4;

/// Which runs to merge next, oldest first: of the scope and place with the most runs, when a scope
/// has more than `runs_max`. `None` when there is nothing to gain.
pub(crate) fn choose(runs: &[RunState], runs_max: usize) -> Option<Vec<RunState>> {
    let mut scopes: BTreeMap<u16, usize> = BTreeMap::new();
    runs.iter().for_each(|run| *scopes.entry(run.scope).or_default() += 1);
    let mut groups: BTreeMap<(u16, Place), Vec<&RunState>> = BTreeMap::new();
    for run in runs.iter().filter(|run| scopes.get(&run.scope).is_some_and(|&n| n > runs_max)) {
        let place = Place { class: run.class, bucket: run.bucket };
        groups.entry((run.scope, place)).or_default().push(run);
    }
    let group = groups.into_values().max_by_key(Vec::len).filter(|group| group.len() > 1)?;
    let mut by_size = group.clone();
    by_size.sort_by_key(|run| run.count);
    let (mut sum, mut chosen) = (0_u64, 0);
    for run in &by_size {
        if chosen >= 2 && run.count > sum.saturating_mul(RATIO) {
            break;
        }
        sum += run.count;
        chosen += 1;
    }
    let chosen: Vec<&str> = by_size.iter().take(chosen).map(|run| run.name.as_str()).collect();
    Some(group.into_iter().filter(|run| chosen.contains(&run.name.as_str())).cloned().collect())
}

/// Copies all keys of `readers` (older runs first) into `writer`, in order, apart from those that
/// expire at or before `forgotten_through_ms`.
///
/// # Errors
/// What the readers or the disk say.
pub(crate) fn merge(
    readers: Vec<RunReader>,
    writer: &mut RunWriter,
    forgotten_through_ms: i64,
    failed_write: impl Fn(std::io::Error) -> LedgerError,
) -> Result<(), LedgerError> {
    let mut inputs = Vec::with_capacity(readers.len());
    let mut heap = BinaryHeap::with_capacity(readers.len());
    for reader in readers {
        let mut input = Input { reader, block: Vec::new(), at: 0 };
        if let Some(key) = input.peek()? {
            heap.push(Reverse((sort_key(&key), inputs.len())));
        }
        inputs.push(input);
    }
    while let Some(Reverse((_, number))) = heap.pop() {
        let Some(input) = inputs.get_mut(number) else { continue };
        if let Some(key) = input.peek()? {
            if key.expiry_ms() > forgotten_through_ms {
                writer.push(key).map_err(&failed_write)?;
            }
            input.at += 1;
        }
        if let Some(key) = input.peek()? {
            heap.push(Reverse((sort_key(&key), number)));
        }
    }
    Ok(())
}

struct Input {
    reader: RunReader,
    block: Vec<CommittedKey>,
    at: usize,
}

impl Input {
    /// The next key, which `at` steps over.
    fn peek(&mut self) -> Result<Option<CommittedKey>, LedgerError> {
        if self.at == self.block.len() {
            self.block.clear();
            self.at = 0;
            if !self.reader.next_block(&mut self.block)? {
                return Ok(None);
            }
        }
        Ok(self.block.get(self.at).copied())
    }
}
