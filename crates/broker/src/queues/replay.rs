//! The queues as the journal's records add up to them.

use std::path::Path;

use journal::{Journal, Position};

use super::bodies::RECORD_HEADER_BYTES;
use super::core::{Arrival, Core};
use super::line::{Line, Published};
use super::record::entry::RecordError;
use super::record::{Copied, Definition, Entry, Note, SentMessage, entries};
use super::slots::{Handle, State};
use crate::producer::{Producer, Sequence};

/// Adds records up, in order.
#[derive(Default)]
pub(super) struct Replay {
    core: Core,
}

impl Replay {
    pub(super) fn record(&mut self, position: Position, record: &[u8]) -> Result<(), RecordError> {
        entries(record, |entry| self.entry(entry, position.0))
    }

    /// A queue may be spoken of before it is defined, where its first definition was in a segment
    /// that was cleaned.
    fn line(&mut self, number: u32) -> &mut Line {
        self.core.lines.entry(number).or_insert_with(|| Line::new(number))
    }

    fn entry(&mut self, entry: Entry, position: u64) {
        match entry {
            Entry::Opened { epoch, next_queue } => {
                self.core.epoch = self.core.epoch.max(epoch);
                self.core.epoch_at = position;
                self.core.next_queue = self.core.next_queue.max(next_queue);
            }
            Entry::Mark => {
                self.core.marked_at = position;
                let lines = self.core.lines.values_mut();
                lines.for_each(|line| line.counters_marked = line.counters);
            }
            Entry::Queue(definition) => self.queue(&definition, position),
            Entry::QueueChanged { queue, change } => self.line(queue).take_over(change),
            Entry::QueueDeleted { queue } => self.forget(queue),
            Entry::Sent { queue, sent_ms, producer, messages } => {
                self.sent(queue, sent_ms, producer, &messages, position);
            }
            Entry::Deleted { queue, ids } => {
                self.line(queue).counters.deleted += ids.len() as u64;
                self.remove(&ids);
            }
            Entry::Moved { from, to, ids } => {
                self.line(from).counters.moved += ids.len() as u64;
                self.line(to);
                for handle in self.handles(&ids) {
                    self.core.transfer(handle, to);
                }
            }
            Entry::Expired { queue, ids } => {
                self.line(queue).counters.expired += ids.len() as u64;
                self.remove(&ids);
            }
            Entry::Purged { queue, at_ms, count } => {
                self.core.clear(queue);
                let line = self.line(queue);
                line.purged_ms = Some(at_ms);
                line.counters.purged += count;
            }
            Entry::Noted(notes) => notes.iter().for_each(|note| self.noted(note)),
            Entry::CopiedMessages(copies) => {
                copies.iter().for_each(|copy| self.copied(copy, position));
            }
            Entry::CopiedProducer { queue, producer, sequence } => {
                self.published(queue, producer, sequence, position);
            }
        }
    }

    fn queue(&mut self, definition: &Definition, position: u64) {
        let marked_at = self.core.marked_at;
        let line = self.line(definition.number);
        let known = line.defined;
        line.define(definition);
        if let Some(counters) = definition.counters {
            line.counters = counters.plus(line.counters.minus(line.counters_marked));
            line.counters_marked = counters;
            line.at = marked_at;
        } else if !known {
            line.at = position;
        }
        self.core.names.insert(definition.name.clone(), definition.number);
        self.core.next_queue = self.core.next_queue.max(definition.number + 1);
    }

    fn forget(&mut self, queue: u32) {
        self.core.clear(queue);
        if let Some(line) = self.core.lines.remove(&queue)
            && self.core.names.get(&*line.name) == Some(&queue)
        {
            self.core.names.remove(&*line.name);
        }
    }

    fn sent(
        &mut self,
        queue: u32,
        sent_ms: i64,
        producer: Option<(Producer, Sequence)>,
        messages: &[SentMessage],
        position: u64,
    ) {
        if let Some((producer, sequence)) = producer {
            self.published(queue, producer, sequence, position);
        }
        self.line(queue).counters.sent += messages.len() as u64;
        for message in messages {
            let visible_at_ms = sent_ms + i64::from(message.delay_ms);
            let state = if message.delay_ms > 0 { State::Delayed } else { State::Visible };
            let note = Note::unreceived(message.id, visible_at_ms);
            let at = position + RECORD_HEADER_BYTES + u64::from(message.place.offset);
            let place = message.place;
            self.core.arrive(&Arrival { queue, sent_ms, source: 0, note, at, place }, state);
        }
    }

    fn published(&mut self, queue: u32, producer: Producer, sequence: Sequence, at: u64) {
        let unknown = Published { through: None, at, busy: false };
        let known = self.line(queue).producers.entry(producer).or_insert(unknown);
        (known.through, known.at) = (known.through.max(Some(sequence)), at);
    }

    fn handles(&self, ids: &[u128]) -> Vec<Handle> {
        let slots = &self.core.slots;
        ids.iter().filter_map(|id| slots.handle(slots.find(*id)?)).collect()
    }

    fn remove(&mut self, ids: &[u128]) {
        for handle in self.handles(ids) {
            self.core.remove(handle);
        }
    }

    fn noted(&mut self, note: &Note) {
        let Core { slots, lines, .. } = &mut self.core;
        let Some(index) = slots.find(note.id) else { return };
        let Some(slot) = slots.get_mut(index).filter(|slot| slot.receipt <= note.receipt) else {
            return;
        };
        slot.first_received_ms = note.first_received_ms;
        slot.received_ms = note.received_ms;
        slot.visible_at_ms = note.visible_at_ms;
        slot.receipt = note.receipt;
        slot.receive_count = note.receive_count;
        if let Some(line) = lines.get_mut(&slot.queue) {
            line.change(slot, index, hidden(note));
        }
    }

    fn copied(&mut self, copy: &Copied, position: u64) {
        let at = position + RECORD_HEADER_BYTES + u64::from(copy.place.offset);
        if let Some(index) = self.core.slots.find(copy.note.id) {
            if let Some(slot) = self.core.slots.get_mut(index) {
                slot.at = at;
            }
            self.noted(&copy.note);
            return;
        }
        self.line(copy.queue);
        let source = copy.source.as_ref().map_or(0, |source| self.core.source(source));
        let arrival = Arrival {
            queue: copy.queue,
            sent_ms: copy.sent_ms,
            source,
            note: copy.note,
            at,
            place: copy.place,
        };
        self.core.arrive(&arrival, hidden(&copy.note));
    }

    /// The queues as of now, ready for use.
    pub(super) fn finish(mut self, journal: &Journal, dir: &Path, now_ms: i64) -> Core {
        let undefined: Vec<_> =
            self.core.lines.values().filter(|line| !line.defined).map(|line| line.number).collect();
        for queue in undefined {
            // What was on the way when its queue was deleted.
            tracing::debug!(dir = %dir.display(), queue, "records of a queue that was deleted");
            self.forget(queue);
        }
        let Core { slots, lines, segments, .. } = &mut self.core;
        for begin in journal.segment_begins() {
            segments.reach(begin.0);
        }
        for index in slots.indexes() {
            if let Some(slot) = slots.get(index) {
                segments.add(slot.at, slot.bytes);
            }
        }
        for line in lines.values_mut() {
            line.advance(slots, now_ms);
            line.tidy(slots);
            line.sort_visible(slots);
        }
        self.core
    }
}

/// The state of a message that is hidden until its time; what is past is shown by `advance`.
fn hidden(note: &Note) -> State {
    if note.receipt == 0 { State::Delayed } else { State::InFlight }
}
