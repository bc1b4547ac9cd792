//! A stream behind an endpoint as a source, through the AWS SDK.
//!
//! One task lists shards and starts a reader for each whose parents are read to their end
//! ([`manage`]); readers send pages ([`read`]). The pipe's thread merges them by time of arrival
//! ([`merge`]), so that one shard's past isn't late to another one's present.

mod manage;
mod merge;
mod read;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use aws_sdk_kinesis::Client;
use bytes::Bytes;
use event::source::{
    Acker, BatchLimits, NoAck, Received, Source, SourceError, SourceState, SourceStatus, Stop,
};
use event::{Clock, Offset};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::StreamStart;
use super::filling::{Filling, ShardCursor};
use crate::aws::{Endpoint, runtime, sdk_config};
use crate::pool::BufferPool;
use merge::{Merge, Next};

/// How long a call waits for records.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// How often the source looks how far it is behind.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often it says that half of the retention has passed.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// What a source on a stream behind an endpoint needs to know.
#[derive(Clone, Debug)]
pub struct RemoteStreamOptions {
    /// The stream; it must exist.
    pub stream: String,
    /// Where.
    pub endpoint: Endpoint,
    /// Where to begin in a shard without a position.
    pub start: StreamStart,
}

/// What the tasks share.
struct Shared {
    client: Client,
    options: RemoteStreamOptions,
    state: SourceState,
    clock: Arc<dyn Clock>,
    status: Arc<SourceStatus>,
    news: UnboundedSender<News>,
}

/// What the tasks tell the source. Pages are bounded by [`Feed::pages`].
enum News {
    /// A shard is read from now on; its number is its place in the order of these.
    Shard(Feed),
    /// Records of a shard.
    Page(usize, Page),
    /// The pipe can't go on, and what helps.
    Fatal(String, String),
}

/// A shard's end towards the source.
struct Feed {
    cursor: ShardCursor,
    /// One permit a page that may be under way.
    pages: Arc<Semaphore>,
    /// To be recorded before anything is read.
    mark: Option<Vec<u8>>,
}

/// A record.
struct Record {
    offset: Offset,
    arrived_ms: i64,
    partition_key: String,
    data: Bytes,
}

/// Records of one call.
struct Page {
    records: Vec<Record>,
    /// How far behind the newest record the call was; ms.
    behind_ms: i64,
    /// Nothing comes after it.
    last: bool,
}

/// Reads a stream behind an endpoint.
pub struct RemoteStreamSource {
    name: String,
    news: UnboundedReceiver<News>,
    merge: Merge,
    clock: Arc<dyn Clock>,
    status: Arc<SourceStatus>,
    manager: JoinHandle<()>,
    pool: BufferPool,
    fillings: u64,
    events_likely: usize,
    fatal: Option<(String, String)>,
    looked: Option<Instant>,
    warned: Option<Instant>,
}

impl RemoteStreamSource {
    /// Starts to connect; a stream that isn't there is an error of [`Source::receive`].
    ///
    /// # Errors
    /// [`SourceError`]: no thread for the network.
    pub fn open(
        options: RemoteStreamOptions,
        state: SourceState,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SourceError> {
        let runtime = runtime()?;
        let name = format!("kinesis:{}", options.stream);
        let client = Client::new(&runtime.block_on(sdk_config(&options.endpoint)));
        let status = Arc::new(SourceStatus::default());
        let (sender, news) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            client,
            options,
            state,
            clock: Arc::clone(&clock),
            status: Arc::clone(&status),
            news: sender,
        });
        Ok(Self {
            name,
            news,
            merge: Merge::default(),
            clock,
            status,
            manager: runtime.spawn(manage::run(shared)),
            pool: BufferPool::default(),
            fillings: 0,
            events_likely: 0,
            fatal: None,
            looked: None,
            warned: None,
        })
    }

    /// Takes the news that are there, or waits for some until `until`.
    fn hear(&mut self, filling: &mut Filling, until: Option<Instant>) -> Result<(), SourceError> {
        if let Some(until) = until {
            let wait = until.saturating_duration_since(Instant::now());
            let next = async { timeout(wait, self.news.recv()).await };
            if let Ok(Some(news)) = runtime()?.block_on(next) {
                self.note(filling, news);
            }
        }
        while let Ok(news) = self.news.try_recv() {
            self.note(filling, news);
        }
        Ok(())
    }

    fn note(&mut self, filling: &mut Filling, news: News) {
        match news {
            News::Shard(mut feed) => {
                if let Some(mark) = feed.mark.take() {
                    filling.mark(&mut feed.cursor, mark);
                }
                self.merge.add(feed);
            }
            News::Page(shard, page) => self.merge.page(shard, page),
            News::Fatal(what, help) => self.fatal = Some((what, help)),
        }
    }

    fn look(&mut self) {
        if self.looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let behind_ms = self.merge.behind_ms(self.clock.now_ms());
        self.status.behind_ms.store(behind_ms, Ordering::Relaxed);
        self.status.behind_events.store(self.merge.waiting() as u64, Ordering::Relaxed);
        if self.status.is_half_expired() && self.warned.is_none_or(|at| at.elapsed() >= WARN_EVERY)
        {
            self.warned = Some(Instant::now());
            let source = self.name.as_str();
            tracing::warn!(
                source,
                behind_ms,
                "the pipe is behind by more than half of the stream's retention: records that it \
                 doesn't read in time are lost"
            );
        }
    }
}

impl Source for RemoteStreamSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn receive(&mut self, limits: &BatchLimits, stop: &Stop) -> Result<Received, SourceError> {
        self.fillings += 1;
        let mut filling = Filling::new(self.fillings, *limits, self.events_likely);
        let idle_until = Instant::now() + IDLE_WAIT;
        self.hear(&mut filling, None)?;
        loop {
            match self.merge.next(&self.pool, &mut filling) {
                Next::Record => continue,
                Next::Full => break,
                Next::Wait => {}
            }
            let until = filling.began.map_or(idle_until, |began| began + limits.interval_max);
            let now = Instant::now();
            if stop.asked() || now >= until || self.fatal.is_some() {
                break;
            }
            self.hear(&mut filling, Some(until.min(now + IDLE_WAIT)))?;
        }
        self.merge.mark(&mut filling);
        self.look();
        if !filling.has_events()
            && let Some((what, help)) = self.fatal.clone()
        {
            return Err(SourceError::Changed { what, help });
        }
        match filling.close(self.clock.now_ms()) {
            Some(batch) => {
                self.events_likely = batch.events.len();
                Ok(Received::Batch(batch))
            }
            None => Ok(Received::Idle),
        }
    }

    fn acker(&self) -> Box<dyn Acker> {
        Box::new(NoAck)
    }

    fn status(&self) -> Option<Arc<SourceStatus>> {
        Some(Arc::clone(&self.status))
    }
}

impl Drop for RemoteStreamSource {
    fn drop(&mut self) {
        // The readers are its own, and end with it.
        self.manager.abort();
    }
}
