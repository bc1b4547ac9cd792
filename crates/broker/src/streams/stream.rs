//! One stream, as its users see it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::{Duration, Instant};

use event::Clock;
use journal::Journal;

use super::catalogue::Settings;
use super::core::Core;
use super::put::Order;
use super::reader::StreamReader;
use super::record::{NewRecord, Put, Read, SequenceNumber, StreamStatistics};
use super::registry::Registry;
use super::retention::Horizon;
use super::shard::{Ranges, Shard};
use super::{StreamsOptions, lock};
use crate::durable::Durable;
use crate::error::BrokerError;
use crate::producer::{Producer, Sequence};

/// One stream. Cheap to hold; answers [`BrokerError::NoSuchStream`] once it is deleted.
pub struct Stream {
    pub(super) inner: Arc<Inner>,
}

/// What handles and readers of a stream share.
pub(super) struct Inner {
    pub(super) name: String,
    pub(super) id: u128,
    pub(super) created_ms: i64,
    pub(super) settings: RwLock<Settings>,
    pub(super) options: StreamsOptions,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) registry: Weak<Registry>,
    pub(super) ranges: Ranges,
    pub(super) dir: PathBuf,
    /// Until it is closed.
    pub(super) journal: RwLock<Option<Journal>>,
    /// Locked before `core.shared`, as is `horizon`; these two never together.
    pub(super) order: Mutex<Order>,
    pub(super) core: Arc<Core>,
    pub(super) horizon: Mutex<Horizon>,
    /// What arrived before is hidden, and stays so even if the clock runs backwards.
    pub(super) hidden_before_ms: AtomicI64,
    pub(super) deleted: AtomicBool,
}

impl Inner {
    pub(super) fn settings(&self) -> RwLockReadGuard<'_, Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` on the journal, if it isn't closed.
    pub(super) fn with_journal<T>(
        &self,
        work: impl FnOnce(&Journal) -> Result<T, BrokerError>,
    ) -> Result<T, BrokerError> {
        let journal = self.journal.read().unwrap_or_else(PoisonError::into_inner);
        match &*journal {
            Some(journal) => work(journal),
            None => Err(BrokerError::Stopped { cause: "the broker was closed".into() }),
        }
    }

    pub(super) fn check_exists(&self) -> Result<(), BrokerError> {
        if !self.deleted.load(Ordering::Acquire) {
            return Ok(());
        }
        let existing = self.registry.upgrade().map_or_else(Vec::new, |all| all.names());
        Err(BrokerError::NoSuchStream { name: self.name.clone(), existing })
    }

    pub(super) fn check_shard(&self, shard: u32) -> Result<(), BrokerError> {
        if (shard as usize) < self.ranges.count() {
            return Ok(());
        }
        Err(BrokerError::NoSuchShard { stream: self.name.clone(), shard })
    }
}

impl Stream {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Another one for each stream that is made, also under a name that was used before.
    #[must_use]
    pub fn creation_id(&self) -> u128 {
        self.inner.id
    }

    /// When it was made; ms since the Unix epoch.
    #[must_use]
    pub fn created_ms(&self) -> i64 {
        self.inner.created_ms
    }

    /// 24 to 8,760 h.
    #[must_use]
    pub fn retention_h(&self) -> u32 {
        self.inner.settings().retention_h
    }

    /// Changes the retention; blocks until that is durable. What a longer one could have kept and
    /// is gone stays gone.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] outside 24 to 8,760 h.
    pub fn set_retention_h(&self, retention_h: u32) -> Durable<()> {
        if !(24..=8_760).contains(&retention_h) {
            let what = format!("the retention is {retention_h} h, it may be 24 to 8760 h");
            return Durable::now(Err(BrokerError::Invalid { what }));
        }
        let gone_before_ms = self.inner.horizon_ms();
        Durable::now(self.change(|settings| {
            settings.retention_h = retention_h;
            settings.gone_before_ms = settings.gone_before_ms.max(gone_before_ms);
        }))
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        self.inner.settings().tags.clone()
    }

    /// Replaces its tags; blocks until that is durable. At most 50, of 1 to 128 and 0 to 256
    /// characters.
    pub fn set_tags(&self, tags: BTreeMap<String, String>) -> Durable<()> {
        if let Err(error) = super::catalogue::check_tags(&tags) {
            return Durable::now(Err(error));
        }
        Durable::now(self.change(|settings| settings.tags = tags))
    }

    fn change(&self, change: impl FnOnce(&mut Settings)) -> Result<(), BrokerError> {
        self.inner.check_exists()?;
        match self.inner.registry.upgrade() {
            Some(registry) => registry.change(&self.inner, change),
            None => Err(BrokerError::Stopped { cause: "the broker was closed".into() }),
        }
    }

    /// Its shards, by number.
    #[must_use]
    pub fn shards(&self) -> Vec<Shard> {
        let kept_from = self.inner.trim_horizon();
        let nexts = lock(&self.inner.core.shared).state.nexts.clone();
        let numbers = kept_from.into_iter().zip(nexts);
        let shard = |(number, ((hash_start, hash_end), (from, next)))| Shard {
            number,
            hash_start,
            hash_end,
            trim_horizon: SequenceNumber(from),
            next: SequenceNumber(next),
        };
        (0..).zip(self.inner.ranges.iter().zip(numbers)).map(shard).collect()
    }

    /// The shard that takes a record: the explicit hash key, else the MD5 of the partition key.
    #[must_use]
    pub fn shard_of(&self, partition_key: &str, explicit_hash_key: Option<u128>) -> u32 {
        self.inner.ranges.shard_of(partition_key, explicit_hash_key)
    }

    /// Its counts.
    #[must_use]
    pub fn statistics(&self) -> StreamStatistics {
        let kept_from: u64 = self.inner.trim_horizon().iter().sum();
        let oldest_ms = lock(&self.inner.horizon).oldest_ms();
        let (nexts, newest_ms) = {
            let shared = lock(&self.inner.core.shared);
            (shared.state.nexts.clone(), shared.state.arrived_ms)
        };
        let next: u64 = nexts.iter().sum();
        let records = next.saturating_sub(kept_from);
        let bytes_on_disk = self.inner.with_journal(|journal| Ok(journal.bytes_on_disk()));
        StreamStatistics {
            records,
            oldest_ms: oldest_ms.filter(|_| records > 0),
            newest_ms: (records > 0).then_some(newest_ms),
            put: next - nexts.len() as u64,
            bytes_on_disk: bytes_on_disk.unwrap_or(0),
        }
    }

    /// Puts records, all or none of them, in one record of the journal. Where each went, in order.
    /// Together they may have 16 MiB.
    pub fn put(&self, records: Vec<NewRecord>) -> Durable<Vec<Put>> {
        self.inner.put(&records)
    }

    /// [`Stream::put`], exactly once: those at or below the producer's highest sequence are
    /// skipped. `records` ascend.
    ///
    /// Blocks while an earlier put of the same producer is under way: were that refused for want of
    /// space and this one taken, its records would count as repeats when they come again. For the
    /// same reason, what comes after a refused put is refused until that comes again.
    pub fn put_once(
        &self,
        producer: &Producer,
        records: Vec<(Sequence, NewRecord)>,
    ) -> Durable<()> {
        self.inner.put_once(producer, records)
    }

    /// The highest sequence that `producer` has stored here.
    #[must_use]
    pub fn published_through(&self, producer: &Producer) -> Option<Sequence> {
        lock(&self.inner.core.shared).state.producers.get(producer).copied()
    }

    /// The first record of `shard` that arrived at or after `ms`; the next to come if there is none.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn at_timestamp(&self, shard: u32, ms: i64) -> Result<SequenceNumber, BrokerError> {
        self.inner.at_timestamp(shard, ms)
    }

    /// Reads records of `shard` from `from` on (from the trim horizon if that is later). Only
    /// durable ones. It ends with `records_max`, before `bytes_max` of keys and data are passed
    /// (but it gives at least one record), or where the next one is far.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn read(
        &self,
        shard: u32,
        from: SequenceNumber,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Read, BrokerError> {
        self.inner.read(shard, from, records_max, bytes_max)
    }

    /// Reads all shards, so that no record at or above `from` (by shard number; 0 where missing) is
    /// left out. May begin with older ones.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn reader(&self, from: &[SequenceNumber]) -> Result<StreamReader, BrokerError> {
        StreamReader::new(&self.inner, from)
    }

    /// Blocks until there is more than `seen` (a value of [`Stream::arrivals`]), or `until`.
    pub fn wait(&self, seen: u64, until: Instant) {
        self.inner.core.arrivals.wait(seen, until);
    }

    /// [`Stream::wait`] for tasks.
    pub async fn arrived(&self, seen: u64, at_most: Duration) {
        self.inner.core.arrivals.arrived(seen, at_most).await;
    }

    /// Grows with every put that got durable, when storage stops, and when the stream is deleted
    /// or closed.
    #[must_use]
    pub fn arrivals(&self) -> u64 {
        self.inner.core.arrivals.count()
    }
}
