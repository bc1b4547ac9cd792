//! What stands in a key run (docs/formats/key-run.md).

use event::LedgerId;

use crate::record::{Cursor, Decoded};

use super::place::Place;
use super::row::{Kind, Row};

/// The format that this program writes, and the newest that it reads.
pub(crate) const VERSION: u32 = 2;
/// Blocks as in a batch's record, without batch numbers; no filter.
pub(super) const VERSION_1: u32 = 1;
pub(super) const HEADER_BYTES: usize = 128;
pub(super) const BLOCK_HEADER_BYTES: usize = 8;
/// Keys of a block: about 4 KiB.
pub(super) const BLOCK_KEYS: usize = 128;
/// Longest block that can be right.
pub(super) const BLOCK_BYTES_MAX: usize = 64 << 10;
pub(super) const TAIL_BYTES: usize = 24;
pub(super) const SECTION_BYTES: usize = 24;

const MAGIC: [u8; 8] = *b"ONCERUN\0";
const MAGIC_END: [u8; 8] = *b"ENDOFRUN";
const KIND_KEYS: u8 = 0;

/// The blocks; each has a checksum of its own, the section's is 0.
pub(super) const SECTION_BLOCKS: u32 = 1;
/// For each block the upper half of its first key, and its offset in the file.
pub(super) const SECTION_INDEX: u32 = 2;
/// The filter; not in runs of format 1.
pub(super) const SECTION_FILTER: u32 = 3;
/// An entry of the index.
pub(super) const INDEX_BYTES: usize = 16;

/// The first bytes of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(super) version: u32,
    pub(super) ledger_id: LedgerId,
    pub(super) scope: u16,
    pub(super) place: Place,
    pub(super) blocks: u32,
    pub(super) count: u64,
    pub(super) key_min: u128,
    pub(super) key_max: u128,
    pub(super) recorded_min_ms: i64,
    pub(super) recorded_max_ms: i64,
    pub(super) expires_ms: i64,
}

impl Header {
    pub(super) const fn new(ledger_id: LedgerId, scope: u16, place: Place) -> Self {
        Self {
            version: VERSION,
            ledger_id,
            scope,
            place,
            blocks: 0,
            count: 0,
            key_min: u128::MAX,
            key_max: 0,
            recorded_min_ms: i64::MAX,
            recorded_max_ms: i64::MIN,
            expires_ms: i64::MIN,
        }
    }

    /// Counts a key that the run holds.
    #[inline]
    pub(super) fn cover(&mut self, row: &Row, kind: &Kind) {
        self.count += 1;
        self.key_min = self.key_min.min(row.key());
        self.key_max = self.key_max.max(row.key());
        self.recorded_min_ms = self.recorded_min_ms.min(row.recorded_ms);
        self.recorded_max_ms = self.recorded_max_ms.max(row.recorded_ms);
        self.expires_ms = self.expires_ms.max(row.recorded_ms.saturating_add(kind.window_ms));
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&self.blocks.to_le_bytes());
        out.extend_from_slice(&self.ledger_id.0.to_le_bytes());
        out.extend_from_slice(&self.scope.to_le_bytes());
        out.extend_from_slice(&[self.place.class, KIND_KEYS]);
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.place.bucket.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.key_min.to_le_bytes());
        out.extend_from_slice(&self.key_max.to_le_bytes());
        out.extend_from_slice(&self.recorded_min_ms.to_le_bytes());
        out.extend_from_slice(&self.recorded_max_ms.to_le_bytes());
        out.extend_from_slice(&self.expires_ms.to_le_bytes());
        out.resize(HEADER_BYTES - 4, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, WrongHeader> {
        let mut cursor = Cursor::new(bytes);
        let read = (|| -> Decoded<_> { Ok((cursor.array()?, fixed_u32(&mut cursor)?)) })();
        let Ok((magic, version)) = read else { return Err(WrongHeader::Broken) };
        if magic != MAGIC {
            return Err(WrongHeader::Broken);
        }
        if !(VERSION_1..=VERSION).contains(&version) {
            return Err(WrongHeader::Newer(version));
        }
        let (body, crc) = bytes.split_at_checked(HEADER_BYTES - 4).ok_or(WrongHeader::Broken)?;
        if crc != crc32c::crc32c(body).to_le_bytes() {
            return Err(WrongHeader::Broken);
        }
        Self::fields(&mut cursor, version).map_err(|_| WrongHeader::Broken)
    }

    fn fields(cursor: &mut Cursor<'_>, version: u32) -> Decoded<Self> {
        let blocks = fixed_u32(cursor)?;
        let ledger_id = LedgerId(cursor.u128()?);
        let scope = u16::from_le_bytes(cursor.array()?);
        let [class, kind] = cursor.array()?;
        if kind != KIND_KEYS {
            return Err(cursor.missing("run of keys"));
        }
        cursor.raw(4)?;
        Ok(Self {
            version,
            ledger_id,
            scope,
            place: Place { class, bucket: fixed_i64(cursor)? },
            blocks,
            count: fixed_u64(cursor)?,
            key_min: cursor.u128()?,
            key_max: cursor.u128()?,
            recorded_min_ms: fixed_i64(cursor)?,
            recorded_max_ms: fixed_i64(cursor)?,
            expires_ms: fixed_i64(cursor)?,
        })
    }
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrongHeader {
    /// It isn't one, or its checksum is wrong.
    Broken,
    /// A newer program wrote it.
    Newer(u32),
}

/// A part of a run, as its footer lists it. Readers skip sections that they don't know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) id: u32,
    pub(super) crc: u32,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// The last bytes of a run: the table of its sections, and where that begins.
pub(super) fn encode_footer(sections: &[Section], offset: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for section in sections {
        out.extend_from_slice(&section.id.to_le_bytes());
        out.extend_from_slice(&section.crc.to_le_bytes());
        out.extend_from_slice(&section.offset.to_le_bytes());
        out.extend_from_slice(&section.len.to_le_bytes());
    }
    let crc = crc32c::crc32c(&out);
    out.extend_from_slice(&offset.to_le_bytes());
    out.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&MAGIC_END);
    out
}

/// Where the table of sections begins, how many there are, and their checksum.
pub(super) fn decode_tail(tail: &[u8]) -> Decoded<(u64, usize, u32)> {
    let mut cursor = Cursor::new(tail);
    let offset = fixed_u64(&mut cursor)?;
    let (sections, crc) = (fixed_u32(&mut cursor)? as usize, fixed_u32(&mut cursor)?);
    if cursor.array()? == MAGIC_END {
        Ok((offset, sections, crc))
    } else {
        Err(cursor.missing("end mark"))
    }
}

pub(super) fn decode_sections(table: &[u8]) -> Decoded<Vec<Section>> {
    let section = |bytes: &[u8]| -> Decoded<Section> {
        let mut cursor = Cursor::new(bytes);
        let (id, crc) = (fixed_u32(&mut cursor)?, fixed_u32(&mut cursor)?);
        Ok(Section { id, crc, offset: fixed_u64(&mut cursor)?, len: fixed_u64(&mut cursor)? })
    };
    table.chunks(SECTION_BYTES).map(section).collect()
}

fn fixed_u32(cursor: &mut Cursor<'_>) -> Decoded<u32> {
    cursor.array().map(u32::from_le_bytes)
}

fn fixed_u64(cursor: &mut Cursor<'_>) -> Decoded<u64> {
    cursor.array().map(u64::from_le_bytes)
}

fn fixed_i64(cursor: &mut Cursor<'_>) -> Decoded<i64> {
    cursor.array().map(i64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn headers_round_trip(
            (id, scope, class, bucket, version) in (any::<u128>(), any::<u16>(), any::<u8>(), any::<i64>(), 1..=VERSION),
            (blocks, count, key_min, key_max) in any::<(u32, u64, u128, u128)>(),
            (recorded_min_ms, recorded_max_ms, expires_ms) in any::<(i64, i64, i64)>(),
        ) {
            let (ledger_id, place) = (LedgerId(id), Place { class, bucket });
            let header = Header {
                version, ledger_id, scope, place, blocks, count, key_min, key_max, recorded_min_ms,
                recorded_max_ms, expires_ms,
            };
            let mut bytes = header.encode();
            prop_assert_eq!(bytes.len(), HEADER_BYTES);
            prop_assert_eq!(Header::decode(&bytes), Ok(header));
            bytes[40] ^= 1;
            prop_assert_eq!(Header::decode(&bytes), Err(WrongHeader::Broken));
        }

        #[test]
        fn footers_round_trip(
            sections in prop::collection::vec(any::<(u32, u32, u64, u64)>(), 0..5),
            offset: u64,
        ) {
            let section = |(id, crc, offset, len)| Section { id, crc, offset, len };
            let sections: Vec<Section> = sections.into_iter().map(section).collect();
            let bytes = encode_footer(&sections, offset);
            let (table, tail) = bytes.split_at(bytes.len() - TAIL_BYTES);
            let crc = crc32c::crc32c(table);
            prop_assert_eq!(decode_tail(tail), Ok((offset, sections.len(), crc)));
            prop_assert_eq!(decode_sections(table), Ok(sections));
        }
    }

    #[test]
    fn a_newer_run_is_named() {
        let place = Place { class: 20, bucket: 3 };
        let mut bytes = Header::new(LedgerId(1), 0, place).encode();
        bytes[8] = 9;
        assert_eq!(Header::decode(&bytes), Err(WrongHeader::Newer(9)));
    }
}
