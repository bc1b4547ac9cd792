//! Batches of keys, and the ledger that they go through.

use std::path::Path;
use std::sync::Arc;

use dedup::ledger::{
    CounterChange, Ledger, LedgerOptions, PipeDeclaration, PipeLedger, ScopeDeclaration, Settlement,
};
use dedup::scope::ScopeOptions;
use event::batch::{Extent, Offsets};
use event::{Batch, BatchNumber, Event, ShardId, SystemClock};
use journal::RealDisk;

pub(crate) const BATCH: u64 = 65_536;
/// One of so many is a repeat.
const REPEAT_EVERY: u64 = 10;
const WINDOW_MS: i64 = 86_400_000;

/// A well-mixed stand-in for key number `of`.
pub(crate) fn key(of: u64) -> u128 {
    let mix = |x: u64| {
        let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    };
    u128::from(mix(of ^ 0xaaaa_aaaa)) << 64 | u128::from(mix(of))
}

/// New keys from `next` on with one of ten a repeat, of one of the last `reach` keys. How many of
/// them are new.
pub(crate) fn keys(next: u64, count: u64, reach: u64, into: &mut Vec<u128>) -> u64 {
    into.clear();
    let mut new = 0;
    for i in 0..count {
        let known = next + new;
        if i % REPEAT_EVERY == 7 && known > 0 {
            let back = (key(known ^ i << 40) as u64) % reach.min(known);
            into.push(key(known - 1 - back));
        } else {
            into.push(key(known));
            new += 1;
        }
    }
    new
}

pub(crate) fn batch(keys: &[u128], number: u64) -> Batch {
    let event = |key: &u128| Event {
        key: *key,
        window_ms: WINDOW_MS,
        body_hash: *key as u64,
        ..Event::default()
    };
    let first = number << 24;
    Batch {
        events: keys.iter().map(event).collect(),
        extents: vec![Extent {
            shard: ShardId::from("bench"),
            first_event: 0,
            events_received: keys.len() as u32,
            received_ms: event::Clock::now_ms(&SystemClock),
            broker_ms: Vec::new(),
            offsets: Offsets::Contiguous { base: 0 },
            start: first.into(),
            end: (first + keys.len() as u64).into(),
            mark: None,
        }],
        ..Batch::default()
    }
}

pub(crate) fn settlement(number: BatchNumber, batch: &Batch) -> Settlement<'_> {
    Settlement {
        number,
        batch,
        positions: Vec::new(),
        message_ids: Vec::new(),
        parked: Vec::new(),
        letters: vec![],
        staged: Vec::new(),
        counters: CounterChange::default(),
    }
}

pub(crate) fn open(dir: &Path, checkpoint_journal_bytes: Option<u64>) -> Arc<Ledger> {
    let mut options = LedgerOptions::default();
    options.checkpoint_journal_bytes =
        checkpoint_journal_bytes.unwrap_or(options.checkpoint_journal_bytes);
    Ledger::open(Arc::new(RealDisk::new()), dir, options, Arc::new(SystemClock)).unwrap()
}

pub(crate) fn pipe(ledger: &Arc<Ledger>, memory_bytes_max: u64) -> Arc<PipeLedger> {
    let options = ScopeOptions { memory_bytes_max, ..ScopeOptions::default() };
    let declaration = PipeDeclaration {
        pipe: "app".into(),
        source: "bench".into(),
        sinks: vec!["out".into()],
        scope: Some(ScopeDeclaration {
            name: "app".into(),
            fields: 1,
            across_types: false,
            paths: Vec::new(),
            new_key: None,
            options,
        }),
        config_fingerprint: 1,
        store: None,
    };
    ledger.pipe(declaration).unwrap()
}
