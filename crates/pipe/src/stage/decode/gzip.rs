//! Gzip, one member or several.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{DecodeFault, Limit};

/// The state of inflating, used again for every payload.
pub(super) struct Gzip {
    inflate: Decompress,
    crc: Crc,
}

impl Default for Gzip {
    fn default() -> Gzip {
        // The header is read here: flate2's reader would allocate its state for each payload.
        Gzip { inflate: Decompress::new(false), crc: Crc::new() }
    }
}

impl Gzip {
    /// Any number of members, at least one, and nothing else.
    pub(super) fn decode(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: Limit,
    ) -> Result<(), DecodeFault> {
        let mut rest = input;
        loop {
            let body = gzip_body(rest)?;
            let member_start = out.len();
            let after = self.inflate_member(body, out, limit)?;
            let (trailer, next) =
                after.split_first_chunk::<8>().ok_or(DecodeFault::GzipTruncated)?;
            let [c1, c2, c3, c4, l1, l2, l3, l4] = *trailer;
            let member = out.get(member_start..).unwrap_or_default();
            self.crc.reset();
            self.crc.update(member);
            let same_sum = self.crc.sum() == u32::from_le_bytes([c1, c2, c3, c4]);
            let same_len = member.len() as u64 & u64::from(u32::MAX)
                == u64::from(u32::from_le_bytes([l1, l2, l3, l4]));
            if !same_sum || !same_len {
                return Err(DecodeFault::GzipBroken);
            }
            if next.is_empty() {
                return Ok(());
            }
            rest = next;
        }
    }

    /// Appends the content of one deflate stream; what follows it is returned.
    fn inflate_member<'a>(
        &mut self,
        body: &'a [u8],
        out: &mut Vec<u8>,
        limit: Limit,
    ) -> Result<&'a [u8], DecodeFault> {
        self.inflate.reset(false);
        let mut rest = body;
        loop {
            limit.make_room(rest.len(), out)?;
            let (out_before, read_before) = (out.len(), self.inflate.total_in());
            let status = self
                .inflate
                .decompress_vec(rest, out, FlushDecompress::None)
                .map_err(|_| DecodeFault::GzipBroken)?;
            let read = usize::try_from(self.inflate.total_in() - read_before).unwrap_or(usize::MAX);
            rest = rest.get(read..).unwrap_or_default();
            limit.check(out)?;
            if status == Status::StreamEnd {
                return Ok(rest);
            }
            // With room for its output nothing moves only if the stream wants more than there is.
            if out.len() == out_before && read == 0 {
                return Err(DecodeFault::GzipTruncated);
            }
        }
    }
}

/// Reads a member's header (RFC 1952, section 2.3) and returns what follows it.
fn gzip_body(input: &[u8]) -> Result<&[u8], DecodeFault> {
    const HEADER_CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const RESERVED: u8 = 0xe0;
    let truncated = DecodeFault::GzipTruncated;
    // A short start of a gzip is truncated, anything else is none.
    let magic = [0x1f, 0x8b, 8];
    let known = input.len().min(magic.len());
    if input.get(..known) != magic.get(..known) {
        return Err(DecodeFault::GzipBroken);
    }
    let (header, mut rest) = input.split_first_chunk::<10>().ok_or(truncated)?;
    let [_, _, _, flags, ..] = *header;
    if flags & RESERVED != 0 {
        return Err(DecodeFault::GzipBroken);
    }
    if flags & EXTRA != 0 {
        let (len, after) = rest.split_first_chunk::<2>().ok_or(truncated)?;
        rest = after.get(usize::from(u16::from_le_bytes(*len))..).ok_or(truncated)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let len = memchr::memchr(0, rest).ok_or(truncated)?;
            rest = rest.get(len + 1..).ok_or(truncated)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..).ok_or(truncated)?;
    }
    Ok(rest)
}
