//! A column of times or lengths: the shortest of three encodings.
//!
//! | byte | then |
//! | --- | --- |
//! | 0 | runs until the column is full: length, difference to the value of the run before |
//! | 1 to 8 | smallest value, then that many bytes a value: its distance from the smallest |
//! | 9 | number of different values (at most 255), the values, then one byte a value |

use super::cursor::{Cursor, Decoded, put_i64, put_u64};

const RUNS: u8 = 0;
const WIDTH_MAX: u8 = 8;
const DICTIONARY: u8 = 9;
/// Past this many different values a dictionary isn't tried.
const DICTIONARY_MAX: usize = 16;

/// A column that is being written.
#[derive(Debug, Default)]
pub(crate) struct Column {
    /// Values with the number of times that each comes in a row.
    runs: Vec<(i64, u32)>,
    len: usize,
}

impl Column {
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.len = 0;
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn push(&mut self, value: i64) {
        self.len += 1;
        match self.runs.last_mut() {
            Some((last, times)) if *last == value => *times += 1,
            _ => self.runs.push((value, 1)),
        }
    }

    /// Appends the column; the reader must know how many values it has.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        // A run takes 2 bytes at least and hardly more than 8.
        let runs_bytes = self.runs.len() * 8;
        if self.runs.len() <= 1 || runs_bytes <= self.len {
            return self.encode_runs(out);
        }
        let values = self.runs.iter().map(|(value, _)| *value);
        let (min, max) =
            values.fold((i64::MAX, i64::MIN), |(min, max), v| (min.min(v), max.max(v)));
        let width = width(min, max);
        let fixed_bytes = self.len * usize::from(width);
        let words = if width > 1 { self.words() } else { None };
        let dictionary_bytes = words.as_ref().map_or(usize::MAX, |words| self.len + words.len());
        if runs_bytes <= fixed_bytes.min(dictionary_bytes) {
            return self.encode_runs(out);
        }
        match words {
            Some(words) => self.encode_dictionary(out, &words),
            None => self.encode_fixed(out, min, width),
        }
    }

    /// The different values, unless there are too many.
    fn words(&self) -> Option<Vec<i64>> {
        let mut words: Vec<i64> = Vec::with_capacity(DICTIONARY_MAX);
        for (value, _) in &self.runs {
            if !words.contains(value) {
                if words.len() == DICTIONARY_MAX {
                    return None;
                }
                words.push(*value);
            }
        }
        Some(words)
    }

    fn encode_runs(&self, out: &mut Vec<u8>) {
        out.push(RUNS);
        let mut before = 0_i64;
        for &(value, times) in &self.runs {
            put_u64(out, times.into());
            put_i64(out, value.wrapping_sub(before));
            before = value;
        }
    }

    fn encode_fixed(&self, out: &mut Vec<u8>, min: i64, width: u8) {
        out.push(width);
        put_i64(out, min);
        let width = usize::from(width);
        out.reserve(self.len * width);
        for &(value, times) in &self.runs {
            let bytes = distance(value, min).to_le_bytes();
            let bytes = bytes.get(..width).unwrap_or(&bytes);
            (0..times).for_each(|_| out.extend_from_slice(bytes));
        }
    }

    fn encode_dictionary(&self, out: &mut Vec<u8>, words: &[i64]) {
        out.extend_from_slice(&[DICTIONARY, words.len() as u8]);
        words.iter().for_each(|&word| put_i64(out, word));
        out.reserve(self.len);
        for (value, times) in &self.runs {
            let place = words.iter().position(|word| word == value).unwrap_or(0) as u8;
            if *times == 1 {
                out.push(place);
            } else {
                out.resize(out.len() + *times as usize, place);
            }
        }
    }
}

/// Reads a column of `count` values into `values`, which is emptied first.
pub(crate) fn decode(cursor: &mut Cursor<'_>, count: usize, values: &mut Vec<i64>) -> Decoded<()> {
    values.clear();
    match cursor.u8()? {
        RUNS => decode_runs(cursor, count, values),
        DICTIONARY => decode_dictionary(cursor, count, values),
        width @ 1..=WIDTH_MAX => decode_fixed(cursor, count, usize::from(width), values),
        _ => Err(cursor.missing("known column encoding")),
    }
}

/// Bytes that tell all values from `min` to `max` apart.
fn width(min: i64, max: i64) -> u8 {
    let bits = 64 - distance(max, min).leading_zeros();
    bits.div_ceil(8).clamp(1, WIDTH_MAX.into()) as u8
}

/// How far `value` lies above `min`; right for all pairs of 64-bit numbers.
const fn distance(value: i64, min: i64) -> u64 {
    value.wrapping_sub(min) as u64
}

fn decode_runs(cursor: &mut Cursor<'_>, count: usize, values: &mut Vec<i64>) -> Decoded<()> {
    let mut value = 0_i64;
    while values.len() < count {
        let run = cursor.u64()?;
        let run = usize::try_from(run).ok().filter(|&run| run >= 1 && run <= count - values.len());
        let run = run.ok_or_else(|| cursor.missing("run within its column"))?;
        value = value.wrapping_add(cursor.i64()?);
        values.resize(values.len() + run, value);
    }
    Ok(())
}

fn decode_fixed(
    cursor: &mut Cursor<'_>,
    count: usize,
    width: usize,
    values: &mut Vec<i64>,
) -> Decoded<()> {
    let min = cursor.i64()?;
    let bytes = count.checked_mul(width).ok_or_else(|| cursor.missing("column"))?;
    let bytes = cursor.raw(bytes)?;
    values.extend(bytes.chunks_exact(width).map(|chunk| {
        let above = chunk.iter().rev().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        min.wrapping_add(above as i64)
    }));
    Ok(())
}

fn decode_dictionary(cursor: &mut Cursor<'_>, count: usize, values: &mut Vec<i64>) -> Decoded<()> {
    let words = cursor.u8()?;
    let words = (0..words).map(|_| cursor.i64()).collect::<Decoded<Vec<_>>>()?;
    for &place in cursor.raw(count)? {
        let word = words.get(usize::from(place));
        values.push(*word.ok_or_else(|| cursor.missing("word of the column"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round_trip(values: &[i64]) -> usize {
        let (mut out, mut column) = (Vec::new(), Column::default());
        values.iter().for_each(|&value| column.push(value));
        column.encode(&mut out);
        let mut cursor = Cursor::new(&out);
        let mut back = vec![7];
        decode(&mut cursor, values.len(), &mut back).unwrap();
        cursor.end().unwrap();
        assert_eq!(back, values);
        out.len()
    }

    proptest! {
        #[test]
        fn any_column_round_trips(values: Vec<i64>) {
            round_trip(&values);
        }

        #[test]
        fn columns_as_they_come_round_trip(
            base: i64,
            steps in prop::collection::vec((0_i64..2_000_000, 1_usize..40), 0..60),
        ) {
            let values: Vec<i64> = steps
                .iter()
                .flat_map(|&(step, times)| vec![base.wrapping_add(step); times])
                .collect();
            round_trip(&values);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>, count in 0_usize..1000) {
            let _ = decode(&mut Cursor::new(&bytes), count, &mut Vec::new());
        }
    }

    #[test]
    fn each_shape_gets_its_encoding() {
        assert!(round_trip(&[1_700_000_000_000; 65_536]) < 12, "one run");
        let windows: Vec<i64> = (0..1000).map(|i| [300_000, 600_000, 180_000][i % 3]).collect();
        assert!(round_trip(&windows) < 1040, "three words");
        let times: Vec<i64> = (0..1000).map(|i| 1_700_000_000_000 + (i * 7919) % 60_000).collect();
        assert!(round_trip(&times) < 2020, "two bytes a value");
        round_trip(&[i64::MIN, i64::MAX, 0, i64::MIN]);
    }
}
