//! The embedded broker: standard queues and streams, durable on the journal.
//!
//! It is for everything that a broker promises: what was acknowledged is there after a crash, what
//! was deleted stays deleted, messages hide and come back, records are kept for their retention.
//!
//! It deliberately knows nothing of wire formats, HTTP, pipes or dedup. Per-shard rate limits are
//! the gateway's; here only what must hold for every user of a queue or stream is checked.
//!
//! It takes no lock: whoever owns the data folder holds its lock, and opens one [`Broker`] in it.
//!
//! Start reading at [`queues::Queues`] and [`streams::Streams`].

pub mod durable;
pub mod error;
pub mod producer;
pub mod queues;
pub mod streams;

use std::path::Path;
use std::sync::Arc;

use event::Clock;
use journal::Disk;

pub use durable::Durable;
pub use error::BrokerError;
pub use producer::{Producer, Sequence};

/// What a broker needs beside its folder.
#[derive(Clone, Debug, Default)]
pub struct BrokerOptions {
    /// Of the queues.
    pub queues: queues::QueuesOptions,
    /// Of the streams.
    pub streams: streams::StreamsOptions,
}

/// The broker of a data folder.
pub struct Broker {
    queues: Arc<queues::Queues>,
    streams: Arc<streams::Streams>,
}

impl Broker {
    /// Opens the broker in `dir` (one level is created when missing), and recovers it.
    ///
    /// # Errors
    /// [`BrokerError`]; nothing of what is there was changed.
    pub fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        options: BrokerOptions,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        journal::mkdir_all_synced(
            &**disk,
            dir.parent().unwrap_or(Path::new("")),
            dir,
            journal::SyncPoint("broker.folder"),
        )
        .map_err(|error| BrokerError::io("make", dir, error))?;
        let queues = queues::Queues::open(
            Arc::clone(disk),
            &dir.join("queues"),
            options.queues,
            Arc::clone(clock),
        )?;
        let streams = streams::Streams::open(
            Arc::clone(disk),
            &dir.join("streams"),
            options.streams,
            Arc::clone(clock),
        )?;
        Ok(Self { queues: Arc::new(queues), streams: Arc::new(streams) })
    }

    /// Its queues.
    #[must_use]
    pub fn queues(&self) -> &Arc<queues::Queues> {
        &self.queues
    }

    /// Its streams.
    #[must_use]
    pub fn streams(&self) -> &Arc<streams::Streams> {
        &self.streams
    }

    /// Writes out what is queued and ends the threads. Calls that come later are refused.
    ///
    /// # Errors
    /// [`BrokerError`]; what was acknowledged is durable all the same.
    pub fn close(&self) -> Result<(), BrokerError> {
        let queues = self.queues.close();
        self.streams.close().and(queues)
    }
}
