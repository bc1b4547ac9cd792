//! From a staged file to letters under their final names.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::sink::{SinkError, StagedFile, StagedOutput};
use journal::{Disk, PendingSync, SyncPoint, mkdir_all_synced};

use super::name::LetterName;
use super::staged::StagedLetters;
use super::store::write_error;

/// Syncs under way at once; each holds a descriptor.
const SYNCS_MAX: usize = 64;
/// How often a folder that goes away while it is made is made again.
const MAKE_TRIES: u32 = 3;
/// Folders that are known to be there; more are looked up again.
const FOLDERS_KNOWN_MAX: usize = 10_000;

/// A letter whose bytes are on their way to the disk.
struct Written {
    sync: PendingSync,
    temporary: PathBuf,
    path: PathBuf,
}

/// Gives staged letters their final names.
pub(super) struct Publishing {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    open: PathBuf,
    known: HashSet<String>,
    /// Bytes of the letters that were not there before.
    pub(super) bytes_new: u64,
}

impl Publishing {
    pub(super) fn new(disk: Arc<dyn Disk>, root: PathBuf, open: PathBuf) -> Self {
        Self { disk, root, open, known: HashSet::new(), bytes_new: 0 }
    }

    fn refused(&self, action: &'static str) -> impl Fn(io::Error) -> SinkError + use<> {
        let what = format!("the dead-letter store {}", self.root.display());
        move |error| write_error(action, what.clone(), error)
    }

    /// Publishes what one batch staged; may be done again.
    pub(super) fn publish(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        output.files.iter().try_for_each(|staged| self.publish_file(staged))
    }

    fn publish_file(&mut self, staged: &StagedFile) -> Result<(), SinkError> {
        let path = self.open.join(&staged.name);
        let file = match self.disk.open_read(&path) {
            // It goes once all of its letters have their names.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                tracing::debug!(file = staged.name, "staged letters are published already");
                return Ok(());
            }
            other => other.map_err(self.refused("open"))?,
        };
        let damaged = |error: io::Error| match error.kind() {
            io::ErrorKind::InvalidData => SinkError::Foreign {
                what: format!(
                    "{}: {error}; it holds letters of events that are settled",
                    path.display()
                ),
                help: "Put the file back as it was".into(),
            },
            _ => SinkError::Io { action: "read", what: path.display().to_string(), error },
        };
        let mut letters = StagedLetters::open(file, staged.len).map_err(damaged)?;
        self.write_all(|| letters.next().map_err(damaged))?;
        // Should it come back after a loss of power, the next start removes it.
        self.disk.unlink(&path).map_err(self.refused("clean up"))
    }

    /// Writes letters until there are no more; durable when it returns. One that is there stays.
    pub(super) fn write_all(
        &mut self,
        mut next: impl FnMut() -> Result<Option<(LetterName, Vec<u8>)>, SinkError>,
    ) -> Result<(), SinkError> {
        let mut folders = BTreeSet::new();
        let mut written = VecDeque::new();
        while let Some((name, body)) = next()? {
            folders.insert(name.folder());
            if let Some(one) = self.write(&name, &body)? {
                written.push_back(one);
            }
            if written.len() > SYNCS_MAX {
                self.rename(written.pop_front())?;
            }
        }
        while !written.is_empty() {
            self.rename(written.pop_front())?;
        }
        for folder in folders {
            let path = self.root.join(folder);
            self.disk.sync_dir(&path, SyncPoint("dead.published")).map_err(self.refused("sync"))?;
        }
        Ok(())
    }

    /// Writes a letter beside its final name, unless it is there.
    fn write(&mut self, name: &LetterName, body: &[u8]) -> Result<Option<Written>, SinkError> {
        let folder = name.folder();
        let path = self.root.join(&folder).join(name.file());
        self.ensure(&folder)?;
        let done = LetterName { done: true, ..name.clone() };
        for there in [&path, &self.root.join(done.path())] {
            let stat = self.disk.stat(there).map_err(self.refused("look into"))?;
            if stat.is_some_and(|stat| !stat.is_dir) {
                return Ok(None);
            }
        }
        let temporary = temporary(&path);
        let file = match self.disk.create_new(&temporary) {
            // Of a run that was killed here.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.unlink(&temporary).map_err(self.refused("clean up"))?;
                self.disk.create_new(&temporary)
            }
            // Somebody removed the folder since: it was empty.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.known.clear();
                self.ensure(&folder)?;
                self.disk.create_new(&temporary)
            }
            other => other,
        };
        let file = file.map_err(self.refused("write to"))?;
        file.write_at(0, body).map_err(self.refused("write to"))?;
        self.bytes_new += body.len() as u64;
        Ok(Some(Written { sync: file.sync_start(SyncPoint("dead.letter")), temporary, path }))
    }

    fn rename(&self, written: Option<Written>) -> Result<(), SinkError> {
        let Some(Written { sync, temporary, path }) = written else { return Ok(()) };
        sync.wait().map_err(self.refused("sync"))?;
        self.disk.rename(&temporary, &path).map_err(self.refused("write to"))
    }

    /// Makes the levels of a folder. The store's own folder must be there: a store whose disk is
    /// gone isn't made anew in the empty place where it was mounted.
    fn ensure(&mut self, folder: &str) -> Result<(), SinkError> {
        if self.known.contains(folder) {
            return Ok(());
        }
        if self.known.len() >= FOLDERS_KNOWN_MAX {
            self.known.clear();
        }
        let path = self.root.join(folder);
        let mut tries = 0;
        loop {
            match mkdir_all_synced(&*self.disk, &self.root, &path, SyncPoint("dead.levels")) {
                // A purge removes folders that are empty.
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MAKE_TRIES => {
                    tries += 1;
                }
                other => break other.map_err(self.refused("write to"))?,
            }
        }
        self.known.insert(folder.to_owned());
        Ok(())
    }
}

/// Where a letter is written before it has its name.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("_{name}.tmp"))
}
