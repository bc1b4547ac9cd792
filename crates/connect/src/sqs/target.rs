//! A queue of the embedded broker as a sink.

use std::sync::Arc;

use broker::queues::{MessageAttribute, NewMessage, Queue};
use broker::{Broker, BrokerError, Producer, Sequence};
use bytes::Bytes;
use event::sink::SinkError;
use event::{Batch, Event};

use super::embedded::open_or_make;
use crate::broker_error;
use crate::spool::{Entry, Target};

/// Attribute of a message whose event was replayed: the id of the replay, so that consumers can
/// tell.
pub const REPLAY_ATTRIBUTE: &str = "onceflow-replay";
const REPLAY_TYPE: &str = "String";
/// Name and type of the attribute, in front of its value.
const REPLAY_KEY: &str = "onceflow-replay String ";

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

    /// The mark of a replayed event, as long as the attribute that it becomes.
    fn key(&self, batch: &Batch, _: &Event, key: &mut Vec<u8>) {
        if let Some(replay) = &batch.replay {
            key.extend_from_slice(REPLAY_KEY.as_bytes());
            key.extend_from_slice(replay.id.as_bytes());
        }
    }

    fn published_through(&self, producer: &Producer) -> Option<Sequence> {
        self.0.published_through(producer)
    }

    fn publish(&self, producer: &Producer, entries: &[Entry<'_>]) -> Result<(), SinkError> {
        let message = |entry: &Entry<'_>| {
            let body = Bytes::copy_from_slice(entry.body);
            let attributes = replay_mark(entry.key).into_iter().collect();
            (entry.sequence, NewMessage { body, attributes, ..NewMessage::default() })
        };
        let messages = entries.iter().map(message).collect();
        let sent = self.0.send_once(producer, messages).wait();
        sent.map_err(|error| broker_error::sink("send to", &self.what(), error))
    }
}

/// The attribute that a row's key stands for.
fn replay_mark(key: &[u8]) -> Option<MessageAttribute> {
    let id = key.strip_prefix(REPLAY_KEY.as_bytes())?;
    Some(MessageAttribute {
        name: REPLAY_ATTRIBUTE.to_owned(),
        data_type: REPLAY_TYPE.to_owned(),
        value: Bytes::copy_from_slice(id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_a_replayed_event_is_its_attribute() {
        let mut key = REPLAY_KEY.as_bytes().to_vec();
        key.extend_from_slice(b"archive-1");
        let mark = replay_mark(&key).unwrap();
        assert_eq!((mark.name.as_str(), &mark.value[..]), ("onceflow-replay", &b"archive-1"[..]));
        assert!(mark.name.len() + mark.data_type.len() + mark.value.len() <= key.len());
        assert_eq!(replay_mark(b""), None);
    }
}
