//! Asking for keys: sorted by shard and place, one script a shard; what others hold is resolved in
//! between.

use std::collections::BTreeMap;
use std::ops::Range;

use redis::Value;

use super::super::{Answer, Asked, BatchRef, BatchState, StoreError, StoreFault};
use super::batches;
use super::call::{Call, bytes, number, parts};
use super::joint::{Joint, Shard};
use super::layout::{
    HOLDER_BYTES, SHARDS, TOLD_BYTES, Told, batch_bytes, batch_of, place, put_ask, shard, until_s,
};
use super::script;
use super::servers::{Servers, verdict};

/// Keys that one run of a script decides; it holds up its server for about 3 ms.
const KEYS_A_SCRIPT: usize = 1_000;
/// How often keys are asked for again after what held them was resolved.
const ROUNDS_MAX: usize = 16;
/// A batch's record outlives its keys by this; ms.
const RECORD_KEPT_MS: i64 = 2 * 86_400_000;

/// Keys of one shard, as indices into what is asked, sorted by key.
pub(super) struct Part {
    pub(super) shard: usize,
    pub(super) indices: Vec<u32>,
}

/// One reservation.
struct Reservation<'a> {
    servers: &'a Servers,
    joint: &'a Joint,
    batch: BatchRef,
    asked: &'a [Asked],
    answers: Vec<Answer>,
    /// Batches of others that were looked up, for this call.
    known: BTreeMap<BatchRef, batches::Record>,
}

/// See [`crate::store::Store::reserve`].
pub(super) fn reserve(
    servers: &Servers,
    joint: &Joint,
    batch: BatchRef,
    lease_ms: u64,
    asked: &[Asked],
) -> Result<Vec<Answer>, StoreError> {
    let parts = split(asked);
    let latest = asked.iter().map(|asked| until(servers, joint, asked)).max().unwrap_or(0);
    let now_ms = joint.now_ms(0);
    let keep_ms = (i64::from(latest) * 1000 - now_ms).max(0) + RECORD_KEPT_MS;
    let shards = parts.iter().fold(0_u64, |mask, part| mask | 1 << part.shard);
    let record = batches::open(servers, joint, batch, lease_ms, keep_ms, shards)?;
    if record.state != BatchState::Open {
        joint.is_resolved(batch);
        let what = match record.state {
            BatchState::Committed => "it is committed",
            BatchState::Aborted => "it was aborted: its lease ran out, or it was asked for",
            _ => "its record is gone",
        };
        return Err(StoreError::new(StoreFault::NotOpen, servers.place(), what));
    }
    let mut reservation = Reservation {
        servers,
        joint,
        batch,
        asked,
        answers: vec![Answer::Reserved; asked.len()],
        known: BTreeMap::new(),
    };
    reservation.decide(parts)?;
    Ok(reservation.answers)
}

fn until(servers: &Servers, joint: &Joint, asked: &Asked) -> u32 {
    let margin_ms = i64::try_from(servers.options.margin_ms).unwrap_or(i64::MAX);
    until_s(asked, joint.now_ms(shard(asked.key)), margin_ms)
}

/// The keys by shard, each shard's sorted by key.
pub(super) fn split(asked: &[Asked]) -> Vec<Part> {
    let mut counts = [0_u32; SHARDS];
    for asked in asked {
        if let Some(count) = counts.get_mut(shard(asked.key)) {
            *count += 1;
        }
    }
    let mut parts: Vec<Part> = counts
        .iter()
        .enumerate()
        .map(|(shard, count)| Part { shard, indices: Vec::with_capacity(*count as usize) })
        .collect();
    for (index, asked) in (0..).zip(asked) {
        if let Some(part) = parts.get_mut(shard(asked.key)) {
            part.indices.push(index);
        }
    }
    parts.retain(|part| !part.indices.is_empty());
    let key = |index: &u32| asked.get(*index as usize).map_or(0, |asked| asked.key);
    for part in &mut parts {
        part.indices.sort_by_key(key);
    }
    parts
}

/// The stretches of `indices` whose keys are in the same place.
pub(super) fn places(asked: &[Asked], indices: &[u32], bits: u32) -> Vec<(u64, Range<usize>)> {
    let mut places: Vec<(u64, Range<usize>)> = Vec::with_capacity(indices.len());
    for (at, index) in indices.iter().enumerate() {
        let here = place(asked.get(*index as usize).map_or(0, |asked| asked.key), bits);
        match places.last_mut() {
            Some((place, range)) if *place == here => range.end = at + 1,
            _ => places.push((here, at..at + 1)),
        }
    }
    places
}

/// Begins a call of a script over places: names and what all of these scripts want first.
pub(super) fn over_places(
    script: &'static script::Script,
    joint: &Joint,
    at: (usize, &Shard),
    places: &[(u64, Range<usize>)],
    batch: BatchRef,
    more_arguments: usize,
) -> Call {
    let (shard, known) = at;
    let slot = joint.names.slots.get(shard).copied().unwrap_or_default();
    let names = if known.before.is_some() { 2 } else { 1 };
    let arguments = 4 + more_arguments + places.len();
    let mut call = script.call(slot, 1 + names * places.len(), arguments);
    call.arg(joint.names.head(shard));
    let mut name = Vec::with_capacity(64);
    for bits in std::iter::once(known.bits).chain(known.before) {
        for (place, _) in places {
            name.clear();
            let place = place >> (known.bits - bits);
            joint.names.put_place(&mut name, shard, &known.generation, bits, place);
            call.arg(&name);
        }
    }
    call.arg(joint.incarnation)
        .arg(known.bits.to_string())
        .arg(known.before.map(|bits| bits.to_string()).unwrap_or_default())
        .arg(batch_bytes(batch));
    call
}

/// What a lost shard means.
pub(super) fn lost(servers: &Servers, shard: usize) -> StoreError {
    let what = format_args!(
        "shard {shard} of the scope has no head, or another incarnation: keys were lost, and events \
         that come again may be taken for new ones"
    );
    StoreError::new(StoreFault::Lost, servers.place(), what)
}

impl Reservation<'_> {
    fn decide(&mut self, parts: Vec<Part>) -> Result<(), StoreError> {
        let mut todo = parts;
        for _ in 0..ROUNDS_MAX {
            let (sent, calls) = self.calls(&todo);
            let answers = self.servers.run(&calls, Some(self.batch))?;
            let mut again = Vec::new();
            let mut met: BTreeMap<BatchRef, u64> = BTreeMap::new();
            let mut held = Vec::new();
            for (part, answer) in sent.into_iter().zip(&answers) {
                match verdict(answer) {
                    "ok" => self.read(part, answer, &mut met, &mut held)?,
                    "bits" => {
                        self.joint.learn(part.shard, answer);
                        again.push(part);
                    }
                    _ => return Err(lost(self.servers, part.shard)),
                }
            }
            again.extend(self.resolve(met, held)?);
            if again.is_empty() {
                return Ok(());
            }
            todo = again;
        }
        let what = "its keys change hands all the time";
        Err(StoreError::new(StoreFault::Away, self.servers.place(), what))
    }

    /// One call for each thousand keys of each part.
    fn calls(&self, todo: &[Part]) -> (Vec<Part>, Vec<Call>) {
        let mut sent = Vec::new();
        let mut calls = Vec::new();
        for part in todo {
            let known = self.joint.shard(part.shard);
            for indices in part.indices.chunks(KEYS_A_SCRIPT) {
                calls.push(self.call(part.shard, &known, indices));
                sent.push(Part { shard: part.shard, indices: indices.to_vec() });
            }
        }
        (sent, calls)
    }

    fn call(&self, shard: usize, known: &Shard, indices: &[u32]) -> Call {
        let margin_ms = i64::try_from(self.servers.options.margin_ms).unwrap_or(i64::MAX);
        let now_ms = self.joint.now_ms(shard);
        let places = places(self.asked, indices, known.bits);
        let at = (shard, known);
        let mut call = over_places(&script::RESERVE, self.joint, at, &places, self.batch, 1);
        let mut latest = 0;
        let mut asks = Vec::with_capacity(places.len());
        let mut bytes = Vec::with_capacity(indices.len() * super::layout::ASK_BYTES);
        for (_, range) in &places {
            let from = bytes.len();
            for index in indices.get(range.clone()).unwrap_or_default() {
                let Some(asked) = self.asked.get(*index as usize) else { continue };
                let until_s = until_s(asked, now_ms, margin_ms);
                latest = latest.max(until_s);
                put_ask(&mut bytes, asked, until_s);
            }
            asks.push(from..bytes.len());
        }
        call.arg(latest.to_string());
        for range in asks {
            call.arg(bytes.get(range).unwrap_or_default());
        }
        call
    }

    /// Reads the answers to a part; who holds keys is added to `met`, with the shard, and the keys
    /// to `held`.
    fn read(
        &mut self,
        part: Part,
        answer: &Value,
        met: &mut BTreeMap<BatchRef, u64>,
        held: &mut Vec<(usize, u32, BatchRef)>,
    ) -> Result<(), StoreError> {
        let garbled = || {
            let what = "an answer isn't what the script says";
            StoreError::new(StoreFault::Refused, self.servers.place(), what)
        };
        let [_, now, verdicts, unresolved, length] = parts(answer) else { return Err(garbled()) };
        let leap_ms = i64::try_from(self.servers.options.margin_ms).unwrap_or(i64::MAX);
        if self.joint.saw(part.shard, number(now).unwrap_or(0), leap_ms.max(1_000)) {
            let what = "its clock leapt ahead by more than the margin: keys may have run out before \
                        their time, and events that come again may be taken for new ones";
            return Err(StoreError::new(StoreFault::Lost, self.servers.place(), what));
        }
        if let Some(fill) = self.joint.fills.get(part.shard) {
            let known = self.joint.shard(part.shard);
            let mut fill = fill.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            fill.places += places(self.asked, &part.indices, known.bits).len() as u64;
            fill.bytes += u64::try_from(number(length).unwrap_or(0)).unwrap_or(0);
        }
        let holders: BTreeMap<&[u8], BatchRef> = parts(unresolved)
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [holder, batch] => Some((bytes(holder)?, batch_of(bytes(batch)?)?)),
                _ => None,
            })
            .collect();
        let mut rest = bytes(verdicts).unwrap_or_default();
        for index in part.indices {
            let (what, after) = rest.split_first().ok_or_else(garbled)?;
            let Some(slot) = self.answers.get_mut(index as usize) else { continue };
            rest = match what {
                b'0' => {
                    *slot = Answer::Reserved;
                    after
                }
                b'1' => {
                    let (told, after) =
                        after.split_first_chunk::<TOLD_BYTES>().ok_or_else(garbled)?;
                    let Told { recorded_ms, window_ms, body_hash } = Told::read(told);
                    *slot = Answer::Duplicate { recorded_ms, window_ms, body_hash };
                    after
                }
                _ => {
                    let (holder, after) =
                        after.split_at_checked(HOLDER_BYTES).ok_or_else(garbled)?;
                    let by = *holders.get(holder).ok_or_else(garbled)?;
                    *met.entry(by).or_default() |= 1 << part.shard;
                    held.push((part.shard, index, by));
                    after
                }
            };
        }
        Ok(())
    }

    /// Finds out what became of the batches that were met, and tells their shards. The keys that are
    /// to be asked for again; those of open batches are busy.
    fn resolve(
        &mut self,
        met: BTreeMap<BatchRef, u64>,
        held: Vec<(usize, u32, BatchRef)>,
    ) -> Result<Vec<Part>, StoreError> {
        let unknown: Vec<_> =
            met.keys().filter(|batch| !self.known.contains_key(batch)).copied().collect();
        let found = batches::resolve(self.servers, self.joint, &unknown)?;
        self.known.extend(unknown.into_iter().zip(found));
        let mut told = Vec::new();
        for (batch, shards) in met {
            if let Some(record) = self.known.get_mut(&batch) {
                record.shards |= shards;
                if record.state != BatchState::Open {
                    told.push((batch, *record));
                }
            }
        }
        batches::mark(self.servers, self.joint, &told)?;
        let mut again: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for (shard, index, by) in held {
            match self.known.get(&by) {
                Some(record) if record.state == BatchState::Open => {
                    if let Some(answer) = self.answers.get_mut(index as usize) {
                        *answer = Answer::Busy { by, lease_left_ms: record.lease_left_ms };
                    }
                }
                _ => again.entry(shard).or_default().push(index),
            }
        }
        let key = |index: &u32| self.asked.get(*index as usize).map_or(0, |asked| asked.key);
        Ok(again
            .into_iter()
            .map(|(shard, mut indices)| {
                indices.sort_by_key(key);
                Part { shard, indices }
            })
            .collect())
    }
}
