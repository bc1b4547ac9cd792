//! Ids and secrets.

use rand::TryRng;
use rand::rngs::SysRng;

use super::Random;
use crate::error::LedgerError;

impl Random {
    /// 16 bytes for something called `what`.
    ///
    /// # Errors
    /// [`LedgerError::Stopped`] when the system gives none.
    pub(super) fn bytes(self, what: &str) -> Result<[u8; 16], LedgerError> {
        let mut bytes = [0; 16];
        match self {
            Self::System => SysRng
                .try_fill_bytes(&mut bytes)
                .map_err(|error| LedgerError::stopped(format!("no random bytes: {error}")))?,
            Self::Seeded(seed) => {
                let hash = xxhash_rust::xxh3::xxh3_128_with_seed(what.as_bytes(), seed);
                bytes = hash.to_le_bytes();
            }
        }
        Ok(bytes)
    }
}
