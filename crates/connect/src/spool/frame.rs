//! What stands in a spool file; see docs/formats/spool.md.
//!
//! A file is a header and frames, one frame a batch. Lengths come from the ledger; the checksum
//! tells a file that was changed from one that was written.

use broker::Sequence;
use event::{BatchNumber, LedgerId};
use xxhash_rust::xxh3::xxh3_64;

use super::target::Entry;

/// Version of the format.
pub const VERSION: u8 = 1;
/// Length of a file's header.
pub const HEADER_BYTES: usize = 24;
const MAGIC: &[u8; 7] = b"OFSPOOL";
/// Batch, rows, length and checksum of the rows.
const FRAME_HEADER_BYTES: usize = 28;
const ROW_HEADER_BYTES: usize = 10;

/// What is wrong with a spool file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It is no spool file, or another ledger's.
    #[error("its header is not that of a spool file of this data folder")]
    Header,
    /// A newer program wrote it.
    #[error("it has version {0}, and this program reads up to version {VERSION}")]
    Newer(u8),
    /// Bytes are missing or were changed.
    #[error("its rows are damaged")]
    Damaged,
}

/// Appends the header of a file.
pub fn put_header(out: &mut Vec<u8>, ledger: LedgerId) {
    out.extend_from_slice(MAGIC);
    out.push(VERSION);
    out.extend_from_slice(&ledger.0.to_le_bytes());
}

/// Checks the header at the front of `bytes`.
///
/// # Errors
/// [`FrameError`].
pub fn check_header(bytes: &[u8], ledger: LedgerId) -> Result<(), FrameError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(FrameError::Header)?;
    match rest.split_first() {
        Some((&VERSION, id)) if id.starts_with(&ledger.0.to_le_bytes()) => Ok(()),
        Some((&version, _)) if version > VERSION => Err(FrameError::Newer(version)),
        _ => Err(FrameError::Header),
    }
}

/// A frame that is being written.
pub struct FrameWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    rows: u32,
}

impl<'a> FrameWriter<'a> {
    /// Begins the frame of batch `number` at the end of `out`.
    pub fn begin(out: &'a mut Vec<u8>, number: BatchNumber) -> Self {
        let start = out.len();
        out.extend_from_slice(&number.0.to_le_bytes());
        out.extend_from_slice(&[0; FRAME_HEADER_BYTES - 8]);
        Self { out, start, rows: 0 }
    }

    /// Appends a row; `index` ascends. A key has at most 64 KiB, a body less than 4 GiB.
    pub fn row(&mut self, index: u32, key: &[u8], body: &[u8]) {
        self.out.extend_from_slice(&index.to_le_bytes());
        self.out.extend_from_slice(&(key.len() as u16).to_le_bytes());
        self.out.extend_from_slice(&(body.len() as u32).to_le_bytes());
        self.out.extend_from_slice(key);
        self.out.extend_from_slice(body);
        self.rows += 1;
    }

    /// Ends the frame.
    pub fn end(self) {
        let rows_at = self.start + FRAME_HEADER_BYTES;
        let rows = self.out.get(rows_at..).unwrap_or_default();
        let (len, sum) = (rows.len() as u64, xxh3_64(rows));
        let head = self.out.get_mut(self.start + 8..rows_at).unwrap_or_default();
        let numbers = [&self.rows.to_le_bytes()[..], &len.to_le_bytes(), &sum.to_le_bytes()];
        for (place, byte) in head.iter_mut().zip(numbers.concat()) {
            *place = byte;
        }
    }
}

/// The rows of the frame that `bytes` consists of, in order.
///
/// # Errors
/// [`FrameError::Damaged`].
pub fn read_frame(bytes: &[u8], number: BatchNumber) -> Result<Vec<Entry<'_>>, FrameError> {
    let mut cursor = bytes;
    let batch = u64::from_le_bytes(take(&mut cursor)?);
    let count = u32::from_le_bytes(take(&mut cursor)?);
    let len = u64::from_le_bytes(take(&mut cursor)?);
    let sum = u64::from_le_bytes(take(&mut cursor)?);
    if batch != number.0 || len != cursor.len() as u64 || sum != xxh3_64(cursor) {
        return Err(FrameError::Damaged);
    }
    let rows_most = cursor.len() / ROW_HEADER_BYTES;
    let mut entries = Vec::with_capacity(rows_most.min(count as usize));
    for _ in 0..count {
        let index = u32::from_le_bytes(take(&mut cursor)?);
        let key = usize::from(u16::from_le_bytes(take(&mut cursor)?));
        let body = u32::from_le_bytes(take(&mut cursor)?) as usize;
        let (key, rest) = cursor.split_at_checked(key).ok_or(FrameError::Damaged)?;
        let (body, rest) = rest.split_at_checked(body).ok_or(FrameError::Damaged)?;
        cursor = rest;
        entries.push(Entry { sequence: Sequence { batch: number, index }, key, body });
    }
    if cursor.is_empty() { Ok(entries) } else { Err(FrameError::Damaged) }
}

fn take<const N: usize>(cursor: &mut &[u8]) -> Result<[u8; N], FrameError> {
    let (head, rest) = cursor.split_first_chunk::<N>().ok_or(FrameError::Damaged)?;
    *cursor = rest;
    Ok(*head)
}

/// What the ledger keeps of a staged batch beside the file's length: where it goes, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// [`super::Target::incarnation`] when it was staged.
    pub incarnation: u128,
    /// The highest index.
    pub last_index: u32,
}

impl Note {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.incarnation.to_le_bytes());
        out.extend_from_slice(&self.last_index.to_le_bytes());
        out
    }

    /// Reads it back; `None` when these bytes are no note.
    #[must_use]
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if take::<1>(&mut bytes).ok()? != [VERSION] {
            return None;
        }
        let incarnation = u128::from_le_bytes(take(&mut bytes).ok()?);
        let last_index = u32::from_le_bytes(take(&mut bytes).ok()?);
        bytes.is_empty().then_some(Self { incarnation, last_index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Vec<u8> {
        let mut out = Vec::new();
        let mut writer = FrameWriter::begin(&mut out, BatchNumber(7));
        writer.row(0, b"", b"{\"a\":1}");
        writer.row(3, b"key", b"");
        writer.end();
        out
    }

    #[test]
    fn frames_round_trip_and_any_change_is_noticed() {
        let bytes = frame();
        let entries = read_frame(&bytes, BatchNumber(7)).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!((entries[0].key, entries[0].body), (&b""[..], &b"{\"a\":1}"[..]));
        assert_eq!(entries[1].sequence, Sequence { batch: BatchNumber(7), index: 3 });
        assert_eq!(read_frame(&bytes, BatchNumber(8)), Err(FrameError::Damaged));
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(read_frame(&changed, BatchNumber(7)).is_err(), "byte {at}");
            assert!(read_frame(&bytes[..at], BatchNumber(7)).is_err(), "cut to {at}");
        }
    }

    #[test]
    fn headers_name_their_ledger_and_version() {
        let mut out = Vec::new();
        put_header(&mut out, LedgerId(5));
        assert_eq!(out.len(), HEADER_BYTES);
        assert_eq!(check_header(&out, LedgerId(5)), Ok(()));
        assert_eq!(check_header(&out, LedgerId(6)), Err(FrameError::Header));
        assert_eq!(check_header(&out[..20], LedgerId(5)), Err(FrameError::Header));
        out[7] = 2;
        assert_eq!(check_header(&out, LedgerId(5)), Err(FrameError::Newer(2)));
    }

    #[test]
    fn notes_round_trip() {
        let note = Note { incarnation: u128::MAX - 3, last_index: 9 };
        assert_eq!(Note::decode(&note.encode()), Some(note));
        assert_eq!(Note::decode(b""), None);
    }
}
