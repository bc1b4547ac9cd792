//! The records of a stream's journal: docs/formats/streams.md. Numbers are little-endian.
//!
//! A put holds no sequence numbers: a record's number is its place among the records of its shard
//! in the journal. So a put that the disk refuses leaves no hole, whatever was queued behind it.

use event::{BatchNumber, LedgerId};

use super::record::NewRecord;
use crate::producer::{Producer, Sequence};

/// The version that is written, and the newest that is read.
pub(super) const VERSION: u8 = 1;
const KIND_PUT: u8 = 1;
const KIND_STATE: u8 = 2;
/// A put's flag: a producer stands behind the head.
const FLAG_PRODUCER: u16 = 1;
/// Version, kind, flags, count, arrival time.
const HEAD_BYTES: usize = 16;
/// Ledger id, batch, index, lengths of the two names.
const PRODUCER_BYTES: usize = 32;
/// Length of the data, length of the key, shard.
const ROW_BYTES: usize = 8;

/// What a journal record can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormatError {
    #[error("it has format version {0}, this program reads up to {VERSION}; use the newer program")]
    Newer(u8),
    #[error("it is of an unknown kind, {0}")]
    Kind(u8),
    #[error("its lengths don't fit together")]
    Lengths,
    #[error("a name in it isn't UTF-8")]
    Text,
}

/// A record of a stream's journal.
pub(super) enum Entry<'a> {
    Put(PutView<'a>),
    State(StateRecord),
}

/// One put as it lies in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct PutView<'a> {
    pub(super) arrived_ms: i64,
    producer: Option<&'a [u8]>,
    table: &'a [[u8; ROW_BYTES]],
    payload: &'a [u8],
}

/// One record of a put.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) shard: u32,
    pub(super) partition_key: &'a [u8],
    pub(super) data: &'a [u8],
}

/// What must outlive the segments that are dropped: how everything stood before this record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateRecord {
    /// The stream that the journal is of.
    pub(super) creation_id: u128,
    /// When the last record before arrived.
    pub(super) arrived_ms: i64,
    /// The next sequence number of each shard.
    pub(super) nexts: Vec<u64>,
    /// The highest sequence of each producer, sorted.
    pub(super) producers: Vec<(Producer, Sequence)>,
}

/// Length of a put in the journal.
pub(super) fn put_bytes(producer: Option<&Producer>, records: &[NewRecord]) -> usize {
    let names = |p: &Producer| PRODUCER_BYTES + p.pipe.len() + p.sink.len();
    let rows = records.iter().map(|r| ROW_BYTES + r.partition_key.len() + r.data.len());
    HEAD_BYTES + producer.map_or(0, names) + rows.sum::<usize>()
}

/// A put with its records and the shard of each. The time is set later: [`set_arrived`]. Lengths
/// are those that [`super::put`] lets through.
pub(super) fn encode_put(
    producer: Option<(&Producer, Sequence)>,
    records: &[NewRecord],
    shards: impl Iterator<Item = u32>,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(put_bytes(producer.map(|(p, _)| p), records));
    let flags = if producer.is_some() { FLAG_PRODUCER } else { 0 };
    head(&mut bytes, KIND_PUT, flags, records.len(), 0);
    if let Some((producer, sequence)) = producer {
        encode_producer(&mut bytes, producer, sequence);
    }
    for (record, shard) in records.iter().zip(shards) {
        bytes.extend_from_slice(&(record.data.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(record.partition_key.len() as u16).to_le_bytes());
        bytes.extend_from_slice(&(shard as u16).to_le_bytes());
    }
    for record in records {
        bytes.extend_from_slice(record.partition_key.as_bytes());
        bytes.extend_from_slice(&record.data);
    }
    bytes
}

/// Sets the time of an encoded put.
pub(super) fn set_arrived(put: &mut [u8], arrived_ms: i64) {
    if let Some(place) = put.get_mut(8..HEAD_BYTES) {
        place.copy_from_slice(&arrived_ms.to_le_bytes());
    }
}

fn head(bytes: &mut Vec<u8>, kind: u8, flags: u16, count: usize, arrived_ms: i64) {
    bytes.extend([VERSION, kind]);
    bytes.extend(flags.to_le_bytes());
    bytes.extend((count as u32).to_le_bytes());
    bytes.extend(arrived_ms.to_le_bytes());
}

fn encode_producer(bytes: &mut Vec<u8>, producer: &Producer, sequence: Sequence) {
    bytes.extend(producer.ledger_id.0.to_le_bytes());
    bytes.extend(sequence.batch.0.to_le_bytes());
    bytes.extend(sequence.index.to_le_bytes());
    bytes.extend((producer.pipe.len() as u16).to_le_bytes());
    bytes.extend((producer.sink.len() as u16).to_le_bytes());
    bytes.extend(producer.pipe.as_bytes());
    bytes.extend(producer.sink.as_bytes());
}

impl StateRecord {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + 8 * self.nexts.len() + 96 * self.producers.len());
        head(&mut bytes, KIND_STATE, 0, self.nexts.len(), self.arrived_ms);
        bytes.extend(self.creation_id.to_le_bytes());
        bytes.extend((self.producers.len() as u32).to_le_bytes());
        self.nexts.iter().for_each(|next| bytes.extend(next.to_le_bytes()));
        for (producer, sequence) in &self.producers {
            encode_producer(&mut bytes, producer, *sequence);
        }
        bytes
    }

    fn decode(count: usize, arrived_ms: i64, rest: &[u8]) -> Option<Result<Self, FormatError>> {
        let (creation_id, rest) =
            rest.split_first_chunk().map(|(b, r)| (u128::from_le_bytes(*b), r))?;
        let (producers, rest) =
            rest.split_first_chunk().map(|(b, r)| (u32::from_le_bytes(*b), r))?;
        let (nexts, mut rest) = rest.split_at_checked(count.checked_mul(8)?)?;
        let nexts = nexts.as_chunks().0.iter().map(|next| u64::from_le_bytes(*next)).collect();
        let mut all = Vec::new();
        for _ in 0..producers {
            let bytes = producer_bytes(rest)?;
            let (producer, after) = rest.split_at_checked(bytes)?;
            match decode_producer(producer)? {
                Ok(producer) => all.push(producer),
                Err(error) => return Some(Err(error)),
            }
            rest = after;
        }
        rest.is_empty().then_some(Ok(Self { creation_id, arrived_ms, nexts, producers: all }))
    }
}

/// Length of the producer that begins here.
fn producer_bytes(bytes: &[u8]) -> Option<usize> {
    Some(PRODUCER_BYTES + usize::from(u16_at(bytes, 28)?) + usize::from(u16_at(bytes, 30)?))
}

fn decode_producer(bytes: &[u8]) -> Option<Result<(Producer, Sequence), FormatError>> {
    let ledger_id = LedgerId(u128::from_le_bytes(bytes.get(..16)?.try_into().ok()?));
    let batch = BatchNumber(u64::from_le_bytes(bytes.get(16..24)?.try_into().ok()?));
    let index = u32::from_le_bytes(bytes.get(24..28)?.try_into().ok()?);
    let pipe_bytes = usize::from(u16_at(bytes, 28)?);
    let (pipe, sink) = bytes.get(PRODUCER_BYTES..)?.split_at_checked(pipe_bytes)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| FormatError::Text);
    let producer = text(pipe).and_then(|pipe| Ok(Producer { ledger_id, pipe, sink: text(sink)? }));
    Some(producer.map(|producer| (producer, Sequence { batch, index })))
}

/// Decodes a record of a stream's journal.
pub(super) fn decode(bytes: &[u8]) -> Result<Entry<'_>, FormatError> {
    match bytes.first() {
        Some(version) if *version > VERSION => return Err(FormatError::Newer(*version)),
        Some(_) => {}
        None => return Err(FormatError::Lengths),
    }
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(FormatError::Lengths)?;
    let [_, kind, flags @ ..] = head;
    let flags = u16_at(flags, 0).ok_or(FormatError::Lengths)?;
    let [_, _, _, _, c0, c1, c2, c3, time @ ..] = *head;
    let count = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
    let arrived_ms = i64::from_le_bytes(time);
    match *kind {
        KIND_PUT => {
            let put = PutView::decode(count, flags, arrived_ms, rest);
            put.map(Entry::Put).ok_or(FormatError::Lengths)
        }
        KIND_STATE => StateRecord::decode(count, arrived_ms, rest)
            .unwrap_or(Err(FormatError::Lengths))
            .map(Entry::State),
        kind => Err(FormatError::Kind(kind)),
    }
}

impl<'a> PutView<'a> {
    fn decode(count: usize, flags: u16, arrived_ms: i64, rest: &'a [u8]) -> Option<Self> {
        let (producer, rest) = if flags & FLAG_PRODUCER == 0 {
            (None, rest)
        } else {
            let (producer, rest) = rest.split_at_checked(producer_bytes(rest)?)?;
            (Some(producer), rest)
        };
        let (table, payload) = rest.split_at_checked(count.checked_mul(ROW_BYTES)?)?;
        let put = Self { arrived_ms, producer, table: table.as_chunks().0, payload };
        let bytes = put.table.iter().map(|row| data_bytes(row) + key_bytes(row)).sum::<usize>();
        (bytes == payload.len()).then_some(put)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// Who put it with [`super::Stream::put_once`], and its highest sequence.
    pub(super) fn producer(&self) -> Result<Option<(Producer, Sequence)>, FormatError> {
        let decode = |bytes| decode_producer(bytes).unwrap_or(Err(FormatError::Lengths));
        self.producer.map(decode).transpose()
    }

    /// The shard of each record.
    pub(super) fn shards(&self) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        self.table.iter().map(shard)
    }

    pub(super) fn rows(&self) -> Rows<'a> {
        Rows { table: self.table.iter(), payload: self.payload }
    }
}

/// Goes over the records of a put.
#[derive(Clone, Debug)]
pub(super) struct Rows<'a> {
    table: std::slice::Iter<'a, [u8; ROW_BYTES]>,
    payload: &'a [u8],
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    #[inline]
    fn next(&mut self) -> Option<Row<'a>> {
        let row = self.table.next()?;
        let (partition_key, rest) = self.payload.split_at_checked(key_bytes(row))?;
        let (data, rest) = rest.split_at_checked(data_bytes(row))?;
        self.payload = rest;
        Some(Row { shard: shard(row), partition_key, data })
    }
}

fn data_bytes(&[a, b, c, d, ..]: &[u8; ROW_BYTES]) -> usize {
    u32::from_le_bytes([a, b, c, d]) as usize
}

fn key_bytes(&[_, _, _, _, a, b, ..]: &[u8; ROW_BYTES]) -> usize {
    usize::from(u16::from_le_bytes([a, b]))
}

fn shard(&[.., a, b]: &[u8; ROW_BYTES]) -> u32 {
    u32::from(u16::from_le_bytes([a, b]))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn producer(number: u128, batch: u64, index: u32) -> (Producer, Sequence) {
        let (pipe, sink) = ("pipe".to_owned(), format!("sink-{number}"));
        let sequence = Sequence { batch: BatchNumber(batch), index };
        (Producer { ledger_id: LedgerId(number), pipe, sink }, sequence)
    }

    fn record(key: &str, data: &[u8]) -> NewRecord {
        NewRecord {
            partition_key: key.into(),
            explicit_hash_key: None,
            data: Bytes::copy_from_slice(data),
        }
    }

    fn put(producer: Option<&(Producer, Sequence)>, records: &[(u32, NewRecord)]) -> Vec<u8> {
        let (shards, records): (Vec<_>, Vec<_>) = records.iter().cloned().unzip();
        let producer = producer.map(|(producer, sequence)| (producer, *sequence));
        let mut bytes = encode_put(producer, &records, shards.into_iter());
        assert_eq!(bytes.len(), put_bytes(producer.map(|(producer, _)| producer), &records));
        set_arrived(&mut bytes, 1_800_000_000_123);
        bytes
    }

    fn state() -> StateRecord {
        StateRecord {
            creation_id: 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978,
            arrived_ms: 1_800_000_000_123,
            nexts: vec![1, 70_000_000_000],
            producers: vec![producer(1, 2, 3), producer(2, 1 << 40, 0)],
        }
    }

    #[test]
    fn the_fixtures_of_version_1_are_what_is_written_today() {
        let records = [(1, record("k\u{e4}y", b"data")), (65_535, record("k", b""))];
        let written = [
            (put(None, &records), include_bytes!("../../tests/fixtures/streams-v1/put").as_slice()),
            (
                put(Some(&producer(7, 8, 9)), &records),
                include_bytes!("../../tests/fixtures/streams-v1/put-once"),
            ),
            (state().encode(), include_bytes!("../../tests/fixtures/streams-v1/state")),
        ];
        for (at, (written, fixture)) in written.iter().enumerate() {
            assert_eq!(written, fixture, "{at}");
        }
        let Ok(Entry::State(read)) = decode(written[2].1) else { panic!("not a state") };
        assert_eq!(read, state());
        let Ok(Entry::Put(read)) = decode(written[1].1) else { panic!("not a put") };
        assert_eq!(read.arrived_ms, 1_800_000_000_123);
        assert_eq!(read.producer(), Ok(Some(producer(7, 8, 9))));
    }

    #[test]
    fn what_is_not_a_record_is_refused() {
        let state = state().encode();
        assert!(matches!(decode(&[2, 1]), Err(FormatError::Newer(2))));
        assert!(matches!(decode(&[]), Err(FormatError::Lengths)));
        let mut unknown = state.clone();
        unknown[1] = 9;
        assert!(matches!(decode(&unknown), Err(FormatError::Kind(9))));
        let once = put(Some(&producer(7, 8, 9)), &[(0, record("k", b"data"))]);
        for whole in [state, once] {
            for bytes in 0..whole.len() {
                assert!(decode(&whole[..bytes]).is_err(), "{bytes} of {} bytes", whole.len());
            }
            let longer = [whole, vec![0]].concat();
            assert!(matches!(decode(&longer), Err(FormatError::Lengths)));
        }
    }

    proptest! {
        #[test]
        fn a_put_comes_back(
            records in prop::collection::vec((0..1000_u32, ".{0,300}", ".{0,99}"), 0..20),
            once in any::<bool>(),
        ) {
            let records: Vec<_> =
                records.iter().map(|(s, key, data)| (*s, record(key, data.as_bytes()))).collect();
            let from = once.then(|| producer(1, 2, 3));
            let bytes = put(from.as_ref(), &records);
            let Ok(Entry::Put(read)) = decode(&bytes) else { panic!("not a put") };
            prop_assert_eq!(read.len(), records.len());
            prop_assert_eq!(read.producer().unwrap(), from);
            for (row, (shard, record)) in read.rows().zip(&records) {
                prop_assert_eq!(row.shard, *shard);
                prop_assert_eq!(row.partition_key, record.partition_key.as_bytes());
                prop_assert_eq!(row.data, &record.data);
            }
        }
    }
}
