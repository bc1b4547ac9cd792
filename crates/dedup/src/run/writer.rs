//! Writes a key run.

use std::io;
use std::path::Path;
use std::sync::Arc;

use event::LedgerId;
use journal::{Disk, DiskFile};

use super::format::{
    BLOCK_KEYS, HEADER_BYTES, Header, SECTION_BLOCKS, SECTION_INDEX, Section, encode_footer,
};
use super::place::Place;
use crate::record::{Scratch, encode_keys};
use crate::scope::CommittedKey;
use crate::state::RunState;
use crate::sync_points::RUN;

/// Written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// A key run that is being written. It means nothing until a checkpoint lists it.
pub(crate) struct RunWriter {
    name: String,
    file: Arc<dyn DiskFile>,
    header: Header,
    /// Keys of the block that isn't full yet.
    block: Vec<CommittedKey>,
    /// Bytes that aren't written yet, and where they begin.
    pending: Vec<u8>,
    written: u64,
    index: Vec<u8>,
    scratch: Scratch,
}

impl RunWriter {
    /// Begins a run of name `name` in `dir`.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn create(
        disk: &dyn Disk,
        dir: &Path,
        name: String,
        ledger_id: LedgerId,
        scope: u16,
        place: Place,
    ) -> io::Result<Self> {
        let file = disk.create_new(&dir.join(&name))?;
        Ok(Self {
            name,
            file,
            header: Header::new(ledger_id, scope, place),
            block: Vec::with_capacity(BLOCK_KEYS),
            pending: vec![0; HEADER_BYTES],
            written: 0,
            index: Vec::new(),
            scratch: Scratch::default(),
        })
    }

    /// Adds a key. They come in the order of [`sort_key`]; of several with the same, the last one
    /// stays.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn push(&mut self, key: CommittedKey) -> io::Result<()> {
        if let Some(last) = self.block.last_mut().filter(|last| sort_key(last) == sort_key(&key)) {
            *last = key;
            return Ok(());
        }
        // A full block is written only when the next key comes, so that the last key can still be
        // replaced.
        if self.block.len() == BLOCK_KEYS {
            self.end_block()?;
        }
        self.header.cover(&key);
        self.block.push(key);
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        let Some(first) = self.block.first() else { return Ok(()) };
        self.index.extend_from_slice(&((first.key >> 64) as u64).to_le_bytes());
        self.index.extend_from_slice(&self.offset().to_le_bytes());
        self.header.blocks += 1;
        let at = self.pending.len();
        self.pending.extend_from_slice(&[0; 8]);
        encode_keys(&mut self.pending, &mut self.scratch, BLOCK_KEYS, self.block.drain(..));
        let payload = self.pending.get(at + 8..).unwrap_or_default();
        let (len, crc) = (payload.len() as u32, crc32c::crc32c(payload));
        if let Some(place) = self.pending.get_mut(at..at + 8) {
            place.copy_from_slice(&(u64::from(len) | u64::from(crc) << 32).to_le_bytes());
        }
        if self.pending.len() >= CHUNK_BYTES { self.write() } else { Ok(()) }
    }

    const fn offset(&self) -> u64 {
        self.written + self.pending.len() as u64
    }

    fn write(&mut self) -> io::Result<()> {
        self.file.write_at(self.written, &self.pending)?;
        self.written += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes the rest and syncs the file; its name needs a sync of the folder still.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn finish(mut self) -> io::Result<RunState> {
        self.end_block()?;
        let header_bytes = HEADER_BYTES as u64;
        let blocks_end = self.offset();
        let blocks = Section {
            id: SECTION_BLOCKS,
            crc: 0,
            offset: header_bytes,
            len: blocks_end - header_bytes,
        };
        let index = Section {
            id: SECTION_INDEX,
            crc: crc32c::crc32c(&self.index),
            offset: blocks_end,
            len: self.index.len() as u64,
        };
        self.pending.append(&mut self.index);
        let footer = encode_footer(&[blocks, index], self.offset());
        self.pending.extend_from_slice(&footer);
        let header = self.header.encode();
        match self.pending.get_mut(..HEADER_BYTES).filter(|_| self.written == 0) {
            Some(place) => place.copy_from_slice(&header),
            None => self.file.write_at(0, &header)?,
        }
        self.write()?;
        self.file.sync(RUN)?;
        Ok(RunState {
            name: self.name,
            scope: self.header.scope,
            class: self.header.place.class,
            bucket: self.header.place.bucket,
            count: self.header.count,
            bytes: self.written,
            expires_ms: self.header.expires_ms,
        })
    }
}

/// The order of keys in a run.
pub(crate) const fn sort_key(key: &CommittedKey) -> (u128, i64, i64) {
    (key.key, key.recorded_ms, key.window_ms)
}
