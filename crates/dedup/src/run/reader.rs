//! Reads a key run from front to back, and checks all of it but filter and index.

use std::path::Path;

use event::LedgerId;
use journal::Disk;

use super::block::BlockView;
use super::file::RunFile;
use super::format::{BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, VERSION_1};
use super::row::{Kind, Row};
use crate::error::LedgerError;
use crate::record::{Cursor, Scratch, decode_keys};
use crate::scope::CommittedKey;
use crate::state::RunState;

/// Read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads a key run that a checkpoint lists.
pub(crate) struct RunReader {
    file: RunFile,
    /// Where the next block begins, and where they end.
    next: u64,
    end: u64,
    /// Keys that are still to come.
    keys_left: u64,
    blocks_left: u32,
    chunk: Vec<u8>,
    chunk_at: u64,
    old: OldBlocks,
    rows: Vec<Row>,
    kinds: Vec<Kind>,
}

/// Room to decode blocks of format 1 in.
#[derive(Default)]
pub(super) struct OldBlocks {
    scratch: Scratch,
    pub(super) keys: Vec<CommittedKey>,
}

impl OldBlocks {
    /// Puts the keys of a block of format 1 into `keys`; `None` when it is none.
    pub(super) fn decode(&mut self, payload: &[u8]) -> Option<()> {
        self.keys.clear();
        let mut cursor = Cursor::new(payload);
        decode_keys(&mut cursor, &mut self.scratch, &mut self.keys).ok()?;
        cursor.end().ok()
    }

    fn rows(&mut self, payload: &[u8], rows: &mut Vec<Row>, kinds: &mut Vec<Kind>) -> Option<()> {
        self.decode(payload)?;
        rows.clear();
        kinds.clear();
        for key in &self.keys {
            let kind = Kind::of(key);
            let number = kinds.iter().position(|known| *known == kind).unwrap_or_else(|| {
                kinds.push(kind);
                kinds.len() - 1
            });
            rows.push(Row::of(key, number as u32));
        }
        Some(())
    }
}

impl RunReader {
    /// Opens the run and checks that it is the one that was listed.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], also when it isn't there; [`LedgerError::Io`].
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        run: &RunState,
        ledger_id: LedgerId,
    ) -> Result<Self, LedgerError> {
        let file = RunFile::open(disk, dir, run, ledger_id)?;
        Ok(Self {
            next: file.blocks.offset,
            end: file.blocks.offset + file.blocks.len,
            keys_left: file.header.count,
            blocks_left: file.header.blocks,
            file,
            chunk: Vec::new(),
            chunk_at: 0,
            old: OldBlocks::default(),
            rows: Vec::new(),
            kinds: Vec::new(),
        })
    }

    /// The smallest and the largest recorded time of its keys; ms since the Unix epoch.
    pub(crate) const fn recorded_ms(&self) -> (i64, i64) {
        (self.file.header.recorded_min_ms, self.file.header.recorded_max_ms)
    }

    /// Appends the keys of the next block; `false` at the end.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Io`].
    pub(crate) fn next_block(&mut self, keys: &mut Vec<CommittedKey>) -> Result<bool, LedgerError> {
        let (mut rows, mut kinds) =
            (std::mem::take(&mut self.rows), std::mem::take(&mut self.kinds));
        let more = self.next_rows(&mut rows, &mut kinds)?;
        if more {
            let whole = |row: &Row| kinds.get(row.kind as usize).map(|kind| row.whole(kind));
            keys.extend(rows.iter().filter_map(whole));
        }
        (self.rows, self.kinds) = (rows, kinds);
        Ok(more)
    }

    /// Puts the next block into `rows` and `kinds`, instead of what is there; `false` at the end.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Io`].
    pub(super) fn next_rows(
        &mut self,
        rows: &mut Vec<Row>,
        kinds: &mut Vec<Kind>,
    ) -> Result<bool, LedgerError> {
        let at = self.next;
        if at == self.end {
            if (self.keys_left, self.blocks_left) == (0, 0) {
                return Ok(false);
            }
            return Err(self.file.damaged(Some(at), "keys are missing at its end"));
        }
        let head = self.get(at, BLOCK_HEADER_BYTES)?.first_chunk();
        let head = u64::from_le_bytes(head.copied().unwrap_or_default());
        let (len, crc) = (head as u32 as usize, (head >> 32) as u32);
        if len > BLOCK_BYTES_MAX || at + (BLOCK_HEADER_BYTES + len) as u64 > self.end {
            return Err(self.file.damaged(Some(at), "no valid block"));
        }
        let (mut old, version) = (std::mem::take(&mut self.old), self.file.header.version);
        let payload = self.get(at + BLOCK_HEADER_BYTES as u64, len)?;
        let decoded = if crc32c::crc32c(payload) != crc {
            None
        } else if version == VERSION_1 {
            old.rows(payload, rows, kinds)
        } else {
            BlockView::new(payload).and_then(|block| block.decode(rows, kinds))
        };
        self.old = old;
        if decoded.is_none() {
            return Err(self.file.damaged(Some(at), "no valid block"));
        }
        self.next += (BLOCK_HEADER_BYTES + len) as u64;
        self.keys_left = self.keys_left.wrapping_sub(rows.len() as u64);
        self.blocks_left = self.blocks_left.wrapping_sub(1);
        Ok(true)
    }

    /// `len` bytes at `offset`.
    fn get(&mut self, offset: u64, len: usize) -> Result<&[u8], LedgerError> {
        let held = offset >= self.chunk_at
            && offset + len as u64 <= self.chunk_at + self.chunk.len() as u64;
        if !held {
            let bytes = self.end.saturating_sub(offset).min(CHUNK_BYTES as u64) as usize;
            self.chunk.resize(bytes.max(len), 0);
            self.file.read(offset, &mut self.chunk)?;
            self.chunk_at = offset;
        }
        let start = (offset - self.chunk_at) as usize;
        Ok(self.chunk.get(start..start + len).unwrap_or_default())
    }
}
