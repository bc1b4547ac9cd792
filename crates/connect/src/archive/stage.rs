//! Staging one batch, and taking it back.

use std::collections::VecDeque;
use std::io::{ErrorKind, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use event::batch::{NO_TIME, Spilled};
use event::sink::{Pending, Rows, SinkError, Staged, StagedFile, StagedOutput};
use event::{Batch, BatchNumber, Extent, Fate, Marks};
use journal::SyncPoint;
use xxhash_rust::xxh3::xxh3_64;
use zstd::bulk::Compressor;

use super::block::{BLOCK_HEAD_BYTES, BlockHead, FileHead};
use super::body::{Columns, Facts};
use super::names::{FileName, Hour};
use super::open_file::{OpenFile, io, write_error};
use super::recovery::remove_begun;
use super::sink::ArchiveSink;

/// A block ends once its events have so many bytes.
const BLOCK_BYTES: usize = 8 << 20;
/// A payload over `event_bytes_max` is archived up to this length, since it has to go through
/// memory; a longer one stands in the rejected file only.
const SPILLED_BYTES_MAX: u64 = 64 << 20;
/// Unfinished files at most; the one that was longest without an event is finished to make room.
const FILES_OPEN_MAX: usize = 8;
/// Syncs under way at most: each holds a descriptor.
const SYNCS_MAX: usize = 16;
/// A file is finished so long after its hour: an event's time of receipt is a little older than
/// its batch.
const HOUR_GRACE_MS: i64 = 60_000;

/// What taking back the batch that was staged last needs.
#[derive(Default)]
pub(super) struct Undo {
    /// Files that were begun in it.
    created: Vec<FileName>,
    /// Length before it of the other files that it appended to.
    appended: Vec<(FileName, u64)>,
    /// Files of earlier batches that it finished.
    finished: Vec<OpenFile>,
}

/// Makes blocks. Its buffers and its compressor are kept from block to block.
#[derive(Default)]
pub(super) struct Encoder {
    columns: Columns,
    head: Vec<u8>,
    body: Vec<u8>,
    compressed: Vec<u8>,
    compressor: Option<Compressor<'static>>,
}

/// One batch on its way into files.
#[derive(Default)]
struct Work {
    files: Vec<StagedFile>,
    pending: VecDeque<Pending>,
}

impl Work {
    fn push(&mut self, pending: Pending) -> Result<(), SinkError> {
        self.pending.push_back(pending);
        match self.pending.len() > SYNCS_MAX {
            true => self.pending.pop_front().map_or(Ok(()), |oldest| oldest()),
            false => Ok(()),
        }
    }
}

impl ArchiveSink {
    pub(super) fn stage_rows(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        self.undo = Some(Undo::default());
        if rows.number != self.number {
            (self.number, self.begun) = (rows.number, 0);
        }
        let mut groups = by_hour(rows);
        // Those with a file come first: making room for a new one may finish any of the others.
        groups.sort_by_key(|(hour, _)| self.position_of(*hour).is_none());
        let mut work = Work::default();
        for (hour, events) in &groups {
            self.stage_hour(rows, *hour, events, &mut work)?;
        }
        for file in self.take_due(rows.now_ms, false) {
            self.finish_one(file, &mut work)?;
        }
        self.encoder.shrink();
        self.remove_old(rows.now_ms)?;
        let output = StagedOutput { files: work.files, note: Vec::new() };
        Ok(Staged { output, pending: work.pending.into() })
    }

    fn position_of(&self, hour: Hour) -> Option<usize> {
        self.open.iter().position(|file| file.name.hour == hour)
    }

    fn stage_hour(
        &mut self,
        rows: &Rows<'_>,
        hour: Hour,
        events: &[u32],
        work: &mut Work,
    ) -> Result<(), SinkError> {
        let (mut file, base) = match self.position_of(hour) {
            Some(index) => {
                let file = self.open.swap_remove(index);
                if let Some(undo) = &mut self.undo {
                    undo.appended.push((file.name.clone(), file.len));
                }
                let base = file.len;
                (file, base)
            }
            None => {
                let file = self.create(hour, rows)?;
                work.push(self.sync_folder(hour))?;
                (file, 0)
            }
        };
        self.uses += 1;
        file.used = self.uses;
        let appended = self.append(&mut file, rows, events);
        let sync = appended.is_ok().then(|| file.sync_start());
        work.files.push(file.staged(base, false));
        let full = file.len >= self.options.file_bytes_max;
        self.open.push(file);
        appended?;
        if let Some(sync) = sync {
            work.push(sync)?;
        }
        if full && let Some(file) = self.open.pop() {
            self.finish_one(file, work)?;
        }
        while self.open.len() > FILES_OPEN_MAX {
            let oldest = self.open.iter().enumerate().min_by_key(|(_, file)| file.used);
            let Some((index, _)) = oldest else { break };
            let file = self.open.swap_remove(index);
            self.finish_one(file, work)?;
        }
        Ok(())
    }

    /// Begins the file of an hour. A marker comes first: a file that no record names must be found
    /// at the next start.
    fn create(&mut self, hour: Hour, rows: &Rows<'_>) -> Result<OpenFile, SinkError> {
        self.begun += 1;
        let (epoch, first, number) = (self.identity.epoch.0, rows.number, self.begun);
        let name = self.place.new_file(hour, epoch, first, number);
        let markers = self.place.markers();
        let marker = markers.join(name.marker());
        if let Some(undo) = &mut self.undo {
            undo.created.push(name.clone());
        }
        self.disk
            .create_new(&marker)
            .map_err(|error| write_error("create", marker.display().to_string(), error))?;
        self.disk
            .sync_dir(&markers, SyncPoint("archive.markers"))
            .map_err(|error| io("sync", &markers, error))?;
        let file = match self.create_file(&name) {
            // Another pipe's retention removed the folder, which was empty.
            Err(SinkError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {
                self.create_file(&name)?
            }
            other => other?,
        };
        let mut head = Vec::new();
        let mark = FileHead {
            ledger: self.identity.ledger_id,
            epoch,
            first,
            number,
            pipe: self.identity.pipe.clone(),
        }
        .put(&mut head);
        let opened_ms = rows.now_ms;
        let mut file = OpenFile { name, file, len: 0, mark, opened_ms, used: 0, cut: false };
        file.append(&[IoSlice::new(&head)], head.len() as u64)?;
        Ok(file)
    }

    fn create_file(&self, name: &FileName) -> Result<Arc<dyn journal::DiskFile>, SinkError> {
        self.ensure(&self.place.path(&name.hour.folder()))?;
        let path = self.place.open_path(&name.staged());
        self.disk.create_new(&path).map_err(|error| write_error("create", name.staged(), error))
    }

    /// Makes the names of new files in an hour's folder durable.
    fn sync_folder(&self, hour: Hour) -> Pending {
        let (disk, what) = (Arc::clone(&self.disk), hour.folder());
        let path = self.place.path(&what);
        Box::new(move || {
            disk.sync_dir(&path, SyncPoint("archive.created")).map_err(|error| SinkError::Io {
                action: "sync",
                what,
                error,
            })
        })
    }

    /// Appends the events of one hour as blocks.
    fn append(
        &mut self,
        file: &mut OpenFile,
        rows: &Rows<'_>,
        events: &[u32],
    ) -> Result<(), SinkError> {
        let batch = rows.batch;
        let mut extents = batch.extent_ranges();
        let mut extent = extents.next();
        self.encoder.columns.clear();
        for &index in events {
            let index = index as usize;
            while extent.as_ref().is_some_and(|(_, range)| index >= range.end) {
                extent = extents.next();
            }
            let Some((extent, range)) = &extent else { continue };
            self.push(batch, extent, range, index)?;
            if self.encoder.columns.bytes() >= BLOCK_BYTES {
                self.write_block(file, rows.number)?;
            }
        }
        if self.encoder.columns.events() > 0 {
            self.write_block(file, rows.number)?;
        }
        Ok(())
    }

    fn push(
        &mut self,
        batch: &Batch,
        extent: &Extent,
        range: &std::ops::Range<usize>,
        index: usize,
    ) -> Result<(), SinkError> {
        let Some(event) = batch.events.get(index) else { return Ok(()) };
        let (start, end) = batch.position(extent, range, index);
        let has_key = !matches!(event.fate, Fate::Rejected(_) | Fate::Filtered);
        let facts = Facts {
            start,
            end,
            received_ms: extent.received_ms,
            broker_ms: extent.broker_ms.get(index - range.start).copied().unwrap_or(NO_TIME),
            event_ms: event.event_ms,
            recorded_ms: if has_key && event.window_ms >= 0 { event.recorded_ms } else { NO_TIME },
        };
        let spilled = (!batch.spilled.is_empty()).then(|| batch.spilled(index)).flatten();
        if spilled.is_some_and(|spilled| spilled.len() > SPILLED_BYTES_MAX) {
            self.stats.left_out.fetch_add(1, Ordering::Relaxed);
            let pipe = &self.identity.pipe;
            tracing::warn!(pipe, %start, "an event too long for the archive is left out of it");
            return Ok(());
        }
        let raw = |out: &mut Vec<u8>| match spilled {
            None => {
                out.extend_from_slice(batch.raw(event));
                Ok(())
            }
            Some(spilled) => read_spilled(spilled.as_ref(), out),
        };
        let partition_key = batch.partition_keys.get(index).unwrap_or_default();
        let (shard, attributes) = (extent.shard_of(index), batch.attributes(index));
        self.encoder.columns.push(shard, &facts, partition_key, attributes, raw)
    }

    /// Writes what the columns hold as one block.
    fn write_block(&mut self, file: &mut OpenFile, batch: BatchNumber) -> Result<(), SinkError> {
        let events = self.encoder.columns.events();
        let (received_min_ms, received_max_ms) = self.encoder.columns.received_ms();
        let failed = |error| SinkError::Io { action: "compress", what: "a block".into(), error };
        self.encoder.compress(&self.options.source, self.options.level).map_err(failed)?;
        let Encoder { head, body, compressed, .. } = &mut self.encoder;
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(std::io::Error::other);
        head.clear();
        BlockHead {
            events,
            mark: file.mark,
            batch,
            received_min_ms,
            received_max_ms,
            raw_bytes: size(body).map_err(failed)?,
            body_bytes: size(compressed).map_err(failed)?,
            body_sum: xxh3_64(compressed),
        }
        .put(head);
        let bytes = (BLOCK_HEAD_BYTES + compressed.len()) as u64;
        file.append(&[IoSlice::new(head), IoSlice::new(compressed)], bytes)?;
        self.stats.events.fetch_add(u64::from(events), Ordering::Relaxed);
        self.stats.raw_bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        self.stats.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.encoder.columns.clear();
        Ok(())
    }

    /// Notes that a file is finished, in its entry if this batch has one already.
    fn finish_one(&mut self, mut file: OpenFile, work: &mut Work) -> Result<(), SinkError> {
        let name = file.name.staged();
        match work.files.iter_mut().find(|staged| staged.name == name) {
            Some(staged) => staged.finished = true,
            None => work.files.push(file.staged(file.len, true)),
        }
        if let Some(sync) = file.sync_cut() {
            work.push(sync)?;
        }
        match &mut self.undo {
            Some(undo) if !undo.created.contains(&file.name) => undo.finished.push(file),
            _ => {} // one that was begun in this batch is removed by `take_back`
        }
        Ok(())
    }

    /// Takes the files whose time is over, or all, out of the open ones.
    fn take_due(&mut self, now_ms: i64, all: bool) -> Vec<OpenFile> {
        let age_max = i64::try_from(self.options.file_age_max.as_millis()).unwrap_or(i64::MAX);
        let due = |file: &mut OpenFile| {
            all || file.name.hour.end_ms().saturating_add(HOUR_GRACE_MS) <= now_ms
                || file.opened_ms.saturating_add(age_max) <= now_ms
        };
        self.open.extract_if(.., due).collect()
    }

    pub(super) fn finish_due(&mut self, number: BatchNumber, now_ms: i64, all: bool) -> Staged {
        if self.number != number {
            (self.number, self.begun, self.undo) = (number, 0, None);
        }
        let mut output = StagedOutput::default();
        let mut pending = Vec::new();
        for mut file in self.take_due(now_ms, all) {
            pending.extend(file.sync_cut());
            output.files.push(file.staged(file.len, true));
            self.undo.get_or_insert_default().finished.push(file);
        }
        Staged { output, pending }
    }

    /// Takes back what the last `stage` wrote, and what was finished with it.
    pub(super) fn take_back(&mut self) -> Result<(), SinkError> {
        let Some(undo) = self.undo.take() else {
            return Err(SinkError::Foreign {
                what: format!("batch {} can't be withdrawn from the archive", self.number),
                help: "It isn't the one that was staged last; run again, which cuts it off".into(),
            });
        };
        self.open.retain(|file| !undo.created.contains(&file.name));
        self.open.extend(undo.finished);
        remove_begun(self.disk.as_ref(), &self.place, &undo.created)?;
        for (name, len) in undo.appended {
            if let Some(file) = self.open.iter_mut().find(|file| file.name == name) {
                file.cut_to(len)?;
            }
        }
        Ok(())
    }
}

impl Encoder {
    /// The columns as a body, and that compressed.
    fn compress(&mut self, source: &str, level: u8) -> std::io::Result<()> {
        self.columns.write(source, &mut self.body);
        let compressor = match &mut self.compressor {
            Some(compressor) => compressor,
            none => none.insert(Compressor::new(i32::from(level))?),
        };
        self.compressed.clear();
        self.compressed.reserve(zstd::zstd_safe::compress_bound(self.body.len()));
        compressor.compress_to_buffer(&self.body, &mut self.compressed).map(drop)
    }

    /// Gives memory back that an unusually large event needed.
    fn shrink(&mut self) {
        const KEPT_BYTES_MAX: usize = 3 * BLOCK_BYTES;
        self.columns.shrink(KEPT_BYTES_MAX);
        for buffer in [&mut self.body, &mut self.compressed] {
            if buffer.capacity() > KEPT_BYTES_MAX {
                *buffer = Vec::new();
            }
        }
    }
}

/// The events of each hour, in order of time; without those that come from a replay.
fn by_hour(rows: &Rows<'_>) -> Vec<(Hour, Vec<u32>)> {
    let mut groups: Vec<(Hour, Vec<u32>)> = Vec::new();
    if rows.batch.replay.is_some() {
        return groups;
    }
    let mut events = rows.events.iter().copied().peekable();
    for (extent, range) in rows.batch.extent_ranges() {
        let hour = Hour::of_ms(extent.received_ms);
        let at = groups.partition_point(|(known, _)| *known < hour);
        if groups.get(at).is_none_or(|(known, _)| *known != hour) {
            groups.insert(at, (hour, Vec::new()));
        }
        let Some((_, group)) = groups.get_mut(at) else { continue };
        while let Some(index) = events.next_if(|index| (*index as usize) < range.end) {
            let event = rows.batch.events.get(index as usize);
            if event.is_some_and(|event| !event.marks.has(Marks::REPLAYED)) {
                group.push(index);
            }
        }
    }
    groups.retain(|(_, events)| !events.is_empty());
    groups
}

fn read_spilled(spilled: &dyn Spilled, out: &mut Vec<u8>) -> Result<(), SinkError> {
    let failed = |error| SinkError::Io {
        action: "read back",
        what: "a payload over event_bytes_max".into(),
        error,
    };
    let (start, bytes) = (out.len(), usize::try_from(spilled.len()).unwrap_or(usize::MAX));
    out.resize(start + bytes, 0);
    let mut done = 0;
    while let Some(rest) = out.get_mut(start + done..).filter(|rest| !rest.is_empty()) {
        match spilled.read_at(done as u64, rest).map_err(failed)? {
            0 => return Err(failed(ErrorKind::UnexpectedEof.into())),
            read => done += read,
        }
    }
    Ok(())
}
