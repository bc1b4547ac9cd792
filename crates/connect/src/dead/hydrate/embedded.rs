//! Queue and stream of the embedded broker.

use std::sync::Arc;

use broker::queues::{Queue, Receipt, Receive};
use broker::streams::{SequenceNumber, Stream};
use broker::{Broker, BrokerError};
use event::Offset;
use event::source::SourceError;

use super::{
    AgedOut, BatchInfo, DeadMessage, DeadMessages, Handle, HydrateError, StreamRecord,
    StreamRecords,
};
use crate::broker_error;

/// So long is a message hidden while its records are fetched.
const HIDDEN_MS: i64 = 3_600_000;
/// Records of one read.
const RECORDS_MAX: usize = 1000;
/// Bytes of one read.
const BYTES_MAX: usize = 8 << 20;

/// A queue of the embedded broker.
pub struct EmbeddedMessages {
    queue: Arc<Queue>,
    held: Vec<Receipt>,
}

impl EmbeddedMessages {
    /// Of a queue that must be there.
    ///
    /// # Errors
    /// [`SourceError`] names those that are.
    pub fn open(broker: &Broker, queue: &str) -> Result<Self, SourceError> {
        let found = broker.queues().get(queue);
        let queue = found.map_err(|error| missing(&format!("queue `{queue}`"), error))?;
        Ok(Self { queue, held: Vec::new() })
    }

    fn refused(&self, error: BrokerError) -> SourceError {
        broker_error::source(&format!("queue `{}`", self.queue.name()), error)
    }
}

/// What a name that the broker doesn't know comes to.
fn missing(what: &str, error: BrokerError) -> SourceError {
    match error {
        BrokerError::NoSuchQueue { existing, .. } | BrokerError::NoSuchStream { existing, .. } => {
            let help = if existing.is_empty() {
                "The broker of this data folder has none at all".into()
            } else {
                format!("The broker of this data folder has {}", existing.join(", "))
            };
            SourceError::Changed { what: format!("{what} is not there"), help }
        }
        other => broker_error::source(what, other),
    }
}

impl DeadMessages for EmbeddedMessages {
    fn next(&mut self) -> Result<Option<DeadMessage>, SourceError> {
        let receive = Receive {
            messages_max: 1,
            bytes_max: usize::MAX,
            visibility_ms: Some(HIDDEN_MS),
            remembered: false,
        };
        let received = self.queue.receive(receive).map_err(|error| self.refused(error))?;
        Ok(received.into_iter().next().map(|message| {
            self.held.push(message.receipt);
            DeadMessage {
                id: format!("{:032x}", message.id.0),
                body: message.body,
                handle: Handle::Embedded(message.receipt),
            }
        }))
    }

    fn delete(&mut self, message: &DeadMessage) -> Result<(), SourceError> {
        let Handle::Embedded(receipt) = message.handle else { return Ok(()) };
        let deleted = self.queue.delete(&[receipt]).wait();
        deleted.map_err(|error| self.refused(error))?;
        self.held.retain(|held| *held != receipt);
        Ok(())
    }

    fn give_back(&mut self) -> Result<(), SourceError> {
        let back: Vec<(Receipt, i64)> =
            std::mem::take(&mut self.held).into_iter().map(|receipt| (receipt, 0)).collect();
        if !back.is_empty() {
            self.queue.change_visibility(&back).map_err(|error| self.refused(error))?;
        }
        Ok(())
    }
}

/// The long form in which the front door shows sequence numbers.
#[derive(Clone, Copy)]
pub struct SequenceForm {
    /// Shard and number, if it is of this stream.
    pub read: fn(&Stream, &str) -> Option<(u32, SequenceNumber)>,
    /// The long form of a record's place.
    pub show: fn(&Stream, u32, SequenceNumber) -> String,
}

/// The streams of the embedded broker.
pub struct EmbeddedRecords<'a> {
    broker: &'a Broker,
    form: SequenceForm,
}

impl<'a> EmbeddedRecords<'a> {
    /// Streams are looked up by the name in a batch's ARN.
    #[must_use]
    pub const fn new(broker: &'a Broker, form: SequenceForm) -> Self {
        Self { broker, form }
    }
}

impl StreamRecords for EmbeddedRecords<'_> {
    fn fetch(
        &mut self,
        info: &BatchInfo,
        take: &mut dyn FnMut(StreamRecord) -> Result<(), HydrateError>,
    ) -> Result<Option<AgedOut>, HydrateError> {
        let what = format!("stream `{}`", info.stream);
        let found = self.broker.streams().get(&info.stream);
        let stream = found.map_err(|error| missing(&what, error))?;
        let number = |text: &str| (self.form.read)(&stream, text);
        let (Some((shard, first)), Some((last_shard, last))) =
            (number(&info.start), number(&info.end))
        else {
            let help = "It was made anew since, or the message is of another broker".into();
            let what = format!("{what} never gave the sequence number {}", info.start);
            return Err(SourceError::Changed { what, help }.into());
        };
        if shard != last_shard || last < first {
            let what = format!("{} to {} are no range of one shard", info.start, info.end);
            return Err(SourceError::Changed { what, help: "The message is damaged".into() }.into());
        }
        let refused = |error| broker_error::source(&what, error);
        let id = crate::kinesis::embedded::shard_id(&stream, shard);
        let mut expected = first;
        let mut gone_to = None;
        while expected <= last {
            let read = stream.read(shard, expected, RECORDS_MAX, BYTES_MAX).map_err(refused)?;
            let reached = read.records.first().map_or(read.next, |record| record.sequence);
            if reached > expected {
                gone_to = Some(reached);
                expected = reached;
            } else if read.records.is_empty() {
                let what = format!("{what} ends before the sequence number {}", info.end);
                let help = "The message is of another broker, or damaged".into();
                return Err(SourceError::Changed { what, help }.into());
            }
            for record in read.records.into_iter().filter(|record| record.sequence <= last) {
                expected = SequenceNumber(record.sequence.0 + 1);
                take(StreamRecord {
                    shard: id.to_string(),
                    offset: Offset::from(record.sequence.0),
                    partition_key: record.partition_key,
                    arrived_ms: record.arrived_ms,
                    data: record.data,
                })?;
            }
        }
        Ok(gone_to.map(|gone_to| AgedOut {
            stream: info.stream.clone(),
            shard: info.shard.clone(),
            from: info.start.clone(),
            to: match gone_to > last {
                true => info.end.clone(),
                false => (self.form.show)(&stream, shard, gone_to),
            },
            to_the_end: gone_to > last,
        }))
    }
}
