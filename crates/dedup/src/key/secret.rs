//! The secret under which keys are hashed.

use std::fmt;

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Bytes that XXH3 wants for any length of input.
const BYTES: usize = 192;

/// A scope's 16 random bytes, stretched to the 192 that XXH3 takes: block `n` of 16 bytes is the
/// little-endian XXH3-128, with seed `n`, of the 16 bytes. Never shown in debug output.
#[derive(Clone)]
pub(super) struct Secret([u8; BYTES]);

impl Secret {
    pub(super) fn expand(secret: &[u8; 16]) -> Self {
        let mut bytes = [0; BYTES];
        for (block, seed) in bytes.chunks_exact_mut(16).zip(0..) {
            block.copy_from_slice(&xxh3_128_with_seed(secret, seed).to_le_bytes());
        }
        Self(bytes)
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
