//! Reads a file front to back through one buffer.

use std::io;
use std::sync::Arc;

use crate::disk::{DiskFile, read_full_at};

/// A part of a file in memory, which moves along as it is read.
pub(super) struct Window {
    file: Arc<dyn DiskFile>,
    /// Least that is read at a time.
    chunk_bytes: usize,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    begins: u64,
    /// Bytes of the buffer that are read.
    filled: usize,
}

impl Window {
    pub(super) fn new(file: Arc<dyn DiskFile>, chunk_bytes: usize) -> Self {
        Self { file, chunk_bytes, buffer: Vec::new(), begins: 0, filled: 0 }
    }

    /// The bytes at `offset`, `bytes` of them or fewer where `end` or the file's end comes first.
    /// Nothing at or past `end` is read, as it may still change.
    pub(super) fn get(&mut self, offset: u64, bytes: u64, end: u64) -> io::Result<&[u8]> {
        let want = usize::try_from(bytes.min(end.saturating_sub(offset))).unwrap_or(usize::MAX);
        let have = self.begins..self.begins + self.filled as u64;
        let covered = have.contains(&offset) && offset + want as u64 <= have.end;
        if !covered && want > 0 {
            self.refill(offset, want, end)?;
        }
        let from = usize::try_from(offset.saturating_sub(self.begins)).unwrap_or(usize::MAX);
        let to = from.saturating_add(want).min(self.filled);
        Ok(self.buffer.get(from..to).unwrap_or_default())
    }

    /// Forgets what was read, so that it is read again.
    pub(super) fn forget(&mut self) {
        self.filled = 0;
    }

    fn refill(&mut self, offset: u64, want: usize, end: u64) -> io::Result<()> {
        let kept = match offset.checked_sub(self.begins).map(usize::try_from) {
            Some(Ok(from)) if from < self.filled => {
                self.buffer.copy_within(from..self.filled, 0);
                self.filled - from
            }
            _ => 0,
        };
        (self.begins, self.filled) = (offset, kept);
        let room = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let size = want.max(self.chunk_bytes).min(room);
        if self.buffer.len() < size {
            self.buffer.resize(size, 0);
        }
        if let Some(place) = self.buffer.get_mut(kept..size) {
            self.filled += read_full_at(&*self.file, offset + kept as u64, place)?;
        }
        Ok(())
    }
}
