//! The sink of the little pipe of `ledger_world.rs`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dedup::ledger::{Ledger, PipeLedger};
use event::Fate;
use event::sink::{SinkState, StagedFile, StagedOutput};
use journal::{Disk, DiskFile, SimDisk, SyncPoint};

use crate::ledger_world::{Ahead, Failed, failed};

const BATCHES_OF_FILE: u64 = 3;
const ROW_BYTES: usize = 8;
const OUT: &str = "/out";

/// Appends rows to files of a few batches each, as DESIGN §3 says of staging files.
pub(crate) struct Sink {
    disk: SimDisk,
    epoch: u64,
    current: Option<(String, Arc<dyn DiskFile>, u64)>,
}

impl Sink {
    pub(crate) fn open(disk: &SimDisk, ledger: &Ledger, pipe: &PipeLedger) -> Result<Self, Failed> {
        let dir = Path::new(OUT);
        if disk.stat(dir).map_err(failed)?.is_none() {
            disk.mkdir(dir).map_err(failed)?;
        }
        disk.sync_dir(Path::new("/"), SyncPoint("sink.folder")).map_err(failed)?;
        let mut sink = Self { disk: disk.clone(), epoch: ledger.epoch().0, current: None };
        let state = pipe.sink_state("out");
        for (_, output) in &state.unpublished {
            sink.publish(output)?;
        }
        sink.cut(&state)?;
        Ok(sink)
    }

    /// Cuts unfinished files to their recorded length.
    fn cut(&mut self, state: &SinkState) -> Result<(), Failed> {
        for (name, known) in state.files.iter().filter(|(_, known)| !known.finished) {
            let path = unfinished(name);
            let file = match self.disk.open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound && known.len == 0 => {
                    self.disk.create_new(&path).map_err(failed)?
                }
                Err(error) => return Err(format!("{name} ({known:?}): {error}")),
            };
            self.disk.sync_dir(Path::new(OUT), SyncPoint("sink.name")).map_err(failed)?;
            if file.len().map_err(failed)? < known.len {
                return Err(format!("{name} is shorter than its record: {known:?}"));
            }
            file.set_len(known.len).map_err(failed)?;
            file.sync(SyncPoint("sink.data")).map_err(failed)?;
            self.current = Some((name.clone(), file, known.len));
        }
        for (path, _) in self.disk.files() {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_some_and(|e| e == "open") && !state.files.contains_key(&name) {
                return Err(format!("no record names {}", path.display()));
            }
        }
        Ok(())
    }

    pub(crate) fn stage(
        &mut self,
        pipe: &PipeLedger,
        number: u64,
        ahead: &Ahead,
    ) -> Result<StagedOutput, Failed> {
        if self.current.is_none() {
            let name = format!("{number:04}-{}", self.epoch);
            let opened = StagedFile { name: name.clone(), base_len: 0, len: 0, finished: false };
            let output = StagedOutput { files: vec![opened], note: Vec::new() };
            pipe.record_opened("out", output).map_err(failed)?;
            let file = self.disk.create_new(&unfinished(&name)).map_err(failed)?;
            self.disk.sync_dir(Path::new(OUT), SyncPoint("sink.name")).map_err(failed)?;
            self.current = Some((name, file, 0));
        }
        let (name, file, len) = self.current.take().unwrap();
        let rows: Vec<u8> = ahead
            .ids
            .iter()
            .zip(&ahead.batch.events)
            .filter(|(_, event)| event.fate == Fate::Deliver)
            .flat_map(|(row, _)| row.to_le_bytes())
            .collect();
        file.write_at(len, &rows).map_err(failed)?;
        file.sync(SyncPoint("sink.data")).map_err(failed)?;
        let base_len = len;
        let len = base_len + rows.len() as u64;
        let finished = number.is_multiple_of(BATCHES_OF_FILE);
        if !finished {
            self.current = Some((name.clone(), file, len));
        }
        Ok(StagedOutput {
            files: vec![StagedFile { name, base_len, len, finished }],
            note: Vec::new(),
        })
    }

    pub(crate) fn publish(&self, output: &StagedOutput) -> Result<(), Failed> {
        for file in output.files.iter().filter(|file| file.finished) {
            let (from, to) = (unfinished(&file.name), Path::new(OUT).join(&file.name));
            if self.disk.stat(&from).map_err(failed)?.is_some() {
                self.disk.rename(&from, &to).map_err(failed)?;
            }
            self.disk.sync_dir(Path::new(OUT), SyncPoint("sink.name")).map_err(failed)?;
        }
        Ok(())
    }

    /// All rows, in the order in which they were delivered.
    pub(crate) fn rows(&self, disk: &SimDisk) -> Result<Vec<u64>, Failed> {
        let mut files = BTreeMap::new();
        for (path, _) in disk.files().into_iter().filter(|(path, _)| path.starts_with(OUT)) {
            let bytes = disk.read_file(&path).ok_or("a file vanished")?;
            files.insert(path.file_stem().unwrap().to_owned(), bytes);
        }
        let bytes: Vec<u8> = files.into_values().flatten().collect();
        if !bytes.len().is_multiple_of(ROW_BYTES) {
            return Err("half a row".into());
        }
        let row = |row: &[u8]| u64::from_le_bytes(row.try_into().unwrap());
        Ok(bytes.chunks(ROW_BYTES).map(row).collect())
    }
}

fn unfinished(name: &str) -> PathBuf {
    Path::new(OUT).join(format!("{name}.open"))
}
