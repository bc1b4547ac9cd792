//! The segments of an open journal, and the removal of old ones.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::error::{AppendError, ReadError};
use super::format::SEGMENT_HEADER_BYTES;
use super::open_files::OpenFiles;
use super::position::Position;
use super::queue::{Queue, lock};
use super::segment;
use super::sync_points::DROP;
use super::walk::WalkedSegment;
use crate::disk::{Disk, DiskFile, read_full_at};

/// The segments of an open journal, shared by its writer, its readers and whoever drops.
pub(super) struct Segments {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    state: Mutex<State>,
    /// One drop at a time.
    dropping: Mutex<()>,
    /// Open for reading.
    files: OpenFiles,
}

struct State {
    /// Oldest first; bases never fall.
    list: Vec<WalkedSegment>,
    /// The folder has no change that isn't durable. At first nothing is known of it.
    folder_synced: bool,
}

impl Segments {
    pub(super) fn new(disk: Arc<dyn Disk>, dir: PathBuf, list: Vec<WalkedSegment>) -> Self {
        let state = State { list, folder_synced: false };
        Self {
            disk,
            dir,
            state: Mutex::new(state),
            dropping: Mutex::new(()),
            files: OpenFiles::default(),
        }
    }

    /// Where the journal begins.
    pub(super) fn begin(&self) -> u64 {
        lock(&self.state).list.first().map_or(0, |first| first.base)
    }

    pub(super) fn bytes_on_disk(&self) -> u64 {
        lock(&self.state).list.iter().map(|segment| segment.bytes).sum()
    }

    /// A segment that was just made durable, with the folder.
    pub(super) fn push(&self, segment: WalkedSegment) {
        let mut state = lock(&self.state);
        state.list.push(segment);
        state.folder_synced = true;
    }

    /// Segment `id` now is this long.
    pub(super) fn set_bytes(&self, id: u64, bytes: u64) {
        let mut state = lock(&self.state);
        if let Some(segment) = state.list.iter_mut().find(|segment| segment.id == id) {
            segment.bytes = bytes;
        }
    }

    /// The segment that holds `position`, and its base; `None` if that was dropped.
    pub(super) fn find(&self, position: u64) -> Option<(u64, u64)> {
        let state = lock(&self.state);
        let after = state.list.partition_point(|segment| segment.base <= position);
        let segment = state.list.get(after.checked_sub(1)?)?;
        Some((segment.id, segment.base))
    }

    /// Where each segment begins, oldest first.
    pub(super) fn begins(&self) -> Vec<Position> {
        lock(&self.state).list.iter().map(|segment| Position(segment.base)).collect()
    }

    /// A file for reading segment `id`; kept open for the next time.
    pub(super) fn file(&self, id: u64) -> io::Result<Arc<dyn DiskFile>> {
        self.files.get(id, || self.disk.open_read(&segment::path(&self.dir, id)))
    }

    /// See [`Journal::read_bytes`](super::Journal::read_bytes); `end` is that of what is durable.
    pub(super) fn read_bytes(
        &self,
        from: u64,
        end: u64,
        bytes: usize,
    ) -> Result<Vec<u8>, ReadError> {
        let dropped =
            || ReadError::Dropped { position: Position(from), begins: Position(self.begin()) };
        let place = || {
            let state = lock(&self.state);
            let after = state.list.partition_point(|segment| segment.base <= from);
            let segment = state.list.get(after.checked_sub(1)?)?;
            let ends = state.list.get(after).map_or(end, |next| next.base.min(end));
            Some((segment.id, segment.base, ends))
        };
        let (id, base, ends) = place().ok_or_else(dropped)?;
        let room = usize::try_from(ends.saturating_sub(from)).unwrap_or(usize::MAX);
        let mut into = vec![0; bytes.min(room)];
        let read = self
            .file(id)
            .and_then(|file| read_full_at(&*file, from - base + SEGMENT_HEADER_BYTES, &mut into));
        match read {
            Ok(read) => into.truncate(read),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(dropped()),
            Err(source) => {
                return Err(ReadError::Io { file: segment::path(&self.dir, id), source });
            }
        }
        Ok(into)
    }

    /// Removes the segments that hold only records below `position`, but never the last one.
    pub(super) fn drop_before(&self, position: Position, queue: &Queue) -> Result<(), AppendError> {
        let _turn = lock(&self.dropping);
        loop {
            queue.check()?;
            let (oldest, synced) = {
                let mut state = lock(&self.state);
                match state.list.get(1) {
                    Some(second) if second.base <= position.0 => {}
                    _ => return Ok(()),
                }
                (state.list.remove(0), state.folder_synced)
            };
            let removed = self.remove(oldest.id, synced, queue);
            let mut state = lock(&self.state);
            if let Err(error) = removed {
                state.list.insert(0, oldest);
                return Err(error);
            }
            state.folder_synced = false;
        }
    }

    fn remove(&self, id: u64, folder_synced: bool, queue: &Queue) -> Result<(), AppendError> {
        if !folder_synced && let Err(error) = self.disk.sync_dir(&self.dir, DROP) {
            let cause = format!("cannot sync {}: {error}", self.dir.display());
            return Err(queue.poison(cause.into()));
        }
        let file = segment::path(&self.dir, id);
        self.files.forget(id);
        match self.disk.unlink(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(AppendError::Drop { file, cause: error.to_string().into() })
            }
            _ => Ok(()),
        }
    }
}
