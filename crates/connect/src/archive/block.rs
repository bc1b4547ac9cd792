//! The heads in an archive file: that of the file and that of each block. docs/formats/archive.md.

use event::{BatchNumber, LedgerId};
use xxhash_rust::xxh3::xxh3_64;

use super::varint::Cursor;

/// Version of the format.
pub const VERSION: u8 = 1;
/// Length of a block's head.
pub(super) const BLOCK_HEAD_BYTES: usize = 72;
/// What every block begins with.
pub(super) const BLOCK_MAGIC: [u8; 8] = *b"\x9fOFBLK\r\n";
const FILE_MAGIC: &[u8; 7] = b"OFARCHV";
/// Length of a file's head without the pipe's name.
const FILE_HEAD_BYTES: usize = 8 + 16 + 8 + 8 + 4 + 2 + 8;
/// Longest head of a file: a pipe's name has at most 64 KiB.
pub(super) const FILE_HEAD_BYTES_MAX: usize = FILE_HEAD_BYTES + u16::MAX as usize;

/// The head of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHead {
    /// Who wrote it.
    pub ledger: LedgerId,
    /// The start of the ledger that it was made in.
    pub epoch: u64,
    /// The batch that it was made for …
    pub first: BatchNumber,
    /// … and which of that batch's files it is.
    pub number: u32,
    /// The pipe.
    pub pipe: String,
}

/// Why a head can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadError {
    /// It is no head, or was changed.
    Damaged,
    /// It goes beyond the end.
    Short,
    /// A newer program wrote it.
    Newer(u8),
}

impl FileHead {
    /// Appends it. Returns the file's mark: each of its blocks carries it.
    pub(super) fn put(&self, out: &mut Vec<u8>) -> u64 {
        let start = out.len();
        out.extend_from_slice(FILE_MAGIC);
        out.push(VERSION);
        out.extend_from_slice(&self.ledger.0.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.first.0.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        let pipe = self.pipe.as_bytes();
        let pipe = pipe.get(..pipe.len().min(u16::MAX as usize)).unwrap_or_default();
        out.extend_from_slice(&(pipe.len() as u16).to_le_bytes());
        out.extend_from_slice(pipe);
        let mark = xxh3_64(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&mark.to_le_bytes());
        mark
    }

    /// The head at the front of `bytes`, its length, and the file's mark.
    pub(super) fn read(bytes: &[u8]) -> Result<(Self, usize, u64), HeadError> {
        let mut cursor = Cursor(bytes);
        let magic = cursor.take(FILE_MAGIC.len()).ok_or(HeadError::Short)?;
        if magic != FILE_MAGIC {
            return Err(HeadError::Damaged);
        }
        let [version] = cursor.array().ok_or(HeadError::Short)?;
        if version > VERSION {
            return Err(HeadError::Newer(version));
        }
        let mut read = || {
            let ledger = LedgerId(u128::from_le_bytes(cursor.array()?));
            let epoch = u64::from_le_bytes(cursor.array()?);
            let first = BatchNumber(u64::from_le_bytes(cursor.array()?));
            let number = u32::from_le_bytes(cursor.array()?);
            let pipe_bytes = usize::from(u16::from_le_bytes(cursor.array()?));
            let pipe = String::from_utf8_lossy(cursor.take(pipe_bytes)?).into_owned();
            let mark = u64::from_le_bytes(cursor.array()?);
            let len = FILE_HEAD_BYTES + pipe_bytes;
            Some((Self { ledger, epoch, first, number, pipe }, len, mark))
        };
        let (head, len, mark) = read().ok_or(HeadError::Short)?;
        let summed = bytes.get(..len - 8).unwrap_or_default();
        if version == VERSION && xxh3_64(summed) == mark {
            Ok((head, len, mark))
        } else {
            Err(HeadError::Damaged)
        }
    }
}

/// The head of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHead {
    /// Events in it.
    pub events: u32,
    /// The mark of its file.
    pub(super) mark: u64,
    /// The batch that it belongs to.
    pub batch: BatchNumber,
    /// When the first of its events was received; ms since the Unix epoch.
    pub received_min_ms: i64,
    /// When the last of them was.
    pub received_max_ms: i64,
    /// Length of its body before compression.
    pub raw_bytes: u32,
    /// Length of its body as it stands.
    pub body_bytes: u32,
    /// XXH3-64 of the body as it stands.
    pub(super) body_sum: u64,
}

impl BlockHead {
    /// Its length with the body.
    pub(super) const fn block_bytes(&self) -> u64 {
        BLOCK_HEAD_BYTES as u64 + self.body_bytes as u64
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&BLOCK_MAGIC);
        out.extend_from_slice(&[VERSION, 0, 0, 0]);
        out.extend_from_slice(&self.events.to_le_bytes());
        out.extend_from_slice(&self.mark.to_le_bytes());
        out.extend_from_slice(&self.batch.0.to_le_bytes());
        out.extend_from_slice(&self.received_min_ms.to_le_bytes());
        out.extend_from_slice(&self.received_max_ms.to_le_bytes());
        out.extend_from_slice(&self.raw_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_bytes.to_le_bytes());
        out.extend_from_slice(&self.body_sum.to_le_bytes());
        let sum = xxh3_64(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&sum.to_le_bytes());
    }

    /// The head at the front of `bytes`. One that carries another file's mark than `mark` is
    /// damaged: an archived payload may itself be an archive.
    pub(super) fn read(bytes: &[u8], mark: Option<u64>) -> Result<Self, HeadError> {
        let bytes = bytes.get(..BLOCK_HEAD_BYTES).ok_or(HeadError::Short)?;
        let mut cursor = Cursor(bytes);
        let mut read = || {
            let magic: [u8; 8] = cursor.array()?;
            let [version, _, _, _] = cursor.array()?;
            let head = Self {
                events: u32::from_le_bytes(cursor.array()?),
                mark: u64::from_le_bytes(cursor.array()?),
                batch: BatchNumber(u64::from_le_bytes(cursor.array()?)),
                received_min_ms: i64::from_le_bytes(cursor.array()?),
                received_max_ms: i64::from_le_bytes(cursor.array()?),
                raw_bytes: u32::from_le_bytes(cursor.array()?),
                body_bytes: u32::from_le_bytes(cursor.array()?),
                body_sum: u64::from_le_bytes(cursor.array()?),
            };
            Some((magic, version, head, u64::from_le_bytes(cursor.array()?)))
        };
        let (magic, version, head, sum) = read().ok_or(HeadError::Short)?;
        let summed = bytes.get(..BLOCK_HEAD_BYTES - 8).unwrap_or_default();
        if magic != BLOCK_MAGIC || xxh3_64(summed) != sum {
            return Err(HeadError::Damaged);
        }
        if version != VERSION {
            return Err(HeadError::Newer(version));
        }
        if mark.is_some_and(|mark| mark != head.mark) {
            return Err(HeadError::Damaged);
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_round_trip_and_any_change_is_noticed() {
        let file = FileHead {
            ledger: LedgerId(5),
            epoch: 6,
            first: BatchNumber(7),
            number: 8,
            pipe: "a pipe".into(),
        };
        let mut bytes = Vec::new();
        let mark = file.put(&mut bytes);
        let block = BlockHead {
            events: 1,
            mark,
            batch: BatchNumber(2),
            received_min_ms: -3,
            received_max_ms: 4,
            raw_bytes: 5,
            body_bytes: 6,
            body_sum: 7,
        };
        let len = bytes.len();
        block.put(&mut bytes);
        assert_eq!(FileHead::read(&bytes), Ok((file, len, mark)));
        assert_eq!(BlockHead::read(&bytes[len..], Some(mark)), Ok(block));
        assert_eq!(BlockHead::read(&bytes[len..], Some(mark + 1)), Err(HeadError::Damaged));
        assert_eq!(bytes.len() - len, BLOCK_HEAD_BYTES);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let read = FileHead::read(&changed)
                .map(drop)
                .and(BlockHead::read(&changed[len..], Some(mark)).map(drop));
            assert!(read.is_err(), "byte {at}");
        }
        bytes[7] = 2;
        assert_eq!(FileHead::read(&bytes), Err(HeadError::Newer(2)));
    }
}
