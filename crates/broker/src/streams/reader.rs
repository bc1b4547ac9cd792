//! Reading all shards in the order of the journal.

use std::sync::Arc;

use journal::{Position, Reader};

use super::chunk::{Chunk, ChunkRecords};
use super::format::{Entry, PutView, decode};
use super::lock;
use super::record::SequenceNumber;
use super::scan::{read_failed, unreadable};
use super::stream::Inner;
use crate::error::BrokerError;

/// Reads a stream's journal from front to end, all shards.
pub struct StreamReader {
    inner: Arc<Inner>,
    /// None while the stream has no record at all.
    reader: Option<Reader>,
    /// The next number of each shard at the reader's place.
    nexts: Vec<u64>,
    /// The put that was read last, and the numbers of its records.
    record: Vec<u8>,
    sequences: Vec<SequenceNumber>,
}

impl StreamReader {
    pub(super) fn new(inner: &Arc<Inner>, from: &[SequenceNumber]) -> Result<Self, BrokerError> {
        inner.check_exists()?;
        let mut reader = Self {
            inner: Arc::clone(inner),
            reader: None,
            nexts: vec![1; inner.ranges.count()],
            record: Vec::new(),
            sequences: Vec::new(),
        };
        let kept_from = inner.trim_horizon();
        reader.seek(|shard| {
            let from = from.get(shard).map_or(0, |from| from.0);
            from.max(kept_from.get(shard).copied().unwrap_or(1))
        })?;
        Ok(reader)
    }

    /// Goes to the last place before which no shard has a record at or above `from`.
    fn seek(&mut self, from: impl Fn(usize) -> u64) -> Result<(), BrokerError> {
        let position = {
            let shared = lock(&self.inner.core.shared);
            let Some(entry) = shared.state.index.find_all(from) else { return Ok(()) };
            self.nexts.copy_from_slice(&entry.nexts);
            Position(entry.position)
        };
        self.reader = Some(self.inner.with_journal(|journal| Ok(journal.reader(position)))?);
        Ok(())
    }

    /// The next put's records; `None` at the end of what is durable (a later call may find more).
    ///
    /// # Errors
    /// [`BrokerError`]. After the retention took what it stood before, it goes on at what is left:
    /// whoever counts sees it by the sequence numbers.
    pub fn next_chunk(&mut self) -> Result<Option<Chunk<'_>>, BrokerError> {
        if !self.advance()? {
            return Ok(None);
        }
        match decode(&self.record) {
            Ok(Entry::Put(put)) => {
                let records = ChunkRecords::new(put, &self.sequences);
                Ok(Some(Chunk { arrived_ms: put.arrived_ms, records }))
            }
            _ => Ok(None),
        }
    }

    /// Reads the next put that is kept into `record`.
    fn advance(&mut self) -> Result<bool, BrokerError> {
        self.inner.check_exists()?;
        loop {
            let Some(reader) = &mut self.reader else {
                self.seek(|_| 0)?;
                if self.reader.is_none() {
                    return Ok(false);
                }
                continue;
            };
            match reader.next() {
                Ok(Some((_, record))) => {
                    self.record.clear();
                    self.record.extend_from_slice(record);
                }
                Ok(None) => return Ok(false),
                Err(error) => {
                    read_failed(&self.inner, &error)?;
                    self.reader = None;
                    continue;
                }
            }
            if self.take()? {
                return Ok(true);
            }
        }
    }

    /// Numbers the records of what was read; whether it is a put that is kept.
    fn take(&mut self) -> Result<bool, BrokerError> {
        let put = match decode(&self.record) {
            Ok(Entry::Put(put)) => put,
            Ok(Entry::State(_)) => return Ok(false),
            Err(error) => return Err(unreadable(&self.inner, &error.to_string())),
        };
        if !number(&mut self.nexts, &mut self.sequences, &put) {
            return Err(unreadable(&self.inner, "a put with a wrong shard or partition key"));
        }
        Ok(put.arrived_ms >= self.inner.horizon_ms())
    }
}

/// Numbers the records of a put; false where one can't be.
fn number(nexts: &mut [u64], sequences: &mut Vec<SequenceNumber>, put: &PutView<'_>) -> bool {
    sequences.clear();
    sequences.reserve(put.len());
    for row in put.rows() {
        let Some(next) = nexts.get_mut(row.shard as usize) else { return false };
        if std::str::from_utf8(row.partition_key).is_err() {
            return false;
        }
        sequences.push(SequenceNumber(*next));
        *next += 1;
    }
    true
}
