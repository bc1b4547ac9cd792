//! What a batch adds to the sightings: one record, by column.
//!
//! Number of rows, newest time of receipt, batch number; pipe, scope (or none), source; the event
//! types and the shards that occur. Then 16 bytes a row for its key and 8 for its body hash, and
//! the columns: flags, type, shard, the three parts of its start, recorded time, received time,
//! and how long before it the original was recorded.

use std::collections::HashMap;
use std::sync::Arc;

use event::batch::Offsets;
use event::{Batch, BatchNumber, Fate, Marks, Offset};

use super::segment::{FRAME_BYTES, close_frame};
use super::{Sighting, SightingKind};
use crate::record::{
    Column, Cursor, Decoded, decode_column, put_i64, put_option, put_str, put_u64,
};

const REDELIVERED: u8 = 1;
const OTHER_BODY: u8 = 2;
const REPLAYED: u8 = 4;
const MESSAGE: u8 = 8;
const ORIGINAL_KNOWN: u8 = 16;

/// Gives the name of a pipe's event type.
pub(crate) type TypeNames = dyn Fn(u32) -> Arc<str> + Send + Sync;

/// Whose duplicates they are.
#[derive(Clone, Copy)]
pub(crate) struct Of<'a> {
    pub(crate) pipe: &'a str,
    pub(crate) scope: Option<&'a str>,
    pub(crate) source: &'a str,
    pub(crate) number: BatchNumber,
    pub(crate) type_names: Option<&'a TypeNames>,
}

/// A record on its way to the disk.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The record with its frame.
    pub(super) bytes: Vec<u8>,
    pub(super) rows: u64,
    /// The newest time of receipt; ms since the Unix epoch.
    pub(super) received_max_ms: i64,
}

#[derive(Default)]
struct Sheet<'a> {
    rows: Vec<u8>,
    hashes: Vec<u8>,
    flags: Column,
    types: Column,
    shards: Column,
    starts: [Column; 3],
    recorded: Column,
    received: Column,
    lags: Column,
    type_ids: HashMap<u32, i64>,
    type_names: Vec<Arc<str>>,
    shard_names: Vec<&'a str>,
    received_max_ms: i64,
}

/// The record of a batch's duplicates; `None` where it has none.
pub(crate) fn encode(of: Of<'_>, batch: &Batch) -> Option<Encoded> {
    let seen = |fate: Fate| matches!(fate, Fate::Duplicate | Fate::Redelivered);
    if !batch.events.iter().any(|event| seen(event.fate)) {
        return None;
    }
    let mut sheet = Sheet { received_max_ms: i64::MIN, ..Sheet::default() };
    let mut originals = batch.duplicates.iter().peekable();
    for (extent, range) in batch.extent_ranges() {
        for index in range.clone() {
            let Some(event) = batch.events.get(index) else { break };
            while originals.peek().is_some_and(|known| (known.event as usize) < index) {
                originals.next();
            }
            if !seen(event.fate) {
                continue;
            }
            let original = originals.peek().filter(|known| known.event as usize == index);
            let redelivered = event.fate == Fate::Redelivered;
            let message = matches!(extent.offsets, Offsets::Messages(_));
            let replayed = batch.replay.is_some() || event.marks.has(Marks::REPLAYED);
            let flag = |set: bool, bit: u8| if set { bit } else { 0 };
            let flags = flag(redelivered, REDELIVERED)
                | flag(original.is_some_and(|it| it.other_body), OTHER_BODY)
                | flag(replayed, REPLAYED)
                | flag(message, MESSAGE)
                | flag(original.is_some(), ORIGINAL_KNOWN);
            let recorded_ms = if redelivered { extent.received_ms } else { event.recorded_ms };
            let lag_ms = original.map_or(0, |it| recorded_ms.wrapping_sub(it.recorded_ms));
            let (start, _) = batch.position(extent, &range, index);
            let (key, hash) = if redelivered { (0, 0) } else { (event.key, event.body_hash) };
            sheet.rows.extend_from_slice(&key.to_le_bytes());
            sheet.hashes.extend_from_slice(&hash.to_le_bytes());
            sheet.flags.push(flags.into());
            sheet.type_of(if redelivered { None } else { Some(event.type_id) }, of.type_names);
            sheet.shard(extent.shard_of(index));
            sheet.start(start);
            sheet.recorded.push(recorded_ms);
            sheet.received.push(extent.received_ms);
            sheet.lags.push(lag_ms);
            sheet.received_max_ms = sheet.received_max_ms.max(extent.received_ms);
        }
    }
    Some(sheet.record(of))
}

impl<'a> Sheet<'a> {
    fn type_of(&mut self, id: Option<u32>, names: Option<&TypeNames>) {
        let id = id.unwrap_or(u32::MAX);
        let next = self.type_names.len() as i64;
        let place = *self.type_ids.entry(id).or_insert(next);
        if place == next {
            let unknown = || Arc::from("");
            let name = names.filter(|_| id != u32::MAX).map_or_else(unknown, |names| names(id));
            self.type_names.push(name);
        }
        self.types.push(place);
    }

    fn shard(&mut self, shard: &'a str) {
        // Mostly the one before; never many.
        let known = self.shard_names.iter().rposition(|known| *known == shard);
        let place = known.unwrap_or_else(|| {
            self.shard_names.push(shard);
            self.shard_names.len() - 1
        });
        self.shards.push(place as i64);
    }

    fn start(&mut self, start: Offset) {
        let (hi, lo) = start.parts();
        let [highest, middle, lowest] = &mut self.starts;
        highest.push(hi as i64);
        middle.push((lo >> 64) as i64);
        lowest.push(lo as i64);
    }

    fn record(self, of: Of<'_>) -> Encoded {
        let rows = self.flags.len() as u64;
        let mut out = Vec::with_capacity(self.rows.len() * 3 + 256);
        out.resize(FRAME_BYTES, 0);
        put_u64(&mut out, rows);
        put_i64(&mut out, self.received_max_ms);
        put_u64(&mut out, of.number.0);
        put_str(&mut out, of.pipe);
        put_option(&mut out, of.scope, put_str);
        put_str(&mut out, of.source);
        put_u64(&mut out, self.type_names.len() as u64);
        self.type_names.iter().for_each(|name| put_str(&mut out, name));
        put_u64(&mut out, self.shard_names.len() as u64);
        self.shard_names.iter().for_each(|name| put_str(&mut out, name));
        out.extend_from_slice(&self.rows);
        out.extend_from_slice(&self.hashes);
        let [highest, middle, lowest] = &self.starts;
        for column in [
            &self.flags,
            &self.types,
            &self.shards,
            highest,
            middle,
            lowest,
            &self.recorded,
            &self.received,
            &self.lags,
        ] {
            column.encode(&mut out);
        }
        close_frame(&mut out);
        Encoded { bytes: out, rows, received_max_ms: self.received_max_ms }
    }
}

/// How many rows a record has, and their newest time of receipt.
pub(super) fn count(payload: &[u8]) -> Decoded<(u64, i64)> {
    let mut cursor = Cursor::new(payload);
    Ok((cursor.u64()?, cursor.i64()?))
}

/// A record, with its rows not decoded yet.
pub(super) struct Packed<'a> {
    pub(super) rows: usize,
    pub(super) number: BatchNumber,
    pub(super) pipe: &'a str,
    pub(super) scope: Option<&'a str>,
    pub(super) source: &'a str,
    types: Vec<&'a str>,
    shards: Vec<&'a str>,
    keys: &'a [u8],
    hashes: &'a [u8],
    columns: Cursor<'a>,
}

impl<'a> Packed<'a> {
    pub(super) fn take(payload: &'a [u8]) -> Decoded<Self> {
        let mut cursor = Cursor::new(payload);
        let rows = cursor.len(24)?;
        cursor.i64()?;
        Ok(Self {
            rows,
            number: BatchNumber(cursor.u64()?),
            pipe: cursor.str()?,
            scope: cursor.option(Cursor::str)?,
            source: cursor.str()?,
            types: cursor.list(Cursor::str)?,
            shards: cursor.list(Cursor::str)?,
            keys: cursor.raw(rows * 16)?,
            hashes: cursor.raw(rows * 8)?,
            columns: cursor,
        })
    }

    /// The keys, in order.
    pub(super) fn keys(&self) -> impl Iterator<Item = u128> + '_ {
        self.keys.as_chunks().0.iter().map(|key| u128::from_le_bytes(*key))
    }

    /// All rows.
    pub(super) fn unpack(&self) -> Decoded<Vec<Sighting>> {
        let mut cursor = self.columns;
        let mut columns: [Vec<i64>; 9] = Default::default();
        for column in &mut columns {
            decode_column(&mut cursor, self.rows, column)?;
        }
        cursor.end()?;
        let shared = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect();
        let (types, shards): (Vec<Arc<str>>, Vec<Arc<str>>) =
            (shared(&self.types), shared(&self.shards));
        let (pipe, source): (Arc<str>, Arc<str>) = (Arc::from(self.pipe), Arc::from(self.source));
        let scope: Option<Arc<str>> = self.scope.map(Arc::from);
        let hashes = self.hashes.as_chunks().0.iter().map(|hash| u64::from_le_bytes(*hash));
        let name = |names: &[Arc<str>], place: i64| {
            let name = usize::try_from(place).ok().and_then(|place| names.get(place)).cloned();
            name.ok_or_else(|| cursor.missing("name of the record"))
        };
        let [flags, of_type, of_shard, highest, middle, lowest, recorded, received, lags] =
            &columns;
        let mut all = Vec::with_capacity(self.rows);
        for (row, (key, body_hash)) in self.keys().zip(hashes).enumerate() {
            let at = |column: &[i64]| column.get(row).copied().unwrap_or(0);
            let flags = at(flags) as u8;
            let lo = u128::from(at(middle) as u64) << 64 | u128::from(at(lowest) as u64);
            let original = at(recorded).wrapping_sub(at(lags));
            all.push(Sighting {
                key,
                body_hash,
                kind: if flags & REDELIVERED == 0 {
                    SightingKind::Duplicate
                } else {
                    SightingKind::Redelivered
                },
                other_body: flags & OTHER_BODY != 0,
                replayed: flags & REPLAYED != 0,
                pipe: Arc::clone(&pipe),
                scope: scope.clone(),
                source: Arc::clone(&source),
                event_type: name(&types, at(of_type))?,
                batch: self.number,
                shard: name(&shards, at(of_shard))?,
                start: Offset::from_parts(at(highest) as u64, lo),
                message: flags & MESSAGE != 0,
                recorded_ms: at(recorded),
                received_ms: at(received),
                original_ms: (flags & ORIGINAL_KNOWN != 0).then_some(original),
            });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use event::batch::{DuplicateOf, Extent};
    use event::{Event, ShardId};
    use proptest::prelude::*;

    use super::super::segment::open_frame;
    use super::*;

    fn fate(number: u8) -> Fate {
        match number {
            0 => Fate::Duplicate,
            1 => Fate::Redelivered,
            2 => Fate::Deliver,
            _ => Fate::Waits,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn duplicates_round_trip(
            rows in prop::collection::vec(
                (any::<u128>(), any::<u64>(), -1_000_i64..1_000, any::<(u64, u128)>(), 0..4_u8,
                 0..5_u32, any::<Option<(u32, bool)>>()),
                0..60,
            ),
            second in 0..60_usize,
        ) {
            let start = 1_700_000_000_000;
            let events = rows.iter().map(|row| Event {
                key: row.0, body_hash: row.1, recorded_ms: start + row.2, fate: fate(row.4),
                type_id: row.5, ..Event::default()
            });
            let extent = |shard: &str, first: usize, end: usize| Extent {
                shard: ShardId::from(shard),
                first_event: first as u32,
                events_received: (end - first) as u32,
                received_ms: start + first as i64,
                broker_ms: Vec::new(),
                offsets: Offsets::Listed(
                    rows[first..end].iter().map(|row| Offset::from_parts(row.3.0, row.3.1)).collect(),
                ),
                start: 0.into(),
                end: 0.into(),
                mark: None,
            };
            let second = second.min(rows.len());
            let duplicates = rows.iter().enumerate().filter_map(|(index, row)| {
                let (lag, other_body) = row.6.filter(|_| row.4 == 0)?;
                Some(DuplicateOf {
                    event: index as u32,
                    recorded_ms: start + row.2 - i64::from(lag),
                    other_body,
                    refreshes: false,
                })
            });
            let batch = Batch {
                events: events.collect(),
                extents: vec![extent("a", 0, second), extent("b", second, rows.len())],
                duplicates: duplicates.collect(),
                ..Batch::default()
            };
            let names = |id: u32| Arc::from(format!("type {id}"));
            let of = Of {
                pipe: "p", scope: Some("s"), source: "file:x", number: BatchNumber(9),
                type_names: Some(&names),
            };
            let seen: Vec<(usize, _)> =
                rows.iter().enumerate().filter(|(_, row)| row.4 < 2).collect();
            let Some(encoded) = encode(of, &batch) else {
                prop_assert!(seen.is_empty());
                return Ok(());
            };
            let payload = open_frame(&encoded.bytes).unwrap();
            prop_assert_eq!(count(payload).unwrap().0, seen.len() as u64);
            let back = Packed::take(payload).unwrap().unpack().unwrap();
            prop_assert_eq!(back.len(), seen.len());
            for (sighting, (index, row)) in back.iter().zip(seen) {
                let again = row.4 == 1;
                prop_assert_eq!(sighting.key, if again { 0 } else { row.0 });
                prop_assert_eq!(sighting.start, Offset::from_parts(row.3.0, row.3.1));
                prop_assert_eq!(&*sighting.shard, if index < second { "a" } else { "b" });
                let lag = row.6.filter(|_| !again);
                let original = lag.map(|(lag, _)| start + row.2 - i64::from(lag));
                prop_assert_eq!(sighting.original_ms, original);
                prop_assert_eq!(sighting.other_body, lag.is_some_and(|(_, other)| other));
                let of_type = if again { String::new() } else { format!("type {}", row.5) };
                prop_assert_eq!(&*sighting.event_type, of_type.as_str());
            }
            // Cut or changed bytes are an error, never a panic.
            for len in 0..payload.len() {
                let _ = Packed::take(&payload[..len]).map(|packed| packed.unpack());
            }
        }
    }
}
