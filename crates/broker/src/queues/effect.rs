//! What a record changes in memory once it is durable, and what is taken back if it never is.

use std::collections::BTreeMap;

use super::core::{Arrival, Core};
use super::record::{Definition, Note, SentMessage};
use super::slots::{Handle, State};
use crate::producer::{Producer, Sequence};
use crate::queues::attributes::QueueAttributes;

/// What is to happen when a record is durable.
pub(super) enum Effect {
    Nothing,
    Mark,
    Made(Definition),
    Changed {
        queue: u32,
        what: Change,
    },
    QueueDeleted {
        queue: u32,
    },
    Sent(Sent),
    Deleted {
        queue: u32,
        messages: Vec<Handle>,
        count: u64,
    },
    Moved {
        from: u32,
        to: u32,
        messages: Vec<Handle>,
    },
    Expired {
        queue: u32,
        messages: Vec<Handle>,
    },
    Purged {
        queue: u32,
        at_ms: i64,
        count: u64,
        purged_before_ms: Option<i64>,
    },
    /// Messages, where they stood, and where in the record they stand now.
    Copied(Vec<(Handle, u64, u32)>),
    /// What stood before `at` is said again.
    SaidAgain {
        at: u64,
        epoch: bool,
        queues: Vec<u32>,
        producers: Vec<(u32, Producer)>,
    },
}

/// A send.
pub(super) struct Sent {
    pub(super) queue: u32,
    pub(super) sent_ms: i64,
    pub(super) messages: Vec<SentMessage>,
    pub(super) producer: Option<(Producer, Sequence)>,
}

/// A change of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// With the time of the change.
    Attributes(i64, QueueAttributes),
    Tags(BTreeMap<String, String>),
}

impl Core {
    /// The record is durable: its first byte stands at `begin`, its header at `position`.
    pub(super) fn apply(&mut self, effect: Effect, position: u64, begin: u64) {
        match effect {
            Effect::Nothing => {}
            Effect::Mark => {
                self.marked_at = position;
                self.lines.values_mut().for_each(|line| line.counters_marked = line.counters);
            }
            Effect::Made(definition) => {
                if let Some(line) = self.lines.get_mut(&definition.number) {
                    if !line.defined {
                        line.at = position;
                    }
                    line.making -= 1;
                    line.define(&definition);
                }
            }
            Effect::Changed { queue, what } => {
                if let Some(line) = self.lines.get_mut(&queue) {
                    line.changing -= 1;
                    line.take_over(what);
                    line.signal.wake();
                }
            }
            Effect::QueueDeleted { queue } => self.forget_queue(queue),
            Effect::Sent(sent) => self.sent(sent, position, begin),
            Effect::Deleted { queue, messages, count } => {
                self.removed(queue, &messages, |counters| counters.deleted += count);
            }
            Effect::Moved { from, to, messages } => self.moved(from, to, &messages),
            Effect::Expired { queue, messages } => {
                let count = messages.len() as u64;
                self.removed(queue, &messages, |counters| counters.expired += count);
                if let Some(line) = self.lines.get_mut(&queue) {
                    line.expired_unnamed += count;
                }
            }
            Effect::Purged { queue, count, .. } => {
                self.clear(queue);
                if let Some(line) = self.lines.get_mut(&queue) {
                    line.purging -= 1;
                    line.counters.purged += count;
                    line.tidy(&self.slots);
                }
            }
            Effect::Copied(messages) => self.copied(&messages, begin),
            Effect::SaidAgain { at, epoch, queues, producers } => {
                if epoch {
                    self.epoch_at = position;
                }
                for queue in queues {
                    if let Some(line) = self.lines.get_mut(&queue) {
                        line.at = at;
                    }
                }
                for (queue, producer) in producers {
                    let line = self.lines.get_mut(&queue);
                    if let Some(known) = line.and_then(|line| line.producers.get_mut(&producer)) {
                        known.at = known.at.max(position);
                    }
                }
            }
        }
    }

    /// The record was never written, and won't be.
    pub(super) fn undo(&mut self, effect: Effect) {
        match effect {
            Effect::Nothing | Effect::Mark | Effect::Copied(_) | Effect::SaidAgain { .. } => {}
            Effect::Changed { queue, .. } => {
                if let Some(line) = self.lines.get_mut(&queue) {
                    line.changing -= 1;
                }
            }
            Effect::Made(definition) => {
                if let Some(line) = self.lines.get_mut(&definition.number) {
                    line.making -= 1;
                    if line.making == 0 && !line.defined {
                        self.forget_queue(definition.number);
                    }
                }
            }
            Effect::QueueDeleted { queue } => {
                if let Some(line) = self.lines.get_mut(&queue) {
                    line.deleting -= 1;
                }
            }
            Effect::Sent(sent) => {
                if let Some((producer, _)) = sent.producer {
                    self.published(sent.queue, producer, None);
                }
            }
            Effect::Deleted { messages, .. }
            | Effect::Moved { messages, .. }
            | Effect::Expired { messages, .. } => {
                messages.iter().for_each(|handle| self.stay(*handle));
            }
            Effect::Purged { queue, at_ms, purged_before_ms, .. } => {
                if let Some(line) = self.lines.get_mut(&queue) {
                    line.purging -= 1;
                    if line.purged_ms == Some(at_ms) {
                        line.purged_ms = purged_before_ms;
                    }
                }
            }
        }
    }

    fn forget_queue(&mut self, queue: u32) {
        self.clear(queue);
        let Some(line) = self.lines.remove(&queue) else { return };
        if self.names.get(&*line.name) == Some(&queue) {
            self.names.remove(&*line.name);
        }
        line.signal.wake();
    }

    fn sent(&mut self, sent: Sent, position: u64, begin: u64) {
        if let Some((producer, sequence)) = sent.producer {
            self.published(sent.queue, producer, Some((sequence, position)));
        }
        let Some(line) = self.lines.get_mut(&sent.queue) else { return };
        line.counters.sent += sent.messages.len() as u64;
        let signal = std::sync::Arc::clone(&line.signal);
        for message in &sent.messages {
            let visible_at_ms = sent.sent_ms + i64::from(message.delay_ms);
            let state = if message.delay_ms > 0 { State::Delayed } else { State::Visible };
            let note = Note::unreceived(message.id, visible_at_ms);
            let at = begin + u64::from(message.place.offset);
            let (queue, sent_ms, place) = (sent.queue, sent.sent_ms, message.place);
            self.arrive(&Arrival { queue, sent_ms, source: 0, note, at, place }, state);
        }
        signal.wake();
    }

    fn published(&mut self, queue: u32, producer: Producer, through: Option<(Sequence, u64)>) {
        let Some(line) = self.lines.get_mut(&queue) else { return };
        let Some(known) = line.producers.get_mut(&producer) else { return };
        known.busy = false;
        match through {
            Some((sequence, at)) => {
                (known.through, known.at) = (known.through.max(Some(sequence)), at);
            }
            None if known.through.is_none() => {
                line.producers.remove(&producer);
            }
            None => {}
        }
    }

    fn removed(
        &mut self,
        queue: u32,
        messages: &[Handle],
        count: impl FnOnce(&mut super::statistics::Counters),
    ) {
        messages.iter().for_each(|handle| {
            self.remove(*handle);
        });
        if let Some(line) = self.lines.get_mut(&queue) {
            count(&mut line.counters);
            line.tidy(&self.slots);
        }
    }

    fn moved(&mut self, from: u32, to: u32, messages: &[Handle]) {
        if let Some(line) = self.lines.get_mut(&from) {
            line.counters.moved += messages.len() as u64;
        }
        for handle in messages {
            if self.lines.contains_key(&to) {
                self.transfer(*handle, to);
            } else {
                // Doesn't happen: no move to a queue is submitted behind its deletion.
                self.stay(*handle);
            }
        }
        for queue in [from, to] {
            if let Some(line) = self.lines.get_mut(&queue) {
                line.tidy(&self.slots);
                line.signal.wake();
            }
        }
    }

    fn copied(&mut self, messages: &[(Handle, u64, u32)], begin: u64) {
        for (handle, stood_at, offset) in messages {
            let Some(slot) = self.slots.of(*handle) else { continue };
            if slot.at == *stood_at {
                slot.at = begin + u64::from(*offset);
                let (at, bytes) = (slot.at, slot.bytes);
                self.segments.remove(*stood_at, bytes);
                self.segments.add(at, bytes);
            }
        }
    }
}

impl Note {
    /// Of a message that nobody has received yet.
    pub(super) fn unreceived(id: u128, visible_at_ms: i64) -> Self {
        Self {
            id,
            first_received_ms: 0,
            received_ms: 0,
            visible_at_ms,
            receipt: 0,
            receive_count: 0,
        }
    }
}
