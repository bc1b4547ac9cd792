//! Merges runs into one.

use super::reader::RunReader;
use super::row::{Kind, Row};
use super::writer::RunWriter;
use crate::error::LedgerError;

/// Copies all keys of `readers` (older runs first) into `writer`, in order, apart from those that
/// expire at or before `forgotten_through_ms`. Of equal entries that of the newest run stays.
///
/// Takes the smallest of the inputs' next keys by looking at all of them: they are few, and their
/// upper halves lie side by side, so that takes no branch that the processor could guess wrong.
///
/// # Errors
/// What the readers or the disk say.
pub(crate) fn merge(
    readers: Vec<RunReader>,
    writer: &mut RunWriter,
    forgotten_through_ms: i64,
    failed_write: impl Fn(std::io::Error) -> LedgerError,
) -> Result<(), LedgerError> {
    let (mut inputs, mut heads) = (Vec::with_capacity(readers.len()), Vec::new());
    for reader in readers {
        let mut input = Input { reader, rows: Vec::new(), kinds: Vec::new(), at: 0 };
        if input.fill()? {
            heads.push(input.head());
            inputs.push(input);
        }
    }
    while !inputs.is_empty() {
        let mut number = smallest(&heads);
        if is_tie(&heads, number) {
            number = smallest_of_equal(&inputs, &heads, number);
        }
        let Some(input) = inputs.get_mut(number) else { break };
        if let Some((row, kind)) = input.next()
            && row.recorded_ms.saturating_add(kind.window_ms) > forgotten_through_ms
        {
            writer.push_row(row, kind).map_err(&failed_write)?;
        }
        input.at += 1;
        if input.at < input.rows.len() || input.fill()? {
            let head = input.head();
            if let Some(place) = heads.get_mut(number) {
                *place = head;
            }
        } else {
            inputs.remove(number);
            heads.remove(number);
        }
    }
    Ok(())
}

/// The place of the smallest head, the first of equal ones.
#[inline]
fn smallest(heads: &[u64]) -> usize {
    let (mut best, mut least) = (0, u64::MAX);
    for (number, &head) in heads.iter().enumerate() {
        let less = head < least;
        best = if less { number } else { best };
        least = if less { head } else { least };
    }
    best
}

/// Whether a head behind number `number` equals it.
#[inline]
fn is_tie(heads: &[u64], number: usize) -> bool {
    let head = heads.get(number);
    let behind = heads.get(number + 1..).unwrap_or_default();
    behind.iter().fold(false, |tie, other| tie | (Some(other) == head))
}

/// Of the inputs whose head equals that of number `first`, the one whose whole key comes first; the
/// oldest of equal ones, so that the newest is written last.
fn smallest_of_equal(inputs: &[Input], heads: &[u64], first: usize) -> usize {
    let head = heads.get(first);
    let equal = heads.iter().zip(inputs).enumerate().filter(|(_, (other, _))| Some(*other) == head);
    let order = |input: &Input| {
        input.next().map(|(row, kind)| (row.key(), row.recorded_ms, kind.window_ms, row.body_hash))
    };
    equal.min_by_key(|(_, (_, input))| order(input)).map_or(first, |(number, _)| number)
}

/// A run with the block that is being read.
struct Input {
    reader: RunReader,
    rows: Vec<Row>,
    kinds: Vec<Kind>,
    at: usize,
}

impl Input {
    /// Reads the next block; `false` at the end.
    fn fill(&mut self) -> Result<bool, LedgerError> {
        self.at = 0;
        while self.reader.next_rows(&mut self.rows, &mut self.kinds)? {
            if !self.rows.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    #[inline]
    fn next(&self) -> Option<(&Row, &Kind)> {
        let row = self.rows.get(self.at)?;
        Some((row, self.kinds.get(row.kind as usize)?))
    }

    fn head(&self) -> u64 {
        self.rows.get(self.at).map_or(u64::MAX, |row| row.upper)
    }
}
