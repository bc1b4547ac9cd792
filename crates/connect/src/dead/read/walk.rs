//! Going through the folders, in order.

use std::io;

use journal::DirEntry;

use super::super::name::{LetterName, OWN};
use super::filter::Compiled;
use super::{DeadFolder, Found, LetterFilter, Skipped};

/// Levels of folders: consumer, year, month, day, hour, partition key.
const LEVELS: usize = 6;

struct Level {
    path: String,
    entries: std::vec::IntoIter<DirEntry>,
}

/// Names of letters, with the length of each file.
pub struct Names {
    folder: DeadFolder,
    filter: Compiled,
    levels: Vec<Level>,
    failed: Option<Skipped>,
}

impl Names {
    pub(super) fn new(folder: DeadFolder, filter: LetterFilter) -> Self {
        let mut names =
            Self { folder, filter: Compiled::new(filter), levels: Vec::new(), failed: None };
        names.enter(String::new());
        names
    }

    /// Goes into a folder, unless it went away.
    fn enter(&mut self, path: String) {
        match self.folder.disk.list(&self.folder.root.join(&path)) {
            Ok(entries) => self.levels.push(Level { path, entries: entries.into_iter() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.failed = Some(Skipped { path, why: error.to_string() }),
        }
    }

    /// Whether letters that are meant may lie in folder `name` of level `level`.
    fn takes_folder(&self, level: usize, path: &str, name: &str) -> bool {
        match level {
            0 => name != OWN && self.filter.takes_consumer(name),
            1..5 => path.split_once('/').is_some_and(|(_, time)| self.filter.takes_time(time)),
            _ => self.filter.takes_partition(name),
        }
    }

    fn entry(&mut self, level: usize, path: String, entry: &DirEntry) -> Option<Name> {
        let skipped = |path: String, why: &str| Some(Err(Skipped { path, why: why.into() }));
        match (entry.is_dir, level < LEVELS) {
            (true, true) => {
                if self.takes_folder(level, &path, &entry.name) {
                    self.enter(path);
                }
                None
            }
            (false, false) => match LetterName::parse(&path) {
                Some(name) => self.filter.takes_name(&name).then_some(Ok((name, entry.bytes))),
                // One that is being written.
                None if entry.name.starts_with('_') && entry.name.ends_with(".tmp") => None,
                None => skipped(path, "no letter is called so"),
            },
            (true, false) => skipped(path, "a folder where only letters lie"),
            (false, true) => skipped(path, "a file where only folders lie"),
        }
    }
}

type Name = Result<(LetterName, u64), Skipped>;

impl Iterator for Names {
    type Item = Name;

    fn next(&mut self) -> Option<Name> {
        loop {
            if let Some(failed) = self.failed.take() {
                return Some(Err(failed));
            }
            let depth = self.levels.len();
            let level = self.levels.last_mut()?;
            let Some(entry) = level.entries.next() else {
                self.levels.pop();
                continue;
            };
            let path = if level.path.is_empty() {
                entry.name.clone()
            } else {
                format!("{}/{}", level.path, entry.name)
            };
            if let Some(found) = self.entry(depth - 1, path, &entry) {
                return Some(found);
            }
        }
    }
}

/// Letters, one after the other.
pub struct Letters(Names);

impl Letters {
    pub(super) fn new(folder: DeadFolder, filter: LetterFilter) -> Self {
        Self(Names::new(folder, filter))
    }
}

impl Iterator for Letters {
    type Item = Result<Found, Skipped>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let name = match self.0.next()? {
                Ok((name, _)) => name,
                Err(skipped) => return Some(Err(skipped)),
            };
            match self.0.folder.read(name) {
                // It went away since its folder was listed.
                Ok(None) => {}
                Ok(Some(found)) if !self.0.filter.takes(&found.letter) => {}
                Ok(Some(found)) => return Some(Ok(found)),
                Err(skipped) => return Some(Err(skipped)),
            }
        }
    }
}
