//! How keys lie in Redis: names, records and their codec. docs/formats/redis.md is the page to it.
//!
//! A scope's keys are spread over [`SHARDS`] shards by their first bits; a shard lives in one hash
//! slot. It has a *head* (a hash: who holds what) and *places* (strings of records, by the next
//! bits of the key). So everything about a key, whatever its recorded time and window, is in one
//! place, and one script decides over it.

use std::fmt::Write as _;

use super::super::{Asked, BatchRef};
use crate::scope::FOREVER_MS;

/// The version of the layout that stands in the scope's record.
pub(super) const VERSION: &str = "1";
/// Shards of a scope: each in a hash slot of its own.
pub(super) const SHARDS: usize = 64;
const SHARD_BITS: u32 = SHARDS.trailing_zeros();
/// Bits of the key that choose the place in a new shard. With the shard's they are 16, which is
/// what a record leaves out.
pub(super) const PLACE_BITS_MIN: u32 = 10;
/// More bits than that are never used: 2^36 places of a shard.
pub(super) const PLACE_BITS_MAX: u32 = 36;
/// A shard's places are doubled when they hold more records than this on average.
pub(super) const RECORDS_A_PLACE: usize = 32;

/// The part of a key that stands in a record.
pub(super) const FIELD_BYTES: usize = 14;
/// A record as it is asked for: field, recorded time, window, until, body hash.
pub(super) const ASK_BYTES: usize = 39;
/// A record as it lies in a place: with its holder.
pub(super) const RECORD_BYTES: usize = 44;
/// What a release names: field and recorded time.
pub(super) const RELEASE_BYTES: usize = 22;
/// What is told about a duplicate: recorded time, window, until, body hash.
pub(super) const TOLD_BYTES: usize = 25;
/// A batch, in a shard's head.
pub(super) const REF_BYTES: usize = 34;
/// A holder's number in its shard.
pub(super) const HOLDER_BYTES: usize = 5;

/// Five bytes of a window; this many ms and more are without end (34 years).
const WINDOW_FOREVER: u64 = (1 << 40) - 1;
/// Until when a key without end is kept; seconds since the Unix epoch (the year 2106).
pub(super) const UNTIL_FOREVER_S: u32 = u32::MAX;

/// The shard of a key.
pub(super) fn shard(key: u128) -> usize {
    (key >> (128 - SHARD_BITS)) as usize
}

/// The place of a key in a shard of `bits`.
pub(super) fn place(key: u128, bits: u32) -> u64 {
    ((key << SHARD_BITS) >> (128 - bits)) as u64
}

/// Untils are multiples of this, so that a place's expiry seldom changes; s.
const UNTIL_STEP_S: i64 = 256;

/// Until when a key is to be kept, by the server's clock; seconds since the Unix epoch. A recorded
/// time in the future counts up to the margin, so that a wrong one doesn't stay for ever.
pub(super) fn until_s(asked: &Asked, now_ms: i64, margin_ms: i64) -> u32 {
    if window(asked.window_ms) == WINDOW_FOREVER {
        return UNTIL_FOREVER_S;
    }
    let from = asked.recorded_ms.clamp(now_ms, now_ms.saturating_add(margin_ms));
    let until = from.saturating_add(asked.window_ms.max(0)).saturating_add(margin_ms);
    let steps = until / 1000 / UNTIL_STEP_S + 1;
    u32::try_from(steps.saturating_mul(UNTIL_STEP_S)).unwrap_or(UNTIL_FOREVER_S)
}

fn window(window_ms: i64) -> u64 {
    u64::try_from(window_ms).unwrap_or(0).min(WINDOW_FOREVER)
}

/// Appends the record of what is asked for.
pub(super) fn put_ask(out: &mut Vec<u8>, asked: &Asked, until_s: u32) {
    put_release(out, asked);
    out.extend(window(asked.window_ms).to_be_bytes().iter().skip(3));
    out.extend(until_s.to_be_bytes());
    out.extend(asked.body_hash.to_be_bytes());
}

/// Appends what a release names.
pub(super) fn put_release(out: &mut Vec<u8>, asked: &Asked) {
    out.extend(asked.key.to_be_bytes().iter().skip(16 - FIELD_BYTES));
    // Biased, so that the order of bytes is the order of times.
    out.extend((asked.recorded_ms as u64 ^ 1 << 63).to_be_bytes());
}

/// What a duplicate is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) recorded_ms: i64,
    pub(super) window_ms: i64,
    pub(super) body_hash: u64,
}

impl Told {
    pub(super) fn read(bytes: &[u8; TOLD_BYTES]) -> Self {
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        let (recorded, rest) = bytes.split_at(8);
        let (window, rest) = rest.split_at(5);
        let body = rest.get(4..).unwrap_or_default();
        let window = number(window);
        Self {
            recorded_ms: (number(recorded) ^ 1 << 63) as i64,
            window_ms: if window == WINDOW_FOREVER { FOREVER_MS } else { window as i64 },
            body_hash: number(body),
        }
    }
}

/// A batch, as a shard's head names it.
pub(super) fn batch_bytes(batch: BatchRef) -> [u8; REF_BYTES] {
    let mut bytes = [0; REF_BYTES];
    let parts = (batch.worker.0.to_be_bytes().into_iter())
        .chain(batch.pipe.to_be_bytes())
        .chain(batch.epoch.0.to_be_bytes())
        .chain(batch.number.0.to_be_bytes());
    for (to, from) in bytes.iter_mut().zip(parts) {
        *to = from;
    }
    bytes
}

/// The batch that a shard's head names.
pub(super) fn batch_of(bytes: &[u8]) -> Option<BatchRef> {
    let bytes: &[u8; REF_BYTES] = bytes.try_into().ok()?;
    let (worker, rest) = bytes.split_first_chunk::<16>()?;
    let (pipe, rest) = rest.split_first_chunk::<2>()?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let (number, _) = rest.split_first_chunk::<8>()?;
    Some(BatchRef {
        worker: event::LedgerId(u128::from_be_bytes(*worker)),
        pipe: u16::from_be_bytes(*pipe),
        epoch: event::Epoch(u64::from_be_bytes(*epoch)),
        number: event::BatchNumber(u64::from_be_bytes(*number)),
    })
}

/// The names of a scope's keys in Redis.
#[derive(Debug)]
pub(super) struct Names {
    /// The scope's record.
    pub(super) scope: String,
    before: String,
    /// The hash slot of each shard.
    pub(super) slots: Vec<u16>,
}

impl Names {
    /// What is in braces alone decides the slot, so braces and other odd characters of a scope's
    /// name are written as `%` and hex.
    pub(super) fn new(prefix: &str, scope: &str) -> Self {
        let mut before = format!("{prefix}:{{");
        for byte in scope.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.') {
                before.push(char::from(byte));
            } else {
                let _ = write!(before, "%{byte:02x}");
            }
        }
        let mut names = Self { scope: format!("{before}}}"), before, slots: Vec::new() };
        names.slots = (0..SHARDS).map(|shard| slot(&names.head(shard))).collect();
        names
    }

    /// The head of a shard.
    pub(super) fn head(&self, shard: usize) -> String {
        format!("{}/{shard:02x}}}", self.before)
    }

    /// A place of a shard, appended to `out`. The generation is drawn when the shard's head is made,
    /// so that a head never finds places that it knows nothing of.
    pub(super) fn put_place(
        &self,
        out: &mut Vec<u8>,
        shard: usize,
        generation: &str,
        bits: u32,
        place: u64,
    ) {
        out.extend(self.before.as_bytes());
        out.push(b'/');
        put_hex(out, shard as u64, 2);
        out.push(b'}');
        out.extend(generation.as_bytes());
        put_hex(out, u64::from(bits), 2);
        put_hex(out, place, bits.div_ceil(4));
    }

    /// A batch's record; in a slot of its own.
    pub(super) fn batch(&self, batch: BatchRef) -> String {
        format!(
            "{}/b/{}.{}.{}.{}}}",
            self.before, batch.worker, batch.pipe, batch.epoch.0, batch.number
        )
    }
}

fn put_hex(out: &mut Vec<u8>, number: u64, digits: u32) {
    for digit in (0..digits).rev() {
        let nibble = (number >> (4 * digit)) as u8 & 15;
        out.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
    }
}

/// The hash slot of a key of ours: CRC16 (XMODEM) of what is in its braces.
pub(super) fn slot(name: &str) -> u16 {
    let tag = name.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let tag = tag.map_or(name, |(tag, _)| tag);
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ u16::from(byte) << 8, |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { crc << 1 ^ 0x1021 }
        })
    });
    crc % 16_384
}

#[cfg(test)]
mod tests {
    use event::{BatchNumber, Epoch, LedgerId};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slots_are_those_of_the_specification() {
        // From the Redis Cluster specification: CRC16("123456789") = 0x31c3.
        assert_eq!(slot("123456789"), 0x31c3);
        assert_eq!(slot("a{user1000}.b"), slot("{user1000}c"));
    }

    #[test]
    fn a_place_and_a_record_hold_the_whole_key() {
        let key = 0xfedc_ba98_7654_3210_0123_4567_89ab_cdef_u128;
        let first = (shard(key) as u128) << PLACE_BITS_MIN | u128::from(place(key, PLACE_BITS_MIN));
        assert_eq!(first, key >> 112);
        assert_eq!(place(key, 12) >> 2, place(key, PLACE_BITS_MIN));
        let names = Names::new("onceflow", "a {b}");
        let mut name = Vec::new();
        names.put_place(&mut name, shard(key), "0a1b2c3d", 12, place(key, 12));
        assert_eq!(name, b"onceflow:{a%20%7bb%7d/3f}0a1b2c3d0cb72");
        assert_eq!(slot(std::str::from_utf8(&name).unwrap()), names.slots[shard(key)]);
    }

    #[test]
    fn keys_are_kept_for_window_and_margin_from_when_they_are_written() {
        let asked = |recorded_ms, window_ms| Asked { key: 0, recorded_ms, window_ms, body_hash: 0 };
        assert_eq!(until_s(&asked(1_000_000, 600_000), 1_000_000, 60_000), 1_792);
        // An hour behind: from now on.
        assert_eq!(until_s(&asked(-2_600_000, 600_000), 1_000_000, 60_000), 1_792);
        // Years ahead: at most the margin.
        assert_eq!(until_s(&asked(i64::MAX, 600_000), 1_000_000, 60_000), 1_792);
        assert_eq!(until_s(&asked(0, FOREVER_MS), 1_000_000, 60_000), UNTIL_FOREVER_S);
        assert_eq!(until_s(&asked(0, 1 << 39), 1_700_000_000_000, 0), 2_249_755_904);
    }

    proptest! {
        #[test]
        fn records_come_back(
            key in any::<u128>(),
            recorded_ms in any::<i64>(),
            window_ms in prop_oneof![0..(1_i64 << 40) - 1, Just(FOREVER_MS)],
            body_hash in any::<u64>(),
        ) {
            let mut bytes = Vec::new();
            put_ask(&mut bytes, &Asked { key, recorded_ms, window_ms, body_hash }, 7);
            prop_assert_eq!(bytes.len(), ASK_BYTES);
            let told = Told::read(bytes[FIELD_BYTES..].try_into().unwrap());
            prop_assert_eq!(told, Told { recorded_ms, window_ms, body_hash });
        }

        #[test]
        fn batches_come_back(worker: u128, pipe: u16, epoch: u64, number: u64) {
            let batch = BatchRef {
                worker: LedgerId(worker),
                pipe,
                epoch: Epoch(epoch),
                number: BatchNumber(number),
            };
            prop_assert_eq!(batch_of(&batch_bytes(batch)), Some(batch));
        }
    }
}
