//! Sending.

use std::sync::PoisonError;

use rand::Rng;

use super::effect::{Effect, Sent};
use super::line::Published;
use super::message::{MessageId, NewMessage};
use super::queue::Queue;
use super::record::{RecordWriter, SentMessage};
use crate::durable::Durable;
use crate::error::BrokerError;
use crate::producer::{Producer, Sequence};

/// Bytes of one send at most.
const SEND_BYTES_MAX: usize = 64 << 20;
/// Bytes that a message takes in a record beside what it carries, about.
const MESSAGE_OVERHEAD_BYTES: usize = 64;
/// Producers that a queue remembers at most.
const PRODUCERS_MAX: usize = 10_000;
/// Bits of an id that say that it is a random UUID (RFC 9562, version 4).
const UUID_MASK: u128 = 0xf000_c000_0000_0000_0000;
const UUID_BITS: u128 = 0x4000_8000_0000_0000_0000;

/// A send that is put together.
struct Prepared {
    record: RecordWriter,
    messages: Vec<SentMessage>,
    sent_ms: i64,
}

impl Queue {
    /// Sends messages, all or none of them, in one record. The ids, in order.
    pub fn send(&self, messages: Vec<NewMessage>) -> Durable<Vec<MessageId>> {
        match self.try_send(&messages) {
            Ok(durable) => durable,
            Err(error) => Durable::now(Err(error)),
        }
    }

    fn try_send(&self, messages: &[NewMessage]) -> Result<Durable<Vec<MessageId>>, BrokerError> {
        if messages.is_empty() {
            return Ok(Durable::now(Ok(Vec::new())));
        }
        let prepared = self.prepare(messages.iter(), None)?;
        let ids = prepared.messages.iter().map(|message| MessageId(message.id)).collect();
        Ok(Durable::after(self.submit_send(prepared, None)?, ids))
    }

    /// [`Queue::send`], exactly once: those at or below the producer's highest sequence are
    /// skipped. `messages` ascend. A second call of the same producer waits for the first: if that
    /// finds no room, what it was to store must not be passed over.
    pub fn send_once(
        &self,
        producer: &Producer,
        messages: Vec<(Sequence, NewMessage)>,
    ) -> Durable<()> {
        match self.try_send_once(producer, &messages) {
            Ok(durable) => durable,
            Err(error) => Durable::now(Err(error)),
        }
    }

    fn try_send_once(
        &self,
        producer: &Producer,
        messages: &[(Sequence, NewMessage)],
    ) -> Result<Durable<()>, BrokerError> {
        if !messages.is_sorted_by(|(one, _), (next, _)| one < next) {
            let what = "the sequences of one send must ascend".to_string();
            return Err(BrokerError::Invalid { what });
        }
        let through = self.take_turn(producer)?;
        let new = messages.partition_point(|(sequence, _)| Some(*sequence) <= through);
        let new = messages.get(new..).unwrap_or_default();
        let Some((last, _)) = new.last() else {
            self.end_turn(producer);
            return Ok(Durable::now(Ok(())));
        };
        let producer = (producer.clone(), *last);
        let submitted = self
            .prepare(new.iter().map(|(_, message)| message), Some(&producer))
            .and_then(|prepared| self.submit_send(prepared, Some(producer.clone())));
        match submitted {
            Ok(pending) => Ok(Durable::after(pending, ())),
            Err(error) => {
                self.end_turn(&producer.0);
                Err(error)
            }
        }
    }

    /// Waits until no other send of this producer is on the way; how far it has come.
    fn take_turn(&self, producer: &Producer) -> Result<Option<Sequence>, BrokerError> {
        let mut core = self.shared.core();
        loop {
            let line = self.line(&mut core)?;
            let count = line.producers.len();
            match line.producers.get_mut(producer) {
                Some(known) if known.busy => {}
                Some(known) => {
                    known.busy = true;
                    return Ok(known.through);
                }
                None if count >= PRODUCERS_MAX => {
                    let what = format!("a queue remembers {PRODUCERS_MAX} producers at most");
                    return Err(BrokerError::OverLimit { what });
                }
                None => {
                    let first = Published { through: None, at: u64::MAX, busy: true };
                    line.producers.insert(producer.clone(), first);
                    return Ok(None);
                }
            }
            core = self.shared.wait_for_room(core);
        }
    }

    fn end_turn(&self, producer: &Producer) {
        let mut core = self.shared.core();
        if let Some(line) = core.lines.get_mut(&self.number)
            && let Some(known) = line.producers.get_mut(producer)
        {
            known.busy = false;
            if known.through.is_none() {
                line.producers.remove(producer);
            }
        }
        drop(core);
        self.shared.room.notify_all();
    }

    /// The highest sequence that `producer` has stored here.
    #[must_use]
    pub fn published_through(&self, producer: &Producer) -> Option<Sequence> {
        self.shared.core().line(self.number)?.producers.get(producer)?.through
    }

    /// Checks messages and puts their record together, without the lock.
    fn prepare<'a>(
        &self,
        messages: impl ExactSizeIterator<Item = &'a NewMessage> + Clone,
        producer: Option<&(Producer, Sequence)>,
    ) -> Result<Prepared, BrokerError> {
        let (delay_s, bytes_max) = {
            let mut core = self.shared.core();
            let attributes = &self.line(&mut core)?.attributes;
            (attributes.delay_s, attributes.message_bytes_max)
        };
        let mut bytes = 0;
        for message in messages.clone() {
            message.check(bytes_max)?;
            bytes += message.bytes() + MESSAGE_OVERHEAD_BYTES;
        }
        if bytes > SEND_BYTES_MAX {
            let what = format!("a send of {bytes} bytes is over the limit of {SEND_BYTES_MAX}");
            return Err(BrokerError::Invalid { what });
        }
        let sent_ms = self.shared.now_ms();
        let mut record = RecordWriter::with_room(bytes + 2 * MESSAGE_OVERHEAD_BYTES);
        let named = producer.map(|(producer, sequence)| (producer, *sequence));
        record.sent(self.number, sent_ms, named, messages.len() as u32);
        let mut random = self.shared.random.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = messages.map(|message| {
            let id = u128::from(random.next_u64()) << 64 | u128::from(random.next_u64());
            let id = id & !UUID_MASK | UUID_BITS;
            let delay_ms = message.delay_s.unwrap_or(delay_s) * 1000;
            SentMessage { id, delay_ms, place: record.message(id, delay_ms, message) }
        });
        let messages = messages.collect();
        Ok(Prepared { record, messages, sent_ms })
    }

    fn submit_send(
        &self,
        prepared: Prepared,
        producer: Option<(Producer, Sequence)>,
    ) -> Result<journal::PendingAppend, BrokerError> {
        let Prepared { record, messages, sent_ms } = prepared;
        let kept = self.shared.recent.takes(record.len()).then(|| record.bytes().to_vec());
        let mut core = self.shared.core_with_room()?;
        self.line(&mut core)?;
        let most = self.shared.options.messages_max;
        if core.slots.len() + messages.len() > most {
            let what = format!("there are {most} messages in all queues, which is messages_max");
            return Err(BrokerError::OverLimit { what });
        }
        let effect = Effect::Sent(Sent { queue: self.number, sent_ms, messages, producer });
        self.shared.submit(&mut core, record, effect, kept)
    }
}
