//! What becomes of letters that were replayed, or that nobody wants any more.

use std::collections::BTreeSet;
use std::io;

use journal::SyncPoint;

use super::super::name::LetterName;
use super::super::room::Room;
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
