//! A run that is open for look-ups: its filter and the beginnings of its blocks are in memory, its
//! keys stay on disk.

use std::fmt;
use std::path::Path;

use event::LedgerId;
use journal::Disk;

use super::file::RunFile;
use super::filter::{self, Filter, FilterWriter};
use super::format::{BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, INDEX_BYTES, VERSION_1};
use super::reader::RunReader;
use crate::error::LedgerError;
use crate::state::RunState;

/// Read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A run that can be asked for keys, by many threads at a time. It stays readable after its file
/// was unlinked.
pub(crate) struct OpenRun {
    state: RunState,
    pub(super) file: RunFile,
    pub(super) filter: Filter,
    /// The upper half of each block's first key.
    firsts: Vec<u64>,
    /// Where each block begins, and where the last one ends.
    offsets: Vec<u64>,
}

impl fmt::Debug for OpenRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenRun").field("state", &self.state).finish_non_exhaustive()
    }
}

impl OpenRun {
    /// Opens a run and loads what look-ups keep in memory. A run of format 1, which has no filter,
    /// is read once to make one.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] when header, filter or index aren't what was written, or the run
    /// isn't there; [`LedgerError::Io`].
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        run: &RunState,
        ledger_id: LedgerId,
    ) -> Result<Self, LedgerError> {
        let file = RunFile::open(disk, dir, run, ledger_id)?;
        let (firsts, offsets) = load_index(&file)?;
        let filter = match file.filter {
            Some(_) => load_filter(&file)?,
            None => make_filter(RunReader::open(disk, dir, run, ledger_id)?, run.count)?,
        };
        Ok(Self { state: run.clone(), file, filter, firsts, offsets })
    }

    /// What the ledger says of the run.
    pub(crate) const fn state(&self) -> &RunState {
        &self.state
    }

    /// Anonymous memory that it takes: filter and index.
    pub(crate) fn memory_bytes(&self) -> usize {
        let index = (self.firsts.capacity() + self.offsets.capacity()) * size_of::<u64>();
        self.filter.memory_bytes() + index + size_of::<Self>()
    }

    /// The smallest and the largest key.
    pub(super) const fn key_range(&self) -> (u128, u128) {
        (self.file.header.key_min, self.file.header.key_max)
    }

    pub(super) const fn is_old(&self) -> bool {
        self.file.header.version == VERSION_1
    }

    /// The blocks that may hold keys with this upper half, by number; `from`: none before it does.
    pub(super) fn blocks_of(&self, upper: u64, from: usize) -> std::ops::Range<usize> {
        let rest = self.firsts.get(from..).unwrap_or_default();
        // Mostly the next one is close.
        let near = rest.iter().take(8).take_while(|first| **first < upper).count();
        let before = if near < 8 { near } else { rest.partition_point(|first| *first < upper) };
        let begin = from + before;
        let rest = self.firsts.get(begin..).unwrap_or_default();
        let equal = rest.iter().take_while(|first| **first == upper).count();
        begin.saturating_sub(1)..begin + equal
    }

    /// Where a block begins and ends; `None` when there is none of that number.
    pub(super) fn extent(&self, block: usize) -> Option<(u64, u64)> {
        Some((*self.offsets.get(block)?, *self.offsets.get(block + 1)?))
    }
}

fn load_index(file: &RunFile) -> Result<(Vec<u64>, Vec<u64>), LedgerError> {
    let blocks = file.header.blocks as usize;
    let (mut firsts, mut offsets) = (Vec::with_capacity(blocks), Vec::with_capacity(blocks + 1));
    let whole_entries = PIECE_BYTES / INDEX_BYTES * INDEX_BYTES;
    file.section(file.index, whole_entries, "its index is damaged", |bytes| {
        let (words, _) = bytes.as_chunks::<8>();
        for entry in words.chunks_exact(2) {
            if let [first, offset] = entry {
                firsts.push(u64::from_le_bytes(*first));
                offsets.push(u64::from_le_bytes(*offset));
            }
        }
    })?;
    offsets.push(file.blocks.offset + file.blocks.len);
    let longest = (BLOCK_HEADER_BYTES + BLOCK_BYTES_MAX) as u64;
    let block = |[begin, end]: &[u64; 2]| begin < end && end - begin <= longest;
    let sound = firsts.is_sorted()
        && offsets.first() == Some(&file.blocks.offset)
        && offsets.array_windows().all(block);
    if sound {
        Ok((firsts, offsets))
    } else {
        Err(file.damaged(Some(file.index.offset), "its index doesn't fit its blocks"))
    }
}

fn load_filter(file: &RunFile) -> Result<Filter, LedgerError> {
    let Some(section) = file.filter else { return Ok(Filter::default()) };
    let wrong = || file.damaged(Some(section.offset), "its filter is damaged");
    let blocks = section.len / filter::BLOCK_BYTES as u64;
    if blocks == 0 || blocks * filter::BLOCK_BYTES as u64 != section.len {
        return Err(wrong());
    }
    let mut filter = Filter::with_capacity(usize::try_from(blocks).map_err(|_| wrong())?);
    file.section(section, PIECE_BYTES, "its filter is damaged", |bytes| filter.read(bytes))?;
    Ok(filter)
}

/// The filter of a run of format 1.
fn make_filter(mut reader: RunReader, keys: u64) -> Result<Filter, LedgerError> {
    let (mut writer, mut bytes) = (FilterWriter::new(keys), Vec::new());
    let mut filter = Filter::with_capacity((writer.bytes() / filter::BLOCK_BYTES as u64) as usize);
    let (mut rows, mut kinds) = (Vec::new(), Vec::new());
    while reader.next_rows(&mut rows, &mut kinds)? {
        rows.iter().for_each(|row| writer.add(row.upper, row.lower, &mut bytes));
        filter.read(&bytes);
        bytes.clear();
    }
    writer.finish(&mut bytes);
    filter.read(&bytes);
    Ok(filter)
}
