//! Random numbers that are the same on every machine and in every release.

/// SplitMix64: one multiplication-xor chain a number, and any event's numbers can be had without
/// those of the events before it.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    /// The numbers of item `number` under `seed`. Hashed, because neighbours that only start one
    /// step apart would share all but one of their numbers.
    pub(crate) fn new(seed: u64, number: u64) -> Rng {
        Rng(mix(mix(seed ^ GOLDEN).wrapping_add(number.wrapping_mul(GOLDEN))))
    }

    /// 64 random bits.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number below `bound`; 0 if `bound` is 0. The bias is at most `bound` / 2^64.
    #[inline]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}

#[inline]
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_change_between_releases() {
        let mut rng = Rng::new(7, 3);
        let first = [rng.next(), rng.next()];
        assert_eq!(first, [16_095_714_329_797_276_013, 4_209_060_507_550_645_528]);
    }

    #[test]
    fn below_stays_below_and_reaches_everything() {
        let mut rng = Rng::new(1, 1);
        let mut seen = [0u32; 7];
        for _ in 0..7000 {
            seen[rng.below(7) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn neighbours_share_no_numbers() {
        let numbers = |n| {
            let mut rng = Rng::new(1, n);
            (0..50).map(move |_| rng.next()).collect::<std::collections::HashSet<_>>()
        };
        assert!(numbers(5).is_disjoint(&numbers(6)));
    }
}
