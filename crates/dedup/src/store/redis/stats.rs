//! What the store knows of itself.

use super::super::{StoreError, StoreStats};
use super::call::{number, parts};
use super::joint::Joint;
use super::layout::SHARDS;
use super::script;
use super::servers::{Servers, verdict};

/// Shards that are sampled, and places of each.
const SHARDS_SAMPLED: usize = 8;
const PLACES_SAMPLED: u64 = 128;

/// See [`crate::store::Store::stats`]. The number of keys is estimated from a thousand places.
pub(super) fn stats(servers: &Servers, joint: &Joint) -> Result<StoreStats, StoreError> {
    let facts = servers.facts()?;
    let mut kinds: Vec<_> =
        facts.iter().map(|facts| format!("{} {}", facts.kind, facts.version)).collect();
    kinds.sort();
    kinds.dedup();
    let mut server = kinds.join(", ");
    if facts.len() > 1 {
        server.push_str(&format!(", {} servers", facts.len()));
    }
    if facts.iter().any(|facts| !facts.append_only) {
        server.push_str(
            "; no append-only file: a restart loses the keys since the last snapshot, or all",
        );
    }
    Ok(StoreStats {
        keys: Some(keys(servers, joint)?),
        bytes: Some(facts.iter().map(|facts| facts.used_memory).sum()),
        server,
    })
}

fn keys(servers: &Servers, joint: &Joint) -> Result<u64, StoreError> {
    let mut calls = Vec::new();
    let mut scale = Vec::new();
    for shard in (0..SHARDS).step_by(SHARDS / SHARDS_SAMPLED) {
        let known = joint.shard(shard);
        let slot = joint.names.slots.get(shard).copied().unwrap_or_default();
        for bits in std::iter::once(known.bits).chain(known.before) {
            let all = 1_u64 << bits;
            let step = (all / PLACES_SAMPLED).max(1);
            let count = all.div_ceil(step);
            let mut call = script::COUNT.call(slot, usize::try_from(count).unwrap_or(0), 0);
            let mut name = Vec::new();
            for place in 0..count {
                name.clear();
                joint.names.put_place(&mut name, shard, &known.generation, bits, place * step);
                call.arg(&name);
            }
            calls.push(call);
            scale.push(step * (SHARDS / SHARDS_SAMPLED) as u64);
        }
    }
    let answers = servers.run(&calls, None)?;
    let counted = answers.iter().zip(scale).map(|(answer, scale)| {
        let records = parts(answer).get(1).and_then(number).unwrap_or(0);
        u64::try_from(records).unwrap_or(0) * scale
    });
    debug_assert!(answers.iter().all(|answer| verdict(answer) == "ok"));
    Ok(counted.sum())
}
