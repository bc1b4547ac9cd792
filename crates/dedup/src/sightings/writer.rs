//! Writes sightings: appended without a sync, in files of which the oldest make room.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use event::{Epoch, LedgerId};
use journal::{Disk, DiskFile};

use super::Dropped;
use super::reader::{FileFacts, list};
use super::rows::Encoded;
use super::segment::{HEADER_BYTES, Header, file_name};

/// A file is at most this part of the whole, so that what is dropped at once is little.
const FILES: u64 = 16;
const FILE_BYTES_MAX: u64 = 16 << 20;
const FILE_BYTES_MIN: u64 = 4 << 10;

/// The sightings of a ledger that is open.
pub(crate) struct Writer {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    ledger_id: LedgerId,
    epoch: Epoch,
    bytes_max: u64,
    state: Mutex<State>,
    /// Sightings that were not written.
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The files that are there, oldest first; `None` before the first look.
    files: Option<VecDeque<FileFacts>>,
    open: Option<Open>,
    dropped: Dropped,
    /// Number of the next file of this epoch.
    next: u32,
    warned: bool,
    /// Nothing is written any more before the next start.
    given_up: bool,
}

struct Open {
    file: Arc<dyn DiskFile>,
    at: u64,
}

impl Writer {
    /// Touches nothing yet. `bytes_max` 0: nothing is ever written.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        ledger_id: LedgerId,
        epoch: Epoch,
        bytes_max: u64,
    ) -> Self {
        let (state, lost) = (Mutex::default(), AtomicU64::new(0));
        Self { disk, dir, ledger_id, epoch, bytes_max, state, lost }
    }

    /// Whether sightings are kept at all.
    pub(crate) const fn is_on(&self) -> bool {
        self.bytes_max > 0
    }

    /// Sightings that were not written since the start, because the disk failed or had no room.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Appends a record. What goes wrong is warned of once, and counted.
    pub(crate) fn append(&self, record: &Encoded) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.given_up {
            let Err(error) = self.try_append(&mut state, record) else { return };
            // Another file is begun, behind whose beginning nothing is torn.
            state.open = None;
            state.given_up = error.kind() != io::ErrorKind::StorageFull;
            if !std::mem::replace(&mut state.warned, true) {
                let until = if state.given_up { "before the next start" } else { "without room" };
                tracing::warn!(
                    "sightings can't be written to {}: {error}; duplicates are settled as ever, \
                     `dedup explain` won't show those of now, and nothing is written there {until}",
                    self.dir.display()
                );
            }
        }
        self.lost.fetch_add(record.rows, Ordering::Relaxed);
    }

    fn try_append(&self, state: &mut State, record: &Encoded) -> io::Result<()> {
        let bytes = record.bytes.len() as u64;
        if bytes + HEADER_BYTES as u64 > self.bytes_max {
            self.lost.fetch_add(record.rows, Ordering::Relaxed);
            return Ok(());
        }
        let file_bytes = (self.bytes_max / FILES).clamp(FILE_BYTES_MIN, FILE_BYTES_MAX);
        if state.open.as_ref().is_none_or(|open| open.at + bytes > file_bytes) {
            self.begin(state, bytes.max(file_bytes))?;
        }
        let Some(open) = &mut state.open else { return Ok(()) };
        open.file.write_at(open.at, &record.bytes)?;
        open.at += bytes;
        if let Some(facts) = state.files.as_mut().and_then(VecDeque::back_mut) {
            facts.bytes = open.at;
            facts.counted = facts
                .counted
                .map(|(rows, newest)| (rows + record.rows, newest.max(record.received_max_ms)));
        }
        Ok(())
    }

    /// Begins a file, after making room for `bytes` of it.
    fn begin(&self, state: &mut State, bytes: u64) -> io::Result<()> {
        state.open = None;
        if state.files.is_none() {
            state.files = Some(self.look(&mut state.dropped)?);
        }
        let files = state.files.get_or_insert_default();
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        while total + bytes > self.bytes_max
            && let Some(oldest) = files.pop_front()
        {
            let (rows, newest) = oldest.counted.unwrap_or_else(|| oldest.count(&*self.disk));
            match self.disk.unlink(&oldest.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            total -= oldest.bytes;
            state.dropped.rows += rows;
            if rows > 0 {
                state.dropped.through_ms = state.dropped.through_ms.max(newest);
            }
        }
        let path = self.dir.join(file_name(self.epoch.0, state.next));
        state.next += 1;
        let file = self.disk.create_new(&path)?;
        let header = Header { ledger_id: self.ledger_id, dropped: state.dropped };
        file.write_at(0, &header.encode())?;
        let at = HEADER_BYTES as u64;
        files.push_back(FileFacts { path, bytes: at, counted: Some((0, i64::MIN)) });
        state.open = Some(Open { file, at });
        Ok(())
    }

    /// What earlier runs left.
    fn look(&self, dropped: &mut Dropped) -> io::Result<VecDeque<FileFacts>> {
        match self.disk.mkdir(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let files: VecDeque<FileFacts> = list(&*self.disk, &self.dir)?.into();
        *dropped = Dropped { rows: 0, through_ms: i64::MIN };
        for file in &files {
            if let Some(header) = file.header(&*self.disk) {
                *dropped = header.dropped;
            }
        }
        Ok(files)
    }
}
