//! A batch that is being put together in one buffer.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use event::batch::{Batch, Event, Extent, NO_TIME, Offsets, Span, Spilled};
use event::position::Offset;
use event::source::{BatchLimits, SourceError};

use super::cursor::Cursor;
use super::spill::SpillFile;
use crate::pool::{BufferPool, PooledBuffer};

/// The buffer is so much longer than a batch, so that what follows one can be looked at.
pub(super) const AHEAD_BYTES: usize = 64 << 10;

/// Why splitting stopped.
enum Found {
    /// A line that is too long; it ends here.
    Long(usize),
    /// As much as the batch may hold.
    Full,
    /// No newline any more.
    Nothing,
}

pub(super) struct Assembly {
    pub(super) buffer: PooledBuffer,
    /// How far the buffer is filled.
    pub(super) filled: usize,
    /// Start of the line whose newline wasn't found yet.
    pub(super) line: usize,
    /// No newline between `line` and here.
    pub(super) scanned: usize,
    /// Start of the extent that isn't closed, in the buffer and in `events`.
    extent_line: usize,
    extent_events: usize,
    pub(super) events: Vec<Event>,
    extents: Vec<Extent>,
    spilled: Vec<(u32, Arc<dyn Spilled>)>,
    now_ms: i64,
}

impl Assembly {
    /// An empty one; `events` is how many there will be, about.
    pub(super) fn new(buffer: PooledBuffer, events: usize) -> Self {
        Self {
            buffer,
            filled: 0,
            line: 0,
            scanned: 0,
            extent_line: 0,
            extent_events: 0,
            events: Vec::with_capacity(events),
            extents: Vec::new(),
            spilled: Vec::new(),
            now_ms: 0,
        }
    }

    /// The time at which events of this batch are received.
    pub(super) fn received_at(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    /// Room for at most `bytes` more.
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.filled.saturating_add(bytes).min(self.buffer.len());
        self.buffer.get_mut(self.filled..end).unwrap_or_default()
    }

    /// Bytes of the line whose newline wasn't found yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.line..self.filled).unwrap_or_default()
    }

    /// Nothing more is read of the last line: it is dropped.
    pub(super) fn drop_rest(&mut self) {
        self.filled = self.line;
        self.scanned = self.line;
    }

    /// Forgets the buffer's content, which went elsewhere.
    pub(super) fn empty_buffer(&mut self) {
        (self.filled, self.line, self.scanned, self.extent_line) = (0, 0, 0, 0);
    }

    /// Makes events of the whole lines as far as the batch may hold them; true when it is full.
    /// Lines of more than `event_bytes_max` bytes are put into files in `spill_dir`.
    pub(super) fn split(
        &mut self,
        cursor: &mut Cursor,
        limits: &BatchLimits,
        event_bytes_max: usize,
        spill_dir: &Path,
    ) -> Result<bool, SourceError> {
        if cursor.newline_due && self.line < self.filled {
            cursor.newline_due = false;
            if self.rest().first() == Some(&b'\n') {
                self.line += 1;
                self.scanned = self.scanned.max(self.line);
            }
        }
        loop {
            let found = self.split_until_long(limits, event_bytes_max);
            match found {
                Found::Long(end) => self.spill_line(cursor, end, spill_dir)?,
                Found::Full => return Ok(true),
                Found::Nothing => return Ok(false),
            }
        }
    }

    fn split_until_long(&mut self, limits: &BatchLimits, event_bytes_max: usize) -> Found {
        if self.events.len() >= limits.events_max {
            return Found::Full;
        }
        let from = self.scanned;
        let mut line = self.line;
        let mut found = Found::Nothing;
        let new = self.buffer.get(from..self.filled).unwrap_or_default();
        for newline in memchr::memchr_iter(b'\n', new) {
            let end = from + newline;
            let len = end - line;
            if end > limits.bytes_max && !self.events.is_empty() {
                found = Found::Full;
                break;
            }
            if len > event_bytes_max {
                found = Found::Long(end);
                break;
            }
            self.events.push(event_at(line, len));
            line = end + 1;
            if self.events.len() >= limits.events_max {
                found = Found::Full;
                break;
            }
        }
        self.line = line;
        self.scanned = if matches!(found, Found::Nothing) { self.filled } else { line };
        found
    }

    /// Puts the line that ends at `end` of the buffer into a file.
    fn spill_line(
        &mut self,
        cursor: &mut Cursor,
        end: usize,
        spill_dir: &Path,
    ) -> Result<(), SourceError> {
        let mut spill =
            SpillFile::create(spill_dir).map_err(|error| spill_error(spill_dir, error))?;
        let line = self.buffer.get(self.line..end).unwrap_or_default();
        spill.append(line).map_err(|error| spill_error(spill_dir, error))?;
        self.close_extent(cursor, false)?;
        self.line = (end + 1).min(self.filled);
        self.scanned = self.line;
        self.push_spilled(cursor, spill)
    }

    /// An event, in an extent of its own, whose payload is in a file and which ends at `line`.
    pub(super) fn push_spilled(
        &mut self,
        cursor: &mut Cursor,
        spill: SpillFile,
    ) -> Result<(), SourceError> {
        let number = self.events.len() as u32;
        self.events.push(event_at(self.line, 0));
        self.spilled.push((number, Arc::new(spill)));
        self.close_extent(cursor, false)
    }

    /// The last line, which has no newline, is an event.
    pub(super) fn take_rest(
        &mut self,
        cursor: &mut Cursor,
        event_bytes_max: usize,
        spill_dir: &Path,
    ) -> Result<(), SourceError> {
        let len = self.filled - self.line;
        if len > event_bytes_max {
            return self.spill_line(cursor, self.filled, spill_dir);
        }
        if len > 0 {
            self.events.push(event_at(self.line, len));
            self.line = self.filled;
            self.scanned = self.filled;
        }
        Ok(())
    }

    /// Closes the extent of the events since the last one, at `line`.
    pub(super) fn close_extent(
        &mut self,
        cursor: &mut Cursor,
        at_end: bool,
    ) -> Result<(), SourceError> {
        let read = self.buffer.get(self.extent_line..self.line).unwrap_or_default();
        cursor.tail.push(read);
        self.extent_line = self.line;
        let count = self.events.len() - self.extent_events;
        if count == 0 {
            return Ok(());
        }
        let end = cursor.base.wrapping_add(self.line as u64);
        self.extents.push(Extent {
            shard: cursor.shard.clone(),
            first_event: self.extent_events as u32,
            events_received: count as u32,
            received_ms: self.now_ms,
            broker_ms: Vec::new(),
            offsets: Offsets::Contiguous { base: cursor.base },
            start: Offset::from(cursor.extent_start),
            end: Offset::from(end),
            mark: cursor.mark(at_end)?,
        });
        cursor.extent_start = end;
        self.extent_events = self.events.len();
        Ok(())
    }

    /// The batch, and what was read beyond it in a buffer of its own.
    pub(super) fn close(self, cursor: Option<&mut Cursor>, pool: &BufferPool) -> (Batch, Self) {
        let rest = self.buffer.get(self.line..self.filled).unwrap_or_default();
        let mut next = Self::new(pool.take(self.buffer.len()), self.events.len());
        if let Some(place) = next.buffer.get_mut(..rest.len()) {
            place.copy_from_slice(rest);
        }
        next.filled = rest.len();
        next.scanned = self.scanned.saturating_sub(self.line);
        if let Some(cursor) = cursor {
            cursor.base = cursor.base.wrapping_add(self.line as u64);
        }
        let batch = Batch {
            buffer: Bytes::from_owner(self.buffer).slice(..self.line),
            events: self.events,
            extents: self.extents,
            spilled: self.spilled,
            ..Batch::default()
        };
        (batch, next)
    }
}

fn event_at(start: usize, len: usize) -> Event {
    let raw = Span { start: start as u32, len: len as u32 };
    Event { raw, event_ms: NO_TIME, ..Event::default() }
}

pub(super) fn spill_error(folder: &Path, error: std::io::Error) -> SourceError {
    let what =
        format!("a line over event_bytes_max, which is put into a file in {}", folder.display());
    SourceError::Io { what, error }
}
