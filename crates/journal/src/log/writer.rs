//! The thread that owns the last segment: takes what is queued, writes it as one group, syncs
//! once, answers all.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::config::JournalConfig;
use super::error::AppendError;
use super::format::{GROUP_HEADER_BYTES, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::group::{GroupWriter, Place, Written};
use super::position::Position;
use super::queue::{Queue, Queued, Work};
use super::segment;
use super::segments::Segments;
use super::sync_points::{CLOSE, FOLDER, GROUP, SEGMENT};
use super::walk::WalkedSegment;
use crate::disk::{DiskFile, SyncPoint};

/// Most bytes of records in one group, unless it is a single record.
const GROUP_BYTES_MAX: u64 = 16 << 20;
/// Less unused room than this is left in a segment that is done.
const CUT_BYTES_MIN: u64 = 1024;

/// The segment that is written to.
struct Active {
    file: Arc<dyn DiskFile>,
    header: SegmentHeader,
    bytes: u64,
    /// Where the next group goes.
    offset: u64,
}

impl Active {
    /// Room for the payload of a group, with room kept for the group of a clean close.
    fn room(&self) -> u64 {
        let room = self.bytes.saturating_sub(self.offset + 2 * GROUP_HEADER_BYTES);
        room - room % 8
    }
}

/// Why no segment was begun.
enum BeginError {
    Full(io::Error),
    Failed { what: &'static str, source: io::Error },
}

/// Where a journal goes on.
pub(super) struct Start {
    pub(super) journal: u128,
    pub(super) next_segment: u64,
    pub(super) end: u64,
    pub(super) checksum: u32,
    /// Whether a header on disk says that everything was synced.
    pub(super) attested: bool,
    /// The last segment, with its length and the one it should have.
    pub(super) last: Option<LastSegment>,
}

/// A segment that nothing more is written to, and what it should be cut to.
pub(super) struct LastSegment {
    pub(super) id: u64,
    pub(super) bytes: u64,
    pub(super) used: u64,
}

pub(super) struct Writer {
    config: JournalConfig,
    queue: Arc<Queue>,
    segments: Arc<Segments>,
    start: Start,
    active: Option<Active>,
    groups: GroupWriter,
}

/// Whatever ends the writer's thread, nobody waits for it in vain.
struct PoisonAtExit(Arc<Queue>);

impl Drop for PoisonAtExit {
    fn drop(&mut self) {
        self.0.poison("the journal was closed".into());
    }
}

impl Writer {
    pub(super) fn new(
        config: JournalConfig,
        queue: Arc<Queue>,
        segments: Arc<Segments>,
        start: Start,
    ) -> Self {
        let groups = GroupWriter::default();
        Self { config, queue, segments, start, active: None, groups }
    }

    /// Works until the journal is closed or poisoned.
    pub(super) fn run(mut self) -> Result<(), AppendError> {
        let _poison = PoisonAtExit(Arc::clone(&self.queue));
        let mut batch = VecDeque::new();
        loop {
            match self.queue.take(&mut batch, GROUP_BYTES_MAX) {
                Work::Append => {
                    if let Err(error) = self.append(&mut batch) {
                        for queued in batch.drain(..) {
                            queued.answer(Err(error.clone()));
                        }
                    }
                }
                Work::Close { attest: true } => return self.attest(),
                Work::Close { attest: false } => return Ok(()),
                Work::Stop => return self.queue.check(),
            }
        }
    }

    /// Appends the records of `batch` and answers them. What is left in it after an error was not
    /// appended; what was queued behind it is answered with the same error.
    fn append(&mut self, batch: &mut VecDeque<Queued>) -> Result<(), AppendError> {
        while let Some(first) = batch.front() {
            let room = self.active.as_ref().map_or(0, Active::room);
            let needed = RECORD_HEADER_BYTES + first.record.len() as u64;
            if needed > room {
                let bytes = JournalConfig::segment_bytes_for(first.record.len() as u64);
                self.roll(bytes.max(self.config.segment_bytes))?;
                continue;
            }
            let mut payload = 0;
            let fits = |queued: &&Queued| {
                payload += RECORD_HEADER_BYTES + queued.record.len() as u64;
                payload <= room
            };
            let count = batch.iter().take_while(fits).count();
            self.append_group(batch, count)?;
        }
        Ok(())
    }

    fn append_group(
        &mut self,
        batch: &mut VecDeque<Queued>,
        count: usize,
    ) -> Result<(), AppendError> {
        let begin = self.start.end;
        if let (Some(written), Some(active)) =
            (self.write_group(batch.range(..count), GROUP)?, &mut self.active)
        {
            active.offset += written.bytes;
            self.start.end += written.bytes;
            self.start.checksum = written.checksum;
            self.start.attested = false;
        }
        self.queue.set_end(self.start.end);
        let mut position = begin + GROUP_HEADER_BYTES;
        for queued in batch.drain(..count) {
            let bytes = RECORD_HEADER_BYTES + queued.record.len() as u64;
            queued.answer(Ok(Position(position)));
            position += bytes;
        }
        Ok(())
    }

    /// Writes and syncs one group. Any failure poisons.
    fn write_group<'a>(
        &mut self,
        records: impl ExactSizeIterator<Item = &'a Queued> + Clone,
        point: SyncPoint,
    ) -> Result<Option<Written>, AppendError> {
        let Some(active) = &self.active else { return Ok(None) };
        let place = Place {
            seed: active.header.seed(),
            offset: active.offset,
            position: self.start.end,
            synced_through: self.start.end,
            prev_checksum: self.start.checksum,
        };
        let path = || segment::path(&self.segments.dir, active.header.segment);
        let written = match self.groups.write(&*active.file, &place, records) {
            Ok(written) => written,
            Err(error) => return Err(poison(&self.queue, "write", &path(), &error)),
        };
        match active.file.sync(point) {
            Ok(()) => Ok(Some(written)),
            Err(error) => Err(poison(&self.queue, "sync", &path(), &error)),
        }
    }

    /// Goes on in a new segment of this size.
    fn roll(&mut self, bytes: u64) -> Result<(), AppendError> {
        let id = self.start.next_segment;
        match self.begin_segment(id, bytes) {
            Ok(()) => {
                self.cut_last();
                Ok(())
            }
            Err(BeginError::Full(error)) => {
                // Half made; if it can't be removed now, the next try does.
                let _ = self.segments.disk.unlink(&segment::path_new(&self.segments.dir, id));
                let error = AppendError::DiskFull {
                    dir: self.segments.dir.clone(),
                    segment_bytes: bytes,
                    cause: error.to_string().into(),
                };
                self.queue.refuse_queued(&error);
                Err(error)
            }
            Err(BeginError::Failed { what, source }) => {
                let path = segment::path(&self.segments.dir, id);
                Err(poison(&self.queue, what, &path, &source))
            }
        }
    }

    /// Makes a segment, all of it durable before anything is written to it.
    fn begin_segment(&mut self, id: u64, bytes: u64) -> Result<(), BeginError> {
        let (disk, dir) = (&self.segments.disk, &self.segments.dir);
        let (path_new, path) = (segment::path_new(dir, id), segment::path(dir, id));
        let header = SegmentHeader {
            journal: self.start.journal,
            segment: id,
            base: self.start.end,
            synced_through: self.start.end,
            prev_checksum: self.start.checksum,
        };
        let file = match disk.create_new(&path_new) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                disk.unlink(&path_new).map_err(failed("remove half-made"))?;
                disk.create_new(&path_new)
            }
            created => created,
        };
        let file = file.map_err(full_or_failed("create"))?;
        file.preallocate(bytes).map_err(full_or_failed("preallocate"))?;
        file.write_at(0, &header.encode()).map_err(full_or_failed("write"))?;
        file.sync(SEGMENT).map_err(failed("sync"))?;
        disk.rename(&path_new, &path).map_err(full_or_failed("rename"))?;
        disk.sync_dir(dir, FOLDER).map_err(failed("sync the folder of"))?;
        self.segments.push(WalkedSegment { id, base: header.base, bytes });
        if let Some(active) = self.active.take() {
            let (id, bytes, used) = (active.header.segment, active.bytes, active.offset);
            self.start.last = Some(LastSegment { id, bytes, used });
        }
        self.active = Some(Active { file, header, bytes, offset: SEGMENT_HEADER_BYTES });
        self.start.next_segment = id + 1;
        self.start.attested = true;
        Ok(())
    }

    /// Gives back the unused room of the segment that is done. Nothing depends on it: readers stop
    /// where the next segment begins.
    fn cut_last(&mut self) {
        let Some(last) = self.start.last.take() else { return };
        if last.bytes < last.used + CUT_BYTES_MIN {
            return;
        }
        let path = segment::path(&self.segments.dir, last.id);
        match self.segments.disk.open(&path).and_then(|file| file.set_len(last.used)) {
            Ok(()) => self.segments.set_bytes(last.id, last.used),
            // It may have been dropped meanwhile.
            Err(error) => {
                tracing::debug!(file = %path.display(), %error, "unused room was not given back");
            }
        }
    }

    /// Leaves a header behind that says that everything was synced.
    fn attest(&mut self) -> Result<(), AppendError> {
        if self.start.attested {
            return Ok(());
        }
        if self.active.is_none() {
            return self.roll(JournalConfig::SEGMENT_BYTES_MIN);
        }
        // The journal's end stays where it is: no group goes on from this one.
        self.write_group([].iter(), CLOSE).map(drop)
    }
}

fn poison(queue: &Queue, what: &str, path: &Path, error: &io::Error) -> AppendError {
    queue.poison(format!("cannot {what} {}: {error}", path.display()).into())
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> BeginError {
    move |source| BeginError::Failed { what, source }
}

fn full_or_failed(what: &'static str) -> impl FnOnce(io::Error) -> BeginError {
    move |source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => BeginError::Full(source),
        _ => BeginError::Failed { what, source },
    }
}

const _: () = {
    // The length of a group's payload is a u32, that of a record has 31 bits.
    assert!(JournalConfig::RECORD_BYTES_MAX < 1 << 31);
    assert!(GROUP_BYTES_MAX < 1 << 31);
};
