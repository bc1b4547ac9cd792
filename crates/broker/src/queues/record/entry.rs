//! What the records of the queues' journal say (docs/formats/queues.md). A record is a version and
//! any number of entries; it holds as a whole or not at all.

use super::codec::{Decoder, Encoder};
use super::content;
use super::definition::{self, Definition};
use crate::producer::{Producer, Sequence};
use crate::queues::effect::Change;
use crate::queues::message::NewMessage;

/// The version that is written, and the newest that is read.
pub(in crate::queues) const VERSION: u8 = 1;

/// What is known of a receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queues) struct Note {
    pub(in crate::queues) id: u128,
    pub(in crate::queues) first_received_ms: i64,
    pub(in crate::queues) received_ms: i64,
    pub(in crate::queues) visible_at_ms: i64,
    pub(in crate::queues) receipt: u64,
    pub(in crate::queues) receive_count: u32,
}

/// A message as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queues) struct SentMessage {
    pub(in crate::queues) id: u128,
    pub(in crate::queues) delay_ms: u32,
    pub(in crate::queues) place: Place,
}

/// Where in its record a content stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::queues) struct Place {
    pub(in crate::queues) offset: u32,
    pub(in crate::queues) bytes: u32,
    pub(in crate::queues) body_bytes: u32,
}

/// A message that was written again because its segment is cleaned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::queues) struct Copied {
    pub(in crate::queues) queue: u32,
    pub(in crate::queues) sent_ms: i64,
    pub(in crate::queues) source: Option<String>,
    pub(in crate::queues) note: Note,
    pub(in crate::queues) place: Place,
}

/// One thing that a record says. Ids are those of messages, numbers those of queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::queues) enum Entry {
    Opened {
        epoch: u64,
        next_queue: u32,
    },
    Mark,
    Queue(Definition),
    QueueChanged {
        queue: u32,
        change: Change,
    },
    QueueDeleted {
        queue: u32,
    },
    Sent {
        queue: u32,
        sent_ms: i64,
        producer: Option<(Producer, Sequence)>,
        messages: Vec<SentMessage>,
    },
    Deleted {
        queue: u32,
        ids: Vec<u128>,
    },
    Moved {
        from: u32,
        to: u32,
        ids: Vec<u128>,
    },
    Expired {
        queue: u32,
        ids: Vec<u128>,
    },
    Purged {
        queue: u32,
        at_ms: i64,
        count: u64,
    },
    Noted(Vec<Note>),
    CopiedMessages(Vec<Copied>),
    CopiedProducer {
        queue: u32,
        producer: Producer,
        sequence: Sequence,
    },
}

mod kind {
    pub(super) const OPENED: u8 = 1;
    pub(super) const MARK: u8 = 2;
    pub(super) const QUEUE: u8 = 3;
    pub(super) const QUEUE_DELETED: u8 = 4;
    pub(super) const SENT: u8 = 5;
    pub(super) const DELETED: u8 = 6;
    pub(super) const MOVED: u8 = 7;
    pub(super) const EXPIRED: u8 = 8;
    pub(super) const PURGED: u8 = 9;
    pub(super) const NOTED: u8 = 10;
    pub(super) const COPIED_MESSAGES: u8 = 11;
    pub(super) const COPIED_PRODUCER: u8 = 12;
    pub(super) const ATTRIBUTES: u8 = 13;
    pub(super) const TAGS: u8 = 14;
}

/// Puts the entries of a record together.
pub(in crate::queues) struct RecordWriter {
    encoder: Encoder,
}

impl Default for RecordWriter {
    fn default() -> Self {
        Self::with_room(64)
    }
}

impl RecordWriter {
    /// A record that will be about so long.
    pub(in crate::queues) fn with_room(bytes: usize) -> Self {
        let mut encoder = Encoder { bytes: Vec::with_capacity(bytes) };
        encoder.u8(VERSION);
        Self { encoder }
    }

    /// What there is so far.
    pub(in crate::queues) fn bytes(&self) -> &[u8] {
        &self.encoder.bytes
    }

    pub(in crate::queues) fn finish(self) -> Vec<u8> {
        self.encoder.bytes
    }

    pub(in crate::queues) fn len(&self) -> usize {
        self.encoder.bytes.len()
    }

    pub(in crate::queues) fn opened(&mut self, epoch: u64, next_queue: u32) {
        self.encoder.u8(kind::OPENED);
        self.encoder.u64(epoch);
        self.encoder.u32(next_queue);
    }

    pub(in crate::queues) fn mark(&mut self) {
        self.encoder.u8(kind::MARK);
    }

    pub(in crate::queues) fn queue(&mut self, definition: &Definition) {
        self.encoder.u8(kind::QUEUE);
        definition::encode(&mut self.encoder, definition);
    }

    pub(in crate::queues) fn queue_changed(&mut self, queue: u32, change: &Change) {
        match change {
            Change::Attributes(modified_ms, attributes) => {
                self.encoder.u8(kind::ATTRIBUTES);
                self.encoder.u32(queue);
                self.encoder.i64(*modified_ms);
                definition::encode_attributes(&mut self.encoder, attributes);
            }
            Change::Tags(tags) => {
                self.encoder.u8(kind::TAGS);
                self.encoder.u32(queue);
                definition::encode_tags(&mut self.encoder, tags);
            }
        }
    }

    pub(in crate::queues) fn queue_deleted(&mut self, queue: u32) {
        self.encoder.u8(kind::QUEUE_DELETED);
        self.encoder.u32(queue);
    }

    /// The head of a send; [`RecordWriter::message`] follows `count` times.
    pub(in crate::queues) fn sent(
        &mut self,
        queue: u32,
        sent_ms: i64,
        producer: Option<(&Producer, Sequence)>,
        count: u32,
    ) {
        self.encoder.u8(kind::SENT);
        self.encoder.u32(queue);
        self.encoder.i64(sent_ms);
        self.encoder.u8(u8::from(producer.is_some()));
        if let Some((producer, sequence)) = producer {
            self.encoder.producer(producer, sequence);
        }
        self.encoder.u32(count);
    }

    pub(in crate::queues) fn message(
        &mut self,
        id: u128,
        delay_ms: u32,
        message: &NewMessage,
    ) -> Place {
        self.encoder.u128(id);
        self.encoder.u32(delay_ms);
        let begin = self.encoder.later();
        content::encode(&mut self.encoder, message);
        let bytes = (self.encoder.bytes.len() - begin) as u32;
        self.encoder.put(begin, bytes);
        Place { offset: begin as u32, bytes, body_bytes: message.body.len() as u32 }
    }

    fn ids(&mut self, ids: &[u128]) {
        self.encoder.u32(ids.len() as u32);
        ids.iter().for_each(|id| self.encoder.u128(*id));
    }

    pub(in crate::queues) fn deleted(&mut self, queue: u32, ids: &[u128]) {
        self.encoder.u8(kind::DELETED);
        self.encoder.u32(queue);
        self.ids(ids);
    }

    pub(in crate::queues) fn moved(&mut self, from: u32, to: u32, ids: &[u128]) {
        self.encoder.u8(kind::MOVED);
        self.encoder.u32(from);
        self.encoder.u32(to);
        self.ids(ids);
    }

    pub(in crate::queues) fn expired(&mut self, queue: u32, ids: &[u128]) {
        self.encoder.u8(kind::EXPIRED);
        self.encoder.u32(queue);
        self.ids(ids);
    }

    pub(in crate::queues) fn purged(&mut self, queue: u32, at_ms: i64, count: u64) {
        self.encoder.u8(kind::PURGED);
        self.encoder.u32(queue);
        self.encoder.i64(at_ms);
        self.encoder.u64(count);
    }

    pub(in crate::queues) fn noted(&mut self, notes: &[Note]) {
        self.encoder.u8(kind::NOTED);
        self.encoder.u32(notes.len() as u32);
        notes.iter().for_each(|note| self.note(note));
    }

    fn note(&mut self, note: &Note) {
        self.encoder.u128(note.id);
        self.encoder.i64(note.first_received_ms);
        self.encoder.i64(note.received_ms);
        self.encoder.i64(note.visible_at_ms);
        self.encoder.u64(note.receipt);
        self.encoder.u32(note.receive_count);
    }

    /// A copy of one message, an entry of its own; where the content stands.
    pub(in crate::queues) fn copied(
        &mut self,
        queue: u32,
        sent_ms: i64,
        source: Option<&str>,
        note: &Note,
        content: &[u8],
    ) -> u32 {
        self.encoder.u8(kind::COPIED_MESSAGES);
        self.encoder.u32(1);
        self.encoder.u32(queue);
        self.encoder.i64(sent_ms);
        self.encoder.option(source);
        self.note(note);
        self.encoder.u32(content.len() as u32);
        let begin = self.encoder.bytes.len() as u32;
        self.encoder.bytes.extend_from_slice(content);
        begin
    }

    pub(in crate::queues) fn copied_producer(
        &mut self,
        queue: u32,
        producer: &Producer,
        sequence: Sequence,
    ) {
        self.encoder.u8(kind::COPIED_PRODUCER);
        self.encoder.u32(queue);
        self.encoder.producer(producer, sequence);
    }
}

/// Why a record can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::queues) enum RecordError {
    #[error(
        "a record of the queues has version {0}, this program reads up to {VERSION}: use the newer program that wrote it"
    )]
    Newer(u8),
    #[error("a record of the queues makes no sense; restore the data folder from a copy")]
    Malformed,
}

/// Hands out the entries of a record.
pub(in crate::queues) fn entries(
    record: &[u8],
    mut each: impl FnMut(Entry),
) -> Result<(), RecordError> {
    let mut from = Decoder::new(record);
    match from.u8() {
        Some(VERSION) => {}
        Some(newer) if newer > VERSION => return Err(RecordError::Newer(newer)),
        _ => return Err(RecordError::Malformed),
    }
    while !from.is_at_end() {
        each(entry(&mut from).ok_or(RecordError::Malformed)?);
    }
    Ok(())
}

fn entry(from: &mut Decoder<'_>) -> Option<Entry> {
    Some(match from.u8()? {
        kind::OPENED => Entry::Opened { epoch: from.u64()?, next_queue: from.u32()? },
        kind::MARK => Entry::Mark,
        kind::QUEUE => Entry::Queue(definition::decode(from)?),
        kind::ATTRIBUTES => {
            let queue = from.u32()?;
            let change = Change::Attributes(from.i64()?, definition::decode_attributes(from)?);
            Entry::QueueChanged { queue, change }
        }
        kind::TAGS => {
            let queue = from.u32()?;
            Entry::QueueChanged { queue, change: Change::Tags(definition::decode_tags(from)?) }
        }
        kind::QUEUE_DELETED => Entry::QueueDeleted { queue: from.u32()? },
        kind::SENT => sent(from)?,
        kind::DELETED => Entry::Deleted { queue: from.u32()?, ids: ids(from)? },
        kind::MOVED => Entry::Moved { from: from.u32()?, to: from.u32()?, ids: ids(from)? },
        kind::EXPIRED => Entry::Expired { queue: from.u32()?, ids: ids(from)? },
        kind::PURGED => {
            Entry::Purged { queue: from.u32()?, at_ms: from.i64()?, count: from.u64()? }
        }
        kind::NOTED => Entry::Noted(many(from, note)?),
        kind::COPIED_MESSAGES => Entry::CopiedMessages(many(from, copied)?),
        kind::COPIED_PRODUCER => {
            let queue = from.u32()?;
            let (producer, sequence) = from.producer()?;
            Entry::CopiedProducer { queue, producer, sequence }
        }
        _ => return None,
    })
}

fn many<T>(
    from: &mut Decoder<'_>,
    mut one: impl FnMut(&mut Decoder<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = from.u32()?;
    (0..count).map(|_| one(from)).collect()
}

fn ids(from: &mut Decoder<'_>) -> Option<Vec<u128>> {
    many(from, |from| from.u128())
}

fn sent(from: &mut Decoder<'_>) -> Option<Entry> {
    let (queue, sent_ms) = (from.u32()?, from.i64()?);
    let producer = if from.flag()? { Some(from.producer()?) } else { None };
    let messages = many(from, |from| {
        Some(SentMessage { id: from.u128()?, delay_ms: from.u32()?, place: place(from)? })
    })?;
    Some(Entry::Sent { queue, sent_ms, producer, messages })
}

fn note(from: &mut Decoder<'_>) -> Option<Note> {
    Some(Note {
        id: from.u128()?,
        first_received_ms: from.i64()?,
        received_ms: from.i64()?,
        visible_at_ms: from.i64()?,
        receipt: from.u64()?,
        receive_count: from.u32()?,
    })
}

fn copied(from: &mut Decoder<'_>) -> Option<Copied> {
    Some(Copied {
        queue: from.u32()?,
        sent_ms: from.i64()?,
        source: from.option()?.map(Into::into),
        note: note(from)?,
        place: place(from)?,
    })
}

/// Steps over a content.
fn place(from: &mut Decoder<'_>) -> Option<Place> {
    let bytes = from.u32()?;
    let offset = from.at() as u32;
    let content = from.take(bytes as usize)?;
    let body_bytes = content.get(4..8)?.try_into().ok().map(u32::from_le_bytes)?;
    Some(Place { offset, bytes, body_bytes })
}
