//! A queue of the embedded broker as a sink.

use std::sync::Arc;

use broker::queues::{NewMessage, Queue};
use broker::{Broker, BrokerError, Producer, Sequence};
use bytes::Bytes;
use event::sink::SinkError;
use event::{Batch, Event};

use super::embedded::open_or_make;
use crate::broker_error;
use crate::spool::{Entry, Target};

/// A queue that a spool is published into.
pub struct QueueTarget(Arc<Queue>);

impl QueueTarget {
    /// Opens the queue, or makes it.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open(broker: &Broker, queue: &str) -> Result<Self, BrokerError> {
        open_or_make(broker, queue).map(Self)
    }
}

impl Target for QueueTarget {
    fn what(&self) -> String {
        format!("queue `{}`", self.0.name())
    }

    fn incarnation(&self) -> u128 {
        self.0.creation_id()
    }

    fn row_bytes_max(&self) -> usize {
        self.0.attributes().message_bytes_max as usize
    }

    fn key(&self, _: &Batch, _: &Event, _: &mut Vec<u8>) {}

    fn published_through(&self, producer: &Producer) -> Option<Sequence> {
        self.0.published_through(producer)
    }

    fn publish(&self, producer: &Producer, entries: &[Entry<'_>]) -> Result<(), SinkError> {
        let message = |entry: &Entry<'_>| {
            let body = Bytes::copy_from_slice(entry.body);
            (entry.sequence, NewMessage { body, ..NewMessage::default() })
        };
        let messages = entries.iter().map(message).collect();
        let sent = self.0.send_once(producer, messages).wait();
        sent.map_err(|error| broker_error::sink("send to", &self.what(), error))
    }
}
