//! Sources behind an endpoint, against a gateway of this process.

mod queue;
mod stream;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::queues::{NewMessage, Queue, QueueAttributes};
use broker::streams::{NewRecord, Stream};
use broker::{Broker, BrokerOptions};
use connect::Endpoint;
use event::batch::Offsets;
use event::source::{BatchLimits, Received, Source, SourceError, SourceState, Stop};
use event::{Batch, Clock, Fate, SystemClock};
use gateway::{Gateway, GatewayOptions, NoPages};
use journal::{Disk, RealDisk};

/// Long enough for anything that is to happen.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const LIMITS: BatchLimits =
    BatchLimits { bytes_max: 1 << 20, events_max: 1_000, interval_max: Duration::from_millis(20) };

/// Another `onceflow serve`.
pub(super) struct Server {
    pub(super) broker: Arc<Broker>,
    gateway: Option<Gateway>,
    address: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(super) fn start() -> Self {
        let mut server = Self::away();
        server.arrive();
        server
    }

    /// One whose port nobody listens on.
    pub(super) fn away() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let broker =
            Broker::open(&disk, &dir.path().join("broker"), BrokerOptions::default(), &clock);
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        Self { broker: Arc::new(broker.unwrap()), gateway: None, address, _dir: dir }
    }

    /// From now on somebody listens.
    pub(super) fn arrive(&mut self) {
        let options = GatewayOptions {
            listen: self.address,
            shard_limits: None,
            ..GatewayOptions::default()
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let pages = Arc::new(NoPages);
        let gateway = Gateway::bind(options, Arc::clone(&self.broker), clock, pages);
        self.gateway = Some(gateway.unwrap());
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        Endpoint::Url { url: format!("http://{}", self.address), region: None }
    }

    pub(super) fn queue(&self, name: &str) -> Arc<Queue> {
        let queues = self.broker.queues();
        queues.create(name, QueueAttributes::default(), BTreeMap::new()).wait().unwrap()
    }

    pub(super) fn stream(&self, name: &str, shards: u32) -> Arc<Stream> {
        self.broker.streams().create(name, shards, BTreeMap::new()).unwrap()
    }
}

pub(super) fn send(queue: &Queue, bodies: &[String]) {
    let message = |body: &String| NewMessage { body: body.clone().into(), ..Default::default() };
    queue.send(bodies.iter().map(message).collect()).wait().unwrap();
}

pub(super) fn put(stream: &Stream, payloads: &[String]) {
    let record = |payload: &String| NewRecord {
        partition_key: payload.clone(),
        explicit_hash_key: None,
        data: payload.clone().into(),
    };
    stream.put(payloads.iter().map(record).collect()).wait().unwrap();
}

pub(super) fn bodies(ids: std::ops::Range<usize>) -> Vec<String> {
    ids.map(|id| format!("{{\"id\":{id}}}")).collect()
}

/// Receives until `count` events are there.
pub(super) fn take(source: &mut dyn Source, count: usize) -> Result<Vec<Batch>, SourceError> {
    let until = Instant::now() + PATIENCE;
    let mut batches: Vec<Batch> = Vec::new();
    while batches.iter().map(|batch| batch.events.len()).sum::<usize>() < count {
        assert!(Instant::now() < until, "only {batches:?}");
        if let Received::Batch(batch) = source.receive(&LIMITS, &Stop::default())? {
            batches.push(batch);
        }
    }
    Ok(batches)
}

/// The error that ends the source.
pub(super) fn error(source: &mut dyn Source) -> String {
    take(source, usize::MAX).unwrap_err().to_string()
}

pub(super) fn payloads(batches: &[Batch]) -> Vec<String> {
    let of = |batch: &Batch| -> Vec<String> {
        let text = |event| String::from_utf8(batch.raw(event).to_vec()).unwrap();
        batch.events.iter().map(text).collect()
    };
    let mut all: Vec<String> = batches.iter().flat_map(of).collect();
    all.sort_by_key(|payload| (payload.len(), payload.clone()));
    all
}

/// Everything of the batches is delivered.
pub(super) fn deliver(batches: &mut [Batch]) {
    for event in batches.iter_mut().flat_map(|batch| &mut batch.events) {
        if event.fate == Fate::Undecided {
            event.fate = Fate::Deliver;
        }
    }
}

/// What a ledger would know after the batches.
pub(super) fn settled(batches: &[Batch], state: &mut SourceState) {
    for extent in batches.iter().flat_map(|batch| &batch.extents) {
        let Offsets::Mixed(mixed) = &extent.offsets else { continue };
        for shard in &mixed.shards {
            let known = state.entry(shard.shard.clone()).or_default();
            known.settle(shard.start, shard.end);
            known.mark = shard.mark.clone().map(|mark| (shard.end, mark));
        }
    }
}

pub(super) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::yield_now();
    }
}
