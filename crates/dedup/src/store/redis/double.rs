//! Doubling a shard's places when they get full: begun by a word in its head, then place after
//! place is moved, a few with each reservation, by every worker that sees it.

use std::sync::PoisonError;

use super::super::StoreError;
use super::call::Call;
use super::joint::Joint;
use super::layout::{PLACE_BITS_MAX, PLACE_BITS_MIN, RECORD_BYTES, RECORDS_A_PLACE};
use super::reserve::lost;
use super::script;
use super::servers::{Servers, verdict};

/// Places that must have been seen before a shard is judged.
const PLACES_SEEN_MIN: u64 = 256;
/// Places that are moved with each reservation, of all shards.
const MOVED_AT_ONCE: usize = 2_048;
/// Places that one run of the script moves.
const MOVED_A_SCRIPT: u64 = 32;

/// Begins and carries on with doublings.
pub(super) fn tend(servers: &Servers, joint: &Joint) -> Result<(), StoreError> {
    begin(servers, joint)?;
    let mut moving = joint.moving.lock().unwrap_or_else(PoisonError::into_inner);
    let mine = std::mem::take(&mut *moving);
    drop(moving);
    if mine.is_empty() {
        return Ok(());
    }
    let (calls, mut next) = steps(joint, &mine);
    let answers = servers.run(&calls, None);
    if let Ok(answers) = &answers {
        for answer in answers {
            if verdict(answer) == "lost" {
                return Err(lost(servers, 0));
            }
        }
    } else {
        next = mine;
    }
    let (done, under_way): (Vec<_>, Vec<_>) = next.into_iter().partition(|(shard, next)| {
        joint.shard(*shard).before.is_none_or(|bits| *next >= 1 << bits)
    });
    joint.moving.lock().unwrap_or_else(PoisonError::into_inner).extend(under_way);
    answers?;
    for (shard, _) in done {
        if let Some(before) = joint.shard(shard).before {
            say(servers, joint, shard, "end", before)?;
        }
    }
    Ok(())
}

fn begin(servers: &Servers, joint: &Joint) -> Result<(), StoreError> {
    for (shard, fill) in joint.fills.iter().enumerate() {
        let seen = {
            let mut fill = fill.lock().unwrap_or_else(PoisonError::into_inner);
            if fill.places < PLACES_SEEN_MIN {
                continue;
            }
            std::mem::take(&mut *fill)
        };
        let known = joint.shard(shard);
        let full = seen.bytes / seen.places > (RECORDS_A_PLACE * RECORD_BYTES) as u64;
        if full && known.before.is_none() && known.bits < PLACE_BITS_MAX {
            say(servers, joint, shard, "begin", known.bits)?;
        }
    }
    Ok(())
}

fn say(
    servers: &Servers,
    joint: &Joint,
    shard: usize,
    what: &str,
    before: u32,
) -> Result<(), StoreError> {
    let slot = joint.names.slots.get(shard).copied().unwrap_or_default();
    let mut call = script::DOUBLE.call(slot, 1, 3);
    call.arg(joint.names.head(shard)).arg(joint.incarnation).arg(what).arg(before.to_string());
    let answers = servers.run(&[call], None)?;
    match answers.first() {
        Some(answer) if verdict(answer) == "bits" => joint.learn(shard, answer),
        _ => return Err(lost(servers, shard)),
    }
    Ok(())
}

/// The next places of each shard to move, and where it goes on after them.
fn steps(joint: &Joint, moving: &[(usize, u64)]) -> (Vec<Call>, Vec<(usize, u64)>) {
    let scripts = (MOVED_AT_ONCE / MOVED_A_SCRIPT as usize / moving.len().max(1)).max(1);
    let mut calls = Vec::new();
    let mut next = Vec::new();
    for (shard, from) in moving {
        let known = joint.shard(*shard);
        let Some(before) = known.before else { continue };
        let mut from = *from;
        for _ in 0..scripts {
            let to = (from + MOVED_A_SCRIPT).min(1 << before);
            if from < to {
                calls.push(step(joint, *shard, &known, before, from..to));
            }
            from = to;
        }
        next.push((*shard, from));
    }
    (calls, next)
}

fn step(
    joint: &Joint,
    shard: usize,
    known: &super::joint::Shard,
    before: u32,
    places: std::ops::Range<u64>,
) -> Call {
    let slot = joint.names.slots.get(shard).copied().unwrap_or_default();
    let count = usize::try_from(places.end - places.start).unwrap_or(0);
    let mut call = script::MOVE.call(slot, 1 + 3 * count, 5);
    call.arg(joint.names.head(shard));
    let mut name = Vec::with_capacity(64);
    for place in places {
        for (bits, place) in [(before, place), (known.bits, 2 * place), (known.bits, 2 * place + 1)]
        {
            name.clear();
            joint.names.put_place(&mut name, shard, &known.generation, bits, place);
            call.arg(&name);
        }
    }
    // The bit of the record's field that says which of the two it is.
    let bit = before - PLACE_BITS_MIN;
    call.arg(joint.incarnation)
        .arg(known.bits.to_string())
        .arg(before.to_string())
        .arg((bit / 8 + 1).to_string())
        .arg((1_u32 << (7 - bit % 8)).to_string());
    call
}
