//! Sorted rows, in memory or spilled to disk: for each partition one stretch in order of time.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::{Marks, Offset};
use journal::{Disk, DiskFile};

use super::CompactError;
use super::chunk::{Chunk, Entry};
use crate::table::SideRow;

/// Length of what stands before the text of a spilled row.
const HEAD_BYTES: usize = 80;
/// Written at a time.
const WRITE_BYTES: usize = 1 << 20;
/// How far the marks of a stretch are apart.
const MARK_BYTES: u64 = 256 << 10;
/// How many rows in memory the times that are looked at are apart.
const TIMES_STEP: usize = 512;

/// A row as it is merged.
#[derive(Clone, Copy)]
pub(super) struct RowRef<'a> {
    pub(super) time: i64,
    pub(super) event: bool,
    pub(super) json: bool,
    pub(super) side: SideRow,
    pub(super) text: &'a [u8],
}

/// Rows of one partition in a run: places of entries, or bytes of the file.
#[derive(Clone, Debug)]
struct Stretch {
    partition: u32,
    range: Range<u64>,
    /// Of a file: time and place of a row now and then.
    marks: Vec<(i64, u64)>,
}

/// Rows from a time on (if there is one) up to another one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
}

impl Span {
    fn is_past(self, time: i64) -> bool {
        self.to.is_some_and(|to| time >= to)
    }

    fn is_before(self, time: i64) -> bool {
        self.from.is_some_and(|from| time < from)
    }
}

/// Sorted rows.
pub(super) struct Run {
    stretches: Vec<Stretch>,
    rows: Rows,
}

enum Rows {
    Memory(Box<Chunk>),
    Disk { path: PathBuf, file: Arc<dyn DiskFile> },
}

impl Run {
    /// Sorts a chunk whose partitions are the compaction's; rows of the same time stay in order.
    pub(super) fn sort(mut chunk: Chunk) -> Self {
        chunk.entries.sort_by_key(|entry| (entry.partition, entry.time));
        let mut stretches = Vec::new();
        let mut at = 0;
        for rows in chunk.entries.chunk_by(|a, b| a.partition == b.partition) {
            let range = at..at + rows.len() as u64;
            at = range.end;
            let partition = rows.first().map_or(0, |entry| entry.partition);
            stretches.push(Stretch { partition, range, marks: Vec::new() });
        }
        Self { stretches, rows: Rows::Memory(Box::new(chunk)) }
    }

    /// Writes the run to a file, and lets go of the memory.
    pub(super) fn spill(&self, disk: &dyn Disk, path: &Path) -> Result<(Self, u64), CompactError> {
        let mut spill = Spill::create(disk, path)?;
        for stretch in &self.stretches {
            spill.begin(stretch.partition);
            let mut source = self.source_of(stretch, Span::default());
            while let Some(row) = source.row() {
                spill.push(&row)?;
                source.advance(usize::MAX)?;
            }
        }
        spill.finish()
    }

    pub(super) fn partitions(&self) -> impl Iterator<Item = u32> {
        self.stretches.iter().map(|stretch| stretch.partition)
    }

    fn stretch(&self, partition: u32) -> Option<&Stretch> {
        let found = self.stretches.binary_search_by_key(&partition, |stretch| stretch.partition);
        found.ok().and_then(|at| self.stretches.get(at))
    }

    /// The rows of a partition, if there are any.
    pub(super) fn source(
        &self,
        partition: u32,
        span: Span,
        buffer_bytes: usize,
    ) -> Result<Option<Source<'_>>, CompactError> {
        let Some(stretch) = self.stretch(partition) else { return Ok(None) };
        let mut source = self.source_of(stretch, span);
        if let Source::Disk(disk) = &mut source {
            disk.load(buffer_bytes)?;
            while disk.first_time().is_some_and(|time| span.is_before(time)) {
                disk.advance(buffer_bytes)?;
            }
        }
        Ok(Some(source))
    }

    fn source_of(&self, stretch: &Stretch, span: Span) -> Source<'_> {
        match &self.rows {
            Rows::Memory(chunk) => {
                let range = stretch.range.start as usize..stretch.range.end as usize;
                let entries = chunk.entries.get(range).unwrap_or_default();
                let from = entries.partition_point(|entry| span.is_before(entry.time));
                let to = entries.partition_point(|entry| !span.is_past(entry.time));
                Source::Memory { chunk, entries: entries.get(from..to).unwrap_or_default() }
            }
            Rows::Disk { path, file } => {
                // Rows of the same time may stand before the mark.
                let before = stretch.marks.partition_point(|(time, _)| span.is_before(*time));
                let mark = before.checked_sub(1).and_then(|at| stretch.marks.get(at));
                Source::Disk(DiskSource {
                    path,
                    file: file.as_ref(),
                    next: mark.map_or(stretch.range.start, |(_, at)| *at),
                    end: stretch.range.end,
                    span,
                    buffer: Vec::new(),
                    at: 0,
                })
            }
        }
    }

    /// Times of rows of a partition, taken at even distances.
    pub(super) fn times(&self, partition: u32, times: &mut Vec<i64>) {
        let Some(stretch) = self.stretch(partition) else { return };
        match &self.rows {
            Rows::Memory(chunk) => {
                let range = stretch.range.start as usize..stretch.range.end as usize;
                let entries = chunk.entries.get(range).unwrap_or_default();
                times.extend(entries.iter().step_by(TIMES_STEP).map(|entry| entry.time));
            }
            Rows::Disk { .. } => times.extend(stretch.marks.iter().map(|(time, _)| *time)),
        }
    }

    /// Removes its file, if it has one.
    pub(super) fn remove(self, disk: &dyn Disk) -> Result<(), CompactError> {
        match self.rows {
            Rows::Memory(_) => Ok(()),
            Rows::Disk { path, .. } => {
                disk.unlink(&path).map_err(CompactError::io("remove", &path))
            }
        }
    }
}

/// A run that is being written.
pub(super) struct Spill {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    stretches: Vec<Stretch>,
    buffer: Vec<u8>,
    written: u64,
}

impl Spill {
    pub(super) fn create(disk: &dyn Disk, path: &Path) -> Result<Self, CompactError> {
        let file = disk.create_new(path).map_err(CompactError::io("create", path))?;
        let buffer = Vec::with_capacity(WRITE_BYTES + (64 << 10));
        Ok(Self { path: path.into(), file, stretches: Vec::new(), buffer, written: 0 })
    }

    /// The rows of another partition come, of a greater number than those before.
    pub(super) fn begin(&mut self, partition: u32) {
        let at = self.written + self.buffer.len() as u64;
        self.stretches.push(Stretch { partition, range: at..at, marks: Vec::new() });
    }

    pub(super) fn push(&mut self, row: &RowRef<'_>) -> Result<(), CompactError> {
        let at = self.written + self.buffer.len() as u64;
        encode(row, &mut self.buffer);
        if let Some(stretch) = self.stretches.last_mut() {
            let last = stretch.marks.last().map_or(stretch.range.start, |(_, at)| *at);
            if at - last >= MARK_BYTES {
                stretch.marks.push((row.time, at));
            }
            stretch.range.end = self.written + self.buffer.len() as u64;
        }
        if self.buffer.len() >= WRITE_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), CompactError> {
        let write = self.file.write_at(self.written, &self.buffer);
        write.map_err(CompactError::io("write", &self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// The run, and its length in bytes. It isn't synced: a crash begins anew.
    pub(super) fn finish(mut self) -> Result<(Run, u64), CompactError> {
        self.flush()?;
        let rows = Rows::Disk { path: self.path, file: self.file };
        Ok((Run { stretches: self.stretches, rows }, self.written))
    }
}

fn encode(row: &RowRef<'_>, out: &mut Vec<u8>) {
    let side = &row.side;
    let (hi, lo) = side.offset.parts();
    let mut head = [0_u8; HEAD_BYTES];
    let flags = u32::from(row.event) | u32::from(row.json) << 1 | u32::from(side.marks.0) << 8;
    let fields: [&[u8]; 9] = [
        &(row.text.len() as u32).to_le_bytes(),
        &flags.to_le_bytes(),
        &row.time.to_le_bytes(),
        &side.key.to_le_bytes(),
        &side.recorded_ms.to_le_bytes(),
        &side.window_ms.to_le_bytes(),
        &side.batch.to_le_bytes(),
        &lo.to_le_bytes(),
        &hi.to_le_bytes(),
    ];
    let mut at = 0;
    for field in fields {
        if let Some(to) = head.get_mut(at..at + field.len()) {
            to.copy_from_slice(field);
        }
        at += field.len();
    }
    out.extend_from_slice(&head);
    out.extend_from_slice(&side.shard.to_le_bytes());
    out.extend_from_slice(row.text);
}

/// Length of everything before the text.
const PREFIX_BYTES: usize = HEAD_BYTES + 4;

fn decode(bytes: &[u8]) -> Option<(RowRef<'_>, usize)> {
    let prefix = bytes.first_chunk::<PREFIX_BYTES>()?;
    let u32_at = |at: usize| prefix.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let u64_at = |at: usize| prefix.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let u128_at = |at: usize| prefix.get(at..at + 16)?.try_into().ok().map(u128::from_le_bytes);
    let (len, flags) = (u32_at(0)? as usize, u32_at(4)?);
    let side = SideRow {
        key: u128_at(16)?,
        recorded_ms: u64_at(32)?.cast_signed(),
        window_ms: u64_at(40)?.cast_signed(),
        batch: u64_at(48)?,
        offset: Offset::from_parts(u64_at(72)?, u128_at(56)?),
        shard: u32_at(80)?,
        marks: Marks((flags >> 8) as u8),
    };
    let text = bytes.get(PREFIX_BYTES..PREFIX_BYTES + len)?;
    let time = u64_at(8)?.cast_signed();
    let row = RowRef { time, event: flags & 1 == 1, json: flags & 2 == 2, side, text };
    Some((row, PREFIX_BYTES + len))
}

/// Rows of one partition of one run, one after the other.
pub(super) enum Source<'a> {
    Memory { chunk: &'a Chunk, entries: &'a [Entry] },
    Disk(DiskSource<'a>),
}

pub(super) struct DiskSource<'a> {
    path: &'a Path,
    file: &'a dyn DiskFile,
    /// Where in the file the buffer ends.
    next: u64,
    end: u64,
    span: Span,
    buffer: Vec<u8>,
    at: usize,
}

impl Source<'_> {
    /// The time of the current row.
    #[inline]
    pub(super) fn time(&self) -> Option<i64> {
        match self {
            Self::Memory { entries, .. } => entries.first().map(|entry| entry.time),
            Self::Disk(disk) => disk.time(),
        }
    }

    /// The current row.
    #[inline]
    pub(super) fn row(&self) -> Option<RowRef<'_>> {
        match self {
            Self::Memory { chunk, entries } => {
                let entry = entries.first()?;
                let start = entry.start as usize;
                Some(RowRef {
                    time: entry.time,
                    event: entry.event,
                    json: entry.json,
                    side: *chunk.sides.get(entry.side as usize)?,
                    text: chunk.text.get(start..start + entry.len as usize)?,
                })
            }
            Self::Disk(disk) => {
                decode(disk.rest()).map(|(row, _)| row).filter(|row| !disk.span.is_past(row.time))
            }
        }
    }

    /// Goes to the next row.
    #[inline]
    pub(super) fn advance(&mut self, buffer_bytes: usize) -> Result<(), CompactError> {
        match self {
            Self::Memory { entries, .. } => {
                *entries = entries.get(1..).unwrap_or_default();
                Ok(())
            }
            Self::Disk(disk) => disk.advance(buffer_bytes),
        }
    }
}

impl DiskSource<'_> {
    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn time(&self) -> Option<i64> {
        self.first_time().filter(|time| !self.span.is_past(*time))
    }

    fn first_time(&self) -> Option<i64> {
        let bytes = self.rest().get(8..16)?.try_into().ok()?;
        Some(i64::from_le_bytes(bytes))
    }

    fn advance(&mut self, buffer_bytes: usize) -> Result<(), CompactError> {
        self.at += decode(self.rest()).map_or(0, |(_, bytes)| bytes);
        self.load(buffer_bytes)
    }

    /// Reads on until the current row is whole.
    fn load(&mut self, buffer_bytes: usize) -> Result<(), CompactError> {
        while decode(self.rest()).is_none() && self.next < self.end {
            self.buffer.drain(..self.at);
            self.at = 0;
            let more = (self.end - self.next).min(buffer_bytes.max(PREFIX_BYTES) as u64) as usize;
            let begin = self.buffer.len();
            self.buffer.resize(begin + more, 0);
            let into = self.buffer.get_mut(begin..).unwrap_or_default();
            let read = journal::disk::read_full_at(self.file, self.next, into);
            if read.map_err(CompactError::io("read", self.path))? < more {
                let what = "it became shorter meanwhile".into();
                return Err(CompactError::Input { file: self.path.into(), what });
            }
            self.next += more as u64;
        }
        Ok(())
    }
}
