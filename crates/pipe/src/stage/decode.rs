//! Decoding: from the bytes that a broker handed over to the JSON that the other stages read.
//!
//! What comes out is appended to a buffer of the batch; two scratch buffers and the decompressors'
//! state are kept from event to event. No step puts out more than `decoded_bytes_max`, so that a
//! few kilobytes of compressed zeros can't fill the memory.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdState, InBuffer, Operation, OutBuffer};

/// One step from the bytes of the broker to the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecodeStep {
    /// Percent-decoding (RFC 3986). A `+` stays one: the senders of this encoding escape the
    /// space as `%20`, and a `+` in a time or a base64 text must survive.
    Url,
    /// Base64 (RFC 4648), the standard alphabet or the URL-safe one, padded or not, whitespace
    /// around it or not.
    Base64,
    /// Gzip (RFC 1952), one member or several.
    Gzip,
    /// Zstandard (RFC 8878), one frame or several.
    Zstd,
    /// The payload is JSON from here on: the last step. The check itself is the scanner's.
    Json,
}

impl DecodeStep {
    /// The name that configuration uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DecodeStep::Url => "url",
            DecodeStep::Base64 => "base64",
            DecodeStep::Gzip => "gzip",
            DecodeStep::Zstd => "zstd",
            DecodeStep::Json => "json",
        }
    }
}

/// The largest window that a zstd frame may ask for, as a power of two: 8 MiB, what RFC 8878 asks
/// every decoder to take, and what every level but the `--ultra` ones stays below.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A payload that can't be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("decode step {position} (`{}`): {what}", .step.name())]
pub struct DecodeError {
    /// The step that failed.
    pub step: DecodeStep,
    /// Its place in the list of steps, from 1.
    pub position: usize,
    /// What is wrong.
    pub what: DecodeFault,
}

impl DecodeError {
    /// A stable snake_case name, used as the reason of a rejection.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.what.name()
    }
}

/// What is wrong with a payload that can't be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeFault {
    /// A `%` without two hexadecimal digits after it.
    #[error("a `%` at byte {at} isn't followed by two hexadecimal digits")]
    UrlBroken {
        /// Byte offset into what the step was given.
        at: usize,
    },
    /// A character outside the alphabet, a wrong length or wrong padding.
    #[error("this isn't base64")]
    Base64Broken,
    /// No gzip, or its content and its checksum don't agree.
    #[error("this isn't gzip, or it is damaged")]
    GzipBroken,
    /// The gzip ends in the middle.
    #[error("the gzip ends in the middle")]
    GzipTruncated,
    /// No zstd, damaged, or with a window of more than 8 MiB.
    #[error("this isn't zstd, or it is damaged, or its window is larger than 8 MiB")]
    ZstdBroken,
    /// The zstd ends in the middle.
    #[error("the zstd ends in the middle")]
    ZstdTruncated,
    /// More than `decoded_bytes_max` came out.
    #[error("more than decoded_bytes_max = {max} bytes came out")]
    DecodedTooLarge {
        /// The limit.
        max: usize,
    },
}

impl DecodeFault {
    fn name(self) -> &'static str {
        match self {
            DecodeFault::UrlBroken { .. } => "url_broken",
            DecodeFault::Base64Broken => "base64_broken",
            DecodeFault::GzipBroken => "gzip_broken",
            DecodeFault::GzipTruncated => "gzip_truncated",
            DecodeFault::ZstdBroken => "zstd_broken",
            DecodeFault::ZstdTruncated => "zstd_truncated",
            DecodeFault::DecodedTooLarge { .. } => "decoded_too_large",
        }
    }
}

/// What [`Decoder::decode`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// There is nothing to decode: the payload is what it was, and `out` too.
    Same,
    /// The decoded payload was appended to `out`.
    Appended,
}

/// The decode steps of one pipe, with the buffers they need. Owned by one thread.
pub struct Decoder {
    steps: Vec<DecodeStep>,
    decoded_bytes_max: usize,
    scratch: [Vec<u8>; 2],
    gzip: Gzip,
    zstd: Option<ZstdState<'static>>,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("steps", &self.steps)
            .field("decoded_bytes_max", &self.decoded_bytes_max)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder that does the steps in their order, up to the first [`DecodeStep::Json`], and
    /// lets no step put out more than `decoded_bytes_max` bytes.
    #[must_use]
    pub fn new(steps: &[DecodeStep], decoded_bytes_max: usize) -> Decoder {
        let steps = steps.iter().copied().take_while(|step| *step != DecodeStep::Json).collect();
        Decoder {
            steps,
            decoded_bytes_max,
            scratch: [Vec::new(), Vec::new()],
            gzip: Gzip::default(),
            zstd: None,
        }
    }

    /// Whether every payload is passed on as it came, so that `decode` needn't be called.
    #[must_use]
    pub fn is_noop(&self) -> bool {
        self.steps.is_empty()
    }

    /// Decodes one payload and appends the result to `out`.
    ///
    /// # Errors
    /// [`DecodeError`] says which step failed and why; `out` is as it was then.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<Decoded, DecodeError> {
        let Some(last) = self.steps.len().checked_sub(1) else { return Ok(Decoded::Same) };
        let start = out.len();
        let [mut from, mut to] = std::mem::take(&mut self.scratch);
        let mut result = Ok(Decoded::Appended);
        for position in 0..self.steps.len() {
            let Some(&step) = self.steps.get(position) else { break };
            let input = if position == 0 { payload } else { from.as_slice() };
            to.clear();
            let target = if position == last { &mut *out } else { &mut to };
            if let Err(what) = self.step(step, input, target) {
                out.truncate(start);
                result = Err(DecodeError { step, position: position + 1, what });
                break;
            }
            std::mem::swap(&mut from, &mut to);
        }
        self.scratch = [from, to];
        result
    }

    fn step(
        &mut self,
        step: DecodeStep,
        input: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), DecodeFault> {
        let limit = Limit { start: out.len(), max: self.decoded_bytes_max };
        match step {
            DecodeStep::Url => percent_decode(input, out)?,
            DecodeStep::Base64 => base64_decode(input, out)?,
            DecodeStep::Gzip => self.gzip.decode(input, out, limit)?,
            DecodeStep::Zstd => self.zstd_decode(input, out, limit)?,
            DecodeStep::Json => out.extend_from_slice(input),
        }
        limit.check(out)
    }

    fn zstd_decode(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        limit: Limit,
    ) -> Result<(), DecodeFault> {
        let broken = |_| DecodeFault::ZstdBroken;
        let state = match &mut self.zstd {
            Some(state) => {
                state.reinit().map_err(broken)?;
                state
            }
            none => {
                let mut state = ZstdState::new().map_err(broken)?;
                state
                    .set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))
                    .map_err(broken)?;
                none.insert(state)
            }
        };
        let mut source = InBuffer::around(input);
        loop {
            limit.make_room(input.len(), out)?;
            let (out_before, read_before) = (out.len(), source.pos());
            let mut target = OutBuffer::around_pos(out, out_before);
            let wanted = state.run(&mut source, &mut target).map_err(broken)?;
            limit.check(out)?;
            if wanted == 0 && source.pos() == input.len() {
                return Ok(());
            }
            // With room for its output nothing moves only if the frame wants more than there is.
            if out.len() == out_before && source.pos() == read_before {
                return Err(DecodeFault::ZstdTruncated);
            }
        }
    }
}

/// How far a step may go in the buffer that it appends to.
#[derive(Debug, Clone, Copy)]
struct Limit {
    start: usize,
    max: usize,
}

impl Limit {
    fn check(self, out: &[u8]) -> Result<(), DecodeFault> {
        if out.len() - self.start > self.max {
            return Err(DecodeFault::DecodedTooLarge { max: self.max });
        }
        Ok(())
    }

    /// Makes sure that a decompressor has room: a guess from the size of its input at first, then
    /// as much again as came out, never much more than the limit allows.
    fn make_room(self, input_len: usize, out: &mut Vec<u8>) -> Result<(), DecodeFault> {
        const ROOM_BYTES_MIN: usize = 512;
        self.check(out)?;
        let done = out.len() - self.start;
        let wanted = done.max(input_len.saturating_mul(4)).max(ROOM_BYTES_MIN);
        if out.capacity() - out.len() < ROOM_BYTES_MIN {
            // One byte beyond the limit, to notice that it was passed.
            out.reserve(wanted.min(self.max - done + 1));
        }
        Ok(())
    }
}

fn percent_decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    // Byte by byte: in JSON that was sent like this, every few bytes there is an escape.
    let start = out.len();
    out.resize(start + input.len(), 0);
    let mut slots = out.iter_mut().skip(start);
    let mut rest = input;
    let mut written = 0;
    while let [first, after @ ..] = rest {
        let byte = if *first == b'%' {
            let broken = DecodeFault::UrlBroken { at: input.len() - rest.len() };
            let [high, low, after @ ..] = after else { return Err(broken) };
            let (high, low) = hex(*high).zip(hex(*low)).ok_or(broken)?;
            rest = after;
            high << 4 | low
        } else {
            rest = after;
            *first
        };
        if let Some(slot) = slots.next() {
            *slot = byte;
        }
        written += 1;
    }
    out.truncate(start + written);
    Ok(())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn base64_decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeFault> {
    let text = input.trim_ascii();
    let padding = text.iter().rev().take(3).take_while(|byte| **byte == b'=').count();
    let unpadded = text.len() - padding;
    // Padding is no duty, but where it stands it has to be right.
    if padding > 2 || (padding > 0 && !text.len().is_multiple_of(4)) {
        return Err(DecodeFault::Base64Broken);
    }
    let digits = text.get(..unpadded).unwrap_or_default();
    let alphabet = if memchr::memchr2(b'-', b'_', digits).is_some() {
        base64_simd::URL_SAFE_NO_PAD
    } else {
        base64_simd::STANDARD_NO_PAD
    };
    alphabet.decode_append(digits, out).map_err(|_| DecodeFault::Base64Broken)
}

/// The state of inflating, used again for every payload.
struct Gzip {
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
    fn decode(&mut self, input: &[u8], out: &mut Vec<u8>, limit: Limit) -> Result<(), DecodeFault> {
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

#[cfg(test)]
mod tests {
    use super::DecodeStep::*;
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    const MAX: usize = 1 << 20;

    fn decode(steps: &[DecodeStep], payload: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut out = b"before".to_vec();
        let result = Decoder::new(steps, MAX).decode(payload, &mut out);
        assert_eq!(&out[..6], b"before");
        if result.is_err() {
            assert_eq!(out, b"before", "what failed leaves nothing behind");
        }
        result.map(|_| out.split_off(6))
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(content: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(content, 1).unwrap()
    }

    fn base64(content: &[u8]) -> Vec<u8> {
        base64_simd::STANDARD.encode_to_string(content).into_bytes()
    }

    fn fault(steps: &[DecodeStep], payload: &[u8]) -> &'static str {
        decode(steps, payload).unwrap_err().name()
    }

    #[test]
    fn the_iot_sample_is_percent_decoded() {
        let sent = b"%7B%22id%22%3A%221%22%2C%22eventType%22%3A%22IOT_EVENT%22%2C%22eventId%22%3A%22Event1%22%2C%22createdAt%22%3A11999111%2C%22body%22%3A%22Testevent%22%7D";
        let json = br#"{"id":"1","eventType":"IOT_EVENT","eventId":"Event1","createdAt":11999111,"body":"Testevent"}"#;
        assert_eq!(decode(&[Url, Json], sent).unwrap(), json);
    }

    #[test]
    fn a_plus_stays_a_plus() {
        assert_eq!(decode(&[Url], b"12:00+02:00%2b%20x").unwrap(), b"12:00+02:00+ x");
    }

    #[test]
    fn a_percent_sign_without_digits_is_broken() {
        for payload in [&b"100%"[..], b"%a", b"50% off", b"%0g", b"%\x80\x80"] {
            assert_eq!(fault(&[Url], payload), "url_broken");
        }
        let error = decode(&[Url], b"%41%41x%zz").unwrap_err();
        assert_eq!(error.what, DecodeFault::UrlBroken { at: 7 });
        assert_eq!(
            error.to_string(),
            "decode step 1 (`url`): a `%` at byte 7 isn't followed by two hexadecimal digits"
        );
    }

    #[test]
    fn base64_comes_in_several_dresses() {
        for text in ["+/9h", "-_9h", " +/9h\r\n"] {
            assert_eq!(decode(&[Base64], text.as_bytes()).unwrap(), [0xfb, 0xff, 0x61], "{text}");
        }
        for text in ["YQ==", "YQ", "\nYQ==\n"] {
            assert_eq!(decode(&[Base64], text.as_bytes()).unwrap(), b"a", "{text}");
        }
        assert_eq!(decode(&[Base64], b"").unwrap(), b"");
    }

    #[test]
    fn what_is_no_base64_is_broken() {
        for text in
            ["Y", "YQ=", "YQ===", "YWI==", "Y Q=", "YQ==YQ==", "{}", "+_9h", "Y\0==", "===="]
        {
            assert_eq!(fault(&[Base64], text.as_bytes()), "base64_broken", "{text:?}");
        }
    }

    #[test]
    fn gzip_members_are_joined() {
        let mut sent = gzip(b"{\"a\":");
        sent.extend(gzip(b""));
        sent.extend(gzip(b"1}"));
        assert_eq!(decode(&[Gzip], &sent).unwrap(), b"{\"a\":1}");
    }

    #[test]
    fn gzip_headers_may_hold_everything() {
        let mut encoder = flate2::GzBuilder::new()
            .extra(b"xtra".to_vec())
            .filename("a name")
            .comment("a comment")
            .write(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"{}").unwrap();
        let sent = encoder.finish().unwrap();
        assert_eq!(decode(&[Gzip], &sent).unwrap(), b"{}");
        for len in 0..sent.len() {
            assert_eq!(fault(&[Gzip], &sent[..len]), "gzip_truncated", "cut at {len}");
        }
    }

    #[test]
    fn a_damaged_gzip_is_broken() {
        let whole = gzip(br#"{"event_uuid":"0190a6c1","event_name":"game:resumed"}"#);
        assert_eq!(fault(&[Gzip], b"{}"), "gzip_broken");
        for at in [0, 1, 2, 3, whole.len() - 8, whole.len() - 1] {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            assert_eq!(fault(&[Gzip], &damaged), "gzip_broken", "flipped at {at}");
        }
        let mut followed = whole;
        followed.push(b'\n');
        assert_eq!(fault(&[Gzip], &followed), "gzip_broken");
    }

    #[test]
    fn zstd_frames_are_joined_and_checked() {
        let whole = zstd(br#"{"a":1}"#);
        assert_eq!(decode(&[Zstd], &whole).unwrap(), br#"{"a":1}"#);
        let twice = [whole.clone(), whole.clone()].concat();
        assert_eq!(decode(&[Zstd], &twice).unwrap(), br#"{"a":1}{"a":1}"#);
        for len in 1..whole.len() {
            assert_eq!(fault(&[Zstd], &whole[..len]), "zstd_truncated", "cut at {len}");
            assert_eq!(fault(&[Zstd], &twice[..whole.len() + len]), "zstd_truncated");
        }
        assert_eq!(fault(&[Zstd], b"{\"a\":1}"), "zstd_broken");
        assert_eq!(fault(&[Zstd], &[whole, b"garbage".to_vec()].concat()), "zstd_broken");
    }

    #[test]
    fn a_zstd_frame_with_a_huge_window_is_refused() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"{}").unwrap();
        assert_eq!(fault(&[Zstd], &encoder.finish().unwrap()), "zstd_broken");
    }

    #[test]
    fn nothing_grows_past_decoded_bytes_max() {
        let zeros = vec![b' '; 100 << 20];
        for (step, bomb) in [(Gzip, gzip(&zeros)), (Zstd, zstd(&zeros))] {
            for steps in [vec![step], vec![step, Base64]] {
                let mut decoder = Decoder::new(&steps, MAX);
                let mut out = Vec::new();
                let error = decoder.decode(&bomb, &mut out).unwrap_err();
                assert_eq!(error.name(), "decoded_too_large");
                assert_eq!((error.step, error.position), (step, 1));
                assert!(out.is_empty());
                let held =
                    out.capacity() + decoder.scratch.iter().map(Vec::capacity).sum::<usize>();
                assert!(held <= 3 * MAX, "{held} bytes held after a bomb");
            }
        }
        let exact = vec![b' '; MAX];
        for (step, sent) in [(Gzip, gzip(&exact)), (Zstd, zstd(&exact)), (Url, exact.clone())] {
            assert_eq!(decode(&[step], &sent).unwrap().len(), MAX);
        }
        assert_eq!(fault(&[Url], &vec![b' '; MAX + 1]), "decoded_too_large");
    }

    #[test]
    fn steps_follow_each_other_and_errors_name_theirs() {
        let json = br#"{"a":1}"#;
        let sent = base64(&gzip(&zstd(json)));
        assert_eq!(decode(&[Base64, Gzip, Zstd, Json], &sent).unwrap(), json);
        let error = decode(&[Base64, Gzip, Zstd, Json], &base64(&gzip(b"{}"))).unwrap_err();
        assert_eq!((error.step, error.position, error.name()), (Zstd, 3, "zstd_broken"));
    }

    #[test]
    fn without_steps_nothing_is_copied() {
        let mut out = Vec::new();
        for steps in [&[][..], &[Json]] {
            let mut decoder = Decoder::new(steps, 1);
            assert!(decoder.is_noop());
            assert_eq!(decoder.decode(b"{\"a\":1}", &mut out), Ok(Decoded::Same));
            assert!(out.is_empty());
        }
    }

    proptest! {
        #[test]
        fn one_decoder_decodes_one_payload_after_the_other(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..6),
            cut in 0_usize..100,
        ) {
            let mut decoder = Decoder::new(&[Base64, Gzip, Zstd, Url], MAX);
            for payload in payloads {
                let escaped: Vec<u8> =
                    payload.iter().flat_map(|byte| format!("%{byte:02x}").into_bytes()).collect();
                let sent = base64(&gzip(&zstd(&escaped)));
                let mut out = Vec::new();
                // What went wrong before doesn't reach into what comes after.
                let _ = decoder.decode(&sent[..sent.len().saturating_sub(cut)], &mut out);
                out.clear();
                prop_assert_eq!(decoder.decode(&sent, &mut out), Ok(Decoded::Appended));
                prop_assert_eq!(&out, &payload);
            }
        }

        #[test]
        fn any_bytes_decode_or_are_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            for step in [Url, Base64, Gzip, Zstd] {
                let _ = decode(&[step], &payload);
            }
            let mut damaged = gzip(&payload);
            let at = payload.len() % damaged.len();
            damaged[at] ^= 0x10;
            let _ = decode(&[Gzip], &damaged);
            let mut damaged = zstd(&payload);
            let at = payload.len() % damaged.len();
            damaged[at] ^= 0x10;
            let _ = decode(&[Zstd], &damaged);
        }
    }
}
