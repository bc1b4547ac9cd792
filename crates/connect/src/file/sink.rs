//! The file sink: one NDJSON file, appended in place.

use std::path::PathBuf;
use std::sync::Arc;

use event::BatchNumber;
use event::sink::{
    Guarantee, NothingToPublish, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged,
    StagedFile, StagedOutput,
};
use journal::{Disk, DiskFile, SyncPoint};

/// What a file sink needs to know.
#[derive(Clone, Debug)]
pub struct FileSinkOptions {
    /// The file.
    pub path: PathBuf,
    /// Append to a file that the ledger doesn't know.
    pub append: bool,
}

/// Appends rows to one file.
pub struct FileSink {
    options: FileSinkOptions,
    identity: SinkIdentity,
    disk: Arc<dyn Disk>,
    file: Option<Arc<dyn DiskFile>>,
    len: u64,
}

impl FileSink {
    /// A sink that has touched nothing yet.
    #[must_use]
    pub fn new(options: FileSinkOptions, identity: SinkIdentity, disk: Arc<dyn Disk>) -> Self {
        Self { options, identity, disk, file: None, len: 0 }
    }

    fn io(&self, action: &'static str) -> impl Fn(std::io::Error) -> SinkError + use<> {
        let what = self.options.path.display().to_string();
        move |error| SinkError::Io { action, what: what.clone(), error }
    }
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        let name = self.options.path.display().to_string();
        let file = match self.disk.stat(&self.options.path).map_err(self.io("look at"))? {
            Some(_) => self.disk.open(&self.options.path),
            None => self.disk.create_new(&self.options.path),
        }
        .map_err(self.io("open"))?;
        self.len = state.files.get(&name).map_or(0, |file| file.len);
        file.set_len(self.len).map_err(self.io("cut"))?;
        self.file = Some(file);
        let files = vec![StagedFile { name, base_len: self.len, len: self.len, finished: false }];
        Ok(StagedOutput { files, note: Vec::new() })
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        let Some(file) = self.file.clone() else {
            return Ok(Staged { output: StagedOutput::default(), pending: Vec::new() });
        };
        let mut out = Vec::new();
        for (_, event) in rows.iter() {
            out.extend_from_slice(rows.batch.body(event));
            out.push(b'\n');
        }
        file.write_at(self.len, &out).map_err(self.io("write"))?;
        let base_len = self.len;
        self.len += out.len() as u64;
        let name = self.options.path.display().to_string();
        let files = vec![StagedFile { name, base_len, len: self.len, finished: false }];
        let pending = file.sync_start(SyncPoint("file_sink.rows"));
        let io = self.io("sync");
        Ok(Staged {
            output: StagedOutput { files, note: Vec::new() },
            pending: vec![Box::new(move || pending.wait().map_err(io))],
        })
    }

    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        if let (Some(file), Some(staged)) = (&self.file, output.files.first()) {
            file.set_len(staged.base_len).map_err(self.io("cut"))?;
            self.len = staged.base_len;
        }
        Ok(())
    }

    fn finish(&mut self, _: BatchNumber, _: i64, _: bool) -> Result<Staged, SinkError> {
        Ok(Staged { output: StagedOutput::default(), pending: Vec::new() })
    }

    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(NothingToPublish)
    }
}
