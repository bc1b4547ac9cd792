//! Keys, batches and scopes for the suite.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dedup::store::{Answer, Asked, BatchRef, SharedScope, Store};
use event::{BatchNumber, Epoch, LedgerId};

use super::StoreWorld;

pub(crate) const T: i64 = 1_760_000_000_000;
pub(crate) const WINDOW_MS: i64 = 600_000;
/// Longer than any test.
pub(crate) const LEASE_MS: u64 = 600_000;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn batch(worker: u128, number: u64) -> BatchRef {
    BatchRef { worker: LedgerId(worker), pipe: 1, epoch: Epoch(1), number: BatchNumber(number) }
}

pub(crate) fn asked_in(key: u64, recorded_ms: i64, window_ms: i64) -> Asked {
    // Spread as real keys are.
    let key_hash = u128::from(key + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Asked { key: key_hash, recorded_ms, window_ms, body_hash: key ^ 0xb0d7 }
}

pub(crate) fn asked(key: u64) -> Asked {
    asked_in(key, T, WINDOW_MS)
}

pub(crate) fn asked_all(keys: std::ops::Range<u64>) -> Vec<Asked> {
    keys.map(asked).collect()
}

pub(crate) fn duplicate(of: Asked) -> Answer {
    let Asked { recorded_ms, window_ms, body_hash, .. } = of;
    Answer::Duplicate { recorded_ms, window_ms, body_hash }
}

pub(crate) fn scope(name: &str) -> SharedScope {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{name}-{}-{number}", std::process::id());
    SharedScope { name, fields: 1, across_types: false, secret: [7; 16] }
}

/// Clients of one scope.
pub(crate) struct Clients<'a> {
    pub(crate) world: &'a dyn StoreWorld,
    pub(crate) scope: SharedScope,
}

impl<'a> Clients<'a> {
    pub(crate) fn of(world: &'a dyn StoreWorld, name: &str) -> Self {
        Self { world, scope: scope(name) }
    }

    pub(crate) fn client(&self) -> Arc<dyn Store> {
        let store = self.world.store();
        store.join(&self.scope).unwrap();
        store
    }
}

/// Reserves for a batch with a long lease.
pub(crate) fn reserve(store: &dyn Store, batch: BatchRef, keys: &[Asked]) -> Vec<Answer> {
    let answers = store.reserve(batch, LEASE_MS, keys).unwrap();
    assert_eq!(answers.len(), keys.len(), "one answer a key");
    answers
}

pub(crate) fn assert_reserved(store: &dyn Store, batch: BatchRef, keys: &[Asked]) {
    for (answer, key) in reserve(store, batch, keys).into_iter().zip(keys) {
        assert_eq!(answer, Answer::Reserved, "{key:?}");
    }
}

pub(crate) fn assert_duplicates(store: &dyn Store, batch: BatchRef, keys: &[Asked]) {
    for (answer, key) in reserve(store, batch, keys).into_iter().zip(keys) {
        assert_eq!(answer, duplicate(*key));
    }
}

pub(crate) fn assert_busy(store: &dyn Store, batch: BatchRef, keys: &[Asked], holder: BatchRef) {
    for (answer, key) in reserve(store, batch, keys).into_iter().zip(keys) {
        let Answer::Busy { by, lease_left_ms } = answer else { panic!("{answer:?} of {key:?}") };
        assert_eq!(by, holder);
        assert!(lease_left_ms <= LEASE_MS, "{lease_left_ms}");
    }
}

/// Asks until no key is busy any more: leases that ran out are taken over when they are asked for.
pub(crate) fn reserve_patiently(
    world: &dyn StoreWorld,
    store: &dyn Store,
    batch: BatchRef,
    keys: &[Asked],
) -> Vec<Answer> {
    let until = Instant::now() + PATIENCE;
    loop {
        world.pass_time(world.short_lease_ms());
        let answers = reserve(store, batch, keys);
        if !answers.iter().any(|answer| matches!(answer, Answer::Busy { .. })) {
            return answers;
        }
        assert!(Instant::now() < until, "still busy: {answers:?}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
