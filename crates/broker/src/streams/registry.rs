//! All streams: making, finding, changing and deleting them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use event::Clock;
use journal::{Disk, Journal, JournalConfig};
use rand::TryRng;
use rand::rngs::SysRng;

use super::catalogue::{Catalogue, Entry, Settings, check_tags, open_failed, stream_dir};
use super::core::{Core, append_failed};
use super::put::{Order, PUT_BYTES_MAX};
use super::retention::Horizon;
use super::shard::Ranges;
use super::state::{Replay, State};
use super::stream::{Inner, Stream};
use super::{StreamsOptions, lock};
use crate::error::BrokerError;

/// The catalogue's folder, beside those of the streams.
pub(super) const CATALOGUE: &str = "catalogue";
/// As long as the service keeps records at first.
const RETENTION_H: u32 = 24;
/// A shard's number has 16 bits on disk.
const SHARDS_PER_STREAM_MAX: usize = 1 << 16;
/// Names that an error lists.
const NAMES_MAX: usize = 20;

/// All streams of a broker.
pub(super) struct Registry {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: StreamsOptions,
    clock: Arc<dyn Clock>,
    /// One change of what there is at a time.
    catalogue: Mutex<Catalogue>,
    streams: RwLock<BTreeMap<String, Arc<Stream>>>,
    stopped: Arc<OnceLock<String>>,
    /// Folders of deleted streams that couldn't be removed yet.
    leftovers: Mutex<Vec<PathBuf>>,
}

impl Registry {
    pub(super) fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: StreamsOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, BrokerError> {
        let catalogue =
            Catalogue::open(Arc::clone(&disk), &dir.join(CATALOGUE), options.segment_bytes)?;
        let entries: Vec<_> = catalogue.entries().cloned().collect();
        let registry = Arc::new(Self {
            disk,
            dir: dir.to_path_buf(),
            options,
            clock,
            catalogue: Mutex::new(catalogue),
            streams: RwLock::default(),
            stopped: Arc::default(),
            leftovers: Mutex::default(),
        });
        registry.remove_strays(&entries)?;
        for entry in entries {
            let dir = stream_dir(&registry.dir, entry.id);
            let there =
                registry.disk.stat(&dir).map_err(|e| BrokerError::io("look at", &dir, e))?;
            if there.is_none() {
                let what = format!(
                    "the folder of stream `{}` is missing: {}. Put it back, or restore the data \
                     folder from a copy",
                    entry.name,
                    dir.display()
                );
                return Err(BrokerError::Unreadable { what });
            }
            let stream = registry.open_stream(&entry)?;
            registry.write_streams().insert(entry.name, stream);
        }
        Ok(registry)
    }

    /// Removes what creates and deletes left that didn't come to their end.
    fn remove_strays(&self, entries: &[Entry]) -> Result<(), BrokerError> {
        let all = self.disk.list(&self.dir).map_err(|e| BrokerError::io("list", &self.dir, e))?;
        let folders = all.into_iter().filter(|entry| entry.is_dir && entry.name != CATALOGUE);
        for folder in folders {
            let Ok(id) = u128::from_str_radix(&folder.name, 16) else { continue };
            if folder.name.len() == 32 && !entries.iter().any(|entry| entry.id == id) {
                let dir = self.dir.join(&folder.name);
                self.remove_folder(&dir).map_err(|error| BrokerError::io("empty", &dir, error))?;
            }
        }
        Ok(())
    }

    fn remove_folder(&self, dir: &Path) -> std::io::Result<()> {
        for file in self.disk.list(dir)? {
            self.disk.unlink(&dir.join(file.name))?;
        }
        // Nothing depends on it: what a crash brings back is a stray.
        self.disk.rmdir(dir)
    }

    /// Opens the stream of an entry; makes its journal where there is none.
    fn open_stream(self: &Arc<Self>, entry: &Entry) -> Result<Arc<Stream>, BrokerError> {
        let (journal, replay) = self.open_journal(entry)?;
        let Some(state) = replay.finish() else {
            let dir = stream_dir(&self.dir, entry.id);
            let what = format!("stream `{}` in {} has no state", entry.name, dir.display());
            return Err(BrokerError::Unreadable { what });
        };
        Ok(self.stream(entry, journal, state))
    }

    fn open_journal(&self, entry: &Entry) -> Result<(Journal, Replay), BrokerError> {
        let config = JournalConfig {
            segment_bytes: self.options.segment_bytes,
            record_bytes_max: 2 * PUT_BYTES_MAX as u32,
            queue_bytes_max: 2 * PUT_BYTES_MAX as u64,
        };
        let mut replay = Replay::new(entry.id, entry.shards as usize);
        let dir = stream_dir(&self.dir, entry.id);
        let journal = Journal::open(Arc::clone(&self.disk), &dir, config, &mut |at, bytes| {
            replay.record(at.0, bytes).map_err(Into::into)
        });
        let journal = journal.map_err(|error| match open_failed(error) {
            BrokerError::Unreadable { what } => {
                let what = format!("stream `{}` in {}: {what}", entry.name, dir.display());
                BrokerError::Unreadable { what }
            }
            other => other,
        });
        Ok((journal?, replay))
    }

    fn stream(self: &Arc<Self>, entry: &Entry, journal: Journal, state: State) -> Arc<Stream> {
        // Nothing is hidden yet; the index begins where the journal does.
        let first = state.index.find_time(i64::MIN);
        let kept_from = first.map_or_else(|| state.nexts.clone(), |first| first.nexts.to_vec());
        let arrived_ms = state.arrived_ms;
        let inner = Inner {
            name: entry.name.clone(),
            id: entry.id,
            created_ms: entry.created_ms,
            settings: RwLock::new(entry.settings.clone()),
            options: self.options.clone(),
            clock: Arc::clone(&self.clock),
            registry: Arc::downgrade(self),
            ranges: Ranges::new(entry.shards),
            dir: stream_dir(&self.dir, entry.id),
            journal: RwLock::new(Some(journal)),
            order: Mutex::new(Order { arrived_ms }),
            core: Core::new(state, Arc::clone(&self.stopped)),
            horizon: Mutex::new(Horizon::new(kept_from)),
            hidden_before_ms: AtomicI64::new(i64::MIN),
            deleted: AtomicBool::new(false),
        };
        Arc::new(Stream { inner: Arc::new(inner) })
    }

    pub(super) fn create(
        self: &Arc<Self>,
        name: &str,
        shards: u32,
        tags: BTreeMap<String, String>,
    ) -> Result<Arc<Stream>, BrokerError> {
        check_name(name)?;
        check_tags(&tags)?;
        self.check_running()?;
        let mut catalogue = lock(&self.catalogue);
        if self.find(name).is_some() {
            return Err(BrokerError::Exists { name: name.into(), difference: String::new() });
        }
        self.check_shards(&catalogue, shards)?;
        let created_ms = self.clock.now_ms();
        let settings = Settings { retention_h: RETENTION_H, gone_before_ms: i64::MIN, tags };
        let name = name.to_owned();
        let entry = Entry { id: random_id()?, name, shards, created_ms, settings };
        // The journal with a first state record, then the catalogue's record, with which it exists.
        let made = self.make_journal(&entry).and_then(|made| {
            catalogue.put(entry.clone())?;
            Ok(made)
        });
        let (journal, state) = match made {
            Ok(made) => made,
            Err(error) => {
                // After a failed write the catalogue may name it all the same: only the next start
                // knows whether it is a stray.
                if matches!(error, BrokerError::NoSpace { .. }) {
                    let _ = self.remove_folder(&stream_dir(&self.dir, entry.id));
                }
                return Err(self.noting_stop(error));
            }
        };
        let stream = self.stream(&entry, journal, state);
        self.write_streams().insert(entry.name, Arc::clone(&stream));
        Ok(stream)
    }

    fn make_journal(&self, entry: &Entry) -> Result<(Journal, State), BrokerError> {
        let (journal, _) = self.open_journal(entry)?;
        let mut state = State::new(entry.shards as usize);
        let record = state.record(entry.id).encode();
        state.state_written(journal.append(record).map_err(append_failed)?.0);
        Ok((journal, state))
    }

    fn check_shards(&self, catalogue: &Catalogue, shards: u32) -> Result<(), BrokerError> {
        if shards == 0 || shards as usize > SHARDS_PER_STREAM_MAX {
            let what = format!("a stream has 1 to {SHARDS_PER_STREAM_MAX} shards, not {shards}");
            return Err(BrokerError::Invalid { what });
        }
        let (max, there) =
            (self.options.shards_max, catalogue.entries().map(|e| e.shards as usize));
        let there: usize = there.sum();
        if there + shards as usize > max {
            let what = format!(
                "all streams together may have {max} shards (shards_max); they have {there}, and \
                 {shards} more were asked for"
            );
            return Err(BrokerError::OverLimit { what });
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &str) -> Result<Arc<Stream>, BrokerError> {
        let missing = || BrokerError::NoSuchStream { name: name.into(), existing: self.names() };
        self.find(name).ok_or_else(missing)
    }

    fn find(&self, name: &str) -> Option<Arc<Stream>> {
        self.streams.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    pub(super) fn list(&self) -> Vec<Arc<Stream>> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.values().cloned().collect()
    }

    pub(super) fn names(&self) -> Vec<String> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.keys().take(NAMES_MAX).cloned().collect()
    }

    fn write_streams(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Arc<Stream>>> {
        self.streams.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn delete(&self, name: &str) -> Result<(), BrokerError> {
        self.check_running()?;
        let mut catalogue = lock(&self.catalogue);
        let stream = self.get(name)?;
        let inner = &stream.inner;
        catalogue.remove(inner.id).map_err(|error| self.noting_stop(error))?;
        self.write_streams().remove(name);
        {
            // Once the flag is seen nobody submits, and what was submitted is settled.
            let _order = lock(&inner.order);
            inner.deleted.store(true, Ordering::Release);
            inner.core.drained(|_| ());
        }
        inner.core.arrivals.grow();
        self.remove_leftovers([inner.dir.clone()].into());
        Ok(())
    }

    /// Changes settings of a stream; durable when it returns.
    pub(super) fn change(
        &self,
        inner: &Inner,
        change: impl FnOnce(&mut Settings),
    ) -> Result<(), BrokerError> {
        self.check_running()?;
        let mut catalogue = lock(&self.catalogue);
        inner.check_exists()?;
        let mut settings = inner.settings().clone();
        change(&mut settings);
        let entry = Entry {
            id: inner.id,
            name: inner.name.clone(),
            shards: inner.ranges.count() as u32,
            created_ms: inner.created_ms,
            settings: settings.clone(),
        };
        catalogue.put(entry).map_err(|error| self.noting_stop(error))?;
        *inner.settings.write().unwrap_or_else(PoisonError::into_inner) = settings;
        Ok(())
    }

    fn check_running(&self) -> Result<(), BrokerError> {
        match self.stopped.get() {
            Some(cause) => Err(BrokerError::Stopped { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    /// After storage has failed anywhere nothing is taken (P7).
    fn noting_stop(&self, error: BrokerError) -> BrokerError {
        if let BrokerError::Stopped { cause } = &error {
            self.stopped.get_or_init(|| cause.clone());
        }
        error
    }

    /// Removes the folders; those that can't be removed are tried again at the next trim, and are
    /// strays at the next start.
    fn remove_leftovers(&self, dirs: Vec<PathBuf>) {
        for dir in dirs {
            if let Err(error) = self.remove_folder(&dir) {
                let folder = dir.display();
                tracing::warn!(%folder, %error, "the files of a deleted stream were not removed");
                lock(&self.leftovers).push(dir);
            }
        }
    }

    /// Gives back what retention has passed, in all streams, and what deletes have left.
    pub(super) fn trim(&self) {
        let leftovers = std::mem::take(&mut *lock(&self.leftovers));
        self.remove_leftovers(leftovers);
        self.list().iter().for_each(|stream| stream.inner.trim());
    }

    pub(super) fn bytes_on_disk(&self) -> u64 {
        self.list().iter().map(|stream| stream.statistics().bytes_on_disk).sum()
    }

    pub(super) fn close(&self) -> Result<(), BrokerError> {
        let mut outcome = lock(&self.catalogue).close();
        for stream in self.list() {
            let inner = &stream.inner;
            let journal = inner.journal.write().unwrap_or_else(PoisonError::into_inner).take();
            let closed = journal.map_or(Ok(()), |journal| journal.close().map_err(append_failed));
            inner.core.arrivals.grow();
            outcome = outcome.and(closed);
        }
        outcome
    }
}

/// The system's random bytes.
fn random_id() -> Result<u128, BrokerError> {
    let mut bytes = [0; 16];
    let filled = SysRng.try_fill_bytes(&mut bytes);
    let failed = |error| BrokerError::Stopped { cause: format!("no random bytes: {error}") };
    filled.map_err(failed)?;
    Ok(u128::from_le_bytes(bytes))
}

fn check_name(name: &str) -> Result<(), BrokerError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=128).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    let what = format!(
        "the name of a stream has 1 to 128 letters, digits, `-`, `_` and `.`, not `{name}`"
    );
    Err(BrokerError::Invalid { what })
}
