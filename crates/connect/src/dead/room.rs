//! How many bytes a store holds: counted once, then kept. Pipes that share a folder share it.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use journal::Disk;

use super::name::OWN;

/// A full store is counted again after so long: somebody may have removed letters by hand.
const RECOUNT_EVERY: Duration = Duration::from_secs(5);

/// The bytes of all letters of a store.
pub(super) struct Room {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    bytes: AtomicU64,
    /// Staged and not published.
    staged: AtomicU64,
    counted: Mutex<Option<Instant>>,
}

type Rooms = Mutex<HashMap<(usize, PathBuf), Weak<Room>>>;

fn rooms() -> &'static Rooms {
    static ROOMS: OnceLock<Rooms> = OnceLock::new();
    ROOMS.get_or_init(Rooms::default)
}

/// Tells one disk from another.
fn address(disk: &Arc<dyn Disk>) -> usize {
    Arc::as_ptr(disk).cast::<()>() as usize
}

impl Room {
    /// The room of the store at `root`, and whether it was counted now: the first who asks does.
    pub(super) fn of(disk: &Arc<dyn Disk>, root: &Path) -> io::Result<(Arc<Self>, bool)> {
        let room = {
            let mut rooms = rooms().lock().unwrap_or_else(PoisonError::into_inner);
            rooms.retain(|_, room| room.strong_count() > 0);
            let place = rooms.entry((address(disk), root.to_path_buf())).or_default();
            place.upgrade().unwrap_or_else(|| {
                let room = Arc::new(Self {
                    root: root.to_path_buf(),
                    disk: Arc::clone(disk),
                    bytes: AtomicU64::new(0),
                    staged: AtomicU64::new(0),
                    counted: Mutex::new(None),
                });
                *place = Arc::downgrade(&room);
                room
            })
        };
        let fresh = room.count(|at| at.is_none())?;
        Ok((room, fresh))
    }

    /// The room, if a store of this process keeps one.
    pub(super) fn known(disk: &Arc<dyn Disk>, root: &Path) -> Option<Arc<Self>> {
        let rooms = rooms().lock().unwrap_or_else(PoisonError::into_inner);
        rooms.get(&(address(disk), root.to_path_buf())).and_then(Weak::upgrade)
    }

    fn count(&self, is_due: impl FnOnce(Option<Instant>) -> bool) -> io::Result<bool> {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let due = is_due(*counted);
        if due {
            let bytes = folder_bytes(&*self.disk, &self.root)?;
            self.bytes.store(bytes + self.staged.load(Ordering::SeqCst), Ordering::SeqCst);
            *counted = Some(Instant::now());
        }
        Ok(due)
    }

    /// Bytes that it holds, staged ones included.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// Whether `bytes` more fit below `most`; they are counted as staged then.
    pub(super) fn take(&self, bytes: u64, most: u64) -> io::Result<bool> {
        if self.bytes().saturating_add(bytes) > most {
            self.count(|at| at.is_none_or(|at| at.elapsed() >= RECOUNT_EVERY))?;
        }
        let fits = |held: u64| held.checked_add(bytes).filter(|sum| *sum <= most);
        let took = self.bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fits).is_ok();
        if took {
            self.staged.fetch_add(bytes, Ordering::SeqCst);
        }
        Ok(took)
    }

    /// What was staged is taken back.
    pub(super) fn give_back(&self, bytes: u64) {
        self.published(bytes);
        self.removed(bytes);
    }

    /// What was staged is a letter now.
    pub(super) fn published(&self, bytes: u64) {
        let less = |staged: u64| Some(staged.saturating_sub(bytes));
        let _ = self.staged.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less); // never fails
    }

    /// A letter came that was not staged by this run.
    pub(super) fn added(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
    }

    /// A letter was removed.
    pub(super) fn removed(&self, bytes: u64) {
        let less = |held: u64| Some(held.saturating_sub(bytes));
        let _ = self.bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less); // never fails
    }
}

/// Bytes of all files of a store, its own apart. What goes away meanwhile has none.
fn folder_bytes(disk: &dyn Disk, root: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match disk.list(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        for entry in entries {
            if entry.is_dir && !(folder == root && entry.name == OWN) {
                folders.push(folder.join(entry.name));
            } else {
                bytes += entry.bytes;
            }
        }
    }
    Ok(bytes)
}
