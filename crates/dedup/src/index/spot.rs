//! Where in the index a key belongs.

/// How many shards an index has. Each grows by itself, so that no growth takes long and the old
/// and the new table of only one stand next to each other.
pub(super) const SHARDS: usize = 256;

/// A key's hash: the upper 8 bits name the shard, the others the group in it, the lowest 7 the
/// tag.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spot(u64);

impl Spot {
    /// A key is a hash already, but the index stays quick with keys that are none. One
    /// multiplication, folded.
    #[inline]
    pub(crate) fn of(key: u128) -> Self {
        let low = key as u64 ^ 0x9e37_79b9_7f4a_7c15;
        let high = (key >> 64) as u64 ^ 0xd1b5_4a32_d192_ed03;
        let product = u128::from(low) * u128::from(high);
        Self(product as u64 ^ (product >> 64) as u64)
    }

    #[inline]
    pub(super) const fn shard(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// The group among `groups`; grows with the hash. 0 of none.
    #[inline]
    pub(super) const fn within(self, groups: usize) -> usize {
        (((self.0 << 8) as u128 * groups as u128) >> 64) as usize
    }

    #[inline]
    pub(super) const fn tag(self) -> u8 {
        0x80 | (self.0 & 0x7f) as u8
    }
}
