//! Chance from a seed (SplitMix64): the same seed gives the same crash.

#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed ^ 0x6f6e_6365_666c_6f77)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to and with `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        match most.checked_add(1) {
            Some(n) => self.next() % n,
            None => self.next(),
        }
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// How much of the unsynced changes a crash keeps. The extremes have modes of their own, because
/// chance alone would hardly ever keep all of many changes, or none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep {
    Nothing,
    Few,
    Half,
    Most,
    All,
}

impl Keep {
    pub(super) fn choose(rng: &mut Rng) -> Self {
        match rng.up_to(4) {
            0 => Self::Nothing,
            1 => Self::Few,
            2 => Self::Half,
            3 => Self::Most,
            _ => Self::All,
        }
    }

    /// Whether one change is kept.
    pub(super) fn one(self, rng: &mut Rng) -> bool {
        let eighths = match self {
            Self::Nothing => 0,
            Self::Few => 1,
            Self::Half => 4,
            Self::Most => 7,
            Self::All => 8,
        };
        rng.up_to(7) < eighths
    }

    /// How many of `n` changes that follow one another are kept: those up to some moment.
    pub(super) fn prefix(self, rng: &mut Rng, n: usize) -> usize {
        let any = rng.up_to(n as u64) as usize;
        match self {
            Self::Nothing => 0,
            Self::Few if rng.up_to(7) > 0 => 0,
            Self::Few | Self::Half => any,
            Self::Most if rng.up_to(7) > 0 => n,
            Self::Most => any,
            Self::All => n,
        }
    }
}
