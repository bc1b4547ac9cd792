//! Metrics of stores that workers share.

use crate::exposition::{Exposition, Kind};
use crate::now::Now;
use crate::store::StoreNow;

pub(super) fn add(now: &Now, page: &mut Exposition) {
    if now.pipes.iter().all(|pipe| pipe.store.is_none()) {
        return;
    }
    type Value = fn(&StoreNow) -> u64;
    let families: [(&'static str, Kind, &str, Value); 8] = [
        ("onceflow_store_up", Kind::Gauge, "1 while the shared store answers.", |s| {
            u64::from(s.reachable)
        }),
        ("onceflow_store_failures_total", Kind::Counter, "Calls of it that failed.", |s| {
            s.failures
        }),
        ("onceflow_store_pauses_total", Kind::Counter, "Pauses of the pipe because of it.", |s| {
            s.pauses
        }),
        (
            "onceflow_store_batches_withdrawn_total",
            Kind::Counter,
            "Batches that lost their keys to another worker before they were committed.",
            |s| s.withdrawn,
        ),
        ("onceflow_store_keys_asked_total", Kind::Counter, "Keys that it was asked for.", |s| {
            s.asked
        }),
        (
            "onceflow_store_keys_duplicate_total",
            Kind::Counter,
            "Of these, keys that other workers had committed.",
            |s| s.duplicates,
        ),
        (
            "onceflow_store_keys_busy_total",
            Kind::Counter,
            "Of these, keys that were held by a batch elsewhere.",
            |s| s.busy,
        ),
        ("onceflow_store_losses", Kind::Gauge, "How often it lost its data.", |s| s.losses),
    ];
    for (name, kind, help, value) in families {
        let mut family = page.family(name, kind, help);
        for pipe in &now.pipes {
            if let Some(store) = &pipe.store {
                family.sample(&[("pipe", &pipe.name)], value(store));
            }
        }
    }
}
