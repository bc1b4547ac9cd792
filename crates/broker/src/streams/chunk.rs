//! One put's records as they lie in a stream's journal.

use super::format::PutView;
use super::record::SequenceNumber;

/// One put's records of one stream as they lie in its journal: shards mixed, each shard in order.
/// For the reader in this process, that wants them all.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// When they were put.
    pub arrived_ms: i64,
    /// The records; at least one.
    pub records: ChunkRecords<'a>,
}

/// A record of a [`Chunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRecord<'a> {
    /// Its shard's number.
    pub shard: u32,
    /// Its place.
    pub sequence: SequenceNumber,
    /// As put; the reader has checked that it is UTF-8.
    pub partition_key: &'a [u8],
    /// As put.
    pub data: &'a [u8],
}

/// The records of a [`Chunk`], decoded while one goes over them: nothing is allocated.
#[derive(Clone, Copy, Debug)]
pub struct ChunkRecords<'a> {
    put: PutView<'a>,
    /// Of each record.
    sequences: &'a [SequenceNumber],
}

impl<'a> ChunkRecords<'a> {
    pub(super) fn new(put: PutView<'a>, sequences: &'a [SequenceNumber]) -> Self {
        Self { put, sequences }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Over all of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = ChunkRecord<'a>> + use<'a> {
        self.into_iter()
    }
}

impl<'a> IntoIterator for ChunkRecords<'a> {
    type Item = ChunkRecord<'a>;
    type IntoIter = ChunkIter<'a>;

    fn into_iter(self) -> ChunkIter<'a> {
        ChunkIter { rows: self.put.rows(), sequences: self.sequences.iter() }
    }
}

/// Goes over the records of a [`Chunk`].
#[derive(Clone, Debug)]
pub struct ChunkIter<'a> {
    rows: super::format::Rows<'a>,
    sequences: std::slice::Iter<'a, SequenceNumber>,
}

impl<'a> Iterator for ChunkIter<'a> {
    type Item = ChunkRecord<'a>;

    #[inline]
    fn next(&mut self) -> Option<ChunkRecord<'a>> {
        let row = self.rows.next()?;
        let sequence = *self.sequences.next()?;
        let partition_key = row.partition_key;
        Some(ChunkRecord { shard: row.shard, sequence, partition_key, data: row.data })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.sequences.size_hint()
    }
}

impl ExactSizeIterator for ChunkIter<'_> {}
