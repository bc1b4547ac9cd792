//! Goes over the puts of a stream's journal.

use journal::{Position, ReadError, Reader};

use super::format::{Entry, PutView, decode};
use super::stream::Inner;
use crate::error::BrokerError;

/// Reads puts from a position on, up to one that is known to be settled.
pub(super) struct Scan {
    reader: Reader,
    /// Nothing after this position is given.
    last: u64,
}

/// What a scan came to.
pub(super) enum Step<'a> {
    Put(u64, PutView<'a>),
    /// A record that holds no records.
    Other,
    End,
    /// Retention took what was to be read.
    Gone,
}

impl Scan {
    pub(super) fn new(inner: &Inner, from: u64, last: u64) -> Result<Self, BrokerError> {
        let reader = inner.with_journal(|journal| Ok(journal.reader(Position(from))))?;
        Ok(Self { reader, last })
    }

    pub(super) fn step(&mut self, inner: &Inner) -> Result<Step<'_>, BrokerError> {
        let (position, record) = match self.reader.next() {
            Ok(Some((position, record))) if position.0 <= self.last => (position, record),
            Ok(_) => return Ok(Step::End),
            Err(error) => return read_failed(inner, &error).map(|()| Step::Gone),
        };
        match decode(record) {
            Ok(Entry::Put(put)) => Ok(Step::Put(position.0, put)),
            Ok(Entry::State(_)) => Ok(Step::Other),
            Err(error) => Err(unreadable(inner, &format!("the record at {position}: {error}"))),
        }
    }
}

/// Whether a failed read only means that retention took what was to be read.
///
/// # Errors
/// [`BrokerError`] if not, or if the stream was deleted, files and all.
pub(super) fn read_failed(inner: &Inner, error: &ReadError) -> Result<(), BrokerError> {
    inner.check_exists()?;
    match error {
        ReadError::Dropped { .. } => Ok(()),
        // A reader goes on to the end of a segment that is dropped meanwhile; if the next one is
        // gone, too, it finds nothing there.
        ReadError::NotARecord { position, .. }
            if inner.with_journal(|journal| Ok(*position < journal.begin()))? =>
        {
            Ok(())
        }
        error => Err(unreadable(inner, &error.to_string())),
    }
}

pub(super) fn unreadable(inner: &Inner, what: &str) -> BrokerError {
    let what = format!("stream `{}` in {}: {what}", inner.name, inner.dir.display());
    BrokerError::Unreadable { what }
}
