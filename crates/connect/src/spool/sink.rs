//! The sink's end of a spool: writes a batch's rows, synced, where nobody sees them.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use broker::Producer;
use event::BatchNumber;
use event::sink::{
    Guarantee, Pending, Publisher, Refusal, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged,
    StagedFile, StagedOutput,
};
use journal::{Disk, DiskFile, SyncPoint};

use super::frame::{FrameWriter, Note, put_header};
use super::publish::{Spool, SpoolPublisher};
use super::target::Target;
use crate::file::sink::refuse_spilled;

/// A file takes no more rows once it has this length, or a quarter of `spool_bytes_max`.
const FILE_BYTES: u64 = 64 << 20;
const ENDING: &str = ".spool";

/// What a spooled sink needs to know.
#[derive(Clone, Debug)]
pub struct SpoolOptions {
    /// The folder of all spools, in the data folder.
    pub root: PathBuf,
    /// Bytes that are staged and not published at most; past them the pipe pauses.
    pub spool_bytes_max: u64,
}

/// A sink whose target is written to after the commit.
pub struct SpoolSink {
    identity: SinkIdentity,
    options: SpoolOptions,
    spool: Arc<Spool>,
    file: Option<Current>,
    /// The file that the latest batch finished, should that batch be withdrawn.
    finished: Option<Current>,
    bytes: Vec<u8>,
    key: Vec<u8>,
}

struct Current {
    name: String,
    file: Arc<dyn DiskFile>,
    len: u64,
}

impl SpoolSink {
    /// A sink that has touched nothing yet.
    #[must_use]
    pub fn new(
        options: SpoolOptions,
        identity: SinkIdentity,
        target: Arc<dyn Target>,
        disk: Arc<dyn Disk>,
    ) -> Self {
        let producer = Producer {
            ledger_id: identity.ledger_id,
            pipe: identity.pipe.clone(),
            sink: identity.sink.clone(),
        };
        let spool = Arc::new(Spool {
            dir: Spool::folder(&options.root, &identity.pipe, &identity.sink),
            disk,
            target,
            producer,
            waiting_bytes: AtomicU64::new(0),
            open: Mutex::new(HashMap::new()),
        });
        Self {
            identity,
            options,
            spool,
            file: None,
            finished: None,
            bytes: Vec::new(),
            key: Vec::new(),
        }
    }

    fn open_files(&self) -> MutexGuard<'_, HashMap<String, Arc<dyn DiskFile>>> {
        self.spool.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes every file of the folder: what was committed is published.
    fn clear(&self) -> Result<(), SinkError> {
        let refused = self.spool.io("list", "");
        for entry in self.spool.disk.list(&self.spool.dir).map_err(refused)? {
            if entry.name.ends_with(ENDING) {
                self.spool.remove(&entry.name)?;
            }
        }
        Ok(())
    }

    /// The frame of `rows`, in `self.bytes`; the highest index.
    fn encode(&mut self, rows: &Rows<'_>) -> Result<u32, SinkError> {
        self.bytes.clear();
        if self.file.as_ref().is_none_or(|file| file.len == 0) {
            put_header(&mut self.bytes, self.identity.ledger_id);
        }
        let target = &*self.spool.target;
        let mut writer = FrameWriter::begin(&mut self.bytes, rows.number);
        let row_bytes_max = target.row_bytes_max();
        let mut last = 0;
        let mut refused = Vec::new();
        for (index, event) in rows.iter() {
            self.key.clear();
            target.key(rows.batch, event, &mut self.key);
            let body = rows.batch.body(event);
            if self.key.len() + body.len() > row_bytes_max {
                refused.push(too_large(target, index, body.len(), row_bytes_max));
                continue;
            }
            last = u32::try_from(index).unwrap_or(u32::MAX);
            writer.row(last, &self.key, body);
        }
        writer.end();
        if refused.is_empty() { Ok(last) } else { Err(SinkError::Refused(refused)) }
    }

    /// The file that takes the next rows.
    fn current(&mut self, number: BatchNumber) -> Result<&mut Current, SinkError> {
        if self.file.is_none() {
            let (epoch, batch) = (self.identity.epoch.0, number.0);
            let name = format!("{epoch:08x}-{batch:016x}{ENDING}");
            let path = self.spool.path(&name);
            let file = self.spool.disk.create_new(&path).map_err(self.spool.io("create", &name))?;
            let point = SyncPoint("spool.created");
            self.spool
                .disk
                .sync_dir(&self.spool.dir, point)
                .map_err(self.spool.io("sync", &name))?;
            self.open_files().insert(name.clone(), Arc::clone(&file));
            self.file = Some(Current { name, file, len: 0 });
        }
        self.file.as_mut().ok_or_else(|| SinkError::NoSpace { what: "the spool".into() })
    }

    /// Whether so many more bytes may wait.
    fn admit(&self, bytes: u64) -> Result<(), SinkError> {
        let max = self.options.spool_bytes_max;
        if bytes > max {
            return Err(SinkError::Foreign {
                what: format!(
                    "a batch of {bytes} bytes for {} is larger than spool_bytes_max = {max}",
                    self.spool.target.what()
                ),
                help: "Raise spool_bytes_max, or lower batch.bytes_max".into(),
            });
        }
        if self.spool.waiting_bytes.load(Ordering::SeqCst).saturating_add(bytes) > max {
            return Err(SinkError::NoSpace {
                what: format!(
                    "the spool for {}: spool_bytes_max = {max} bytes wait to be published",
                    self.spool.target.what()
                ),
            });
        }
        Ok(())
    }

    fn write(&mut self, number: BatchNumber) -> Result<(StagedFile, Pending), SinkError> {
        let bytes = std::mem::take(&mut self.bytes);
        let finish_at = FILE_BYTES.min(self.options.spool_bytes_max / 4);
        let spool = Arc::clone(&self.spool);
        let file = self.current(number)?;
        let base_len = file.len;
        if let Err(error) = file.file.write_at(base_len, &bytes) {
            let cut = file.file.set_len(base_len).map_err(spool.io("cut", &file.name));
            let error = spool.io("write", &file.name)(error);
            self.bytes = bytes;
            return Err(cut.err().unwrap_or(error));
        }
        file.len += bytes.len() as u64;
        let finished = file.len >= finish_at;
        let staged = StagedFile { name: file.name.clone(), base_len, len: file.len, finished };
        let sync = file.file.sync_start(SyncPoint("spool.rows"));
        let refused = spool.io("sync", &file.name);
        let pending: Pending = Box::new(move || sync.wait().map_err(refused));
        spool.waiting_bytes.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        self.bytes = bytes;
        self.finished = if finished { self.file.take() } else { None };
        Ok((staged, pending))
    }
}

/// An event that the receiver can never take.
fn too_large(target: &dyn Target, index: usize, bytes: usize, row_bytes_max: usize) -> Refusal {
    let what = target.what();
    Refusal {
        event: u32::try_from(index).unwrap_or(u32::MAX),
        class: "too_large",
        message: format!("{bytes} bytes, and {what} takes at most {row_bytes_max}, key included"),
    }
}

impl Sink for SpoolSink {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        let point = SyncPoint("spool.folder");
        lake::folders::ensure(&*self.spool.disk, &self.spool.dir, point)?;
        for (number, output) in &state.unpublished {
            self.spool.publish(*number, output)?;
        }
        self.clear()?;
        // Those that the ledger has as unfinished are done with.
        let files = state.files.iter().filter(|(_, known)| !known.finished);
        let files = files.map(|(name, known)| StagedFile {
            name: name.clone(),
            base_len: known.len,
            len: known.len,
            finished: true,
        });
        Ok(StagedOutput { files: files.collect(), note: Vec::new() })
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        refuse_spilled(rows)?;
        let last_index = self.encode(rows)?;
        self.admit(self.bytes.len() as u64)?;
        let (file, pending) = self.write(rows.number)?;
        let incarnation = self.spool.target.incarnation();
        let note = Note { incarnation, last_index }.encode();
        Ok(Staged { output: StagedOutput { files: vec![file], note }, pending: vec![pending] })
    }

    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        // The latest entry first: a file may stand there twice, with rows and as finished.
        for staged in output.files.iter().rev() {
            let finished = self.finished.take_if(|finished| finished.name == staged.name);
            if let Some(finished) = finished {
                self.file = Some(finished);
            }
            let Some(file) = self.file.as_mut().filter(|file| file.name == staged.name) else {
                continue;
            };
            let refused = self.spool.io("cut", &staged.name);
            file.file.set_len(staged.base_len).map_err(refused)?;
            file.len = staged.base_len;
            let bytes = staged.len - staged.base_len;
            self.spool.waiting_bytes.fetch_sub(bytes, Ordering::SeqCst);
        }
        Ok(())
    }

    fn finish(&mut self, _: BatchNumber, _: i64, all: bool) -> Result<Staged, SinkError> {
        let Some(file) = self.file.take_if(|_| all) else { return Ok(Staged::nothing()) };
        let (name, len) = (file.name.clone(), file.len);
        let staged = StagedFile { name, base_len: len, len, finished: true };
        self.finished = Some(file);
        let output = StagedOutput { files: vec![staged], note: Vec::new() };
        Ok(Staged { output, pending: Vec::new() })
    }

    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(SpoolPublisher(Arc::clone(&self.spool)))
    }
}
