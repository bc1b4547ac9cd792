//! A block of a run of format 2: rows of fixed length to search in, and packed columns to index
//! into, so that one key is found without decoding the others.
//!
//! | bytes | field |
//! | ---: | --- |
//! | 2 | number of keys `n`, 1 to 128 |
//! | 1 | number of kinds |
//! | 1 | number of deaths |
//! | 1 | bits a recorded time |
//! | 1 | bits a batch number |
//! | 2 | 0 |
//! | 8 | smallest recorded time |
//! | 8 | smallest batch number |
//! | 24 `n` | rows: key, body hash |
//! | 12 a kind | window, pipe (2), state (2: 0 delivered, 1 filtered, else number of a death + 2) |
//! | 17 a death | 0 transient, 1 under a plan; plan (8); sinks (8) |
//! | … | packed: recorded times less the smallest, batch numbers less the smallest, number of each key's kind |
//! | 8 | 0 |

use super::format::BLOCK_KEYS;
use super::packed::{Packed, bytes_of, pack, width_of};
use super::row::{Kind, Row};
use crate::scope::{DeadState, KeyState};

pub(super) const ROW_BYTES: usize = 24;
const HEAD_BYTES: usize = 24;
const KIND_BYTES: usize = 12;
const DEATH_BYTES: usize = 17;
/// Lets every packed value be read as eight bytes.
const END_BYTES: usize = 8;

const DELIVERED: u16 = 0;
const FILTERED: u16 = 1;
const DEATHS: u16 = 2;

/// Keys on their way into a block.
#[derive(Debug, Default)]
pub(super) struct BlockWriter {
    /// With the numbers of their kinds in `kinds`.
    rows: Vec<Row>,
    kinds: Vec<Kind>,
    column: Vec<u64>,
}

impl BlockWriter {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a key; there must be fewer than [`BLOCK_KEYS`].
    #[inline]
    pub(super) fn push(&mut self, row: &Row, kind: &Kind) {
        let known = self.kinds.iter().position(|known| known == kind);
        let number = known.unwrap_or_else(|| {
            self.kinds.push(*kind);
            self.kinds.len() - 1
        });
        self.rows.push(Row { kind: number as u32, ..*row });
    }

    /// Takes the last key out again.
    pub(super) fn pop(&mut self) {
        // Its kind stays only if another key has it, so that there are never more than keys.
        if let Some(Row { kind, .. }) = self.rows.pop()
            && self.rows.iter().all(|row| row.kind != kind)
        {
            self.kinds.truncate(kind as usize);
        }
    }

    /// Appends the block, and begins the next one.
    pub(super) fn encode(&mut self, out: &mut Vec<u8>) {
        let Self { rows, kinds, column } = self;
        let recorded_min = rows.iter().map(|row| row.recorded_ms).min().unwrap_or(0);
        let batch_min = rows.iter().map(|row| row.batch).min().unwrap_or(0);
        let recorded = |row: &Row| row.recorded_ms.wrapping_sub(recorded_min) as u64;
        let batch = |row: &Row| row.batch - batch_min;
        let recorded_bits = width_of(rows.iter().map(recorded));
        let batch_bits = width_of(rows.iter().map(batch));
        let mut deaths = Vec::new();
        let states: Vec<u16> =
            kinds.iter().map(|kind| put_state(kind.state, &mut deaths)).collect();
        let deaths_count = deaths.len() / DEATH_BYTES;
        out.extend_from_slice(&(rows.len() as u16).to_le_bytes());
        out.extend_from_slice(&[kinds.len() as u8, deaths_count as u8]);
        out.extend_from_slice(&[recorded_bits, batch_bits, 0, 0]);
        out.extend_from_slice(&recorded_min.to_le_bytes());
        out.extend_from_slice(&batch_min.to_le_bytes());
        let begin = out.len();
        out.resize(begin + rows.len() * ROW_BYTES, 0);
        let (places, _) = out.get_mut(begin..).unwrap_or_default().as_chunks_mut::<8>();
        for (place, row) in places.as_chunks_mut::<3>().0.iter_mut().zip(rows.iter()) {
            let words = [row.lower, row.upper, row.body_hash];
            *place = words.map(u64::to_le_bytes);
        }
        for (kind, state) in kinds.iter().zip(states) {
            out.extend_from_slice(&kind.window_ms.to_le_bytes());
            out.extend_from_slice(&kind.pipe.to_le_bytes());
            out.extend_from_slice(&state.to_le_bytes());
        }
        out.extend_from_slice(&deaths);
        let mut put = |value: &dyn Fn(&Row) -> u64, width| {
            column.clear();
            column.extend(rows.iter().map(value));
            pack(out, column, width);
        };
        put(&recorded, recorded_bits);
        put(&batch, batch_bits);
        put(&|row| row.kind.into(), kind_bits(kinds.len()));
        out.extend_from_slice(&[0; END_BYTES]);
        rows.clear();
        kinds.clear();
    }
}

const fn kind_bits(kinds: usize) -> u8 {
    (usize::BITS - kinds.saturating_sub(1).leading_zeros()) as u8
}

fn put_state(state: KeyState, deaths: &mut Vec<u8>) -> u16 {
    let DeadState { deterministic_under, sinks } = match state {
        KeyState::Delivered => return DELIVERED,
        KeyState::Filtered => return FILTERED,
        KeyState::Dead(dead) => dead,
    };
    let number = deaths.len() / DEATH_BYTES;
    deaths.push(deterministic_under.is_some().into());
    deaths.extend_from_slice(&deterministic_under.unwrap_or(0).to_le_bytes());
    deaths.extend_from_slice(&sinks.to_le_bytes());
    DEATHS + number as u16
}

/// A block as it lies in the file. Nothing is decoded before it is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockView<'a> {
    rows: &'a [[u8; ROW_BYTES]],
    kinds: &'a [u8],
    deaths: &'a [u8],
    recorded_min: i64,
    batch_min: u64,
    recorded: Packed<'a>,
    batches: Packed<'a>,
    kind_of: Packed<'a>,
}

impl<'a> BlockView<'a> {
    /// `None` when it is no block.
    pub(super) fn new(payload: &'a [u8]) -> Option<Self> {
        let (head, rest) = payload.split_first_chunk::<HEAD_BYTES>()?;
        let [c0, c1, kinds, deaths, recorded_bits, batch_bits, _, _, mins @ ..] = *head;
        let (recorded_min, batch_min) = mins.split_at(8);
        let count = usize::from(u16::from_le_bytes([c0, c1]));
        if !(1..=BLOCK_KEYS).contains(&count) || kinds == 0 {
            return None;
        }
        let (rows, rest) = rest.split_at_checked(count * ROW_BYTES)?;
        let (kinds_bytes, rest) = rest.split_at_checked(usize::from(kinds) * KIND_BYTES)?;
        let (deaths, rest) = rest.split_at_checked(usize::from(deaths) * DEATH_BYTES)?;
        let recorded_bytes = bytes_of(count, recorded_bits);
        let batch_bytes = bytes_of(count, batch_bits);
        let kind_bits = kind_bits(kinds.into());
        let all = recorded_bytes + batch_bytes + bytes_of(count, kind_bits) + END_BYTES;
        if rest.len() != all {
            return None;
        }
        Some(Self {
            rows: rows.as_chunks().0,
            kinds: kinds_bytes,
            deaths,
            recorded_min: i64::from_le_bytes(*recorded_min.first_chunk()?),
            batch_min: u64::from_le_bytes(*batch_min.first_chunk()?),
            recorded: Packed::new(rest, recorded_bits)?,
            batches: Packed::new(rest.get(recorded_bytes..)?, batch_bits)?,
            kind_of: Packed::new(rest.get(recorded_bytes + batch_bytes..)?, kind_bits)?,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The places of the entries of a key.
    pub(super) fn places(&self, key: u128) -> std::ops::Range<usize> {
        let begin = self.rows.partition_point(|row| key_of(row) < key);
        let rest = self.rows.get(begin..).unwrap_or_default();
        begin..begin + rest.iter().take_while(|row| key_of(row) == key).count()
    }

    /// The row at a place.
    #[inline]
    pub(super) fn row(&self, place: usize) -> Option<Row> {
        let row = self.rows.get(place)?;
        let ([lower, upper, hash], _) = row.as_chunks::<8>() else { return None };
        Some(Row {
            upper: u64::from_le_bytes(*upper),
            lower: u64::from_le_bytes(*lower),
            body_hash: u64::from_le_bytes(*hash),
            recorded_ms: self.recorded_min.wrapping_add(self.recorded.get(place)? as i64),
            batch: self.batch_min.wrapping_add(self.batches.get(place)?),
            kind: self.kind_of.get(place)? as u32,
        })
    }

    /// Kind number `number`.
    pub(super) fn kind(&self, number: u32) -> Option<Kind> {
        let (kinds, _) = self.kinds.as_chunks::<KIND_BYTES>();
        let [w0, w1, w2, w3, w4, w5, w6, w7, p0, p1, s0, s1] = *kinds.get(number as usize)?;
        let state = match u16::from_le_bytes([s0, s1]) {
            DELIVERED => KeyState::Delivered,
            FILTERED => KeyState::Filtered,
            death => KeyState::Dead(self.death(death - DEATHS)?),
        };
        let window_ms = i64::from_le_bytes([w0, w1, w2, w3, w4, w5, w6, w7]);
        Some(Kind { window_ms, pipe: u16::from_le_bytes([p0, p1]), state })
    }

    fn death(&self, number: u16) -> Option<DeadState> {
        let (deaths, _) = self.deaths.as_chunks::<DEATH_BYTES>();
        let (under_plan, rest) = deaths.get(usize::from(number))?.split_first()?;
        let (plan, sinks) = rest.split_first_chunk()?;
        let plan = u64::from_le_bytes(*plan);
        let deterministic_under = match under_plan {
            0 => None,
            1 => Some(plan),
            _ => return None,
        };
        Some(DeadState { deterministic_under, sinks: u64::from_le_bytes(*sinks.first_chunk()?) })
    }

    /// Puts the whole block into `rows` and `kinds`, instead of what is there.
    pub(super) fn decode(&self, rows: &mut Vec<Row>, kinds: &mut Vec<Kind>) -> Option<()> {
        rows.clear();
        kinds.clear();
        let (count, _) = self.kinds.as_chunks::<KIND_BYTES>();
        for number in 0..count.len() {
            kinds.push(self.kind(number as u32)?);
        }
        for place in 0..self.len() {
            let row = self.row(place)?;
            if row.kind as usize >= kinds.len() {
                return None;
            }
            rows.push(row);
        }
        Some(())
    }
}

#[inline]
fn key_of(row: &[u8; ROW_BYTES]) -> u128 {
    row.first_chunk().map_or(0, |key| u128::from_le_bytes(*key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::any_key;
    use crate::scope::CommittedKey;

    fn encode(keys: &[CommittedKey]) -> Vec<u8> {
        let (mut writer, mut out) = (BlockWriter::default(), Vec::new());
        keys.iter().for_each(|key| writer.push(&Row::of(key, 0), &Kind::of(key)));
        writer.encode(&mut out);
        assert_eq!(writer.len(), 0);
        out
    }

    proptest! {
        #[test]
        fn blocks_round_trip(keys in prop::collection::vec(any_key(), 1..=BLOCK_KEYS)) {
            let out = encode(&keys);
            let block = BlockView::new(&out).unwrap();
            let (mut rows, mut kinds) = (Vec::new(), Vec::new());
            block.decode(&mut rows, &mut kinds).unwrap();
            let back: Vec<CommittedKey> =
                rows.iter().map(|row| row.whole(&kinds[row.kind as usize])).collect();
            prop_assert_eq!(back, keys);
        }

        #[test]
        fn every_entry_of_a_key_is_found(
            mut keys in prop::collection::vec((any_key(), 0_u128..50), 1..=BLOCK_KEYS),
        ) {
            keys.iter_mut().for_each(|(key, number)| key.key = *number);
            keys.sort_by_key(|(key, _)| key.key);
            let keys: Vec<CommittedKey> = keys.into_iter().map(|(key, _)| key).collect();
            let out = encode(&keys);
            let block = BlockView::new(&out).unwrap();
            for wanted in 0..50 {
                let row = |place| block.row(place).unwrap();
                let places = block.places(wanted);
                let found: Vec<CommittedKey> =
                    places.map(|at| row(at).whole(&block.kind(row(at).kind).unwrap())).collect();
                let expected: Vec<CommittedKey> =
                    keys.iter().copied().filter(|key| key.key == wanted).collect();
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn a_key_that_was_taken_out_leaves_nothing(
            keys in prop::collection::vec(any_key(), 1..BLOCK_KEYS),
            other in any_key(),
        ) {
            let (mut writer, mut out) = (BlockWriter::default(), Vec::new());
            keys.iter().for_each(|key| writer.push(&Row::of(key, 0), &Kind::of(key)));
            writer.push(&Row::of(&other, 0), &Kind::of(&other));
            writer.pop();
            writer.encode(&mut out);
            prop_assert_eq!(out, encode(&keys));
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            mut keys in prop::collection::vec(any_key(), 1..20),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
            cut: prop::sample::Index,
        ) {
            keys.sort_by_key(|key| key.key);
            let mut bytes = encode(&keys);
            changes.iter().for_each(|(at, byte)| *at.get_mut(&mut bytes) = *byte);
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Some(block) = BlockView::new(&bytes) {
                let _ = block.decode(&mut Vec::new(), &mut Vec::new());
                let _ = block.places(keys[0].key);
            }
        }
    }
}
