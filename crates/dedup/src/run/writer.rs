//! Writes a key run.

use std::io;
use std::path::Path;
use std::sync::Arc;

use event::LedgerId;
use journal::{Disk, DiskFile};

use super::block::BlockWriter;
use super::filter::FilterWriter;
use super::format::{
    BLOCK_HEADER_BYTES, BLOCK_KEYS, HEADER_BYTES, Header, SECTION_BLOCKS, SECTION_FILTER,
    SECTION_INDEX, Section, encode_footer,
};
use super::place::Place;
use super::row::{Kind, Row};
use crate::scope::CommittedKey;
use crate::state::RunState;
use crate::sync_points::RUN;

/// Written at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Written between two syncs on the way.
const SYNC_BYTES: usize = 8 << 20;

/// A key run that is being written. It means nothing until a checkpoint lists it.
///
/// The filter's length is known from the start, so that it has its place before the blocks, and
/// both are written as they come: a merge takes memory for the index only.
pub(crate) struct RunWriter {
    name: String,
    file: Arc<dyn DiskFile>,
    header: Header,
    /// The keys of the block that isn't full yet.
    block: BlockWriter,
    /// The last key of that block, by [`sort_key`].
    last: Option<(u128, i64, i64, u64)>,
    filter: FilterWriter,
    filter_crc: u32,
    filter_out: Pending,
    blocks_out: Pending,
    index: Vec<u8>,
}

/// Bytes that aren't written yet, and where they go.
struct Pending {
    at: u64,
    bytes: Vec<u8>,
    /// Bytes written since the last sync.
    unsynced: usize,
}

impl Pending {
    const fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    fn write(&mut self, file: &dyn DiskFile) -> io::Result<()> {
        file.write_at(self.at, &self.bytes)?;
        self.at += self.bytes.len() as u64;
        self.unsynced += self.bytes.len();
        self.bytes.clear();
        // Not for safety, that is the sync at the end: a long run that is synced at once makes
        // commits wait behind it.
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            file.sync(RUN)?;
        }
        Ok(())
    }
}

impl RunWriter {
    /// Begins a run of name `name` in `dir`, for at most `keys_max` keys: its filter is made for so
    /// many.
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
        keys_max: u64,
    ) -> io::Result<Self> {
        let file = disk.create_new(&dir.join(&name))?;
        let filter = FilterWriter::new(keys_max);
        let filter_at = HEADER_BYTES as u64;
        Ok(Self {
            name,
            file,
            header: Header::new(ledger_id, scope, place),
            block: BlockWriter::default(),
            last: None,
            filter_crc: 0,
            filter_out: Pending { at: filter_at, bytes: Vec::new(), unsynced: 0 },
            blocks_out: Pending { at: filter_at + filter.bytes(), bytes: Vec::new(), unsynced: 0 },
            filter,
            index: Vec::new(),
        })
    }

    /// Adds a key; see [`RunWriter::push_row`].
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn push(&mut self, key: CommittedKey) -> io::Result<()> {
        self.push_row(&Row::of(&key, 0), &Kind::of(&key))
    }

    /// Adds a key. They come in the order of [`sort_key`]; of several with the same, the last one
    /// stays.
    ///
    /// # Errors
    /// What the disk says.
    #[inline]
    pub(crate) fn push_row(&mut self, row: &Row, kind: &Kind) -> io::Result<()> {
        let this = (row.key(), row.recorded_ms, kind.window_ms, row.body_hash);
        if self.last == Some(this) {
            self.block.pop();
            self.block.push(row, kind);
            return Ok(());
        }
        // A full block is written only when the next key comes, so that the last key can still be
        // replaced.
        if self.block.len() == BLOCK_KEYS {
            self.end_block()?;
        }
        if self.block.len() == 0 {
            self.index.extend_from_slice(&row.upper.to_le_bytes());
            self.index.extend_from_slice(&self.blocks_out.end().to_le_bytes());
        }
        self.last = Some(this);
        self.header.cover(row, kind);
        self.filter.add(row.upper, row.lower, &mut self.filter_out.bytes);
        self.block.push(row, kind);
        Ok(())
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.len() == 0 {
            return Ok(());
        }
        self.header.blocks += 1;
        let out = &mut self.blocks_out.bytes;
        let at = out.len();
        out.extend_from_slice(&[0; BLOCK_HEADER_BYTES]);
        self.block.encode(out);
        let payload = out.get(at + BLOCK_HEADER_BYTES..).unwrap_or_default();
        let (len, crc) = (payload.len() as u32, crc32c::crc32c(payload));
        if let Some(place) = out.get_mut(at..at + BLOCK_HEADER_BYTES) {
            place.copy_from_slice(&(u64::from(len) | u64::from(crc) << 32).to_le_bytes());
        }
        if self.blocks_out.bytes.len() >= CHUNK_BYTES {
            self.blocks_out.write(&*self.file)?;
        }
        if self.filter_out.bytes.len() >= CHUNK_BYTES { self.write_filter() } else { Ok(()) }
    }

    fn write_filter(&mut self) -> io::Result<()> {
        self.filter_crc = crc32c::crc32c_append(self.filter_crc, &self.filter_out.bytes);
        self.filter_out.write(&*self.file)
    }

    /// Writes the rest and syncs the file; its name needs a sync of the folder still.
    ///
    /// # Errors
    /// What the disk says.
    pub(crate) fn finish(mut self) -> io::Result<RunState> {
        self.end_block()?;
        self.filter.finish(&mut self.filter_out.bytes);
        self.filter_crc = crc32c::crc32c_append(self.filter_crc, &self.filter_out.bytes);
        let (filter_at, blocks_at) =
            (HEADER_BYTES as u64, HEADER_BYTES as u64 + self.filter.bytes());
        let blocks_end = self.blocks_out.end();
        let section = |id, crc, offset, end: u64| Section { id, crc, offset, len: end - offset };
        let index_end = blocks_end + self.index.len() as u64;
        let index_crc = crc32c::crc32c(&self.index);
        let sections = [
            section(SECTION_FILTER, self.filter_crc, filter_at, blocks_at),
            section(SECTION_BLOCKS, 0, blocks_at, blocks_end),
            section(SECTION_INDEX, index_crc, blocks_end, index_end),
        ];
        self.blocks_out.bytes.append(&mut self.index);
        self.blocks_out.bytes.extend_from_slice(&encode_footer(&sections, index_end));
        let end = self.blocks_out.end();
        let mut bytes = self.header.encode();
        if (self.filter_out.at, self.blocks_out.at) == (filter_at, blocks_at) {
            // Nothing was written yet: all of it at once.
            bytes.append(&mut self.filter_out.bytes);
            bytes.append(&mut self.blocks_out.bytes);
        } else {
            self.filter_out.write(&*self.file)?;
            self.blocks_out.write(&*self.file)?;
        }
        self.file.write_at(0, &bytes)?;
        self.file.sync(RUN)?;
        Ok(RunState {
            name: self.name,
            scope: self.header.scope,
            class: self.header.place.class,
            bucket: self.header.place.bucket,
            count: self.header.count,
            bytes: end,
            expires_ms: self.header.expires_ms,
        })
    }
}

/// The order of keys in a run.
#[cfg(test)]
pub(crate) const fn sort_key(key: &CommittedKey) -> (u128, i64, i64, u64) {
    (key.key, key.recorded_ms, key.window_ms, key.body_hash)
}
