//! Letting go of keys that a batch holds.

use super::super::{Asked, BatchRef, BatchState, StoreError, StoreFault};
use super::batches;
use super::joint::Joint;
use super::layout::{RELEASE_BYTES, put_release};
use super::reserve::{Part, lost, over_places, places, split};
use super::script;
use super::servers::{Servers, verdict};

const KEYS_A_SCRIPT: usize = 1_000;
const ROUNDS_MAX: usize = 16;

/// See [`crate::store::Store::release`]. What a committed batch holds is remembered, and what an
/// aborted one held is free.
pub(super) fn release(
    servers: &Servers,
    joint: &Joint,
    batch: BatchRef,
    keys: &[Asked],
) -> Result<(), StoreError> {
    if keys.is_empty() || batches::state(servers, joint, batch)?.state != BatchState::Open {
        return Ok(());
    }
    let mut todo = split(keys);
    for _ in 0..ROUNDS_MAX {
        let mut sent = Vec::new();
        let mut calls = Vec::new();
        for part in &todo {
            let known = joint.shard(part.shard);
            for indices in part.indices.chunks(KEYS_A_SCRIPT) {
                let places = places(keys, indices, known.bits);
                let at = (part.shard, &known);
                let mut call = over_places(&script::RELEASE, joint, at, &places, batch, 0);
                let mut bytes = Vec::with_capacity(RELEASE_BYTES);
                for (_, range) in places {
                    bytes.clear();
                    for index in indices.get(range).unwrap_or_default() {
                        if let Some(asked) = keys.get(*index as usize) {
                            put_release(&mut bytes, asked);
                        }
                    }
                    call.arg(&bytes);
                }
                calls.push(call);
                sent.push(Part { shard: part.shard, indices: indices.to_vec() });
            }
        }
        let answers = servers.run(&calls, Some(batch))?;
        todo = Vec::new();
        for (part, answer) in sent.into_iter().zip(&answers) {
            match verdict(answer) {
                "ok" => {}
                "bits" => {
                    joint.learn(part.shard, answer);
                    todo.push(part);
                }
                _ => return Err(lost(servers, part.shard)),
            }
        }
        if todo.is_empty() {
            return Ok(());
        }
    }
    Err(StoreError::new(StoreFault::Away, servers.place(), "its shards change all the time"))
}
