//! The journal as its owner sees it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::append::{PendingAppend, Then};
use super::config::JournalConfig;
use super::error::{AppendError, OpenError, ReadError};
use super::position::Position;
use super::queue::{Queue, lock};
use super::reader::Reader;
use super::recovery::recover;
use super::segments::Segments;
use super::walk::{Replay, Walked};
use super::writer::{LastSegment, Start, Writer};
use crate::disk::Disk;

/// Read at a time by a [`Reader`].
const READER_CHUNK_BYTES: usize = 256 << 10;
/// Read at a time by [`Journal::read`].
const READ_CHUNK_BYTES: usize = 4 << 10;

/// An append-only log with group commit.
///
/// An append is answered once its record is durable; appends that wait together share one sync.
/// After a failed write or sync every append is answered with [`AppendError::Poisoned`] until the
/// journal is opened anew.
///
/// It takes no lock: the owner of the data folder must hold one.
pub struct Journal {
    queue: Arc<Queue>,
    segments: Arc<Segments>,
    record_bytes_max: u32,
    /// Until it is joined.
    writer: Mutex<Option<JoinHandle<Result<(), AppendError>>>>,
}

impl Journal {
    /// Opens the journal in `dir`, which is created (one level) when missing. `replay` is handed
    /// every whole record in order and may end the opening with an error; what it was handed is
    /// durable once this returns.
    ///
    /// A tail that a crash tore off is cut: the next append begins a new segment.
    ///
    /// # Errors
    /// See [`OpenError`]. No error changes what is in the journal.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: JournalConfig,
        replay: &mut Replay<'_>,
    ) -> Result<Self, OpenError> {
        Self::open_with_id(disk, dir, config, replay, random_id)
    }

    pub(super) fn open_with_id(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: JournalConfig,
        replay: &mut Replay<'_>,
        new_id: fn() -> u128,
    ) -> Result<Self, OpenError> {
        config.check()?;
        let walked = recover(&*disk, dir, replay)?;
        let start = start(&walked, new_id);
        let queue = Arc::new(Queue::new(config.queue_bytes_max, walked.end));
        let segments = Arc::new(Segments::new(disk, dir.to_path_buf(), walked.segments));
        let record_bytes_max = config.record_bytes_max;
        let writer = Writer::new(config, Arc::clone(&queue), Arc::clone(&segments), start);
        let thread = thread::Builder::new().name("journal".into());
        let writer = thread.spawn(move || writer.run());
        let writer = writer.map_err(OpenError::io("start a thread for", dir))?;
        Ok(Self { queue, segments, record_bytes_max, writer: Mutex::new(Some(writer)) })
    }

    /// Queues a record, in call order. While `queue_bytes_max` is reached it waits for room, which
    /// comes as fast as the disk is.
    ///
    /// An append that fails with [`AppendError::DiskFull`] takes along those that were queued
    /// behind it then, but later ones may succeed: who needs an unbroken order waits for the
    /// answer.
    pub fn submit(&self, record: Vec<u8>) -> PendingAppend {
        match self.check_length(&record) {
            Ok(()) => self.queue.push_all([record]).into_iter().next().unwrap_or_else(refusal),
            Err(error) => PendingAppend::refused(error),
        }
    }

    /// Queues records next to each other, in order. Where there is room for all of them they are
    /// written in one go.
    pub fn submit_all(&self, records: Vec<Vec<u8>>) -> Vec<PendingAppend> {
        match records.iter().try_for_each(|record| self.check_length(record)) {
            Ok(()) => self.queue.push_all(records),
            Err(error) => records.iter().map(|_| PendingAppend::refused(error.clone())).collect(),
        }
    }

    /// Like [`Journal::submit`], but gives the record back instead of waiting for room.
    ///
    /// # Errors
    /// The record, when `queue_bytes_max` is reached.
    pub fn try_submit(&self, record: Vec<u8>) -> Result<PendingAppend, Vec<u8>> {
        match self.check_length(&record) {
            Ok(()) => self.queue.try_push(record),
            Err(error) => Ok(PendingAppend::refused(error)),
        }
    }

    /// Queues a record, in call order, and calls `then` with its outcome, before the answer, on the
    /// journal's thread; in the order of the records, except that after a failure those that were
    /// queued are told before those that come later. So an owner applies a change exactly when it
    /// is durable, whoever waits for the answer or doesn't.
    ///
    /// It doesn't wait for room, so that the owner may hold the lock that `then` takes: the owner
    /// bounds what is queued.
    ///
    /// # Errors
    /// See [`AppendError`]; `then` is not called.
    pub fn submit_then(&self, record: Vec<u8>, then: Then) -> Result<PendingAppend, AppendError> {
        self.check_length(&record)?;
        self.queue.push_then(record, then)
    }

    /// Appends a record and waits until it is durable; its position.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn append(&self, record: Vec<u8>) -> Result<Position, AppendError> {
        self.submit(record).wait()
    }

    /// Removes the segments that hold only records below `position`, oldest first; the last
    /// segment stays. Records below `position` that share a segment with later ones stay, too, and
    /// after a loss of power the segment that was removed last may be back.
    ///
    /// # Errors
    /// `Drop` when a file can't be removed, `Poisoned` after a failed sync.
    pub fn drop_before(&self, position: Position) -> Result<(), AppendError> {
        self.segments.drop_before(position, &self.queue)
    }

    /// Where the journal begins: no record below it is there any more.
    #[must_use]
    pub fn begin(&self) -> Position {
        Position(self.segments.begin())
    }

    /// Where the journal ends: every durable record stands below, every later one at or above.
    #[must_use]
    pub fn end(&self) -> Position {
        Position(self.queue.end())
    }

    /// Length of all segment files together, with the room that is preallocated.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.segments.bytes_on_disk()
    }

    /// Reads one durable record back.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, position: Position) -> Result<Vec<u8>, ReadError> {
        let mut reader = self.reader_with(position, READ_CHUNK_BYTES);
        match reader.next()? {
            Some((at, record)) if at == position => Ok(record.to_vec()),
            _ => Err(ReadError::NotARecord { position, what: "none begins there".into() }),
        }
    }

    /// Reads bytes as they stand in a segment, at most `bytes` of them, from `from` on, which may be
    /// inside a record (whose first byte stands 8 bytes behind its position). It stops at the end
    /// of the segment and of what is durable. Nothing is checked: this is for owners whose records
    /// carry checksums of their own parts.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read_bytes(&self, from: Position, bytes: usize) -> Result<Vec<u8>, ReadError> {
        self.segments.read_bytes(from.0, self.queue.end(), bytes)
    }

    /// Where each segment begins, oldest first.
    #[must_use]
    pub fn segment_begins(&self) -> Vec<Position> {
        self.segments.begins()
    }

    /// Where the segment begins that holds `position`; `None` if that was dropped.
    #[must_use]
    pub fn segment_begin(&self, position: Position) -> Option<Position> {
        self.segments.find(position.0).map(|(_, base)| Position(base))
    }

    /// Reads durable records in order from `from` on, which is the position of a record,
    /// [`Journal::begin`], or what [`Journal::end`] said at some time.
    #[must_use]
    pub fn reader(&self, from: Position) -> Reader {
        self.reader_with(from, READER_CHUNK_BYTES)
    }

    fn reader_with(&self, from: Position, chunk_bytes: usize) -> Reader {
        Reader::new(Arc::clone(&self.segments), Arc::clone(&self.queue), from, chunk_bytes)
    }

    /// Writes out what is queued, and a last group that attests all of it as synced, so that a bit
    /// that flips later is named and not taken for a torn tail.
    ///
    /// # Errors
    /// See [`AppendError`]; records that were answered are durable all the same.
    pub fn close(self) -> Result<(), AppendError> {
        self.end_writer(true)
    }

    /// [`Journal::close`] for an owner that shares it: what is submitted later is refused as
    /// `Poisoned`. `attest: false` leaves the last group away, as dropping the journal does.
    ///
    /// # Errors
    /// See [`Journal::close`].
    pub fn shut(&self, attest: bool) -> Result<(), AppendError> {
        self.end_writer(attest)
    }

    fn check_length(&self, record: &[u8]) -> Result<(), AppendError> {
        let (bytes, bytes_max) = (record.len() as u64, self.record_bytes_max);
        if bytes > u64::from(bytes_max) {
            return Err(AppendError::TooLarge { bytes, bytes_max });
        }
        Ok(())
    }

    fn end_writer(&self, attest: bool) -> Result<(), AppendError> {
        let Some(writer) = lock(&self.writer).take() else { return Ok(()) };
        self.queue.close(attest);
        writer.join().unwrap_or_else(|_| Err(thread_gone()))
    }
}

impl Drop for Journal {
    /// Writes out what is queued, without a last group: see [`Journal::close`].
    fn drop(&mut self) {
        // Whoever waits for an append has heard of an error.
        let _ = self.end_writer(false);
    }
}

fn thread_gone() -> AppendError {
    AppendError::Poisoned { cause: "the journal's thread ended unexpectedly".into() }
}

fn refusal() -> PendingAppend {
    PendingAppend::refused(thread_gone())
}

fn start(walked: &Walked, new_id: fn() -> u128) -> Start {
    let last = walked.tail.as_ref().map(|tail| LastSegment {
        id: tail.header.segment,
        bytes: tail.bytes,
        used: tail.header.offset(walked.end),
    });
    Start {
        journal: walked.tail.as_ref().map_or_else(new_id, |tail| tail.header.journal),
        next_segment: last.as_ref().map_or(1, |last| last.id + 1),
        end: walked.end,
        checksum: walked.checksum,
        attested: walked.synced_through >= walked.end,
        last,
    }
}

/// An id that no other journal has; std's keyed hashers are seeded by the system.
fn random_id() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::SimDisk;

    const ID: u128 = 0x0123_4567_89ab_cdef_0f1e_2d3c_4b5a_6978;

    fn fixture() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
    }

    /// Three sessions: a clean close; a drop of the first segment and a clean close; a torn tail.
    /// The disk after the last two.
    fn write_v1() -> [(&'static str, SimDisk); 2] {
        let disk = SimDisk::new(0);
        let config = JournalConfig { segment_bytes: 4096, ..JournalConfig::default() };
        let open = || {
            let disk = Arc::new(disk.clone());
            Journal::open_with_id(disk, "/v1".as_ref(), config.clone(), &mut |_, _| Ok(()), || ID)
        };
        let append = |journal: &Journal, records: Vec<Vec<u8>>| {
            let pending = journal.submit_all(records);
            pending.into_iter().map(|pending| pending.wait().unwrap()).collect::<Vec<_>>()
        };
        let journal = open().unwrap();
        append(&journal, vec![b"dropped".to_vec()]);
        journal.close().unwrap();
        let journal = open().unwrap();
        let kept = append(&journal, vec![b"once".to_vec(), Vec::new(), b"only".to_vec()]);
        append(&journal, vec![vec![0xab; 300]]);
        journal.drop_before(kept[0]).unwrap();
        journal.close().unwrap();
        let closed = disk.after_process_kill();
        let journal = open().unwrap();
        append(&journal, vec![vec![0xcd; 5000]]);
        append(&journal, vec![b"last".to_vec()]);
        let (_, base) = journal.segments.find(journal.end().0).unwrap();
        let end = journal.end().0 - base + 64;
        drop(journal);
        crate::Disk::open(&disk, &segment_path(3)).unwrap().write_at(end, b"torn").unwrap();
        [("closed", closed), ("torn", disk)]
    }

    fn segment_path(id: u64) -> PathBuf {
        format!("/v1/{id:020}.journal").into()
    }

    #[test]
    fn what_is_written_is_version_1_byte_for_byte() {
        for ((name, disk), files) in write_v1().into_iter().zip([1, 2]) {
            assert_eq!(disk.files().len(), files);
            for (path, _) in disk.files() {
                let frozen = fixture().join(name).join(path.file_name().unwrap());
                let same = disk.read_file(&path).unwrap() == std::fs::read(frozen).unwrap();
                assert!(same, "{} is no longer written as version 1", path.display());
            }
        }
    }
}
