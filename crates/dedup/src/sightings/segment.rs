//! The frame of a sightings file: a header, then records with length and checksum.

use event::LedgerId;

use super::Dropped;

/// The format that this program writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
/// Ending of the files' names.
pub(super) const ENDING: &str = ".seen";
pub(super) const HEADER_BYTES: usize = 64;
pub(super) const FRAME_BYTES: usize = 8;
const MAGIC: [u8; 8] = *b"ONCESEEN";

/// The first bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) ledger_id: LedgerId,
    /// What was dropped before the file was begun.
    pub(super) dropped: Dropped,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.ledger_id.0.to_le_bytes());
        out.extend_from_slice(&self.dropped.rows.to_le_bytes());
        out.extend_from_slice(&self.dropped.through_ms.to_le_bytes());
        out.resize(HEADER_BYTES - 4, 0);
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// `None`: it isn't one, or is torn, or of a newer format.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, crc) = bytes.get(..HEADER_BYTES)?.split_at_checked(HEADER_BYTES - 4)?;
        let (magic, rest) = body.split_first_chunk::<8>()?;
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let known = *magic == MAGIC && u32::from_le_bytes(*version) <= VERSION;
        if !known || crc != crc32c::crc32c(body).to_le_bytes() {
            return None;
        }
        let (ledger_id, rest) = rest.get(4..)?.split_first_chunk::<16>()?;
        let (rows, rest) = rest.split_first_chunk::<8>()?;
        let (through_ms, _) = rest.split_first_chunk::<8>()?;
        Some(Self {
            ledger_id: LedgerId(u128::from_le_bytes(*ledger_id)),
            dropped: Dropped {
                rows: u64::from_le_bytes(*rows),
                through_ms: i64::from_le_bytes(*through_ms),
            },
        })
    }
}

/// Fills in the frame of a record: `record` begins with [`FRAME_BYTES`] of room.
pub(super) fn close_frame(record: &mut [u8]) {
    let Some((frame, payload)) = record.split_first_chunk_mut::<FRAME_BYTES>() else { return };
    let (len, crc) = (payload.len() as u32, crc32c::crc32c(payload));
    *frame = (u64::from(len) | u64::from(crc) << 32).to_le_bytes();
}

/// The payload of the record at the beginning of `bytes`; `None` where there is no whole one.
pub(super) fn open_frame(bytes: &[u8]) -> Option<&[u8]> {
    let (frame, rest) = bytes.split_first_chunk::<FRAME_BYTES>()?;
    let frame = u64::from_le_bytes(*frame);
    let (len, crc) = (frame as u32 as usize, (frame >> 32) as u32);
    let payload = rest.get(..len).filter(|payload| !payload.is_empty())?;
    (crc32c::crc32c(payload) == crc).then_some(payload)
}

/// The name of the file that is the `number`th of an epoch. Names sort by age.
pub(super) fn file_name(epoch: u64, number: u32) -> String {
    format!("{epoch:012}-{number:08}{ENDING}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip_and_torn_ones_are_none() {
        let header = Header {
            ledger_id: LedgerId(77),
            dropped: Dropped { rows: 9, through_ms: 1_700_000_000_000 },
        };
        let mut bytes = header.encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::decode(&bytes), Some(header));
        assert_eq!(Header::decode(&bytes[..40]), None);
        bytes[20] ^= 1;
        assert_eq!(Header::decode(&bytes), None);
    }

    #[test]
    fn frames_that_are_cut_or_changed_are_none() {
        let mut record = vec![0; FRAME_BYTES];
        record.extend_from_slice(b"payload");
        close_frame(&mut record);
        assert_eq!(open_frame(&record), Some(&b"payload"[..]));
        for len in 0..record.len() {
            assert_eq!(open_frame(&record[..len]), None, "cut to {len}");
        }
        record[9] ^= 1;
        assert_eq!(open_frame(&record), None);
        assert_eq!(open_frame(&[0; 100]), None, "zeros are no record");
    }
}
