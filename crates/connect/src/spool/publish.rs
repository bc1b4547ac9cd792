//! From the spool to the target: what is committed becomes visible.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use broker::{Producer, Sequence};
use event::BatchNumber;
use event::sink::{Publisher, SinkError, StagedFile, StagedOutput};
use journal::{Disk, DiskFile, disk::read_full_at};

use super::frame::{HEADER_BYTES, Note, check_header, read_frame};
use super::target::Target;

/// Rows that go to the target in one piece, by bytes.
const PIECE_BYTES: usize = 4 << 20;
/// And by number.
const PIECE_ROWS: usize = 10_000;

/// What sink and publisher share.
pub(super) struct Spool {
    pub(super) dir: PathBuf,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) target: Arc<dyn Target>,
    pub(super) producer: Producer,
    /// Staged and not published yet.
    pub(super) waiting_bytes: AtomicU64,
    /// Files that are open for writing, by name: the publisher reads through the same handle.
    pub(super) open: Mutex<HashMap<String, Arc<dyn DiskFile>>>,
}

impl Spool {
    /// An error about one of its files.
    pub(super) fn io(
        &self,
        action: &'static str,
        name: &str,
    ) -> impl Fn(std::io::Error) -> SinkError + use<> {
        let what = self.dir.join(name).display().to_string();
        move |error| match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
                if action != "sync" =>
            {
                SinkError::NoSpace { what: what.clone() }
            }
            _ => SinkError::Io { action, what: what.clone(), error },
        }
    }

    /// A damaged or missing file.
    fn foreign(&self, name: &str, problem: &str) -> SinkError {
        SinkError::Foreign {
            what: format!(
                "{}: {problem}; it holds events for {} that are committed and not published",
                self.dir.join(name).display(),
                self.target.what()
            ),
            help: "Put the file back as it was".into(),
        }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Publishes what batch `number` staged, unless the target has it.
    pub(super) fn publish(
        &self,
        number: BatchNumber,
        output: &StagedOutput,
    ) -> Result<(), SinkError> {
        let Some(note) = Note::decode(&output.note) else { return Ok(()) };
        let Some(staged) = output.files.iter().find(|file| file.len > file.base_len) else {
            return Ok(());
        };
        let last = Sequence { batch: number, index: note.last_index };
        let through = self.target.published_through(&self.producer);
        if through.is_some_and(|through| through >= last) {
            return Ok(());
        }
        let Some(file) = self.open_file(&staged.name)? else {
            if note.incarnation == self.target.incarnation() {
                return Err(self.foreign(&staged.name, "it is gone"));
            }
            // Its file goes once it is published: the one that had it was deleted since.
            tracing::warn!(
                target_name = self.target.what(),
                batch = number.0,
                "published before, into one of the same name that was deleted since"
            );
            return Ok(());
        };
        let bytes = self.read(&*file, staged)?;
        let frame = bytes.get(frame_start(staged)..).unwrap_or_default();
        let entries = read_frame(frame, number)
            .map_err(|error| self.foreign(&staged.name, &error.to_string()))?;
        let mut rest = entries.as_slice();
        while !rest.is_empty() {
            // One piece after the other: the target skips what lies below its highest sequence, so
            // no piece may get there before those in front of it.
            let mut bytes = 0;
            let fits = rest.iter().take(PIECE_ROWS).take_while(|entry| {
                bytes += entry.body.len() + entry.key.len();
                bytes <= PIECE_BYTES
            });
            let count = fits.count().max(1);
            let (piece, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            self.target.publish(&self.producer, piece)?;
            rest = after;
        }
        Ok(())
    }

    fn open_file(&self, name: &str) -> Result<Option<Arc<dyn DiskFile>>, SinkError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        if open.is_some() {
            return Ok(open);
        }
        match self.disk.open_read(&self.path(name)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.io("open", name)(error)),
        }
    }

    /// The bytes that `staged` names, and the header if they begin with it.
    fn read(&self, file: &dyn DiskFile, staged: &StagedFile) -> Result<Vec<u8>, SinkError> {
        let refused = self.io("read", &staged.name);
        let mut header = [0; HEADER_BYTES];
        let found = read_full_at(file, 0, &mut header).map_err(&refused)?;
        let header = header.get(..found).unwrap_or_default();
        check_header(header, self.producer.ledger_id)
            .map_err(|error| self.foreign(&staged.name, &error.to_string()))?;
        let len = usize::try_from(staged.len - staged.base_len).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len];
        let found = read_full_at(file, staged.base_len, &mut bytes).map_err(&refused)?;
        if found < len {
            let end = staged.base_len + found as u64;
            let problem = format!("it ends at {end} bytes, and the ledger says {}", staged.len);
            return Err(self.foreign(&staged.name, &problem));
        }
        Ok(bytes)
    }

    /// Removes a file; it need not be there.
    pub(super) fn remove(&self, name: &str) -> Result<(), SinkError> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        match self.disk.unlink(&self.path(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(self.io("remove", name)(error))
            }
            _ => Ok(()),
        }
    }

    /// The folder of a pipe's sink.
    pub(super) fn folder(root: &Path, pipe: &str, sink: &str) -> PathBuf {
        root.join(pipe).join(sink)
    }
}

/// Where in the bytes of a batch its frame begins: a file's first batch brings the header along.
const fn frame_start(staged: &StagedFile) -> usize {
    if staged.base_len == 0 { HEADER_BYTES } else { 0 }
}

/// Publishes what is committed, in order.
pub(super) struct SpoolPublisher(pub(super) Arc<Spool>);

impl Publisher for SpoolPublisher {
    fn publish(&mut self, number: BatchNumber, output: &StagedOutput) -> Result<(), SinkError> {
        self.0.publish(number, output)?;
        for file in &output.files {
            self.0.waiting_bytes.fetch_sub(file.len - file.base_len, Ordering::SeqCst);
            if file.finished {
                // Its removal needs no sync: should it come back, the next start removes it.
                self.0.remove(&file.name)?;
            }
        }
        Ok(())
    }
}
