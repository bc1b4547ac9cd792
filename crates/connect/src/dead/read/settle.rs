//! What becomes of letters that were replayed, or that nobody wants any more.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use event::sink::SinkError;
use journal::SyncPoint;

use super::super::letter::Letter;
use super::super::name::{LetterName, OWN};
use super::super::publish::Publishing;
use super::super::room::Room;
use super::super::store::{full, write_error};
use super::DeadFolder;

/// What becomes of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It stays under a name that says that it was replayed.
    Mark,
    /// It is removed.
    Remove,
}

impl DeadFolder {
    /// Writes letters that no batch of a pipe settled; durable when it returns. One that is there
    /// under the same name stays as it is, so that doing it again changes nothing. The folder is
    /// made when it is missing.
    ///
    /// # Errors
    /// [`SinkError::NoSpace`] when the store would hold more than `store_bytes_max`; else what the
    /// disk says. It can be done again.
    pub fn store(&self, letters: &[Letter], store_bytes_max: u64) -> Result<(), SinkError> {
        let what = || format!("the dead-letter store {}", self.root.display());
        let failed = |error: io::Error| write_error("write to", what(), error);
        let open = self.root.join(OWN).join("open");
        lake::folders::ensure(&*self.disk, &open, SyncPoint("dead.folder"))?;
        let (room, _) = Room::of(&self.disk, &self.root).map_err(failed)?;
        let mut encoded: Vec<(LetterName, Vec<u8>)> =
            letters.iter().map(|letter| (LetterName::of(letter), letter.encode())).collect();
        let bytes: u64 = encoded.iter().map(|(_, body)| body.len() as u64).sum();
        if !room.take(bytes, store_bytes_max).map_err(failed)? {
            let what = full(&what(), room.bytes(), store_bytes_max);
            return Err(SinkError::NoSpace { what });
        }
        let mut publishing = Publishing::new(Arc::clone(&self.disk), self.root.clone(), open);
        encoded.reverse();
        let written = publishing.write_all(|| Ok(encoded.pop()));
        room.published(bytes);
        room.removed(bytes.saturating_sub(publishing.bytes_new));
        written
    }

    /// Marks letters as replayed, or removes them; durable when it returns. One that is gone, or
    /// marked already, is fine. Each comes with the length of its file.
    ///
    /// # Errors
    /// What the disk says; it can be done again.
    pub fn settle<'a>(
        &self,
        letters: impl Iterator<Item = (&'a LetterName, u64)>,
        after: After,
    ) -> io::Result<()> {
        let room = Room::known(&self.disk, &self.root);
        let mut folders = BTreeSet::new();
        for (name, bytes) in letters {
            let folder = name.folder();
            let path = self.root.join(&folder).join(name.file());
            let done = match after {
                After::Mark => {
                    let done = LetterName { done: true, ..name.clone() };
                    self.disk.rename(&path, &self.root.join(&folder).join(done.file()))
                }
                After::Remove => self.disk.unlink(&path),
            };
            match done {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) if after == After::Remove => {
                    room.iter().for_each(|room| room.removed(bytes));
                }
                _ => {}
            }
            folders.insert(folder);
        }
        for folder in &folders {
            match self.disk.sync_dir(&self.root.join(folder), SyncPoint("dead.settled")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if after == After::Remove {
            folders.iter().for_each(|folder| self.tidy(folder));
        }
        Ok(())
    }

    /// Removes a folder that is empty, and those above it. That this isn't durable does no harm.
    fn tidy(&self, folder: &str) {
        let mut rest = folder;
        while self.disk.rmdir(&self.root.join(rest)).is_ok() {
            let Some((above, _)) = rest.rsplit_once('/') else { return };
            rest = above;
        }
    }
}
