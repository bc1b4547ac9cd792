//! Numbers in as few bits as the largest of them takes, one after the other, lowest bit first.

/// Wider ones take 64 bits, so that each lies within eight bytes.
const WIDTH_MAX: u8 = 56;

/// Bits a value that all of `values` fit into.
pub(super) fn width_of(values: impl Iterator<Item = u64>) -> u8 {
    let bits = (64 - values.fold(0, |all, value| all | value).leading_zeros()) as u8;
    if bits > WIDTH_MAX { 64 } else { bits }
}

/// Bytes of `count` values of `width` bits.
pub(super) const fn bytes_of(count: usize, width: u8) -> usize {
    (count * width as usize).div_ceil(8)
}

/// Appends `values`, each in `width` bits.
pub(super) fn pack(out: &mut Vec<u8>, values: &[u64], width: u8) {
    let (mut bits, mut held) = (0_u128, 0_u32);
    for value in values {
        bits |= u128::from(*value) << held;
        held += u32::from(width);
        if held >= 64 {
            out.extend_from_slice(&(bits as u64).to_le_bytes());
            bits >>= 64;
            held -= 64;
        }
    }
    let rest = (bits as u64).to_le_bytes();
    out.extend_from_slice(rest.get(..(held as usize).div_ceil(8)).unwrap_or(&rest));
}

/// Packed values; behind the last of them are seven more bytes at least, whatever is in them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    bytes: &'a [u8],
    width: usize,
    mask: u64,
}

impl<'a> Packed<'a> {
    /// `None` for a width that [`width_of`] doesn't give.
    pub(super) fn new(bytes: &'a [u8], width: u8) -> Option<Self> {
        let mask = match width {
            0..=WIDTH_MAX => (1 << width) - 1,
            64 => u64::MAX,
            _ => return None,
        };
        Some(Self { bytes, width: width.into(), mask })
    }

    /// Value number `number`.
    #[inline]
    pub(super) fn get(&self, number: usize) -> Option<u64> {
        let bit = number * self.width;
        let bytes = self.bytes.get(bit / 8..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes) >> (bit % 8) & self.mask)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn packed_values_round_trip(
            values in prop::collection::vec(any::<u64>(), 0..200),
            shift in 0_u32..64,
        ) {
            let values: Vec<u64> = values.iter().map(|value| value >> shift).collect();
            let (width, mut out) = (width_of(values.iter().copied()), vec![]);
            pack(&mut out, &values, width);
            prop_assert_eq!(out.len(), bytes_of(values.len(), width));
            out.extend_from_slice(&[0xff; 8]);
            let packed = Packed::new(&out, width).unwrap();
            for (number, value) in values.iter().enumerate() {
                prop_assert_eq!(packed.get(number), Some(*value));
            }
        }
    }
}
