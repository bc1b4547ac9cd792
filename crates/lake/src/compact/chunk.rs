//! Rows that are read together: their text, what their sidecars say, time and partition of each.

use std::collections::HashMap;

use event::ShardId;
use event::json::{Found, JsonErrorKind, Selection};
use journal::DiskFile;
use journal::disk::read_full_at;

use super::inputs::{Item, Piece};
use super::partitions::{self, Date};
use super::state::Taken;
use super::{CompactError, CompactOptions, PartitionField};
use crate::compact::place::Place;
use crate::sidecar::{self, ReadBlock};
use crate::table::time::date;
use crate::table::{EventTime, Learned, Limits, SideRow};

const NS_PER_MS: i64 = 1_000_000;

/// A row of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// What it is sorted by: ns since 1970.
    pub(super) time: i64,
    pub(super) start: u32,
    pub(super) len: u32,
    /// Its place in the chunk's sidecar rows.
    pub(super) side: u32,
    /// Of the chunk at first, of the compaction once the chunk had its turn.
    pub(super) partition: u32,
    /// Whether the time is the event's.
    pub(super) event: bool,
    /// Whether it is a JSON object.
    pub(super) json: bool,
}

/// A date with values of the partition fields, as they first came in a chunk.
#[derive(Debug, Default)]
pub(super) struct Local {
    pub(super) date: Date,
    pub(super) values: Vec<String>,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Rows that are read and sorted together.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) text: Vec<u8>,
    pub(super) sides: Vec<SideRow>,
    pub(super) entries: Vec<Entry>,
    /// What [`SideRow::shard`] points into at first.
    pub(super) shards: Vec<ShardId>,
    pub(super) locals: Vec<Local>,
    pub(super) rows_without_time: u64,
}

/// How rows are looked at.
#[derive(Clone)]
pub(super) struct Plan {
    selection: Selection,
    time: Option<EventTime>,
    /// Which parts of the date are folders.
    parts: [bool; 3],
}

impl Plan {
    pub(super) fn new(options: &CompactOptions) -> Self {
        let time = options.event_time.iter().map(|time| time.path.clone());
        let fields = options.partition.iter().filter_map(|field| match field {
            PartitionField::Field(path) => Some(path.clone()),
            _ => None,
        });
        let paths: Vec<_> = time.chain(fields).collect();
        let parts = [PartitionField::Year, PartitionField::Month, PartitionField::Day];
        Self {
            selection: Selection::new(&paths),
            time: options.event_time.clone(),
            parts: parts.map(|part| options.partition.contains(&part)),
        }
    }

    fn date(&self, ns: i64) -> Date {
        let (year, month, day) = date(ns);
        let [has_year, has_month, has_day] = self.parts;
        Date {
            year: if has_year { year } else { 0 },
            month: if has_month { month } else { 0 },
            day: if has_day { day } else { 0 },
        }
    }
}

/// Reads items; used again from one to the next.
pub(super) struct Reader<'a> {
    place: &'a Place,
    taken: &'a [Taken],
    plan: Plan,
    nothing: Selection,
    found: Found,
    buffer: Vec<u8>,
    limits: Limits,
}

/// What was noted of the row before.
#[derive(Default)]
struct Last {
    day: Option<i64>,
    date: Date,
    by_key: HashMap<Vec<u8>, u32>,
    key: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(place: &'a Place, taken: &'a [Taken], plan: Plan, limits: Limits) -> Self {
        Self {
            place,
            taken,
            plan,
            nothing: Selection::new(&[]),
            found: Found::default(),
            buffer: Vec::new(),
            limits,
        }
    }

    fn wrong(&self, file: usize, keys: bool, what: impl Into<String>) -> CompactError {
        let taken = self.taken.get(file);
        let name = taken.map(|taken| if keys { &taken.keys } else { &taken.rows });
        let file = self.place.root.join(name.map_or("", String::as_str));
        CompactError::Input { file, what: what.into() }
    }

    /// Reads an item, and notes what types its fields have.
    pub(super) fn read(&mut self, item: &Item) -> Result<(Chunk, Learned), CompactError> {
        let bytes: u64 = item.pieces.iter().map(|piece| piece.text.end - piece.text.start).sum();
        let mut chunk = Chunk { text: vec![0; bytes as usize], ..Chunk::default() };
        if u32::try_from(bytes).is_err() {
            let file = item.pieces.first().map_or(0, |piece| piece.file);
            return Err(self.wrong(file, false, "a batch of 4 GiB or more can't be compacted"));
        }
        let mut learned = self.limits.learned();
        let mut last = Last::default();
        let mut at = 0;
        for piece in &item.pieces {
            let len = (piece.text.end - piece.text.start) as usize;
            let block = self.block(piece)?;
            let into = chunk.text.get_mut(at..at + len).unwrap_or_default();
            self.fill(piece, false, piece.rows.as_ref(), piece.text.start, into)?;
            self.rows(piece, &block, at, len, &mut chunk, &mut learned, &mut last)?;
            at += len;
        }
        Ok((chunk, learned))
    }

    fn fill(
        &self,
        piece: &Piece,
        keys: bool,
        file: &dyn DiskFile,
        at: u64,
        into: &mut [u8],
    ) -> Result<(), CompactError> {
        let name =
            self.taken.get(piece.file).map(|taken| if keys { &taken.keys } else { &taken.rows });
        let path = self.place.root.join(name.map_or("", String::as_str));
        let read = read_full_at(file, at, into).map_err(CompactError::io("read", &path))?;
        if read < into.len() {
            return Err(self.wrong(piece.file, keys, "it became shorter meanwhile"));
        }
        Ok(())
    }

    fn block(&mut self, piece: &Piece) -> Result<ReadBlock, CompactError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.resize((piece.block.end - piece.block.start) as usize, 0);
        self.fill(piece, true, piece.keys.as_ref(), piece.block.start, &mut buffer)?;
        let block = sidecar::read_columns(&buffer).map_err(|what| {
            let at = piece.block.start;
            self.wrong(piece.file, true, format!("it is damaged at byte {at}: {what}"))
        })?;
        self.buffer = buffer;
        Ok(block)
    }

    /// Adds the rows of a piece, which stand at `at` of the chunk's text.
    #[expect(clippy::too_many_arguments, reason = "what a chunk is made of")]
    fn rows(
        &mut self,
        piece: &Piece,
        block: &ReadBlock,
        at: usize,
        len: usize,
        chunk: &mut Chunk,
        learned: &mut Learned,
        last: &mut Last,
    ) -> Result<(), CompactError> {
        let first_side = chunk.sides.len();
        add_sides(block, chunk);
        let text = std::mem::take(&mut chunk.text);
        let rows = text.get(at..at + len).unwrap_or_default();
        let mut start = 0;
        let mut count = 0;
        for end in memchr::memchr_iter(b'\n', rows) {
            let row = rows.get(start..end).unwrap_or_default();
            let side = (first_side + count) as u32;
            let recorded = block.recorded_ms.get(count).copied().unwrap_or(0);
            let entry = self.entry(row, recorded.saturating_mul(NS_PER_MS), chunk, last);
            if entry.json {
                // A row that was scanned is one that can be gone through.
                let _ = learned.row(row);
            }
            chunk.entries.push(Entry {
                start: (at + start) as u32,
                len: row.len() as u32,
                side,
                ..entry
            });
            start = end + 1;
            count += 1;
        }
        chunk.text = text;
        if start != len || count != block.head.count {
            let begin = piece.text.start;
            let what = format!(
                "{count} rows begin at byte {begin}, its sidecar says {}",
                block.head.count
            );
            return Err(self.wrong(piece.file, false, what));
        }
        Ok(())
    }

    #[inline]
    fn entry(&mut self, row: &[u8], recorded_ns: i64, chunk: &mut Chunk, last: &mut Last) -> Entry {
        let (json, fields) = match self.plan.selection.scan(row, &mut self.found) {
            Ok(()) => (true, true),
            // Readers don't agree on which of the two counts, so neither does.
            Err(error) if matches!(error.what, JsonErrorKind::AmbiguousField(_)) => {
                (self.nothing.scan(row, &mut Found::default()).is_ok(), false)
            }
            Err(_) => (false, false),
        };
        let event = match &self.plan.time {
            Some(time) if fields => self.found.get(row, 0).and_then(|raw| time.format.read(raw)),
            _ => None,
        };
        chunk.rows_without_time += u64::from(event.is_none() && self.plan.time.is_some());
        let time = event.unwrap_or(recorded_ns);
        let partition = self.partition(row, fields, time, chunk, last);
        if let Some(local) = chunk.locals.get_mut(partition as usize) {
            local.rows += 1;
            local.bytes += row.len() as u64 + 1;
        }
        Entry { time, start: 0, len: 0, side: 0, partition, event: event.is_some(), json }
    }

    fn partition(
        &self,
        row: &[u8],
        fields: bool,
        time: i64,
        chunk: &mut Chunk,
        last: &mut Last,
    ) -> u32 {
        let day = time.div_euclid(86_400_000_000_000);
        if last.day != Some(day) {
            last.day = Some(day);
            last.date = self.plan.date(time);
        }
        let first = usize::from(self.plan.time.is_some());
        let paths = self.plan.selection.paths().len();
        last.key.clear();
        let Date { year, month, day } = last.date;
        last.key.extend_from_slice(&year.to_le_bytes());
        last.key.extend_from_slice(&[month, day]);
        for index in first..paths {
            match self.found.get(row, index).filter(|_| fields) {
                Some(raw) => {
                    last.key.extend_from_slice(&(raw.bytes().len() as u32 + 1).to_le_bytes());
                    last.key.extend_from_slice(raw.bytes());
                }
                None => last.key.extend_from_slice(&0_u32.to_le_bytes()),
            }
        }
        if let Some(known) = last.by_key.get(&last.key) {
            return *known;
        }
        let raw = |index| self.found.get(row, index).filter(|_| fields);
        let values = (first..paths).map(|index| partitions::encode(raw(index))).collect();
        let id = chunk.locals.len() as u32;
        chunk.locals.push(Local { date: last.date, values, rows: 0, bytes: 0 });
        last.by_key.insert(last.key.clone(), id);
        id
    }
}

fn add_sides(block: &ReadBlock, chunk: &mut Chunk) {
    let places: Vec<u32> =
        block.shards.iter().map(|shard| place_of(&mut chunk.shards, shard)).collect();
    let numbers = block.keys.iter().zip(&block.recorded_ms).zip(&block.windows_ms);
    let rest = block.shard_of.iter().zip(&block.offsets).zip(&block.marks);
    for (((key, recorded_ms), window_ms), ((shard, offset), marks)) in numbers.zip(rest) {
        chunk.sides.push(SideRow {
            key: *key,
            recorded_ms: *recorded_ms,
            window_ms: *window_ms,
            batch: block.head.batch,
            offset: *offset,
            shard: places.get(*shard as usize).copied().unwrap_or(0),
            marks: *marks,
        });
    }
}

/// The place of a shard in a list, to which it is added when it is new.
pub(super) fn place_of(shards: &mut Vec<ShardId>, shard: &ShardId) -> u32 {
    match shards.iter().position(|known| known == shard) {
        Some(at) => at as u32,
        None => {
            shards.push(ShardId::clone(shard));
            shards.len() as u32 - 1
        }
    }
}
