//! Where a spool is published.

use broker::{Producer, Sequence};
use event::sink::SinkError;
use event::{Batch, Event};

/// One row on its way to a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its place in the order of all that this sink publishes.
    pub sequence: Sequence,
    /// What the target files it under; empty where it needs nothing.
    pub key: &'a [u8],
    /// The payload.
    pub body: &'a [u8],
}

/// A receiver that skips what it has: everything at or below the highest sequence of a producer.
pub trait Target: Send + Sync + 'static {
    /// What a message calls it, e.g. "queue `orders`".
    fn what(&self) -> String;

    /// Another one once it is made anew under the same name.
    fn incarnation(&self) -> u128;

    /// Longest row that it takes now, key and body together; bytes.
    fn row_bytes_max(&self) -> usize;

    /// Appends what `event` is filed under.
    fn key(&self, batch: &Batch, event: &Event, key: &mut Vec<u8>);

    /// The highest sequence that `producer` has stored.
    fn published_through(&self, producer: &Producer) -> Option<Sequence>;

    /// Stores entries that ascend, all or none; durable when it returns.
    ///
    /// # Errors
    /// [`SinkError`]; after [`SinkError::NoSpace`] it may be tried again.
    fn publish(&self, producer: &Producer, entries: &[Entry<'_>]) -> Result<(), SinkError>;
}
