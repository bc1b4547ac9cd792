//! What stands in the ledger's journal (docs/formats/ledger.md): one file per record, and one per
//! thing that records are made of.
//!
//! Every record begins with the format's version and its kind; `Open` and `Checkpoint` go on with
//! the version of the program that wrote them. That much never changes.

mod batch;
mod checkpoint;
mod column;
mod counters;
mod cursor;
mod files;
mod import;
mod key_part;
mod keys;
mod letters;
mod message_ids;
mod open;
mod parked;
mod pipe;
mod positions;
mod prepared;
mod published;
mod resolved;
mod runs;
mod scope;
mod shared;
mod source;
mod sources;

pub(crate) use batch::{BatchHead, BatchRecord};
pub(crate) use checkpoint::CheckpointRecord;
pub(crate) use column::{Column, decode as decode_column};
pub(crate) use cursor::{Cursor, Decoded, Malformed, put_i64, put_option, put_str, put_u64};
pub(crate) use files::FilesRecord;
pub(crate) use import::ImportRecord;
pub(crate) use key_part::KeyPart;
#[cfg(test)]
pub(crate) use keys::tests::any_key;
pub(crate) use keys::{KeyColumns, Scratch, decode as decode_keys, row_of};
pub(crate) use letters::LettersRecord;
pub(crate) use open::OpenRecord;
pub(crate) use pipe::PipeRecord;
pub(crate) use prepared::PreparedRecord;
pub(crate) use published::PublishedRecord;
pub(crate) use resolved::ResolvedRecord;
pub(crate) use scope::ScopeEntry;
pub(crate) use shared::SharedRecord;
pub(crate) use source::SourceRecord;

/// The format that this program writes, and the newest that it reads.
pub(crate) const VERSION: u8 = 1;

const OPEN: u8 = 1;
const PIPE: u8 = 2;
const FILES: u8 = 3;
const BATCH: u8 = 4;
const PUBLISHED: u8 = 5;
const CHECKPOINT: u8 = 6;
const LETTERS: u8 = 7;
const SOURCE: u8 = 8;
const IMPORT: u8 = 9;
const PREPARED: u8 = 10;
const RESOLVED: u8 = 11;
const SHARED: u8 = 12;

/// Something with one way to stand on disk.
pub(crate) trait OnDisk: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);
    /// Reads it back.
    fn take(cursor: &mut Cursor<'_>) -> Decoded<Self>;
}

/// A record, without the keys of a batch or an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// The ledger was opened for writing.
    Open(OpenRecord),
    /// A pipe was started.
    Pipe(PipeRecord),
    /// A sink is about to write into new files.
    Files(FilesRecord),
    /// A batch was committed.
    Batch(BatchHead),
    /// Output was published.
    Published(PublishedRecord),
    /// Everything that the records before it amount to, apart from keys.
    Checkpoint(Box<CheckpointRecord>),
    /// Dead letters were purged.
    Letters(LettersRecord),
    /// A pipe uses one more source.
    Source(SourceRecord),
    /// A batch of a shared scope is ready to be committed.
    Prepared(PreparedRecord),
    /// A prepared batch is committed, or aborted.
    Resolved(ResolvedRecord),
    /// A scope was joined to a store.
    Shared(SharedRecord),
    /// Keys came from elsewhere.
    Import(ImportRecord),
}

/// A record that this program can't read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// A newer program wrote it.
    Newer { found: u8, written_by: Option<String> },
    /// Its bytes make no record.
    Malformed(Malformed),
}

impl From<Malformed> for Unreadable {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Record {
    /// The record's bytes. A batch's come from [`BatchRecord::encode`], with its keys; those of an
    /// import from [`ImportRecord::encode`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Open(record) => put(&mut out, OPEN, record),
            Self::Pipe(record) => put(&mut out, PIPE, record),
            Self::Files(record) => put(&mut out, FILES, record),
            Self::Batch(head) => {
                let none = std::iter::empty();
                BatchRecord::encode(&mut out, head, &mut Scratch::default(), 0, none);
            }
            Self::Published(record) => put(&mut out, PUBLISHED, record),
            Self::Checkpoint(record) => put(&mut out, CHECKPOINT, record.as_ref()),
            Self::Letters(record) => put(&mut out, LETTERS, record),
            Self::Source(record) => put(&mut out, SOURCE, record),
            Self::Prepared(record) => {
                record.encode(&mut out, &mut Scratch::default(), 0, std::iter::empty());
            }
            Self::Resolved(record) => put(&mut out, RESOLVED, record),
            Self::Shared(record) => put(&mut out, SHARED, record),
            Self::Import(record) => {
                let none = std::iter::empty();
                record.encode(&mut out, &mut Scratch::default(), 0, none);
            }
        }
        out
    }

    /// Reads a record; of a batch's keys only that they are there.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        let mut cursor = Cursor::new(bytes);
        let kind = Self::kind(&mut cursor)?;
        let cursor = &mut cursor;
        let record = match kind {
            OPEN => Self::Open(OpenRecord::take(cursor)?),
            PIPE => Self::Pipe(PipeRecord::take(cursor)?),
            FILES => Self::Files(FilesRecord::take(cursor)?),
            BATCH => return Ok(Self::Batch(BatchRecord::take(cursor)?.head()?)),
            IMPORT => return Ok(Self::Import(BatchRecord::take(cursor)?.import()?)),
            PUBLISHED => Self::Published(PublishedRecord::take(cursor)?),
            CHECKPOINT => Self::Checkpoint(Box::new(CheckpointRecord::take(cursor)?)),
            LETTERS => Self::Letters(LettersRecord::take(cursor)?),
            SOURCE => Self::Source(SourceRecord::take(cursor)?),
            PREPARED => return Ok(Self::Prepared(PreparedRecord::take(cursor)?)),
            RESOLVED => Self::Resolved(ResolvedRecord::take(cursor)?),
            SHARED => Self::Shared(SharedRecord::take(cursor)?),
            _ => return Err(cursor.missing("known kind of record").into()),
        };
        cursor.end()?;
        Ok(record)
    }

    /// The scope and the keys of a record that has some, a batch's (that of a prepared batch, too)
    /// or an import's, undecoded.
    pub(crate) fn keyed(bytes: &[u8]) -> Result<Option<BatchRecord<'_>>, Unreadable> {
        let mut cursor = Cursor::new(bytes);
        match Self::kind(&mut cursor)? {
            BATCH | IMPORT => Ok(Some(BatchRecord::take(&mut cursor)?)),
            PREPARED => Ok(Some(PreparedRecord::batch(&mut cursor)?)),
            _ => Ok(None),
        }
    }

    fn kind(cursor: &mut Cursor<'_>) -> Result<u8, Unreadable> {
        let (found, kind) = (cursor.u8()?, cursor.u8()?);
        if found <= VERSION {
            return Ok(kind);
        }
        let written_by = matches!(kind, OPEN | CHECKPOINT).then(|| cursor.string().ok()).flatten();
        Err(Unreadable::Newer { found, written_by })
    }
}

fn put(out: &mut Vec<u8>, kind: u8, record: &impl OnDisk) {
    out.extend_from_slice(&[VERSION, kind]);
    record.put(out);
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Writes something, reads it back, and reads it with its end cut off.
    pub(crate) fn round_trip<T: OnDisk + PartialEq + Debug>(value: &T) {
        let mut out = Vec::new();
        value.put(&mut out);
        let mut cursor = Cursor::new(&out);
        assert_eq!(T::take(&mut cursor).as_ref(), Ok(value));
        cursor.end().unwrap();
        for len in [0, out.len() / 2, out.len().saturating_sub(1)] {
            if len < out.len() {
                assert!(T::take(&mut Cursor::new(&out[..len])).is_err(), "cut to {len}");
            }
        }
    }

    pub(crate) fn record_round_trip(record: &Record) {
        assert_eq!(Record::decode(&record.encode()).as_ref(), Ok(record));
    }

    #[test]
    fn a_newer_record_names_its_program() {
        let mut bytes = vec![VERSION + 1, CHECKPOINT];
        cursor::put_str(&mut bytes, "7.0.1");
        bytes.push(99);
        let newer = Unreadable::Newer { found: 2, written_by: Some("7.0.1".into()) };
        assert_eq!(Record::decode(&bytes), Err(newer));
        let newer = Unreadable::Newer { found: 2, written_by: None };
        assert_eq!(Record::decode(&[VERSION + 1, BATCH, 3]), Err(newer));
    }

    #[test]
    fn an_unknown_kind_and_leftover_bytes_are_refused() {
        assert!(matches!(Record::decode(&[VERSION, 77]), Err(Unreadable::Malformed(_))));
        assert!(matches!(Record::decode(&[VERSION]), Err(Unreadable::Malformed(_))));
        let mut bytes = Record::Open(OpenRecord::default()).encode();
        bytes.push(0);
        assert!(matches!(Record::decode(&bytes), Err(Unreadable::Malformed(_))));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(kind in 0_u8..14, mut bytes: Vec<u8>) {
            bytes.splice(0..0, [VERSION, kind]);
            let _ = Record::decode(&bytes);
        }
    }
}
