//! A table that is read again when its file changes.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::table::{Table, TableError};

/// The file is looked at this often at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A table in a file, shared by all workers.
#[derive(Debug)]
pub(super) struct Watched {
    file: PathBuf,
    on: String,
    rows_max: u64,
    /// When the watching began; `next_look_ms` counts from here.
    start: Instant,
    next_look_ms: AtomicU64,
    state: Mutex<State>,
    look_interval: Duration,
}

#[derive(Debug)]
struct State {
    table: Arc<Table>,
    /// The file's version that was read last, be it broken.
    seen: Option<Version>,
}

/// What tells versions of a file apart without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

impl Watched {
    /// Reads the table for the first time.
    ///
    /// # Errors
    /// [`TableError`]: it can't be read.
    pub(super) fn new(file: PathBuf, on: String, rows_max: u64) -> Result<Watched, TableError> {
        let seen = version(&file);
        let table = Table::read(&file, &on, rows_max)?;
        warn_of_replaced(&file, &table);
        let state = Mutex::new(State { table: Arc::new(table), seen });
        let (start, next_look_ms) = (Instant::now(), AtomicU64::new(0));
        let look_interval = LOOK_INTERVAL;
        Ok(Watched { file, on, rows_max, start, next_look_ms, state, look_interval })
    }

    /// Looks at the file whenever it is asked, so that a test needn't wait.
    #[cfg(test)]
    pub(super) fn eager(mut self) -> Watched {
        self.look_interval = Duration::ZERO;
        self
    }

    /// The table as it is now. A changed file is read by the worker that comes upon it; the others
    /// go on with the table that they have. A version that can't be read is warned of once, and the
    /// last good one stays.
    pub(super) fn current(&self) -> Arc<Table> {
        if self.is_time_to_look() {
            self.look();
        }
        Arc::clone(&self.lock().table)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing is left half done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_time_to_look(&self) -> bool {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let now = millis(self.start.elapsed());
        let next = self.next_look_ms.load(Ordering::Relaxed);
        let after = now.saturating_add(millis(self.look_interval));
        now >= next
            && self
                .next_look_ms
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    fn look(&self) {
        let before = version(&self.file);
        let seen = self.lock().seen;
        if before == seen {
            return;
        }
        let read = match before {
            None => Err(TableError { message: "the file is gone".into() }),
            Some(_) => Table::read(&self.file, &self.on, self.rows_max),
        };
        if before != version(&self.file) {
            return; // somebody is writing it: the next look sees it whole
        }
        let file = self.file.display();
        match read {
            Ok(table) => {
                warn_of_replaced(&self.file, &table);
                tracing::info!(file = %file, rows = table.len(), "lookup table read again");
                *self.lock() = State { table: Arc::new(table), seen: before };
            }
            Err(error) => {
                tracing::warn!(file = %file, %error, "lookup table can't be read; its last version stays in use");
                self.lock().seen = before;
            }
        }
    }
}

fn warn_of_replaced(file: &std::path::Path, table: &Table) {
    if table.replaced > 0 {
        let (file, rows) = (file.display(), table.replaced);
        tracing::warn!(file = %file, rows, "rows of the lookup table have the key of a later row, which counts");
    }
}

fn version(file: &std::path::Path) -> Option<Version> {
    let metadata = std::fs::metadata(file).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Version { modified: metadata.modified().ok(), len: metadata.len(), inode })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tables are other people's files")]
mod tests {
    use super::*;

    #[test]
    fn a_broken_version_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.csv");
        std::fs::write(&file, "k\na\n").unwrap();
        let watched = Watched::new(file.clone(), "k".into(), 9).unwrap().eager();
        std::fs::write(&file, "k,v\na\n").unwrap();
        assert_eq!(watched.current().len(), 1);
        assert_eq!(watched.lock().seen, version(&file), "it would be read and warned of again");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(watched.current().len(), 1);
        assert_eq!(watched.lock().seen, None);
    }
}
