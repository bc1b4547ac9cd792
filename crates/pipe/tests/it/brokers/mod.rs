//! Pipes on the embedded broker: ledger, broker and spool on one simulated disk.

mod expiry;
mod keys;
mod sinks;
mod sources;
mod sweep;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use broker::queues::{NewMessage, Queue, QueueAttributes, QueuesOptions, Receive};
use broker::streams::{NewRecord, SequenceNumber, Stream, StreamsOptions};
use broker::{Broker, BrokerError, BrokerOptions};
use dedup::ledger::Ledger;
use event::source::{Acker, BatchLimits, Received, Source, SourceError, SourceStatus, Stop};
use event::{Clock, TestClock};
use journal::{Disk, SimDisk};
use pipe::config::PipeConfig;
use pipe::engine::{Parts, Totals, inline};
use pipe::plan::{Shared, build};
use pipe::tap::TapHub;

use crate::world::{START_MS, ledger_options};

pub(crate) const DATA: &str = "/a/data";

fn broker_options() -> BrokerOptions {
    BrokerOptions {
        queues: QueuesOptions { segment_bytes: 4 << 10, ..QueuesOptions::default() },
        streams: StreamsOptions { segment_bytes: 4 << 10, ..StreamsOptions::default() },
    }
}

/// An open data folder.
pub(crate) struct Node {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) broker: Arc<Broker>,
    pub(crate) clock: TestClock,
    disk: Arc<dyn Disk>,
}

impl Node {
    pub(crate) fn open(disk: &SimDisk, clock: &TestClock) -> Result<Self, String> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let wall: Arc<dyn Clock> = Arc::new(clock.clone());
        let data = Path::new(DATA);
        let ledger = Ledger::open(Arc::clone(&disk), data, ledger_options(), Arc::clone(&wall))
            .map_err(|error| format!("ledger: {error}"))?;
        let broker = Broker::open(&disk, &data.join("broker"), broker_options(), &wall)
            .map_err(|error| format!("broker: {error}"))?;
        Ok(Self { ledger, broker: Arc::new(broker), clock: clock.clone(), disk })
    }

    /// The parts of a pipe whose source ends when there is nothing more.
    pub(crate) fn parts(&self, config: &PipeConfig) -> Result<Parts, String> {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let taps = TapHub::default();
        let shared = Shared {
            data_dir: Path::new(DATA),
            ledger: &self.ledger,
            broker: Some(&self.broker),
            disk: &self.disk,
            clock: &clock,
            taps: &taps,
            stores: &pipe::stores::Stores::default(),
            reread: false,
            new_key: None,
            planted: None,
        };
        let mut parts = build(config, &shared).map_err(|error| error.to_string())?;
        parts.source = Box::new(UntilIdle::new(parts.source));
        Ok(parts)
    }

    /// Runs a pipe until nothing more is there, in one thread.
    pub(crate) fn run(&self, config: &PipeConfig) -> Result<Totals, String> {
        let parts = self.parts(config)?;
        inline::run(parts, &Stop::default()).map_err(|error| error.to_string())
    }

    pub(crate) fn close(self) -> Result<(), String> {
        let broker = self.broker.close().map_err(|error| error.to_string());
        self.ledger.close().map_err(|error| error.to_string())?;
        broker
    }

    pub(crate) fn queue(&self, name: &str) -> Result<Arc<Queue>, BrokerError> {
        let queues = self.broker.queues();
        queues
            .get(name)
            .or_else(|_| queues.create(name, QueueAttributes::default(), BTreeMap::new()).wait())
    }

    pub(crate) fn stream(&self, name: &str, shards: u32) -> Result<Arc<Stream>, BrokerError> {
        let streams = self.broker.streams();
        streams.get(name).or_else(|_| streams.create(name, shards, BTreeMap::new()))
    }

    /// Sends all of `bodies` in one call.
    pub(crate) fn send(&self, queue: &str, bodies: &[String]) -> Result<(), BrokerError> {
        let message =
            |body: &String| NewMessage { body: body.clone().into(), ..NewMessage::default() };
        self.queue(queue)?.send(bodies.iter().map(message).collect()).wait().map(drop)
    }

    /// Puts all of `payloads` in one call, spread over the shards.
    pub(crate) fn put(&self, stream: &str, payloads: &[String]) -> Result<(), BrokerError> {
        let record = |payload: &String| NewRecord {
            partition_key: payload.chars().take(12).collect(),
            explicit_hash_key: None,
            data: payload.clone().into(),
        };
        let records = payloads.iter().map(record).collect();
        self.stream(stream, 3)?.put(records).wait().map(drop)
    }

    /// Everything in a queue, as it comes.
    pub(crate) fn messages(&self, queue: &str) -> Vec<String> {
        let receive = Receive {
            messages_max: usize::MAX,
            bytes_max: usize::MAX,
            visibility_ms: Some(1_000),
            remembered: false,
        };
        let messages = self.queue(queue).unwrap().receive(receive).unwrap();
        messages.iter().map(|one| String::from_utf8(one.body.to_vec()).unwrap()).collect()
    }

    /// Everything in a stream, shard by shard.
    pub(crate) fn records(&self, stream: &str) -> Vec<String> {
        let stream = self.broker.streams().get(stream).unwrap();
        let mut all = Vec::new();
        for shard in stream.shards() {
            let mut from = SequenceNumber(0);
            loop {
                let read = stream.read(shard.number, from, 1_000, 1 << 20).unwrap();
                if read.records.is_empty() {
                    break;
                }
                from = read.next;
                let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
                all.extend(read.records.iter().map(|record| text(&record.data)));
            }
        }
        all
    }
}

/// A source that never waits, and ends when there is nothing more.
struct UntilIdle {
    source: Box<dyn Source>,
    stop: Stop,
}

impl UntilIdle {
    fn new(source: Box<dyn Source>) -> Self {
        let stop = Stop::default();
        stop.ask();
        Self { source, stop }
    }
}

impl Source for UntilIdle {
    fn name(&self) -> &str {
        self.source.name()
    }

    fn receive(&mut self, limits: &BatchLimits, _: &Stop) -> Result<Received, SourceError> {
        match self.source.receive(limits, &self.stop)? {
            Received::Idle => Ok(Received::End),
            other => Ok(other),
        }
    }

    fn acker(&self) -> Box<dyn Acker> {
        self.source.acker()
    }

    fn status(&self) -> Option<Arc<SourceStatus>> {
        self.source.status()
    }
}

pub(crate) fn clock() -> TestClock {
    TestClock::new(START_MS)
}
