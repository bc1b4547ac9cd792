//! Standard queues: messages that hide while they are worked on, and come back until deleted.
#![allow(clippy::todo, unused_variables, reason = "skeleton")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use event::Clock;
use journal::Disk;

use crate::durable::Durable;
use crate::error::BrokerError;
use crate::producer::{Producer, Sequence};

/// Limits of all queues together.
#[derive(Clone, Debug)]
pub struct QueuesOptions {
    /// Queues at most.
    pub queues_max: usize,
    /// Bytes of recent messages that are kept in memory, so that a receive needs no read.
    pub recent_bytes_max: usize,
    /// Length of a journal segment, bytes: space is given back in such pieces.
    pub segment_bytes: u64,
    /// Messages of all queues at most; each takes about 130 bytes of memory.
    pub messages_max: usize,
}

impl Default for QueuesOptions {
    fn default() -> Self {
        Self {
            queues_max: 10_000,
            recent_bytes_max: 8 << 20,
            segment_bytes: 16 << 20,
            messages_max: 10_000_000,
        }
    }
}

/// What can be set of a queue. Bounds are SQS' own (shared limits of the service's API reference).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAttributes {
    /// 0 to 43,200 s.
    pub visibility_timeout_s: u32,
    /// 0 to 900 s.
    pub delay_s: u32,
    /// 0 to 20 s.
    pub receive_wait_s: u32,
    /// 60 to 1,209,600 s.
    pub retention_s: u32,
    /// 1,024 to 1,048,576 bytes, attributes included.
    pub message_bytes_max: u32,
    /// Where messages go that were received too often.
    pub redrive: Option<Redrive>,
}

impl Default for QueueAttributes {
    fn default() -> Self {
        Self {
            visibility_timeout_s: 30,
            delay_s: 0,
            receive_wait_s: 0,
            retention_s: 345_600,
            message_bytes_max: 1_048_576,
            redrive: None,
        }
    }
}

/// Dead-letter redrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// Name of the dead-letter queue; it must exist.
    pub dead_letter_queue: String,
    /// 1 to 1,000: a message that was received so often moves at the next receive.
    pub receive_count_max: u32,
}

/// Identifies a message for ever; shown as a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u128);

/// Proof of one receive. An older one of the same message neither hides nor deletes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The queue's creation id.
    pub queue: u128,
    /// The message.
    pub message: MessageId,
    /// Grows with every receive, over restarts too.
    pub number: u64,
}

/// A message attribute, as the producer gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAttribute {
    /// Its name.
    pub name: String,
    /// `String`, `Number`, `Binary`, or one of these with a `.suffix`.
    pub data_type: String,
    /// The value: text for String and Number, else bytes.
    pub value: Bytes,
}

/// A message to send.
#[derive(Clone, Debug, Default)]
pub struct NewMessage {
    /// UTF-8 where it came through SQS; the broker doesn't care.
    pub body: Bytes,
    /// At most 10.
    pub attributes: Vec<MessageAttribute>,
    /// 0 to 900 s; the queue's own when `None`.
    pub delay_s: Option<u32>,
    /// Message group of a standard queue (fair queues); handed back as an attribute.
    pub group: Option<String>,
    /// X-Ray trace header; handed back as an attribute.
    pub trace: Option<String>,
}

/// A message as received.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// For deleting it, or changing its visibility.
    pub receipt: Receipt,
    /// As sent.
    pub body: Bytes,
    /// As sent.
    pub attributes: Vec<MessageAttribute>,
    /// As sent.
    pub group: Option<String>,
    /// As sent.
    pub trace: Option<String>,
    /// When it was first sent; a move to a dead-letter queue keeps it. Ms since the Unix epoch.
    pub sent_ms: i64,
    /// When it was first received.
    pub first_received_ms: i64,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// The queue that it was moved from, by redrive.
    pub dead_letter_source: Option<String>,
}

/// How to receive.
#[derive(Clone, Copy, Debug)]
pub struct Receive {
    /// Messages at most.
    pub messages_max: usize,
    /// Bytes of bodies at most, but at least one message.
    pub bytes_max: usize,
    /// The queue's own when `None`. Milliseconds.
    pub visibility_ms: Option<i64>,
    /// Whether the receive outlives a crash of the broker (hidden until its time, counted). A pipe
    /// in this process says no: after a crash its messages are there again at once.
    pub remembered: bool,
}

/// Why a receipt did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptProblem {
    /// The message was received anew since, by somebody else perhaps.
    #[error("the receipt is not that of the latest receive")]
    Stale,
    /// The message is not there: deleted, expired or purged.
    #[error("the message is no longer there")]
    Gone,
    /// The message isn't hidden, so its visibility can't be changed.
    #[error("the message is not in flight")]
    NotInFlight,
    /// Of another queue.
    #[error("the receipt belongs to another queue")]
    OtherQueue,
    /// A message can be hidden until 12 h after its receive at most.
    #[error("a message can't be hidden longer than 12 hours after it was received")]
    HiddenTooLong,
}

/// Counts of a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStatistics {
    /// Messages that can be received now.
    pub visible: u64,
    /// Received, neither deleted nor back.
    pub in_flight: u64,
    /// Not yet visible for the first time.
    pub delayed: u64,
    /// When the oldest message that is there was sent; ms since the Unix epoch.
    pub oldest_sent_ms: Option<i64>,
    /// Messages that the retention removed since the queue was made (P1 `expired`).
    pub expired: u64,
    /// Messages that a purge removed.
    pub purged: u64,
    /// Messages sent to it.
    pub sent: u64,
    /// Messages deleted.
    pub deleted: u64,
    /// Messages moved to its dead-letter queue.
    pub moved: u64,
    /// Body bytes that are there.
    pub bytes: u64,
}

/// All queues of a broker.
pub struct Queues {}

/// One queue. Cheap to hold; answers [`BrokerError::NoSuchQueue`] once it is deleted.
pub struct Queue {}

impl Queues {
    /// Opens the queues in `dir`, which is created (one level) when missing.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: QueuesOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BrokerError> {
        todo!()
    }

    /// Makes a queue. One that exists with the same attributes is given back as it is.
    ///
    /// The name has 1 to 80 letters, digits, `-` and `_`.
    pub fn create(
        &self,
        name: &str,
        attributes: QueueAttributes,
        tags: BTreeMap<String, String>,
    ) -> Durable<Arc<Queue>> {
        todo!()
    }

    /// The queue of that name.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchQueue`].
    pub fn get(&self, name: &str) -> Result<Arc<Queue>, BrokerError> {
        todo!()
    }

    /// All queues, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<Queue>> {
        todo!()
    }

    /// Removes a queue with its messages.
    pub fn delete(&self, name: &str) -> Durable<()> {
        todo!()
    }

    /// Bytes on disk of all queues.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        todo!()
    }

    /// See [`crate::Broker::close`].
    ///
    /// # Errors
    /// [`BrokerError`].
    pub fn close(&self) -> Result<(), BrokerError> {
        todo!()
    }
}

impl Queue {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        todo!()
    }

    /// Another one for each queue that is made, also under a name that was used before.
    #[must_use]
    pub fn creation_id(&self) -> u128 {
        todo!()
    }

    /// When it was made, and when its attributes were last changed; ms since the Unix epoch.
    #[must_use]
    pub fn created_and_modified_ms(&self) -> (i64, i64) {
        todo!()
    }

    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> QueueAttributes {
        todo!()
    }

    /// Changes its attributes.
    pub fn set_attributes(&self, attributes: QueueAttributes) -> Durable<()> {
        todo!()
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        todo!()
    }

    /// Replaces its tags.
    pub fn set_tags(&self, tags: BTreeMap<String, String>) -> Durable<()> {
        todo!()
    }

    /// Its counts, as of now.
    #[must_use]
    pub fn statistics(&self) -> QueueStatistics {
        todo!()
    }

    /// Names of the queues that move dead messages here.
    #[must_use]
    pub fn dead_letter_sources(&self) -> Vec<String> {
        todo!()
    }

    /// Sends messages, all or none of them, in one record. The ids, in order.
    pub fn send(&self, messages: Vec<NewMessage>) -> Durable<Vec<MessageId>> {
        todo!()
    }

    /// [`Queue::send`], exactly once: those at or below the producer's highest sequence are
    /// skipped. `messages` ascend.
    pub fn send_once(
        &self,
        producer: &Producer,
        messages: Vec<(Sequence, NewMessage)>,
    ) -> Durable<()> {
        todo!()
    }

    /// The highest sequence that `producer` has stored here.
    #[must_use]
    pub fn published_through(&self, producer: &Producer) -> Option<Sequence> {
        todo!()
    }

    /// Takes messages that are visible now, roughly in order of sending; empty when there are none.
    ///
    /// # Errors
    /// [`BrokerError`]; no message is hidden then. `OverLimit` with 120,000 in flight.
    pub fn receive(&self, receive: Receive) -> Result<Vec<Message>, BrokerError> {
        todo!()
    }

    /// Blocks until messages may be there, or `until`. May wake up for nothing.
    pub fn wait(&self, until: Instant) {
        todo!()
    }

    /// [`Queue::wait`] for tasks: ends when messages may be there, or after `at_most`.
    pub async fn arrived(&self, at_most: Duration) {
        todo!()
    }

    /// Deletes messages; durable once answered. An answer for each receipt.
    pub fn delete(&self, receipts: &[Receipt]) -> Durable<Vec<Result<(), ReceiptProblem>>> {
        todo!()
    }

    /// Hides messages until `ms` from now (0 shows them at once); at most 12 h after their receive.
    /// An answer for each receipt.
    pub fn change_visibility(
        &self,
        changes: &[(Receipt, i64)],
    ) -> Result<Vec<Result<(), ReceiptProblem>>, BrokerError> {
        todo!()
    }

    /// Removes all messages; once in 60 s.
    pub fn purge(&self) -> Durable<()> {
        todo!()
    }
}
