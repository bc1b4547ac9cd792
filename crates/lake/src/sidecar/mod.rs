//! The sidecar of a staging file: for each row its key, recorded time, window, position, batch and
//! marks. Format: docs/formats/sidecar.md.
//!
//! A sidecar is a header and one block per batch that appended rows. A block keeps its rows by
//! column, numbers as differences from the column's smallest, so that a row takes 20 to 30 bytes.

mod block;
mod column;

use event::{BatchNumber, Marks, Offset, ShardId};

pub(crate) use block::{Columns, HEAD_BYTES, Head, ReadBlock, read_columns};

/// First bytes of every sidecar.
const MAGIC: &[u8; 8] = b"OFSIDECR";
/// Version of the format that this code writes.
pub const VERSION: u16 = 1;
/// Length of the header.
pub const HEADER_BYTES: usize = 16;

/// What a sidecar says of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarRow {
    /// The row's key.
    pub key: u128,
    /// The time that dedup gave the event; ms since the Unix epoch.
    pub recorded_ms: i64,
    /// For how long its key is remembered; ms.
    pub window_ms: i64,
    /// Where it was read …
    pub shard: ShardId,
    /// … and at which place there.
    pub offset: Offset,
    /// The batch that settled it.
    pub batch: BatchNumber,
    /// Why it was let through where a strict reading would not.
    pub marks: Marks,
}

/// A sidecar can't be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SidecarError {
    /// The header isn't one.
    #[error("this is no sidecar: its first {HEADER_BYTES} bytes are not a sidecar's header")]
    NoSidecar,
    /// A version that this program doesn't know.
    #[error(
        "the sidecar has format version {found}, this program reads {VERSION}: use a newer one"
    )]
    Version {
        /// The version found.
        found: u16,
    },
    /// Bytes don't match their checksum, or make no sense.
    #[error("the sidecar is damaged at byte {offset}: {what}")]
    Damaged {
        /// Where the damaged block begins.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The header.
pub(crate) fn header() -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let version = VERSION.to_le_bytes();
    let fields = MAGIC.iter().chain(&version);
    header.iter_mut().zip(fields).for_each(|(to, from)| *to = *from);
    let sum = crc32c::crc32c(header.get(..12).unwrap_or_default()).to_le_bytes();
    header.iter_mut().skip(12).zip(sum).for_each(|(to, from)| *to = from);
    header
}

/// Whether these are the first bytes of a sidecar that can be read.
pub(crate) fn check_header(head: &[u8]) -> Result<(), SidecarError> {
    if !head.starts_with(MAGIC) {
        return Err(SidecarError::NoSidecar);
    }
    if head.get(..10) != header().get(..10) {
        let found = head.get(8..10).and_then(|v| v.try_into().ok()).map_or(0, u16::from_le_bytes);
        return Err(SidecarError::Version { found });
    }
    if head == header() { Ok(()) } else { Err(SidecarError::NoSidecar) }
}

/// All rows of a sidecar, in the order of the rows of its file.
///
/// # Errors
/// [`SidecarError`] names the first block that can't be read.
pub fn read(bytes: &[u8]) -> Result<Vec<SidecarRow>, SidecarError> {
    let (head, mut rest) = bytes.split_at_checked(HEADER_BYTES).ok_or(SidecarError::NoSidecar)?;
    check_header(head)?;
    let mut rows = Vec::new();
    let mut rows_end = 0;
    while !rest.is_empty() {
        let offset = (bytes.len() - rest.len()) as u64;
        let (head, block) =
            block::read(rest).map_err(|what| SidecarError::Damaged { offset, what })?;
        if head.rows_start != rows_end {
            let what = "its rows don't begin where those of the block before end";
            return Err(SidecarError::Damaged { offset, what });
        }
        rows_end += head.rows_len;
        rows.extend(block);
        rest = rest.get(head.bytes..).unwrap_or_default();
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(rows: &[SidecarRow]) -> Columns {
        let mut columns = Columns::default();
        for row in rows {
            columns.push(
                &row.shard,
                row.offset,
                row.key,
                row.recorded_ms,
                row.window_ms,
                row.marks,
            );
        }
        columns
    }

    fn some_rows(batch: u64, count: u64) -> Vec<SidecarRow> {
        let row = |i: u64| SidecarRow {
            key: u128::from(i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            recorded_ms: 1_700_000_000_000 + (i as i64 % 7) * 40_000,
            window_ms: [300_000, 600_000, 180_000, i64::MAX][i as usize % 4],
            shard: if i % 5 < 3 { "file:a".into() } else { "file:b".into() },
            offset: Offset::from(batch * 1_000_000 + i * 308),
            batch: BatchNumber(batch),
            marks: if i.is_multiple_of(9) { Marks::LATE } else { Marks::NONE },
        };
        (0..count).map(row).collect()
    }

    fn sidecar(blocks: &[Vec<SidecarRow>]) -> Vec<u8> {
        let mut bytes = header().to_vec();
        let mut at = 0;
        for rows in blocks {
            let len = rows.len() as u64 * 10;
            columns(rows).write(rows[0].batch, at, len, &mut bytes);
            at += len;
        }
        bytes
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut wide = some_rows(3, 4);
        wide[2].offset = Offset::from_parts(7, u128::MAX - 1);
        wide[3].recorded_ms = i64::MIN;
        let blocks = [some_rows(1, 1), some_rows(2, 1000), wide, some_rows(4, 300)];
        assert_eq!(read(&sidecar(&blocks)).unwrap(), blocks.concat());
        assert_eq!(read(&header()).unwrap(), []);
    }

    #[test]
    fn a_row_takes_less_than_40_bytes() {
        let bytes = sidecar(&[some_rows(1, 10_000)]);
        assert!(bytes.len() < 10_000 * 30, "{} bytes", bytes.len());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = sidecar(&[some_rows(1, 3), some_rows(2, 2)]);
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert!(read(&broken).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_cut_sidecar_is_damaged_unless_cut_between_blocks() {
        let first = sidecar(&[some_rows(1, 3)]).len();
        let bytes = sidecar(&[some_rows(1, 3), some_rows(2, 2)]);
        for len in 0..bytes.len() {
            let whole = len == HEADER_BYTES || len == first;
            assert_eq!(read(&bytes[..len]).is_ok(), whole, "{len} bytes");
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut bytes = header().to_vec();
        bytes[8] = 9;
        assert_eq!(read(&bytes), Err(SidecarError::Version { found: 9 }));
    }

    /// Written once by version 1 of the format; must be readable for ever.
    #[test]
    fn the_frozen_sidecar_of_version_1_is_read() {
        let frozen = include_bytes!("../../tests/fixtures/sidecar-v1.keys");
        let rows = [some_rows(1, 5), some_rows(2, 40)];
        assert_eq!(read(frozen).unwrap(), rows.concat());
        assert_eq!(
            sidecar(&rows),
            frozen,
            "a changed writer needs a new version and a new fixture"
        );
    }
}
