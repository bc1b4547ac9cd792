//! Request ids: they look random and never repeat within a process.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT: AtomicU64 = AtomicU64::new(1);
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A new request id, in the form of a UUID.
pub(crate) fn request_id() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let high = u128::from(SEED.hash_one((number, 0u8)));
    let low = u128::from(SEED.hash_one((number, 1u8)));
    uuid::Builder::from_random_bytes(((high << 64) | low).to_be_bytes())
        .into_uuid()
        .hyphenated()
        .to_string()
}
