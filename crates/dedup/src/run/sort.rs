//! Sorts hashes: two passes over their upper bits leave next to nothing to do.

const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 1 << DIGIT_BITS;
/// Fewer are sorted by comparison.
const RADIX_MIN: usize = 1024;

/// Sorts `items`, of which `upper` gives 64 bits that order them first and are spread like hashes.
/// Items that aren't spread are sorted as well, only slower. `room` is made as long as `items`.
pub(crate) fn sort<T: Copy + Ord + Default>(
    items: &mut [T],
    room: &mut Vec<T>,
    upper: impl Fn(&T) -> u64,
) {
    if items.len() < RADIX_MIN {
        return items.sort_unstable();
    }
    let top = |item: &T| (upper(item) >> (64 - 2 * DIGIT_BITS)) as usize;
    let (low, high) = (|item: &T| top(item) % DIGITS, |item: &T| top(item) / DIGITS);
    let (mut lows, mut highs) = (vec![0_usize; DIGITS], vec![0_usize; DIGITS]);
    for item in items.iter() {
        count(&mut lows, low(item));
        count(&mut highs, high(item));
    }
    room.clear();
    room.resize(items.len(), T::default());
    scatter(items, room, &mut lows, low);
    scatter(room, items, &mut highs, high);
    for equal in items.chunk_by_mut(|a, b| top(a) == top(b)) {
        if equal.len() > 1 {
            equal.sort_unstable();
        }
    }
}

fn count(counts: &mut [usize], digit: usize) {
    if let Some(count) = counts.get_mut(digit) {
        *count += 1;
    }
}

/// Copies `from` to `to`, by digit; `counts` says how many there are of each.
fn scatter<T: Copy>(from: &[T], to: &mut [T], counts: &mut [usize], digit: impl Fn(&T) -> usize) {
    let mut sum = 0;
    for count in counts.iter_mut() {
        sum += std::mem::replace(count, sum);
    }
    for item in from {
        if let Some(next) = counts.get_mut(digit(item)) {
            if let Some(place) = to.get_mut(*next) {
                *place = *item;
            }
            *next += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn whatever_the_keys_are_they_come_out_in_order(
            count in 0_u64..5_000,
            factor in prop_oneof![Just(0), Just(1), Just(0x9e37_79b9_7f4a_7c15), any::<u64>()],
            modulus in 1_u64..6_000,
        ) {
            let mut items: Vec<(u64, u32)> =
                (0..count).map(|i| ((i % modulus).wrapping_mul(factor), i as u32)).collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort(&mut items, &mut Vec::new(), |item| item.0);
            prop_assert_eq!(items, expected);
        }
    }
}
