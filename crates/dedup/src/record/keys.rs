//! Keys, by column: in a batch's record, and in each block of a key run.
//!
//! Number of keys; if any: 24 bytes a key (key and body hash, lowest byte first), then the columns
//! recorded time and window ([`super::column`]), then runs of states until all keys have one:
//! length, state.

use super::column::{self, Column};
use super::cursor::{Cursor, Decoded, put_u64};
use crate::scope::{CommittedBy, CommittedKey, DeadState, KeyState};

/// Bytes of a key and its body hash.
const ROW_BYTES: usize = 24;

const DELIVERED: u8 = 0;
const FILTERED: u8 = 1;
const DEAD_TRANSIENT: u8 = 2;
const DEAD_DETERMINISTIC: u8 = 3;

/// Room to encode and decode in, kept from one block to the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    recorded_column: Column,
    window_column: Column,
    recorded: Vec<i64>,
    windows: Vec<i64>,
    states: Vec<(usize, KeyState)>,
}

/// Appends keys. `count_max` is how many there may be.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
    count_max: usize,
    keys: impl Iterator<Item = CommittedKey>,
) -> usize {
    let Scratch { recorded_column: recorded, window_column: windows, .. } = scratch;
    recorded.clear();
    windows.clear();
    let count_at = out.len();
    out.reserve(count_max * (ROW_BYTES + 2) + 64);
    // The number of keys is known at the end only: room for it as four bytes.
    out.extend_from_slice(&[0; 4]);
    let mut states = Vec::new();
    let mut run = (0_u64, KeyState::Delivered);
    for key in keys {
        let mut row = [0; ROW_BYTES];
        if let Some((head, tail)) = row.split_first_chunk_mut::<16>() {
            *head = key.key.to_le_bytes();
            tail.copy_from_slice(&key.body_hash.to_le_bytes());
        }
        out.extend_from_slice(&row);
        recorded.push(key.recorded_ms);
        windows.push(key.window_ms);
        if key.state != run.1 {
            put_state_run(&mut states, run);
            run = (0, key.state);
        }
        run.0 += 1;
    }
    put_state_run(&mut states, run);
    let count = recorded.len();
    if let Some(place) = out.get_mut(count_at..count_at + 4) {
        place.copy_from_slice(&(count as u32).to_le_bytes());
    }
    if count > 0 {
        recorded.encode(out);
        windows.encode(out);
        out.extend_from_slice(&states);
    }
    count
}

/// Keys of one state, by column, as they lie in a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyColumns<'a> {
    pub(crate) state: KeyState,
    /// Key and body hash of each: lower half, upper half, hash.
    pub(crate) rows: &'a [[u8; ROW_BYTES]],
    pub(crate) recorded: &'a [i64],
    pub(crate) windows: &'a [i64],
}

/// Hands keys to `take`, those of one state after the other; how many there are. Nothing is handed
/// out when something is wrong.
pub(crate) fn for_each_state(
    cursor: &mut Cursor<'_>,
    scratch: &mut Scratch,
    mut take: impl FnMut(KeyColumns<'_>),
) -> Decoded<usize> {
    let count = u32::from_le_bytes(cursor.array()?) as usize;
    if count == 0 {
        return Ok(0);
    }
    let bytes = count.checked_mul(ROW_BYTES).ok_or_else(|| cursor.missing("keys"))?;
    let (mut rows, _) = cursor.raw(bytes)?.as_chunks();
    column::decode(cursor, count, &mut scratch.recorded)?;
    column::decode(cursor, count, &mut scratch.windows)?;
    scratch.states.clear();
    let mut left = count;
    while left > 0 {
        let run = cursor.u64()?;
        let state = state(cursor)?;
        let run = usize::try_from(run).ok().filter(|&run| run >= 1 && run <= left);
        let run = run.ok_or_else(|| cursor.missing("run of states within its keys"))?;
        scratch.states.push((run, state));
        left -= run;
    }
    let (mut recorded, mut windows) = (scratch.recorded.as_slice(), scratch.windows.as_slice());
    for &(run, state) in &scratch.states {
        let columns = (rows.split_at(run), recorded.split_at(run), windows.split_at(run));
        let ((rows_now, rows_left), (recorded_now, recorded_left), (now, left)) = columns;
        take(KeyColumns { state, rows: rows_now, recorded: recorded_now, windows: now });
        (rows, recorded, windows) = (rows_left, recorded_left, left);
    }
    Ok(count)
}

/// Reads keys to the end of `keys`.
pub(crate) fn decode(
    cursor: &mut Cursor<'_>,
    scratch: &mut Scratch,
    keys: &mut Vec<CommittedKey>,
) -> Decoded<usize> {
    for_each_state(cursor, scratch, |KeyColumns { state, rows, recorded, windows }| {
        let by = CommittedBy::default();
        let times = recorded.iter().zip(windows);
        keys.extend(rows.iter().zip(times).map(|(row, (&recorded_ms, &window_ms))| {
            let (key, body_hash) = row_of(row);
            CommittedKey { key, recorded_ms, window_ms, body_hash, state, by }
        }));
    })
}

/// Key and body hash of a row.
#[inline]
pub(crate) fn row_of(row: &[u8; ROW_BYTES]) -> (u128, u64) {
    let (key, hash) = row.split_at(16);
    let key = key.first_chunk().map_or(0, |key| u128::from_le_bytes(*key));
    (key, hash.first_chunk().map_or(0, |hash| u64::from_le_bytes(*hash)))
}

fn put_state_run(out: &mut Vec<u8>, (run, state): (u64, KeyState)) {
    if run == 0 {
        return;
    }
    put_u64(out, run);
    match state {
        KeyState::Delivered => out.push(DELIVERED),
        KeyState::Filtered => out.push(FILTERED),
        KeyState::Dead(DeadState { deterministic_under: None, sinks }) => {
            out.push(DEAD_TRANSIENT);
            put_u64(out, sinks);
        }
        KeyState::Dead(DeadState { deterministic_under: Some(plan), sinks }) => {
            out.push(DEAD_DETERMINISTIC);
            out.extend_from_slice(&plan.to_le_bytes());
            put_u64(out, sinks);
        }
    }
}

fn state(cursor: &mut Cursor<'_>) -> Decoded<KeyState> {
    Ok(match cursor.u8()? {
        DELIVERED => KeyState::Delivered,
        FILTERED => KeyState::Filtered,
        DEAD_TRANSIENT => {
            KeyState::Dead(DeadState { deterministic_under: None, sinks: cursor.u64()? })
        }
        DEAD_DETERMINISTIC => {
            let plan = u64::from_le_bytes(cursor.array()?);
            KeyState::Dead(DeadState { deterministic_under: Some(plan), sinks: cursor.u64()? })
        }
        _ => return Err(cursor.missing("known key state")),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_key() -> impl Strategy<Value = CommittedKey> {
        let state = prop_oneof![
            8 => Just(KeyState::Delivered),
            1 => Just(KeyState::Filtered),
            1 => (any::<Option<u64>>(), any::<u64>()).prop_map(|(deterministic_under, sinks)| {
                KeyState::Dead(DeadState { deterministic_under, sinks })
            }),
        ];
        let window = prop_oneof![Just(300_000), Just(600_000), Just(i64::MAX), 0..i64::MAX];
        let by = prop_oneof![Just((0, 0)), (0_u16..3, 100_u64..200), any::<(u16, u64)>(),];
        (any::<u128>(), any::<i64>(), window, any::<u64>(), state, by).prop_map(
            |(key, recorded_ms, window_ms, body_hash, state, (pipe, batch))| CommittedKey {
                key,
                recorded_ms,
                window_ms,
                body_hash,
                state,
                by: CommittedBy { pipe, batch: event::BatchNumber(batch) },
            },
        )
    }

    proptest! {
        #[test]
        fn keys_round_trip(mut keys in prop::collection::vec(any_key(), 0..200)) {
            // Who committed them stands in the record's head.
            keys.iter_mut().for_each(|key| key.by = CommittedBy::default());
            let (mut out, mut scratch) = (vec![1], Scratch::default());
            let count = encode(&mut out, &mut scratch, 0, keys.iter().copied());
            prop_assert_eq!(count, keys.len());
            let mut cursor = Cursor::new(&out[1..]);
            let mut back = Vec::new();
            prop_assert_eq!(decode(&mut cursor, &mut scratch, &mut back), Ok(keys.len()));
            prop_assert_eq!(cursor.end(), Ok(()));
            prop_assert_eq!(back, keys);
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes: Vec<u8>, count in 0_u8..20) {
            bytes.splice(0..0, [count, 0, 0, 0]);
            let _ = decode(&mut Cursor::new(&bytes), &mut Scratch::default(), &mut Vec::new());
        }
    }

    #[test]
    fn a_key_of_a_usual_batch_takes_at_most_26_bytes() {
        let key = |i: u64| CommittedKey {
            key: u128::from(i).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
            recorded_ms: 1_700_000_000_000 + (i as i64 / 20),
            window_ms: [300_000, 600_000][i as usize % 2],
            body_hash: i,
            state: KeyState::Delivered,
            by: CommittedBy::default(),
        };
        let mut out = Vec::new();
        encode(&mut out, &mut Scratch::default(), 65_536, (0..65_536).map(key));
        assert!(out.len() <= 26 * 65_536, "{} bytes a key", out.len() / 65_536);
    }
}
