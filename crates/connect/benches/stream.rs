//! Reading an embedded stream: `cargo bench -p connect --bench stream`.
//!
//! Fills a stream of 4 shards with 1,000,000 records of 308 B in puts of 500, and reads it through
//! the source, as a pipe does. Prints records a second and CPU nanoseconds a record.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::streams::NewRecord;
use broker::{Broker, BrokerOptions};
use bytes::Bytes;
use connect::{StreamSource, StreamSourceOptions, StreamStart};
use event::source::{BatchLimits, Received, Source, SourceState, Stop};
use event::{Clock, SystemClock};
use journal::{Disk, RealDisk};

const RECORDS: usize = 1_000_000;
const PER_PUT: usize = 500;
const BYTES: usize = 308;
const ROUNDS: usize = 5;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let broker =
        Broker::open(&disk, &dir.path().join("broker"), BrokerOptions::default(), &clock).unwrap();
    let stream = broker.streams().create("in", 4, BTreeMap::new()).unwrap();
    let payload = Bytes::from(vec![b'x'; BYTES]);
    let mut under_way = Vec::new();
    for put in 0..RECORDS / PER_PUT {
        let record = |at: usize| NewRecord {
            partition_key: format!("{}", put * PER_PUT + at),
            explicit_hash_key: None,
            data: payload.clone(),
        };
        under_way.push(stream.put((0..PER_PUT).map(record).collect()));
        if under_way.len() == 64 {
            under_way.drain(..).for_each(|put| drop(put.wait().unwrap()));
        }
    }
    under_way.drain(..).for_each(|put| drop(put.wait().unwrap()));
    let limits = BatchLimits {
        bytes_max: 16 << 20,
        events_max: 65_536,
        interval_max: Duration::from_millis(200),
    };
    for _ in 0..ROUNDS {
        let options =
            StreamSourceOptions { stream: "in".into(), shards: 4, start: StreamStart::TrimHorizon };
        let mut source =
            StreamSource::open(&broker, &options, &SourceState::new(), Arc::clone(&clock)).unwrap();
        let (began, cpu) = (Instant::now(), cpu_ns());
        let mut records = 0;
        while records < RECORDS {
            if let Received::Batch(batch) = source.receive(&limits, &Stop::default()).unwrap() {
                records += batch.events.len();
            }
        }
        let rate = records as f64 / began.elapsed().as_secs_f64();
        println!("{rate:.0} records/s, {} CPU ns a record", (cpu_ns() - cpu) / RECORDS as u64);
    }
    broker.close().unwrap();
}

/// CPU time of this process.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
