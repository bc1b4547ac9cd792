//! Decoding: from the bytes that a broker handed over to the JSON that the other stages read.
//!
//! What comes out is appended to a buffer of the batch; two scratch buffers and the decompressors'
//! state are kept from event to event. No step puts out more than `decoded_bytes_max`, so that a
//! few kilobytes of compressed zeros can't fill the memory.

mod gzip;
mod text;

use zstd::stream::raw::{DParameter, Decoder as ZstdState, InBuffer, Operation, OutBuffer};

use self::gzip::Gzip;
use self::text::{base64_decode, percent_decode};

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

#[cfg(test)]
mod tests;
