//! Reads a key run from front to back, and checks all of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::LedgerId;
use journal::{Disk, DiskFile};

use super::format::{
    BLOCK_BYTES_MAX, BLOCK_HEADER_BYTES, HEADER_BYTES, Header, SECTION_BLOCKS, SECTION_BYTES,
    Section, TAIL_BYTES, VERSION, WrongHeader, decode_sections, decode_tail,
};
use crate::error::{Damaged, FolderIo, LedgerError};
use crate::record::{Cursor, Scratch, decode_keys};
use crate::scope::CommittedKey;
use crate::state::RunState;

/// Read at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Reads a key run that a checkpoint lists.
pub(crate) struct RunReader {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Where the next block begins, and where they end.
    next: u64,
    end: u64,
    /// Keys that are still to come.
    keys_left: u64,
    blocks_left: u32,
    chunk: Vec<u8>,
    chunk_at: u64,
    scratch: Scratch,
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
        let path = dir.join(&run.name);
        let file = match disk.open_read(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(missing(path)),
            Err(error) => return Err(FolderIo::new("open", &path, error).into()),
        };
        let mut reader = Self {
            path,
            file,
            next: HEADER_BYTES as u64,
            end: 0,
            keys_left: run.count,
            blocks_left: 0,
            chunk: Vec::new(),
            chunk_at: 0,
            scratch: Scratch::default(),
        };
        let len = reader.file.len().map_err(|error| reader.io(error))?;
        if len != run.bytes {
            let what = format!("its length is {len} bytes, and the ledger recorded {}", run.bytes);
            return Err(reader.damaged(None, what));
        }
        reader.check_header(run, ledger_id)?;
        reader.end = reader.blocks_end(run.bytes)?;
        Ok(reader)
    }

    fn check_header(&mut self, run: &RunState, ledger_id: LedgerId) -> Result<(), LedgerError> {
        let header = match Header::decode(self.get(0, HEADER_BYTES)?) {
            Ok(header) => header,
            Err(WrongHeader::Broken) => return Err(self.damaged(Some(0), "no valid header")),
            Err(WrongHeader::Newer(found)) => {
                let what = format!(
                    "its format is {found}, this program reads up to {VERSION}; use a newer onceflow"
                );
                return Err(self.damaged(Some(8), what));
            }
        };
        let same = header.ledger_id == ledger_id
            && (header.scope, header.count) == (run.scope, run.count)
            && (header.place.class, header.place.bucket) == (run.class, run.bucket);
        if !same {
            return Err(self.damaged(Some(0), "it is not the run that the ledger recorded"));
        }
        self.blocks_left = header.blocks;
        Ok(())
    }

    /// Where the blocks end, by the footer.
    fn blocks_end(&mut self, len: u64) -> Result<u64, LedgerError> {
        let tail_at = len.saturating_sub(TAIL_BYTES as u64);
        let tail = decode_tail(self.get(tail_at, TAIL_BYTES)?);
        let Ok((offset, sections, crc)) = tail else {
            return Err(self.damaged(Some(tail_at), "no valid end"));
        };
        let bytes = sections.saturating_mul(SECTION_BYTES);
        if offset.checked_add(bytes as u64) != Some(tail_at) {
            return Err(self.damaged(Some(tail_at), "no valid end"));
        }
        let table = self.get(offset, bytes)?;
        let sections = decode_sections(table).ok().filter(|_| crc32c::crc32c(table) == crc);
        let blocks = |section: &&Section| section.id == SECTION_BLOCKS;
        match sections.as_deref().and_then(|sections| sections.iter().find(blocks)) {
            Some(blocks) if blocks.offset == HEADER_BYTES as u64 => {
                Ok(blocks.offset + blocks.len.min(tail_at))
            }
            _ => Err(self.damaged(Some(offset), "no valid table of sections")),
        }
    }

    /// Appends the keys of the next block; `false` at the end.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`], [`LedgerError::Io`].
    pub(crate) fn next_block(&mut self, keys: &mut Vec<CommittedKey>) -> Result<bool, LedgerError> {
        if self.next == self.end {
            if (self.keys_left, self.blocks_left) == (0, 0) {
                return Ok(false);
            }
            return Err(self.damaged(Some(self.next), "keys are missing at its end"));
        }
        let at = self.next;
        let mut head = Cursor::new(self.get(at, BLOCK_HEADER_BYTES)?);
        let head = head.array().map(u64::from_le_bytes).unwrap_or(0);
        let (len, crc) = (head as u32 as usize, (head >> 32) as u32);
        if len > BLOCK_BYTES_MAX {
            return Err(self.damaged(Some(at), "no valid block"));
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let payload = self.get(at + BLOCK_HEADER_BYTES as u64, len)?;
        let sound = crc32c::crc32c(payload) == crc;
        let decoded = sound.then(|| decode_keys(&mut Cursor::new(payload), &mut scratch, keys));
        self.scratch = scratch;
        let Some(Ok(count)) = decoded else {
            return Err(self.damaged(Some(at), "no valid block"));
        };
        self.next += (BLOCK_HEADER_BYTES + len) as u64;
        self.keys_left = self.keys_left.wrapping_sub(count as u64);
        self.blocks_left = self.blocks_left.wrapping_sub(1);
        Ok(true)
    }

    /// `len` bytes at `offset`.
    fn get(&mut self, offset: u64, len: usize) -> Result<&[u8], LedgerError> {
        let held = offset >= self.chunk_at
            && offset + len as u64 <= self.chunk_at + self.chunk.len() as u64;
        if !held {
            self.chunk.resize(len.max(CHUNK_BYTES), 0);
            let read = journal::disk::read_full_at(&*self.file, offset, &mut self.chunk);
            let read = read.map_err(|error| self.io(error))?;
            self.chunk.truncate(read);
            self.chunk_at = offset;
        }
        let start = (offset - self.chunk_at) as usize;
        if start + len > self.chunk.len() {
            return Err(self.damaged(Some(offset), "it ends too early"));
        }
        Ok(self.chunk.get(start..start + len).unwrap_or_default())
    }

    fn io(&self, error: io::Error) -> LedgerError {
        FolderIo::new("read", &self.path, error).into()
    }

    fn damaged(&self, offset: Option<u64>, what: impl Into<String>) -> LedgerError {
        Damaged { file: self.path.clone(), offset, what: what.into() }.into()
    }
}

/// The error for a run that is listed and not there.
pub(crate) fn missing(file: PathBuf) -> LedgerError {
    let what = "the key run is missing, although the ledger lists it".into();
    Damaged { file, offset: None, what }.into()
}
