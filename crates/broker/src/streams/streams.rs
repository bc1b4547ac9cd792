//! All streams of a broker, as their users see them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use event::Clock;
use journal::{Disk, SyncPoint};

use super::registry::Registry;
use super::stream::Stream;
use super::{StreamsOptions, lock};
use crate::error::BrokerError;

/// The streams' folder, before anything is made in it.
const FOLDER: SyncPoint = SyncPoint("streams.folder");

/// All streams of a broker.
pub struct Streams {
    registry: Arc<Registry>,
    trimmer: Mutex<Option<Trimmer>>,
}

/// The thread that gives space back where nobody puts.
struct Trimmer {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: JoinHandle<()>,
}

impl Streams {
    /// Opens the streams in `dir`, which is created (one level) when missing.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: StreamsOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        let parent = dir.parent().unwrap_or(Path::new(""));
        journal::mkdir_all_synced(&*disk, parent, dir, FOLDER)
            .map_err(|error| BrokerError::io("make", dir, error))?;
        let interval = options.trim_interval;
        let registry = Registry::open(disk, dir, options, clock)?;
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (work, stopped) = (Arc::clone(&registry), Arc::clone(&stop));
        let thread = thread::Builder::new().name("streams".into()).spawn(move || {
            let (flag, changed) = &*stopped;
            loop {
                let waited = changed.wait_timeout_while(lock(flag), interval, |stop| !*stop);
                if *waited.unwrap_or_else(PoisonError::into_inner).0 {
                    return;
                }
                work.trim();
            }
        });
        let thread = thread.map_err(|error| BrokerError::io("start a thread for", dir, error))?;
        Ok(Self { registry, trimmer: Mutex::new(Some(Trimmer { stop, thread })) })
    }

    /// Makes a stream with `shards` shards of equal hash ranges, and a retention of 24 h. The name
    /// has 1 to 128 letters, digits, `-`, `_` and `.`. Durable when it returns.
    ///
    /// # Errors
    /// [`BrokerError::Exists`], [`BrokerError::Invalid`], [`BrokerError::OverLimit`].
    pub fn create(
        &self,
        name: &str,
        shards: u32,
        tags: BTreeMap<String, String>,
    ) -> Result<Arc<Stream>, BrokerError> {
        self.registry.create(name, shards, tags)
    }

    /// The stream of that name.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchStream`].
    pub fn get(&self, name: &str) -> Result<Arc<Stream>, BrokerError> {
        self.registry.get(name)
    }

    /// All streams, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Stream>> {
        self.registry.list()
    }

    /// Removes a stream with its records; durable when it returns.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn delete(&self, name: &str) -> Result<(), BrokerError> {
        self.registry.delete(name)
    }

    /// Gives back the space of what retention has passed, now; a thread does it every
    /// `trim_interval`.
    pub fn trim(&self) {
        self.registry.trim();
    }

    /// Bytes on disk of all streams.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.registry.bytes_on_disk()
    }

    /// See [`crate::Broker::close`].
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn close(&self) -> Result<(), BrokerError> {
        self.stop_trimmer();
        self.registry.close()
    }

    fn stop_trimmer(&self) {
        let Some(trimmer) = lock(&self.trimmer).take() else { return };
        *lock(&trimmer.stop.0) = true;
        trimmer.stop.1.notify_all();
        // It has nothing to tell.
        let _ = trimmer.thread.join();
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.stop_trimmer();
    }
}
