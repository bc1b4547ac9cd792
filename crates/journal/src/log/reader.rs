//! Reads records back from an open journal.

use std::io;
use std::sync::Arc;

use super::error::ReadError;
use super::format::{
    ALIGN_BYTES, GROUP_HEADER_BYTES, GroupHeader, RECORD_HEADER_BYTES, RecordHeader, SegmentHeader,
};
use super::position::Position;
use super::queue::Queue;
use super::segment::{self, Found, Opened};
use super::segments::Segments;
use super::window::Window;

/// Reads the durable records of an open journal, in order. It may outlive the journal.
///
/// It reads a segment to its end even if that is dropped meanwhile.
pub struct Reader {
    segments: Arc<Segments>,
    queue: Arc<Queue>,
    /// Read at a time.
    chunk_bytes: usize,
    /// Where the next record, or the next group, stands.
    next: u64,
    place: Place,
    current: Option<Current>,
}

/// What stands at `next`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Unknown,
    Group,
    Record,
}

struct Current {
    header: SegmentHeader,
    window: Window,
}

impl Reader {
    pub(super) fn new(
        segments: Arc<Segments>,
        queue: Arc<Queue>,
        from: Position,
        chunk_bytes: usize,
    ) -> Self {
        Self { segments, queue, chunk_bytes, next: from.0, place: Place::Unknown, current: None }
    }

    /// The next record; `None` when the end of what is durable is reached (a later call may find
    /// more).
    ///
    /// # Errors
    /// See [`ReadError`]. `Dropped` when the reader stands before the journal's begin.
    #[expect(clippy::should_implement_trait, reason = "lends from the reader's buffer")]
    pub fn next(&mut self) -> Result<Option<(Position, &[u8])>, ReadError> {
        let end = self.queue.end();
        while self.place != Place::Record {
            if self.next >= end {
                return Ok(None);
            }
            self.enter_segment()?;
            self.enter_group(end)?;
        }
        let position = self.next;
        let Some(current) = &mut self.current else { return Ok(None) };
        let (offset, limit) = (current.header.offset(position), current.header.offset(end));
        let io = |source| ReadError::Io {
            file: segment::path(&self.segments.dir, current.header.segment),
            source,
        };
        let head = current.window.get(offset, RECORD_HEADER_BYTES, limit).map_err(io)?;
        let Some(head) = RecordHeader::decode(head) else {
            return Err(not_a_record(position, "the journal ends there"));
        };
        let all = RECORD_HEADER_BYTES + u64::from(head.bytes);
        if offset + all > limit {
            return Err(not_a_record(position, "no valid record"));
        }
        let record = current.window.get(offset, all, limit).map_err(io)?;
        let record = record.get(RECORD_HEADER_BYTES as usize..).unwrap_or_default();
        if record.len() as u64 != u64::from(head.bytes) || !head.fits(record, position) {
            return Err(not_a_record(position, "no valid record"));
        }
        self.next += all;
        if head.last {
            self.next = current.header.position((offset + all).next_multiple_of(ALIGN_BYTES));
            self.place = Place::Group;
        }
        Ok(Some((Position(position), record)))
    }

    /// Opens the segment that holds `next`, unless it is open.
    fn enter_segment(&mut self) -> Result<(), ReadError> {
        let position = Position(self.next);
        let dropped = || ReadError::Dropped { position, begins: Position(self.segments.begin()) };
        let (id, _) = match (self.segments.find(self.next), &self.current) {
            // What was dropped can still be read to its end.
            (None, Some(current)) => (current.header.segment, current.header.base),
            (found, _) => found.ok_or_else(dropped)?,
        };
        if self.current.as_ref().is_some_and(|current| current.header.segment == id) {
            return Ok(());
        }
        // A file that can't be opened is named by the look at its header.
        let found = Found { id, bytes: 0, file: self.segments.file(id).ok() };
        let opened = Opened::new(&*self.segments.disk, &self.segments.dir, &found);
        let opened = opened.map_err(|error| match error {
            super::OpenError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                dropped()
            }
            super::OpenError::Io { path: file, source, .. } => ReadError::Io { file, source },
            other => not_a_record(self.next, &other.to_string()),
        })?;
        let window = Window::new(opened.file, self.chunk_bytes);
        self.current = Some(Current { header: opened.header, window });
        Ok(())
    }

    /// Steps over the header of a group.
    fn enter_group(&mut self, end: u64) -> Result<(), ReadError> {
        let Some(current) = &mut self.current else { return Ok(()) };
        let (offset, limit) = (current.header.offset(self.next), current.header.offset(end));
        let bytes = current.window.get(offset, GROUP_HEADER_BYTES, limit);
        let bytes = bytes.map_err(|source| ReadError::Io {
            file: segment::path(&self.segments.dir, current.header.segment),
            source,
        })?;
        match GroupHeader::decode(bytes, current.header.seed(), offset) {
            Some(_) => {
                self.next += GROUP_HEADER_BYTES;
                self.place = Place::Record;
            }
            None if self.place == Place::Unknown => self.place = Place::Record,
            None => return Err(not_a_record(self.next, "no valid group")),
        }
        Ok(())
    }
}

fn not_a_record(position: u64, what: &str) -> ReadError {
    ReadError::NotARecord { position: Position(position), what: what.into() }
}
