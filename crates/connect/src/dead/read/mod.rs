//! Finding letters again. Everything streams: only one folder's names and one letter are in
//! memory at a time. Files that are no letters are named and skipped.

mod filter;
mod settle;
mod walk;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::Disk;
use journal::disk::read_full_at;

pub use filter::{LetterFilter, Standing};
pub use settle::After;
pub use walk::{Letters, Names};

use super::form::LetterError;
use super::letter::Letter;
use super::name::LetterName;

/// A longer file is no letter.
const LETTER_BYTES_MAX: u64 = 1 << 30;

/// A dead-letter store, for reading and tidying up.
#[derive(Clone)]
pub struct DeadFolder {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) root: PathBuf,
}

/// A letter that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub name: LetterName,
    /// Length of its file.
    pub bytes: u64,
    /// The letter.
    pub letter: Letter,
    /// Its content, or its name, isn't what was written.
    pub edited: bool,
}

/// A file or folder of the store that is no letter, or can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct Skipped {
    /// Relative to the store.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// No letter, or not one letter, was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// None is called so.
    #[error("no letter {0} in the dead-letter store")]
    None(String),
    /// More than one begins so.
    #[error("{prefix} stands for more than one letter: {first} and {second}")]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// One of them.
        first: String,
        /// Another one.
        second: String,
    },
    /// It is there and can't be read.
    #[error(transparent)]
    Unreadable(#[from] Skipped),
}

impl DeadFolder {
    /// The store at `root`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, root: &Path) -> Self {
        Self { disk, root: root.to_path_buf() }
    }

    /// Its folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The letters that a filter takes: by consumer, hour, partition key, time of death.
    #[must_use]
    pub fn letters(&self, filter: LetterFilter) -> Letters {
        Letters::new(self.clone(), filter)
    }

    /// Their names only, as far as names tell.
    #[must_use]
    pub fn names(&self, filter: LetterFilter) -> Names {
        Names::new(self.clone(), filter)
    }

    /// One letter: by its path (within the store, or as the shell knows it), its id, or the first
    /// digits of its id if no other letter's begins so.
    ///
    /// # Errors
    /// [`FindError`].
    pub fn find(&self, text: &str) -> Result<Found, FindError> {
        if text.contains('/') || text.ends_with(super::name::LETTER) {
            let path = Path::new(text);
            let path = path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy();
            let path = path.trim_start_matches("./");
            let name = LetterName::parse(path).ok_or_else(|| FindError::None(text.to_owned()))?;
            return self.read(name).map_err(FindError::from)?.ok_or_else(|| self.none(text));
        }
        let filter = LetterFilter {
            ids: vec![text.to_ascii_lowercase()],
            standing: Standing::Any,
            ..LetterFilter::default()
        };
        let mut names = self.names(filter).filter_map(Result::ok);
        let first = names.next().ok_or_else(|| self.none(text))?;
        if let Some(second) = names.find(|second| second.0.id != first.0.id) {
            return Err(FindError::Ambiguous {
                prefix: text.to_owned(),
                first: super::id::show_id(first.0.id),
                second: super::id::show_id(second.0.id),
            });
        }
        self.read(first.0).map_err(FindError::from)?.ok_or_else(|| self.none(text))
    }

    fn none(&self, text: &str) -> FindError {
        FindError::None(format!("{text} ({})", self.root.display()))
    }

    /// Reads a letter; `None` when it is gone.
    ///
    /// # Errors
    /// [`Skipped`].
    pub fn read(&self, name: LetterName) -> Result<Option<Found>, Skipped> {
        let path = name.path();
        let skipped = |why: String| Skipped { path: path.clone(), why };
        let bytes = match self.read_file(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(skipped(error.to_string())),
        };
        match Letter::decode(&bytes) {
            Ok(read) => {
                let own = LetterName { done: name.done, ..LetterName::of(&read.letter) };
                let edited = read.edited || own != name;
                Ok(Some(Found { name, bytes: bytes.len() as u64, letter: read.letter, edited }))
            }
            Err(error @ (LetterError::Unreadable(_) | LetterError::Newer(_))) => {
                Err(skipped(error.to_string()))
            }
        }
    }

    fn read_file(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = self.disk.open_read(&self.root.join(path))?;
        let len = file.len()?;
        if len > LETTER_BYTES_MAX {
            return Err(io::Error::other("it is too long to be a letter"));
        }
        let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
        let found = read_full_at(&*file, 0, &mut bytes)?;
        bytes.truncate(found);
        Ok(bytes)
    }
}
