//! The dead-letter store: a folder with one file per dead event.
//!
//! All letters of a batch are staged in one file in `_onceflow/open/`, synced; the commit decides
//! over it. Publishing writes each letter under its final name and then removes the staged file,
//! so it can be done again from the front after a crash at any point. (A rename from one folder to
//! another would not do: a loss of power may keep the removal and lose the new name.)

use std::path::PathBuf;
use std::sync::Arc;

use event::BatchNumber;
use event::sink::{
    Guarantee, Pending, Publisher, Rows, Sink, SinkError, SinkIdentity, SinkState, Staged,
    StagedFile, StagedOutput,
};
use journal::{Disk, DiskFile, SyncPoint};
use xxhash_rust::xxh3::xxh3_64;

use super::letter::{LetterContext, letters_of};
use super::name::{OWN, part};
use super::publish::Publishing;
use super::room::Room;
use super::staged;
use crate::file::sink::refuse_spilled;

/// Letters are written once there are so many bytes of them.
const CHUNK_BYTES: usize = 1 << 20;
/// Ending of a staged file.
const STAGED: &str = ".letters";

/// What a dead-letter store needs to know.
#[derive(Clone, Debug)]
pub struct DeadStoreOptions {
    /// The folder. It is made when it is missing.
    pub root: PathBuf,
    /// Bytes of all letters in it, whoever wrote them; past that the pipe pauses.
    pub store_bytes_max: u64,
    /// It takes the letters of those that died with this [`event::Death::letters`].
    pub letters: u8,
    /// What the batch doesn't say.
    pub context: Arc<LetterContext>,
}

/// Writes the dead events of each batch as letters.
pub struct DeadStore {
    identity: SinkIdentity,
    options: DeadStoreOptions,
    disk: Arc<dyn Disk>,
    /// Since `open`.
    room: Option<Arc<Room>>,
    /// The batch that was staged last, and how often.
    staged: (BatchNumber, u32),
    chunk: Vec<u8>,
}

/// A staged file that is being written.
struct Open {
    name: String,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
    /// Bytes of the letters in it, as they are counted.
    counted: u64,
}

impl DeadStore {
    /// A store that has touched nothing yet.
    #[must_use]
    pub fn new(options: DeadStoreOptions, identity: SinkIdentity, disk: Arc<dyn Disk>) -> Self {
        let staged = (BatchNumber(0), 0);
        Self { identity, options, disk, room: None, staged, chunk: Vec::new() }
    }

    fn own_folder(&self) -> PathBuf {
        self.options.root.join(OWN)
    }

    fn open_folder(&self) -> PathBuf {
        self.own_folder().join("open")
    }

    fn what(&self) -> String {
        format!("the dead-letter store {}", self.options.root.display())
    }

    /// What the names of all staged files of this sink begin with.
    fn prefix(&self) -> String {
        let SinkIdentity { ledger_id, pipe, sink, .. } = &self.identity;
        let hash = xxh3_64(format!("{pipe}/{sink}").as_bytes());
        let shown = part(format!("{pipe}.{sink}").as_bytes()).replace('-', "~");
        format!("{ledger_id}-{shown}-{hash:016x}-")
    }

    fn publishing(&self) -> Publishing {
        Publishing::new(Arc::clone(&self.disk), self.options.root.clone(), self.open_folder())
    }

    fn refused(&self, action: &'static str) -> impl Fn(std::io::Error) -> SinkError + use<> {
        let what = self.what();
        move |error| write_error(action, what.clone(), error)
    }

    /// Removes staged files of this sink that no record names, or whose batch is published.
    fn remove_strays(&self) -> Result<(), SinkError> {
        let (folder, prefix) = (self.open_folder(), self.prefix());
        let entries = self.disk.list(&folder).map_err(self.refused("list"))?;
        for entry in entries.into_iter().filter(|entry| !entry.is_dir) {
            let rest = entry.name.strip_prefix(&prefix);
            if rest.is_some_and(|rest| rest.ends_with(STAGED)) {
                // Comes back after a loss of power: then the next start removes it.
                self.disk.unlink(&folder.join(&entry.name)).map_err(self.refused("clean up"))?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, number: BatchNumber) -> Result<Open, SinkError> {
        self.staged = match self.staged {
            (last, times) if last == number => (last, times + 1),
            _ => (number, 1),
        };
        let (epoch, times) = (self.identity.epoch.0, self.staged.1);
        let name = format!("{}{epoch}-{number}-{times}{STAGED}", self.prefix());
        let path = self.open_folder().join(&name);
        let file = self.disk.create_new(&path).map_err(self.refused("write to"))?;
        Ok(Open { name, path, file, len: 0, counted: 0 })
    }

    /// Writes what is in the chunk; `bytes` of it are letters.
    fn flush(&mut self, open: &mut Open, bytes: u64) -> Result<(), SinkError> {
        let most = self.options.store_bytes_max;
        if let Some(room) = &self.room {
            if !room.take(bytes, most).map_err(self.refused("look into"))? {
                return Err(SinkError::NoSpace { what: full(&self.what(), room.bytes(), most) });
            }
            open.counted += bytes;
        }
        open.file.write_at(open.len, &self.chunk).map_err(self.refused("write to"))?;
        open.len += self.chunk.len() as u64;
        self.chunk.clear();
        Ok(())
    }

    /// Writes the letters of `rows` into a staged file; `None` when there are none.
    fn write(&mut self, rows: &Rows<'_>) -> Result<Option<Open>, SinkError> {
        self.chunk.clear();
        let context = Arc::clone(&self.options.context);
        let (pipe, ledger_id) = (self.identity.pipe.clone(), self.identity.ledger_id);
        let mut open = None;
        let mut bytes = 0;
        for letter in letters_of(rows, self.options.letters, &pipe, ledger_id, &context) {
            if open.is_none() {
                open = Some(self.begin(rows.number)?);
                self.chunk.extend_from_slice(staged::HEADER);
            }
            bytes += staged::push(&mut self.chunk, &letter);
            if self.chunk.len() > CHUNK_BYTES
                && let Some(open) = &mut open
                && let Err(error) = self.flush(open, std::mem::take(&mut bytes))
            {
                return Err(self.discard(open, error));
            }
        }
        if let Some(open) = &mut open
            && let Err(error) = self.flush(open, bytes)
        {
            return Err(self.discard(open, error));
        }
        if self.chunk.capacity() > 4 * CHUNK_BYTES {
            self.chunk = Vec::new();
        }
        Ok(open)
    }

    /// Nothing remains of a file that could not be written whole.
    fn discard(&self, open: &Open, error: SinkError) -> SinkError {
        if let Some(room) = &self.room {
            room.give_back(open.counted);
        }
        match self.disk.unlink(&open.path).map_err(self.refused("clean up")) {
            Ok(()) => error,
            Err(error) => error,
        }
    }
}

/// What a store says that has no room.
pub(super) fn full(what: &str, holds: u64, most: u64) -> String {
    format!(
        "more letters: {what} holds {holds} of {most} bytes (replay or purge letters, or raise \
         dead_letter.store_bytes_max)"
    )
}

/// What the disk said of a write.
pub(super) fn write_error(action: &'static str, what: String, error: std::io::Error) -> SinkError {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            SinkError::NoSpace { what }
        }
        _ => SinkError::Io { action, what, error },
    }
}

impl Sink for DeadStore {
    fn name(&self) -> &str {
        &self.identity.sink
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }

    fn open(&mut self, state: &SinkState) -> Result<StagedOutput, SinkError> {
        let own = self.own_folder();
        let known = self.disk.stat(&own).map_err(self.refused("look into"))?.is_some();
        if !known && !state.unpublished.is_empty() {
            return Err(SinkError::Foreign {
                what: format!(
                    "{} is gone; it held letters of events that are settled",
                    self.what()
                ),
                help: "Put it back where it was (is its disk mounted?)".into(),
            });
        }
        lake::folders::ensure(&*self.disk, &self.open_folder(), SyncPoint("dead.folder"))?;
        let mut publishing = self.publishing();
        for (_, output) in &state.unpublished {
            publishing.publish(output)?;
        }
        self.remove_strays()?;
        let room = Room::of(&self.disk, &self.options.root).map_err(self.refused("look into"))?;
        let (room, is_fresh) = room;
        if !is_fresh {
            room.added(publishing.bytes_new);
        }
        self.room = Some(room);
        Ok(StagedOutput::default())
    }

    fn stage(&mut self, rows: &Rows<'_>) -> Result<Staged, SinkError> {
        refuse_spilled(rows)?;
        let Some(open) = self.write(rows)? else { return Ok(Staged::nothing()) };
        let sync = open.file.sync_start(SyncPoint("dead.staged"));
        let refused = self.refused("sync");
        let data: Pending = Box::new(move || sync.wait().map_err(refused));
        let (disk, folder, refused) =
            (Arc::clone(&self.disk), self.open_folder(), self.refused("sync"));
        let name: Pending =
            Box::new(move || disk.sync_dir(&folder, SyncPoint("dead.opened")).map_err(refused));
        let file = StagedFile { name: open.name, base_len: 0, len: open.len, finished: true };
        // What withdrawing has to give back.
        let note = open.counted.to_le_bytes().to_vec();
        let output = StagedOutput { files: vec![file], note };
        Ok(Staged { output, pending: vec![data, name] })
    }

    fn withdraw(&mut self, output: &StagedOutput) -> Result<(), SinkError> {
        for file in &output.files {
            let path = self.open_folder().join(&file.name);
            self.disk.unlink(&path).map_err(self.refused("clean up"))?;
        }
        if let Some(room) = &self.room {
            room.give_back(counted(output));
        }
        Ok(())
    }

    fn publisher(&self) -> Box<dyn Publisher> {
        Box::new(DeadPublisher { publishing: self.publishing(), room: self.room.clone() })
    }
}

/// Bytes of the letters that an output staged.
fn counted(output: &StagedOutput) -> u64 {
    output.note.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

struct DeadPublisher {
    publishing: Publishing,
    room: Option<Arc<Room>>,
}

impl Publisher for DeadPublisher {
    fn publish(&mut self, _: BatchNumber, output: &StagedOutput) -> Result<(), SinkError> {
        self.publishing.publish(output)?;
        if let Some(room) = &self.room {
            room.published(counted(output));
        }
        Ok(())
    }
}
