//! Messages' contents: recent ones from memory, older ones from the journal.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use journal::{Journal, Position, ReadError};

use crate::error::BrokerError;

/// Where the first byte of a record stands behind its position (docs/formats/journal.md).
pub(super) const RECORD_HEADER_BYTES: u64 = 8;
/// Most that is read at a time.
const READ_BYTES_MAX: u64 = 1 << 20;
/// Contents with less between them are read in one go.
const GAP_BYTES_MAX: u64 = 16 << 10;
/// Records larger than this part of the room for recent ones aren't kept.
const PART_OF_ROOM: usize = 4;

/// Where a content stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub(super) at: u64,
    pub(super) bytes: u32,
}

impl Extent {
    fn end(self) -> u64 {
        self.at + u64::from(self.bytes)
    }
}

/// The last records that were written, bounded.
pub(super) struct Recent {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Where its bytes begin, and they; ascending.
    records: VecDeque<(u64, Vec<u8>)>,
    bytes: usize,
}

impl Recent {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    /// Whether a record of this length is worth a copy.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        bytes <= self.bytes_max / PART_OF_ROOM
    }

    /// Keeps the first bytes of the record at `position`, which is the newest.
    pub(super) fn keep(&self, position: u64, record: Vec<u8>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += record.len();
        kept.records.push_back((position + RECORD_HEADER_BYTES, record));
        while kept.bytes > self.bytes_max {
            let Some((_, dropped)) = kept.records.pop_front() else { break };
            kept.bytes -= dropped.len();
        }
    }

    /// Appends the leading contents of `extents` that are here to `into`; how many they are.
    fn copy_leading(&self, extents: &[Extent], into: &mut Vec<u8>) -> usize {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = |extent: &Extent| {
            let after = kept.records.partition_point(|(begin, _)| *begin <= extent.at);
            let (begin, record) = kept.records.get(after.checked_sub(1)?)?;
            let from = usize::try_from(extent.at - begin).ok()?;
            record.get(from..from.checked_add(extent.bytes as usize)?)
        };
        let mut copied = 0;
        while let Some(content) = extents.get(copied).and_then(found) {
            into.extend_from_slice(content);
            copied += 1;
        }
        copied
    }
}

/// Why contents weren't read.
pub(super) enum Unread {
    /// Their segment was cleaned meanwhile: they stand elsewhere now.
    Moved,
    /// As it says.
    Failed(BrokerError),
}

/// Reads contents, in order; all of them share one piece of memory.
pub(super) fn read(
    journal: &Journal,
    recent: &Recent,
    extents: &[Extent],
) -> Result<Vec<Bytes>, Unread> {
    let total = extents.iter().map(|extent| extent.bytes as usize).sum();
    let mut all = Vec::with_capacity(total);
    let mut rest = extents;
    while !rest.is_empty() {
        let copied = recent.copy_leading(rest, &mut all);
        rest = rest.get(copied..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let read = read_leading(journal, rest, &mut all)?;
        rest = rest.get(read..).unwrap_or_default();
    }
    let mut all = Bytes::from(all);
    Ok(extents.iter().map(|extent| all.split_to(all.len().min(extent.bytes as usize))).collect())
}

/// Reads the leading contents that stand close together; how many they are.
fn read_leading(
    journal: &Journal,
    extents: &[Extent],
    into: &mut Vec<u8>,
) -> Result<usize, Unread> {
    let Some(first) = extents.first() else { return Ok(0) };
    let (mut end, mut count) = (first.end(), 1);
    for extent in extents.iter().skip(1) {
        let near = extent.at >= end && extent.at - end <= GAP_BYTES_MAX;
        if !near || extent.end() - first.at > READ_BYTES_MAX {
            break;
        }
        end = extent.end();
        count += 1;
    }
    let bytes = usize::try_from(end - first.at).unwrap_or(usize::MAX);
    let chunk = match journal.read_bytes(Position(first.at), bytes) {
        Ok(chunk) => chunk,
        Err(ReadError::Dropped { .. }) => return Err(Unread::Moved),
        Err(error) => return Err(Unread::Failed(unreadable(&error))),
    };
    for (nth, extent) in extents.iter().take(count).enumerate() {
        let from = usize::try_from(extent.at - first.at).unwrap_or(usize::MAX);
        match chunk.get(from..from.saturating_add(extent.bytes as usize)) {
            Some(content) => into.extend_from_slice(content),
            // The next one stands in the next segment.
            None if nth > 0 => return Ok(nth),
            None => return Err(Unread::Moved),
        }
    }
    Ok(count)
}

fn unreadable(error: &ReadError) -> BrokerError {
    BrokerError::Unreadable { what: error.to_string() }
}

/// What a content says that isn't what was written.
pub(super) fn damaged(dir: &Path, at: u64) -> BrokerError {
    let what = format!(
        "the message at position {at} of the journal in {} is not what was written; check the \
         disk, and restore the data folder from a copy",
        dir.display()
    );
    BrokerError::Unreadable { what }
}
