//! Events to a stream or queue, on any endpoint that speaks the protocols of Kinesis and SQS.
//!
//! One thread makes events and puts them into batches; so many connections as were asked for send
//! them and try again what the service refused (`connection`). What it acknowledged is counted,
//! and written down on request (`acknowledged`).

mod acknowledged;
mod batches;
mod client;
mod connection;
mod queue;
mod stream;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};

use self::acknowledged::Acknowledged;
use self::batches::Batches;
use self::connection::{Connection, Shared};
use super::{Made, Maker, Order, Pace, Stopwatch, TELL_EVERY};

/// Where events go.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    /// Of the stream or queue.
    pub(crate) name: String,
    pub(crate) endpoint: Endpoint,
    /// Requests under way at once.
    pub(crate) connections: usize,
    /// For so long a failing request is tried again.
    pub(crate) retry_for: Duration,
}

/// What takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A Kinesis stream.
    Stream,
    /// An SQS queue.
    Queue,
}

impl Kind {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Stream => "stream",
            Kind::Queue => "queue",
        }
    }

    /// What a request holds at most: events and bytes, partition keys included. The services take
    /// 10 MiB for a stream and 1 MiB for a queue; the older limit of a queue was 256 KiB.
    fn limits(self) -> (usize, usize) {
        match self {
            Kind::Stream => (500, 4 << 20),
            Kind::Queue => (10, 256 << 10),
        }
    }
}

/// Who takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// The service itself: region and credentials as AWS tools find them.
    Aws,
    /// Something that speaks its protocol.
    Url(String),
}

impl Target {
    /// For messages.
    pub(crate) fn place(&self) -> String {
        match &self.endpoint {
            Endpoint::Aws => format!("{} `{}` at AWS", self.kind.name(), self.name),
            Endpoint::Url(url) => format!("{} `{}` at {url}", self.kind.name(), self.name),
        }
    }
}

/// What came of sending.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// What was made; more than was sent if it failed.
    pub(crate) made: Made,
    /// Events that were sent at least once.
    pub(crate) sent: u64,
    /// Events that the service acknowledged.
    pub(crate) acknowledged: u64,
    /// Events sent again.
    pub(crate) retried: u64,
    /// From the first event to the last acknowledgement.
    pub(crate) elapsed: Duration,
    /// Why it ended early.
    pub(crate) failure: Option<String>,
}

/// Sends the events of `order`. `progress` is told now and then how many are acknowledged.
///
/// # Errors
/// A sentence: the endpoint can't be reached or lacks the stream or queue, or `acknowledged` can't
/// be opened; nothing was sent.
pub(crate) fn send(
    maker: &mut Maker,
    order: Order,
    target: &Target,
    acknowledged: Option<&Path>,
    (pace, watch): (&mut Pace, &mut dyn Stopwatch),
    progress: &dyn Fn(u64),
) -> Result<Delivery, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let acknowledged = Acknowledged::open(acknowledged)?;
    let sender = runtime.block_on(client::connect(target))?;
    let shared = Arc::new(Shared::new(target.clone(), sender, acknowledged));
    let (to_connections, batches) = mpsc::channel(target.connections * 2);
    let batches = Arc::new(Mutex::new(batches));
    let began = Instant::now();
    let connections: Vec<_> = (0..target.connections as u64)
        .map(|number| {
            let connection = Connection::new(number, Arc::clone(&shared), Arc::clone(&batches));
            runtime.spawn(connection.run())
        })
        .collect();
    drop(batches);

    let mut made = Made::default();
    let mut filling = Batches::new(target.kind.limits());
    let mut due = 0;
    let mut told = began;
    for item in order {
        if due == 0 {
            // Nobody waits for a batch to fill up when events are due slowly.
            if let (true, Some(batch)) = (pace.is_set(), filling.take())
                && to_connections.blocking_send(batch).is_err()
            {
                break;
            }
            due = pace.due(watch);
        }
        due -= 1;
        made.count(item.sort, maker.generator().late_ms(item.number) > 0);
        if let Some(batch) = filling.add(maker, item, &mut made)
            && to_connections.blocking_send(batch).is_err()
        {
            break;
        }
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            progress(shared.counts().1);
        }
    }
    if let Some(batch) = filling.take() {
        let _ = to_connections.blocking_send(batch); // fails only after a failure that is noted
    }
    drop(to_connections);
    for connection in connections {
        if runtime.block_on(connection).is_err() {
            shared.fail("a connection panicked: this is a defect, please report it".to_owned());
        }
    }
    let (sent, acknowledged, retried) = shared.counts();
    let elapsed = began.elapsed();
    Ok(Delivery { made, sent, acknowledged, retried, elapsed, failure: shared.failure() })
}
