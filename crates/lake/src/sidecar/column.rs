//! One column of a sidecar's block: 64-bit numbers, as differences from the smallest, or as places
//! in a short list of values.

/// Most values that are worth a list.
const LIST_MAX: usize = 16;
/// Tag of a column that is a list; every other tag is the width of a difference in bytes.
const TAG_LIST: u8 = 0x10;

/// Appends a column; how many values it has is not in it.
pub(super) fn write(values: &[i64], out: &mut Vec<u8>) {
    let least = values.iter().copied().min().unwrap_or(0);
    let most = values.iter().copied().max().unwrap_or(0);
    let width = width_of(most.wrapping_sub(least) as u64);
    if width > 1
        && let Some(list) = list_of(values)
    {
        out.extend([TAG_LIST, list.len() as u8]);
        list.iter().for_each(|value| out.extend(value.to_le_bytes()));
        let place = |value| list.iter().position(|listed| listed == value).unwrap_or(0) as u8;
        out.extend(values.iter().map(place));
        return;
    }
    out.push(width);
    out.extend(least.to_le_bytes());
    let differences = values.iter().map(|value| value.wrapping_sub(least) as u64);
    match width {
        0 => {}
        1 => out.extend(differences.map(|difference| difference as u8)),
        2 => differences.for_each(|difference| out.extend((difference as u16).to_le_bytes())),
        4 => differences.for_each(|difference| out.extend((difference as u32).to_le_bytes())),
        _ => differences.for_each(|difference| out.extend(difference.to_le_bytes())),
    }
}

const fn width_of(difference: u64) -> u8 {
    match difference {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// The values that occur, when they are few.
fn list_of(values: &[i64]) -> Option<Vec<i64>> {
    let mut list = Vec::new();
    for value in values {
        if !list.contains(value) {
            if list.len() == LIST_MAX {
                return None;
            }
            list.push(*value);
        }
    }
    Some(list)
}

/// Takes a column of `count` values off the front of `bytes`.
pub(super) fn read(bytes: &mut &[u8], count: usize) -> Option<Vec<i64>> {
    let tag = take(bytes, 1)?.first().copied()?;
    if tag == TAG_LIST {
        let listed = usize::from(take(bytes, 1)?.first().copied()?);
        let list = take(bytes, listed * 8)?;
        let list: Vec<i64> = list.chunks_exact(8).map(|value| little(value) as i64).collect();
        return take(bytes, count)?.iter().map(|&at| list.get(usize::from(at)).copied()).collect();
    }
    let least = little(take(bytes, 8)?) as i64;
    let width = match tag {
        0 => return Some(vec![least; count]),
        1 | 2 | 4 | 8 => usize::from(tag),
        _ => return None,
    };
    let differences = take(bytes, count.checked_mul(width)?)?.chunks_exact(width);
    Some(differences.map(|difference| least.wrapping_add(little(difference) as i64)).collect())
}

/// Takes `count` bytes off the front.
pub(super) fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(front)
}

/// Up to 8 bytes as a number, the lowest first.
pub(super) fn little(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(values: &[i64]) -> usize {
        let mut bytes = Vec::new();
        write(values, &mut bytes);
        let mut rest = bytes.as_slice();
        assert_eq!(read(&mut rest, values.len()).as_deref(), Some(values));
        assert!(rest.is_empty());
        bytes.len()
    }

    #[test]
    fn every_width_is_read_back() {
        for most in [0, 1, 255, 256, 65_535, 65_536, u32::MAX.into(), 1 << 32, i64::MAX] {
            for least in [0, -5, 1_700_000_000_000, i64::MIN] {
                let spread = |i: i64| least.wrapping_add(most / 40 * i);
                let mut values: Vec<i64> = (0..40).map(spread).collect();
                values.push(least.wrapping_add(most));
                round_trip(&values);
                round_trip(&[least, least.wrapping_add(most)]);
            }
        }
        round_trip(&[]);
        round_trip(&[i64::MIN, i64::MAX]);
    }

    #[test]
    fn few_values_take_a_byte_each() {
        let windows: Vec<i64> = (0..1000).map(|i| [300_000, 600_000, 180_000][i % 3]).collect();
        assert!(round_trip(&windows) < 1000 + 30);
        assert!(round_trip(&[42; 1000]) < 10);
    }
}
