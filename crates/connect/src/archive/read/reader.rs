//! The events of many files in one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use event::batch::Attributes;
use event::{BatchNumber, Origin};
use journal::disk::read_full_at;
use journal::{Disk, DiskFile};
use xxhash_rust::xxh3::xxh3_64;

use super::scan::open;
use super::{ArchiveFile, Block, Damage, Range};
use crate::archive::block::BLOCK_HEAD_BYTES;
use crate::archive::body::{self, Row};

/// An event out of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archived {
    /// The payload as it came.
    pub payload: Bytes,
    /// What its broker said of it.
    pub attributes: Option<Attributes>,
    /// What its source keeps in order; empty where it gives none.
    pub partition_key: Bytes,
    /// Where it came from, and when.
    pub origin: Arc<Origin>,
    /// The envelope's time, or [`event::batch::NO_TIME`].
    pub event_ms: i64,
    /// The time that dedup knew it under, or [`event::batch::NO_TIME`].
    pub recorded_ms: i64,
    /// The batch that it settled in.
    pub batch: BatchNumber,
}

/// Gives the events of a range in order of receipt: within a file as they were written, and files
/// merged by time. Of each file that it is at, it keeps one block in memory.
pub struct Reader {
    disk: Arc<dyn Disk>,
    range: Range,
    files: Vec<Cursor>,
    /// When the next event of each file was received, and which file that is.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    damages: Vec<Damage>,
}

struct Cursor {
    path: PathBuf,
    /// Blocks that aren't read yet, in order.
    blocks: std::vec::IntoIter<Block>,
    file: Option<Arc<dyn DiskFile>>,
    source: String,
    batch: BatchNumber,
    rows: std::iter::Peekable<std::vec::IntoIter<Row>>,
}

impl Reader {
    pub(super) fn new(disk: Arc<dyn Disk>, range: Range, files: &[ArchiveFile]) -> Self {
        let mut next = BinaryHeap::new();
        for (index, file) in files.iter().enumerate() {
            if let Some(block) = file.blocks.first() {
                next.push(Reverse((block.head.received_min_ms.max(range.from_ms), index)));
            }
        }
        let cursor = |file: &ArchiveFile| Cursor {
            path: file.path.clone(),
            blocks: file.blocks.clone().into_iter(),
            file: None,
            source: String::new(),
            batch: BatchNumber::default(),
            rows: Vec::new().into_iter().peekable(),
        };
        let damages = files.iter().flat_map(|file| file.damages.clone()).collect();
        Self { disk, range, files: files.iter().map(cursor).collect(), next, damages }
    }

    /// What was found damaged so far.
    #[must_use]
    pub fn damages(&self) -> &[Damage] {
        &self.damages
    }
}

impl Iterator for Reader {
    type Item = Archived;

    fn next(&mut self) -> Option<Archived> {
        while let Some(Reverse((ms, index))) = self.next.pop() {
            let Some(cursor) = self.files.get_mut(index) else { continue };
            let (disk, range) = (self.disk.as_ref(), &self.range);
            let Some(now_ms) = cursor.peek(disk, range, &mut self.damages) else {
                cursor.end();
                continue;
            };
            // Of a file that wasn't opened yet only a lower bound was known.
            if now_ms > ms {
                self.next.push(Reverse((now_ms, index)));
                continue;
            }
            let found = cursor.take();
            self.next.push(Reverse((now_ms, index)));
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

impl Cursor {
    /// Lets go of what it held: there may be many more files.
    fn end(&mut self) {
        self.file = None;
        self.rows = Vec::new().into_iter().peekable();
    }

    /// When its next event was received.
    fn peek(&mut self, disk: &dyn Disk, range: &Range, damages: &mut Vec<Damage>) -> Option<i64> {
        loop {
            while self.rows.next_if(|row| !range.has(row.facts.received_ms)).is_some() {}
            if let Some(row) = self.rows.peek() {
                return Some(row.facts.received_ms);
            }
            let block = self.blocks.next()?;
            match self.load(disk, &block) {
                Ok(rows) => self.rows = rows.into_iter().peekable(),
                Err(what) => damages.push(Damage {
                    file: self.path.clone(),
                    offset: block.offset,
                    bytes: block.head.block_bytes(),
                    events: Some(block.head.events),
                    what,
                }),
            }
        }
    }

    fn take(&mut self) -> Option<Archived> {
        let row = self.rows.next()?;
        let origin = Origin {
            source: self.source.clone(),
            shard: row.shard,
            start: row.facts.start,
            end: row.facts.end,
            received_ms: row.facts.received_ms,
            broker_ms: row.facts.broker_ms,
        };
        Some(Archived {
            payload: row.payload,
            attributes: row.attributes,
            partition_key: row.partition_key,
            origin: Arc::new(origin),
            event_ms: row.facts.event_ms,
            recorded_ms: row.facts.recorded_ms,
            batch: self.batch,
        })
    }

    /// Reads a block; `Err` says what is wrong with it.
    fn load(&mut self, disk: &dyn Disk, block: &Block) -> Result<Vec<Row>, String> {
        let unreadable = |error: io::Error| format!("the block can't be read: {error}");
        if self.file.is_none() {
            self.file = open(disk, &self.path).map_err(unreadable)?;
        }
        let Some(file) = &self.file else { return Err("the file is gone".to_owned()) };
        let head = &block.head;
        let mut packed = vec![0; head.body_bytes as usize];
        let at = block.offset + BLOCK_HEAD_BYTES as u64;
        let read = read_full_at(file.as_ref(), at, &mut packed).map_err(unreadable)?;
        if read < packed.len() {
            return Err("the block is cut off".to_owned());
        }
        if xxh3_64(&packed) != head.body_sum {
            return Err("the block's checksum is wrong".to_owned());
        }
        let body = zstd::bulk::decompress(&packed, head.raw_bytes as usize)
            .map_err(|error| format!("the block can't be decompressed: {error}"))?;
        let whole = body.len() == head.raw_bytes as usize;
        let rows = whole.then(|| body::read(&Bytes::from(body), head.events)).flatten();
        let (source, rows) = rows.ok_or("the block's columns don't fit together")?;
        self.source = source;
        self.batch = head.batch;
        Ok(rows)
    }
}
