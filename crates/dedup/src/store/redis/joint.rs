//! A scope that was joined: what this worker knows of its shards.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rand::TryRng as _;
use redis::Value;

use super::super::{BatchRef, Joined, SharedScope, StoreError, StoreFault};
use super::call::{Call, bytes, number, parts, text};
use super::layout::{Names, PLACE_BITS_MIN, SHARDS, VERSION, slot};
use super::script;
use super::servers::{Servers, verdict};

/// For how long a scope's record is kept after it was last joined; ms (400 days).
const SCOPE_KEPT_MS: i64 = 400 * 86_400_000;

/// What is known of a shard.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) generation: String,
    /// Bits of the key that choose a place.
    pub(super) bits: u32,
    /// The bits before the doubling that is under way.
    pub(super) before: Option<u32>,
}

/// How full the places of a shard were that were seen lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fill {
    pub(super) bytes: u64,
    pub(super) places: u64,
}

/// A server's clock as it was seen last.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: Instant,
    server_ms: i64,
}

/// A scope that was joined.
#[derive(Debug)]
pub(super) struct Joint {
    pub(super) names: Names,
    pub(super) incarnation: [u8; 16],
    pub(super) secret: [u8; 16],
    shards: Vec<Mutex<Shard>>,
    pub(super) fills: Vec<Mutex<Fill>>,
    clocks: Vec<Mutex<Seen>>,
    /// Batches whose records this worker opened and has not seen resolved.
    opened: Mutex<BTreeSet<BatchRef>>,
    /// Shards that are being doubled, and the next place to move.
    pub(super) moving: Mutex<Vec<(usize, u64)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What stands in a scope's record.
struct Record {
    secret: [u8; 16],
    incarnation: [u8; 16],
    ready: bool,
}

impl Joint {
    /// Joins the scope: makes its record and heads, or reads them. `broken` is an incarnation that
    /// is known to have lost something.
    pub(super) fn join(
        servers: &Servers,
        scope: &SharedScope,
        broken: Option<[u8; 16]>,
    ) -> Result<Self, StoreError> {
        let names = Names::new(&servers.options.prefix, &scope.name);
        let mut broken = broken;
        for _ in 0..8 {
            let record = record(servers, &names, scope, broken)?;
            let make = !record.ready;
            let heads = heads(servers, &names, &record, make)?;
            let missing = heads.iter().any(Option::is_none);
            let differ = heads.iter().flatten().any(|head| !head.same);
            if missing && record.ready {
                // Some of what was there is gone: everybody is to notice.
                broken = Some(record.incarnation);
                continue;
            }
            if differ && record.ready {
                self::heads(servers, &names, &record, true)?;
            }
            let kept = SCOPE_KEPT_MS.to_string();
            let mut call = script::READY.call(slot(&names.scope), 1, 2);
            call.arg(&names.scope).arg(record.incarnation).arg(kept);
            let answers = servers.run(&[call], None)?;
            if answers.first().map(verdict) != Some("ok") {
                continue;
            }
            return Ok(Self::new(names, &record, heads));
        }
        let what = "its scope's record changes all the time";
        Err(StoreError::new(StoreFault::Away, servers.place(), what))
    }

    fn new(names: Names, record: &Record, heads: Vec<Option<Head>>) -> Self {
        let at = Instant::now();
        let heads: Vec<Head> = heads.into_iter().flatten().collect();
        let seen = |head: &Head| Mutex::new(Seen { at, server_ms: head.server_ms });
        // Doublings that are under way are carried on with: who began them may be dead.
        let moving = (0..).zip(&heads).filter(|(_, head)| head.shard.before.is_some());
        let moving = moving.map(|(shard, _)| (shard, 0)).collect();
        Self {
            names,
            incarnation: record.incarnation,
            secret: record.secret,
            clocks: heads.iter().map(seen).collect(),
            shards: heads.into_iter().map(|head| Mutex::new(head.shard)).collect(),
            fills: (0..SHARDS).map(|_| Mutex::default()).collect(),
            opened: Mutex::default(),
            moving: Mutex::new(moving),
        }
    }

    pub(super) fn joined(&self) -> Joined {
        Joined { secret: self.secret, incarnation: u128::from_be_bytes(self.incarnation) }
    }

    /// What is known of a shard.
    pub(super) fn shard(&self, shard: usize) -> Shard {
        let none = Shard { generation: String::new(), bits: PLACE_BITS_MIN, before: None };
        self.shards.get(shard).map_or(none, |shard| lock(shard).clone())
    }

    /// Takes over what a script said about a shard's bits.
    pub(super) fn learn(&self, shard: usize, answer: &Value) {
        let [_, bits, before] = parts(answer) else { return };
        let (Some(bits), Some(known)) = (number(bits), self.shards.get(shard)) else { return };
        let before = text(before).and_then(|before| before.parse().ok());
        let mut known = lock(known);
        known.bits = u32::try_from(bits).unwrap_or(known.bits);
        known.before = before;
        drop(known);
        let mut moving = lock(&self.moving);
        moving.retain(|(of, _)| *of != shard || before.is_some());
        if before.is_some() && moving.iter().all(|(of, _)| *of != shard) {
            moving.push((shard, 0));
        }
    }

    /// The server's time of a shard, now; ms since the Unix epoch.
    pub(super) fn now_ms(&self, shard: usize) -> i64 {
        self.clocks.get(shard).map_or(0, |seen| {
            let seen = lock(seen);
            seen.server_ms + i64::try_from(seen.at.elapsed().as_millis()).unwrap_or(0)
        })
    }

    /// Takes over the time that a server said. True if it leapt ahead by `leap_ms` or more: keys may
    /// have run out before their time.
    pub(super) fn saw(&self, shard: usize, server_ms: i64, leap_ms: i64) -> bool {
        let Some(seen) = self.clocks.get(shard) else { return false };
        let ahead = server_ms.saturating_sub(self.now_ms(shard));
        *lock(seen) = Seen { at: Instant::now(), server_ms };
        ahead >= leap_ms
    }

    /// Whether this worker opened the batch's record before.
    pub(super) fn was_opened(&self, batch: BatchRef) -> bool {
        lock(&self.opened).contains(&batch)
    }

    /// The batch's record is open.
    pub(super) fn is_open(&self, batch: BatchRef) {
        lock(&self.opened).insert(batch);
    }

    /// Takes over which batches were opened: one whose record is lost is never opened anew.
    pub(super) fn take_opened(&self, before: &Self) {
        lock(&self.opened).extend(lock(&before.opened).iter().copied());
    }

    /// The batch was resolved.
    pub(super) fn is_resolved(&self, batch: BatchRef) {
        lock(&self.opened).remove(&batch);
    }
}

/// A shard's head as it was found.
struct Head {
    shard: Shard,
    server_ms: i64,
    /// Whether it had the scope's incarnation.
    same: bool,
}

fn record(
    servers: &Servers,
    names: &Names,
    scope: &SharedScope,
    broken: Option<[u8; 16]>,
) -> Result<Record, StoreError> {
    let refused = |what: String| StoreError::new(StoreFault::Refused, servers.place(), what);
    let mut call = script::SCOPE.call(slot(&names.scope), 1, 7);
    call.arg(&names.scope)
        .arg(VERSION)
        .arg(scope.fields.to_string())
        .arg(if scope.across_types { "1" } else { "0" })
        .arg(scope.secret)
        .arg(random(servers)?)
        .arg(SCOPE_KEPT_MS.to_string())
        .arg(
            broken.unwrap_or_default().get(..if broken.is_some() { 16 } else { 0 }).unwrap_or(&[]),
        );
    let answers = servers.run(&[call], None)?;
    let [version, fields, across, secret, incarnation, ready] =
        answers.first().map(parts).unwrap_or_default()
    else {
        return Err(refused("its scope's record isn't one of ours".to_owned()));
    };
    let said = text(version).unwrap_or("?");
    if said != VERSION {
        return Err(refused(format!(
            "the scope {:?} has version {said} of the layout; this program knows {VERSION}",
            scope.name
        )));
    }
    let (said, types) = (number(fields).unwrap_or(0), text(across) == Some("1"));
    if said != i64::from(scope.fields) || types != scope.across_types {
        return Err(refused(format!(
            "the scope {:?} has keys of {said} field(s) with across_types: {types}; the config says \
             {} field(s) with across_types: {}. Use another scope, or config that agrees",
            scope.name, scope.fields, scope.across_types
        )));
    }
    let sixteen = |value: &Value| bytes(value).and_then(|bytes| bytes.try_into().ok());
    let (Some(secret), Some(incarnation)) = (sixteen(secret), sixteen(incarnation)) else {
        return Err(refused("its scope's record isn't one of ours".to_owned()));
    };
    Ok(Record { secret, incarnation, ready: text(ready) == Some("1") })
}

/// Looks at all heads, or makes those that aren't there; `None` for one that isn't there.
fn heads(
    servers: &Servers,
    names: &Names,
    record: &Record,
    make: bool,
) -> Result<Vec<Option<Head>>, StoreError> {
    let mut calls: Vec<Call> = Vec::with_capacity(SHARDS);
    for (shard, slot) in names.slots.iter().enumerate() {
        let drawn = random(servers)?;
        let generation: String = drawn.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let mut call = script::STAMP.call(*slot, 1, 4);
        call.arg(names.head(shard))
            .arg(record.incarnation)
            .arg(generation)
            .arg(PLACE_BITS_MIN.to_string())
            .arg(if make { "make" } else { "look" });
        calls.push(call);
    }
    let answers = servers.run(&calls, None)?;
    Ok(answers.iter().map(head).collect())
}

fn head(answer: &Value) -> Option<Head> {
    let [said, now, generation, bits, before, ..] = parts(answer) else { return None };
    let shard = Shard {
        generation: text(generation)?.to_owned(),
        bits: u32::try_from(number(bits)?).ok()?,
        before: text(before).and_then(|before| before.parse().ok()),
    };
    Some(Head { shard, server_ms: number(now)?, same: text(said) != Some("other") })
}

fn random(servers: &Servers) -> Result<[u8; 16], StoreError> {
    let mut bytes = [0; 16];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        let what = format_args!("the system gives no random bytes: {error}");
        StoreError::new(StoreFault::Refused, servers.place(), what)
    })?;
    Ok(bytes)
}
