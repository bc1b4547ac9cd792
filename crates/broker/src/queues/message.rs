//! Messages, as they are sent and as they are received.

use bytes::Bytes;

use crate::error::BrokerError;

/// Attributes of a message at most.
const ATTRIBUTES_MAX: usize = 10;
/// Bytes of an attribute's name or type at most.
const ATTRIBUTE_NAME_BYTES_MAX: usize = 256;
/// Bytes of a message group's name at most.
const GROUP_BYTES_MAX: usize = 128;
/// Bytes of a trace header at most.
const TRACE_BYTES_MAX: usize = 4096;
/// Most a message may be delayed.
const DELAY_S_MAX: u32 = 900;

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

impl NewMessage {
    /// What counts against the limit of a queue: body and attributes with their names and types.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let attribute =
            |one: &MessageAttribute| one.name.len() + one.data_type.len() + one.value.len();
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    /// Checks the message against the service's limits and its queue's.
    pub(super) fn check(&self, bytes_max: u32) -> Result<(), BrokerError> {
        let refuse = |what: String| Err(BrokerError::Invalid { what });
        let bytes = self.bytes();
        if bytes > bytes_max as usize {
            return refuse(format!(
                "a message of {bytes} bytes, attributes included, is over the queue's \
                 MaximumMessageSize of {bytes_max}"
            ));
        }
        if let Some(delay_s) = self.delay_s.filter(|delay_s| *delay_s > DELAY_S_MAX) {
            return refuse(format!("DelaySeconds is {delay_s}, it may be 0 to {DELAY_S_MAX}"));
        }
        if self.attributes.len() > ATTRIBUTES_MAX {
            let count = self.attributes.len();
            return refuse(format!("a message has {count} attributes, {ATTRIBUTES_MAX} at most"));
        }
        let named = |name: &str| (1..=ATTRIBUTE_NAME_BYTES_MAX).contains(&name.len());
        if let Some(one) =
            self.attributes.iter().find(|one| !named(&one.name) || !named(&one.data_type))
        {
            return refuse(format!(
                "name and type of attribute `{}` must have 1 to {ATTRIBUTE_NAME_BYTES_MAX} bytes",
                one.name
            ));
        }
        if self.group.as_ref().is_some_and(|group| group.len() > GROUP_BYTES_MAX) {
            return refuse(format!("a message group has {GROUP_BYTES_MAX} bytes at most"));
        }
        if self.trace.as_ref().is_some_and(|trace| trace.len() > TRACE_BYTES_MAX) {
            return refuse(format!("a trace header has {TRACE_BYTES_MAX} bytes at most"));
        }
        Ok(())
    }
}
