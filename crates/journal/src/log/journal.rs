//! The journal as its owner sees it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::append::PendingAppend;
use super::config::JournalConfig;
use super::error::{AppendError, OpenError, ReadError, ReplayError};
use super::position::Position;
use super::reader::Reader;
use crate::disk::Disk;

/// An append-only log with group commit.
pub struct Journal {}

impl Journal {
    /// Opens the journal in `dir`; handed each whole record in order, `replay` may end it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(
        _disk: Arc<dyn Disk>,
        dir: &Path,
        config: JournalConfig,
        _replay: &mut dyn FnMut(Position, &[u8]) -> Result<(), ReplayError>,
    ) -> Result<Self, OpenError> {
        config.check()?;
        let source = io::ErrorKind::Unsupported.into();
        Err(OpenError::Io { what: "open", path: dir.into(), source })
    }

    /// Queues a record, in call order. Waits while `queue_bytes_max` is reached.
    pub fn submit(&self, _record: Vec<u8>) -> PendingAppend {
        PendingAppend::refused(AppendError::Poisoned { cause: "not built yet".into() })
    }

    /// Like [`Journal::submit`], but gives the record back instead of waiting for room.
    ///
    /// # Errors
    /// The record, when `queue_bytes_max` is reached.
    pub fn try_submit(&self, record: Vec<u8>) -> Result<PendingAppend, Vec<u8>> {
        Ok(self.submit(record))
    }

    /// Appends a record and waits until it is durable.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append(&self, record: Vec<u8>) -> Result<Position, AppendError> {
        self.submit(record).wait()
    }

    /// Removes the segments that hold only records below `position`.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn drop_before(&self, _position: Position) -> Result<(), AppendError> {
        Ok(())
    }

    /// Where the journal begins: no record below it is there any more.
    #[must_use]
    pub fn begin(&self) -> Position {
        Position(0)
    }

    /// Where the journal ends: every durable record stands below, every later one at or above.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(0)
    }

    /// Length of all segment files together.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        0
    }

    /// Reads one record back.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, position: Position) -> Result<Vec<u8>, ReadError> {
        Err(ReadError::Dropped { position, begins: Position(0) })
    }

    /// Reads records from `from` on, up to the end of what is durable.
    #[must_use]
    pub fn reader(&self, _from: Position) -> Reader {
        Reader {}
    }

    /// Writes out what is queued, and a last group that attests all of it as synced.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn close(self) -> Result<(), AppendError> {
        Ok(())
    }
}
