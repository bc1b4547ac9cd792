//! What stands on disk: docs/formats/journal.md. Numbers are little-endian.

use crc32c::{crc32c, crc32c_append};

/// Bytes of a segment's header.
pub(super) const SEGMENT_HEADER_BYTES: u64 = 64;
/// Bytes of a group's header.
pub(super) const GROUP_HEADER_BYTES: u64 = 40;
/// Bytes of a record's header.
pub(super) const RECORD_HEADER_BYTES: u64 = 8;
/// Groups begin at multiples of this.
pub(super) const ALIGN_BYTES: u64 = 8;
/// The version that is written, and the newest that is read.
pub(super) const VERSION: u32 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"ONCEFLOG";
/// Marks a group's header; recovery looks for it behind a bad group.
pub(super) const GROUP_MAGIC: [u8; 4] = *b"GRP\x9e";
/// In a record's length: no record of the group comes after this one.
const LAST_OF_GROUP: u32 = 1 << 31;

/// The first bytes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) journal: u128,
    pub(super) segment: u64,
    /// Position of the segment's first group; where what comes before it ends.
    pub(super) base: u64,
    /// Everything below this position was synced before this header was written.
    pub(super) synced_through: u64,
    /// Checksum of the last group before `base`.
    pub(super) prev_checksum: u32,
}

/// Why a file isn't a segment that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    NotASegment,
    Newer(u32),
    Checksum,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES as usize] {
        let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES as usize);
        bytes.extend(SEGMENT_MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend((SEGMENT_HEADER_BYTES as u32).to_le_bytes());
        bytes.extend(self.journal.to_le_bytes());
        bytes.extend(self.segment.to_le_bytes());
        bytes.extend(self.base.to_le_bytes());
        bytes.extend(self.synced_through.to_le_bytes());
        bytes.extend(self.prev_checksum.to_le_bytes());
        bytes.extend(crc32c(&bytes).to_le_bytes());
        let mut header = [0; SEGMENT_HEADER_BYTES as usize];
        header.copy_from_slice(&bytes);
        header
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        if bytes.get(..8) != Some(&SEGMENT_MAGIC) {
            return Err(HeaderFault::NotASegment);
        }
        match u32_at(bytes, 8) {
            Some(version) if version > VERSION => return Err(HeaderFault::Newer(version)),
            Some(_) => {}
            None => return Err(HeaderFault::NotASegment),
        }
        let header = || {
            let crc = crc32c(bytes.get(..60)?);
            let journal = bytes.get(16..32)?.try_into().ok().map(u128::from_le_bytes)?;
            let header = Self {
                journal,
                segment: u64_at(bytes, 32)?,
                base: u64_at(bytes, 40)?,
                synced_through: u64_at(bytes, 48)?,
                prev_checksum: u32_at(bytes, 56)?,
            };
            (crc == u32_at(bytes, 60)?).then_some(header)
        };
        header().ok_or(HeaderFault::Checksum)
    }

    /// What the checksums of the segment's groups begin with, so that a group is valid only in its
    /// own segment of its own journal.
    pub(super) fn seed(&self) -> u32 {
        crc32c_append(crc32c(&self.journal.to_le_bytes()), &self.segment.to_le_bytes())
    }

    /// Where in the file a position stands.
    pub(super) fn offset(&self, position: u64) -> u64 {
        position.saturating_sub(self.base).saturating_add(SEGMENT_HEADER_BYTES)
    }

    /// Position of a place in the file.
    pub(super) fn position(&self, offset: u64) -> u64 {
        self.base + offset - SEGMENT_HEADER_BYTES
    }
}

/// The first bytes of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    /// Length of the records with their headers, without the padding behind them.
    pub(super) payload_bytes: u32,
    /// 0 in the group that a clean close writes: that one holds nothing, and nothing goes on from it.
    pub(super) records: u32,
    /// Where this header stands.
    pub(super) position: u64,
    /// Everything below this position was synced before this group was written.
    pub(super) synced_through: u64,
    /// Checksum of the group before.
    pub(super) prev_checksum: u32,
    /// Checksum of the records' headers, which hold those of the records.
    pub(super) payload_crc: u32,
}

impl GroupHeader {
    /// The header's bytes and its checksum, which is the group's, too.
    pub(super) fn encode(&self, seed: u32, offset: u64) -> ([u8; 40], u32) {
        let mut fields = Vec::with_capacity(32);
        fields.extend(self.payload_bytes.to_le_bytes());
        fields.extend(self.records.to_le_bytes());
        fields.extend(self.position.to_le_bytes());
        fields.extend(self.synced_through.to_le_bytes());
        fields.extend(self.prev_checksum.to_le_bytes());
        fields.extend(self.payload_crc.to_le_bytes());
        let checksum = group_checksum(seed, offset, &fields);
        let mut header = [0; GROUP_HEADER_BYTES as usize];
        let bytes = GROUP_MAGIC.into_iter().chain(checksum.to_le_bytes()).chain(fields);
        header.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
        (header, checksum)
    }

    /// The header and its checksum, if these bytes are one that was written at this place.
    pub(super) fn decode(bytes: &[u8], seed: u32, offset: u64) -> Option<(Self, u32)> {
        if bytes.get(..4)? != GROUP_MAGIC {
            return None;
        }
        let checksum = group_checksum(seed, offset, bytes.get(8..40)?);
        if checksum != u32_at(bytes, 4)? {
            return None;
        }
        let header = Self {
            payload_bytes: u32_at(bytes, 8)?,
            records: u32_at(bytes, 12)?,
            position: u64_at(bytes, 16)?,
            synced_through: u64_at(bytes, 24)?,
            prev_checksum: u32_at(bytes, 32)?,
            payload_crc: u32_at(bytes, 36)?,
        };
        Some((header, checksum))
    }

    /// Bytes from this header to the next group's.
    pub(super) fn group_bytes(&self) -> u64 {
        group_bytes(u64::from(self.payload_bytes))
    }
}

/// Bytes that a group with a payload of `payload_bytes` takes.
pub(super) fn group_bytes(payload_bytes: u64) -> u64 {
    (GROUP_HEADER_BYTES + payload_bytes).next_multiple_of(ALIGN_BYTES)
}

fn group_checksum(seed: u32, offset: u64, fields: &[u8]) -> u32 {
    crc32c_append(crc32c_append(seed, &offset.to_le_bytes()), fields)
}

/// What stands before a record's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) bytes: u32,
    pub(super) last: bool,
    pub(super) crc: u32,
}

impl RecordHeader {
    /// `crc` is that of the record's bytes alone.
    pub(super) fn new(bytes: u32, last: bool, crc: u32, position: u64) -> Self {
        let crc = record_crc(crc, length_field(bytes, last), position);
        Self { bytes, last, crc }
    }

    pub(super) fn encode(&self) -> [u8; RECORD_HEADER_BYTES as usize] {
        let [a, b, c, d] = length_field(self.bytes, self.last).to_le_bytes();
        let [e, f, g, h] = self.crc.to_le_bytes();
        [a, b, c, d, e, f, g, h]
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let field = u32_at(bytes, 0)?;
        let (bytes, crc) = (field & !LAST_OF_GROUP, u32_at(bytes, 4)?);
        Some(Self { bytes, last: field & LAST_OF_GROUP != 0, crc })
    }

    /// Whether this is the header of `record` at `position`.
    pub(super) fn fits(&self, record: &[u8], position: u64) -> bool {
        let field = length_field(self.bytes, self.last);
        record_crc(crc32c(record), field, position) == self.crc
    }
}

fn length_field(bytes: u32, last: bool) -> u32 {
    bytes | if last { LAST_OF_GROUP } else { 0 }
}

fn record_crc(crc: u32, length_field: u32, position: u64) -> u32 {
    crc32c_append(crc32c_append(crc, &length_field.to_le_bytes()), &position.to_le_bytes())
}

/// One record of a group's payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordAt<'a> {
    pub(super) position: u64,
    pub(super) header: RecordHeader,
    pub(super) bytes: &'a [u8],
}

/// The records of a payload that begins at `position`; ends early where a header makes no sense.
pub(super) fn records(payload: &[u8], position: u64) -> impl Iterator<Item = RecordAt<'_>> {
    let (mut rest, mut position) = (payload, position);
    std::iter::from_fn(move || {
        let header = RecordHeader::decode(rest)?;
        let (_, body) = rest.split_at_checked(RECORD_HEADER_BYTES as usize)?;
        let (bytes, after) = body.split_at_checked(header.bytes as usize)?;
        let record = RecordAt { position, header, bytes };
        position += RECORD_HEADER_BYTES + u64::from(header.bytes);
        rest = after;
        Some(record)
    })
}

/// Whether a payload is the one that its group's header speaks of.
pub(super) fn payload_is_whole(header: &GroupHeader, payload: &[u8]) -> bool {
    let (mut crc, mut count, mut bytes, mut closed) = (0, 0, 0, header.records == 0);
    for record in records(payload, header.position + GROUP_HEADER_BYTES) {
        if !record.header.fits(record.bytes, record.position) {
            return false;
        }
        crc = crc32c_append(crc, &record.header.encode());
        count += 1;
        bytes += RECORD_HEADER_BYTES + record.bytes.len() as u64;
        closed = record.header.last;
    }
    let whole = bytes == u64::from(header.payload_bytes) && bytes == payload.len() as u64;
    whole && closed && count == header.records && crc == header.payload_crc
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_comes_back_and_every_flipped_bit_shows() {
        let header = SegmentHeader {
            journal: 0x1234_5678_9abc_def0_1122_3344_5566_7788,
            segment: 7,
            base: 99,
            synced_through: 98,
            prev_checksum: 5,
        };
        let bytes = header.encode();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(SegmentHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_group_header_is_valid_only_where_it_was_written() {
        let header = GroupHeader {
            payload_bytes: 100,
            records: 3,
            position: 400,
            synced_through: 400,
            prev_checksum: 17,
            payload_crc: 18,
        };
        let (bytes, checksum) = header.encode(9, 464);
        assert_eq!(GroupHeader::decode(&bytes, 9, 464), Some((header, checksum)));
        assert_eq!(GroupHeader::decode(&bytes, 9, 472), None);
        assert_eq!(GroupHeader::decode(&bytes, 8, 464), None);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(GroupHeader::decode(&flipped, 9, 464), None, "bit {bit}");
        }
    }
}
