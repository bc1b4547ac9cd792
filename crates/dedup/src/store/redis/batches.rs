//! Batch records: the commit point, each in a hash slot of its own.

use redis::Value;

use super::super::{BatchRef, BatchState, StoreError};
use super::call::{Call, number, parts};
use super::joint::Joint;
use super::layout::{SHARDS, batch_bytes, slot};
use super::script;
use super::servers::{Servers, verdict};

/// For how long the record of a settled batch, or of an absent one that was resolved, is kept; ms.
const SETTLED_KEPT_MS: i64 = 3_600_000;
const ABSENT_KEPT_MS: i64 = 2 * 86_400_000;

/// What a batch's record says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) state: BatchState,
    pub(super) lease_left_ms: u64,
    /// Bit `n`: shard `n` has keys of it.
    pub(super) shards: u64,
}

impl Record {
    fn read(answer: &Value) -> Self {
        let state = match verdict(answer) {
            "open" => BatchState::Open,
            "committed" => BatchState::Committed,
            "aborted" => BatchState::Aborted,
            _ => BatchState::Absent,
        };
        let part = |n: usize| parts(answer).get(n).and_then(number).unwrap_or(0);
        // Halves of 32 bits, which Lua may have made negative.
        let half = |n: usize| u64::from(part(n) as u32);
        Self {
            state,
            lease_left_ms: u64::try_from(part(1)).unwrap_or(0),
            shards: half(2) << 32 | half(3),
        }
    }
}

/// A call on a batch's record.
pub(super) fn call(joint: &Joint, batch: BatchRef, arguments: &[&str]) -> Call {
    let name = joint.names.batch(batch);
    let mut call = script::BATCH.call(slot(&name), 1, arguments.len());
    call.arg(&name);
    for argument in arguments {
        call.arg(argument);
    }
    call
}

fn one(
    servers: &Servers,
    joint: &Joint,
    batch: BatchRef,
    arguments: &[&str],
) -> Result<Record, StoreError> {
    let answers = servers.run(&[call(joint, batch, arguments)], Some(batch))?;
    Ok(Record::read(answers.first().unwrap_or(&Value::Nil)))
}

/// Opens the record, or notes more shards and a longer time in it.
pub(super) fn open(
    servers: &Servers,
    joint: &Joint,
    batch: BatchRef,
    lease_ms: u64,
    keep_ms: i64,
    shards: u64,
) -> Result<Record, StoreError> {
    let may_be_made = if joint.was_opened(batch) { "0" } else { "1" };
    let (high, low) = ((shards >> 32).to_string(), (shards & 0xffff_ffff).to_string());
    let (lease, keep) = (lease(lease_ms), keep_ms.to_string());
    let arguments = ["open", &lease, &keep, &high, &low, may_be_made];
    let record = one(servers, joint, batch, &arguments)?;
    if record.state == BatchState::Open {
        joint.is_open(batch);
    }
    Ok(record)
}

/// At least a millisecond, at most ten years.
fn lease(lease_ms: u64) -> String {
    lease_ms.clamp(1, 10 * 365 * 86_400_000).to_string()
}

/// Prolongs leases.
pub(super) fn renew(
    servers: &Servers,
    joint: &Joint,
    batches: &[BatchRef],
    lease_ms: u64,
) -> Result<Vec<BatchState>, StoreError> {
    let lease = lease(lease_ms);
    let calls: Vec<_> =
        batches.iter().map(|batch| call(joint, *batch, &["renew", &lease])).collect();
    let answers = servers.run(&calls, None)?;
    Ok(answers.iter().map(|answer| Record::read(answer).state).collect())
}

/// What the record says.
pub(super) fn state(
    servers: &Servers,
    joint: &Joint,
    batch: BatchRef,
) -> Result<Record, StoreError> {
    one(servers, joint, batch, &["state"])
}

/// Open → committed.
pub(super) fn commit(
    servers: &Servers,
    joint: &Joint,
    batch: BatchRef,
) -> Result<BatchState, StoreError> {
    // A reservation that nobody waits for any more must not come after this.
    servers.fence(batch)?;
    let record = one(servers, joint, batch, &["commit"])?;
    joint.is_resolved(batch);
    Ok(record.state)
}

/// Open → aborted; its keys are told, as far as they can be reached now.
pub(super) fn abort(
    servers: &Servers,
    joint: &Joint,
    batch: BatchRef,
) -> Result<BatchState, StoreError> {
    let record = one(servers, joint, batch, &["abort"])?;
    joint.is_resolved(batch);
    if record.state == BatchState::Aborted {
        // Else who meets them finds out.
        let _ = mark(servers, joint, &[(batch, record)]);
    }
    Ok(record.state)
}

/// Committed → its shards know, and the record may go.
pub(super) fn settle(servers: &Servers, joint: &Joint, batch: BatchRef) -> Result<(), StoreError> {
    let record = state(servers, joint, batch)?;
    if record.state != BatchState::Committed {
        return Ok(());
    }
    mark(servers, joint, &[(batch, record)])?;
    let kept = SETTLED_KEPT_MS.to_string();
    one(servers, joint, batch, &["settled", &kept]).map(|_| ())
}

/// Finds out about other workers' batches; the open ones whose lease ran out, and those that have no
/// record, are aborted.
pub(super) fn resolve(
    servers: &Servers,
    joint: &Joint,
    batches: &[BatchRef],
) -> Result<Vec<Record>, StoreError> {
    let kept = ABSENT_KEPT_MS.to_string();
    let calls: Vec<_> =
        batches.iter().map(|batch| call(joint, *batch, &["resolve", &kept])).collect();
    let answers = servers.run(&calls, None)?;
    Ok(answers.iter().map(Record::read).collect())
}

/// Tells the shards of resolved batches what became of them.
pub(super) fn mark(
    servers: &Servers,
    joint: &Joint,
    batches: &[(BatchRef, Record)],
) -> Result<(), StoreError> {
    let mut calls = Vec::new();
    for shard in 0..SHARDS {
        let here = batches.iter().filter(|(_, record)| record.shards >> shard & 1 == 1);
        let here: Vec<_> = here
            .filter_map(|(batch, record)| match record.state {
                BatchState::Committed => Some((batch, "c")),
                BatchState::Aborted => Some((batch, "a")),
                BatchState::Open | BatchState::Absent => None,
            })
            .collect();
        if here.is_empty() {
            continue;
        }
        let slot = joint.names.slots.get(shard).copied().unwrap_or_default();
        let mut call = script::MARK.call(slot, 1, 1 + 2 * here.len());
        call.arg(joint.names.head(shard)).arg(joint.incarnation);
        for (batch, state) in here {
            call.arg(state).arg(batch_bytes(*batch));
        }
        calls.push(call);
    }
    // A shard that lost its data needs no telling.
    servers.run(&calls, None).map(|_| ())
}
