//! A file that is appended to in place, with the rules that the file sink and the rejected file
//! share: the ledger knows its length, and what lies beyond is cut off at the next start.

use std::io::{ErrorKind, IoSlice};
use std::path::PathBuf;
use std::sync::Arc;

use event::sink::{SinkError, SinkState, Staged, StagedFile, StagedOutput};
use journal::{Disk, DiskFile, SyncPoint};

/// The names of the file's syncs.
#[derive(Clone, Copy)]
pub(crate) struct Points {
    /// Of the folders above it and of its own name.
    pub(crate) created: SyncPoint,
    /// Of what it held before the ledger knew it.
    pub(crate) base: SyncPoint,
    /// Of the cut at the start.
    pub(crate) cut: SyncPoint,
    /// Of rows.
    pub(crate) rows: SyncPoint,
}

pub(crate) struct InPlaceFile {
    path: PathBuf,
    /// Its name in the ledger.
    name: String,
    append: bool,
    disk: Arc<dyn Disk>,
    points: Points,
    file: Option<Arc<dyn DiskFile>>,
    len: u64,
    /// At this length it ends without a newline.
    torn_at: Option<u64>,
}

impl InPlaceFile {
    pub(crate) fn new(path: PathBuf, append: bool, disk: Arc<dyn Disk>, points: Points) -> Self {
        // The same file, whatever folder the next start happens in.
        let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
        let name = absolute.display().to_string();
        Self { path, name, append, disk, points, file: None, len: 0, torn_at: None }
    }

    fn io(&self, action: &'static str) -> impl Fn(std::io::Error) -> SinkError + use<> {
        let what = self.path.display().to_string();
        move |error| match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded if action != "sync" => {
                SinkError::NoSpace { what: what.clone() }
            }
            _ => SinkError::Io { action, what: what.clone(), error },
        }
    }

    /// Brings the file to its recorded length, or takes it on. Returns what must be recorded.
    pub(crate) fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        let stat = self.disk.stat(&self.path).map_err(self.io("look at"))?;
        let found = stat.map(|stat| stat.bytes);
        let file = match state.files.get(&self.name) {
            Some(known) => self.resume(known.len, found)?,
            None => self.take_on(found)?,
        };
        self.torn_at = None;
        if self.len > 0 {
            let mut last = [0];
            file.read_at(self.len - 1, &mut last).map_err(self.io("read"))?;
            self.torn_at = (last != *b"\n").then_some(self.len);
        }
        self.file = Some(file);
        Ok(self.output(self.len))
    }

    /// Goes on with a file that the ledger knows.
    fn resume(&mut self, len: u64, found: Option<u64>) -> Result<Arc<dyn DiskFile>, SinkError> {
        let path = self.path.display();
        let what = match found {
            None => format!("{path} is gone; the ledger says that it holds {len} bytes"),
            Some(found) if found < len => {
                format!("{path} holds {found} bytes; the ledger says that it holds {len}")
            }
            Some(found) => {
                let file = self.disk.open(&self.path).map_err(self.io("open"))?;
                if found > len {
                    file.set_len(len).map_err(self.io("cut"))?;
                }
                // Also when there is nothing to cut: a run that was killed may have cut it.
                file.sync(self.points.cut).map_err(self.io("sync"))?;
                self.len = len;
                return Ok(file);
            }
        };
        let help = "Put the file back as it was, or give the sink another path; what was \
                    delivered isn't delivered again";
        Err(SinkError::Foreign { what, help: help.into() })
    }

    /// Takes on a file that the ledger doesn't know.
    fn take_on(&mut self, found: Option<u64>) -> Result<Arc<dyn DiskFile>, SinkError> {
        let file = match found {
            Some(len) if len > 0 && !self.append => {
                return Err(SinkError::Foreign {
                    what: format!(
                        "{} holds {len} bytes that are not this pipe's",
                        self.path.display()
                    ),
                    help: "Give the sink another path, remove the file, or set append: true to \
                           keep what is in it"
                        .into(),
                });
            }
            Some(len) => {
                self.len = len;
                self.disk.open(&self.path).map_err(self.io("open"))?
            }
            None => {
                self.len = 0;
                if let Some(folder) = self.path.parent() {
                    lake::folders::ensure(self.disk.as_ref(), folder, self.points.created)?;
                }
                self.disk.create_new(&self.path).map_err(self.io("create"))?
            }
        };
        lake::folders::sync_name(self.disk.as_ref(), &self.path, self.points.created)?;
        if self.len > 0 {
            // From now on a shorter file is an error, so its length has to last.
            file.sync(self.points.base).map_err(self.io("sync"))?;
        }
        Ok(file)
    }

    fn output(&self, base_len: u64) -> StagedOutput {
        let name = self.name.clone();
        let file = StagedFile { name, base_len, len: self.len, finished: false };
        StagedOutput { files: vec![file], note: Vec::new() }
    }

    /// Its length with what was appended so far.
    pub(crate) const fn len(&self) -> u64 {
        self.len
    }

    /// Appends slices that are `bytes` long together. Without space, nothing of the batch that
    /// began at `base` remains.
    pub(crate) fn append(
        &mut self,
        parts: &[IoSlice<'_>],
        bytes: u64,
        base: u64,
    ) -> Result<(), SinkError> {
        let Some(file) = self.file.clone() else {
            return Err(self.io("write")(std::io::Error::other("the sink was not opened")));
        };
        let newline: &[u8] = if self.torn_at == Some(self.len) { b"\n" } else { b"" };
        let written = file
            .write_at(self.len, newline)
            .and_then(|()| file.write_vectored_at(self.len + newline.len() as u64, parts));
        match written.map_err(self.io("write")) {
            Ok(()) => {
                self.len += newline.len() as u64 + bytes;
                Ok(())
            }
            Err(SinkError::NoSpace { what }) => {
                self.cut_to(base)?;
                Err(SinkError::NoSpace { what })
            }
            Err(error) => Err(error),
        }
    }

    /// Begins to sync what was appended since `base`.
    pub(crate) fn staged(&self, base: u64) -> Staged {
        let mut pending: Vec<event::sink::Pending> = Vec::new();
        if let Some(file) = &self.file {
            let sync = file.sync_start(self.points.rows);
            let refused = self.io("sync");
            pending.push(Box::new(move || sync.wait().map_err(refused)));
        }
        Staged { output: self.output(base), pending }
    }

    /// Cuts it back.
    pub(crate) fn cut_to(&mut self, len: u64) -> Result<(), SinkError> {
        if let Some(file) = &self.file {
            file.set_len(len).map_err(self.io("cut"))?;
        }
        self.len = len;
        Ok(())
    }

    /// Takes back what `output` names.
    pub(crate) fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        match output.files.iter().find(|file| file.name == self.name) {
            Some(staged) => self.cut_to(staged.base_len),
            None => Ok(()),
        }
    }
}
