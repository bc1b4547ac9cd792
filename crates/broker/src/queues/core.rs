//! All queues in memory. Everything here happens under one lock, and in the order of the journal.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::line::Line;
use super::record::{Note, Place};
use super::segments::Segments;
use super::slots::{Handle, Slot, Slots, State};
use crate::error::BrokerError;

/// Names that an error lists at most.
const NAMES_LISTED_MAX: usize = 20;

/// Bits of a receipt's number that count the receives since the last start; those above are the
/// number of the start.
const RECEIPT_BITS: u32 = 40;

/// The state of all queues.
#[derive(Default)]
pub(super) struct Core {
    pub(super) slots: Slots,
    /// By number.
    pub(super) lines: HashMap<u32, Line>,
    /// The numbers of those that exist, are being made, or are being deleted.
    pub(super) names: BTreeMap<String, u32>,
    pub(super) next_queue: u32,
    /// Names of queues that messages were moved from; a slot's `source` is an index plus 1.
    sources: Vec<Arc<str>>,
    pub(super) segments: Segments,
    /// How often the queues were opened, and the record that says so.
    pub(super) epoch: u64,
    pub(super) epoch_at: u64,
    receipts: u64,
    /// Receives that no record has told of yet.
    pub(super) to_note: Vec<Handle>,
    /// Why nothing goes any more.
    pub(super) stopped: Option<String>,
    /// Bytes that are on the way to the disk.
    pub(super) queued_bytes: u64,
    /// The last mark.
    pub(super) marked_at: u64,
    /// Housekeeping is to end.
    pub(super) closing: bool,
}

/// A message that comes in.
pub(super) struct Arrival {
    pub(super) queue: u32,
    pub(super) sent_ms: i64,
    pub(super) source: u32,
    pub(super) note: Note,
    pub(super) at: u64,
    pub(super) place: Place,
}

impl Core {
    /// Refuses once storage failed, or after the end.
    pub(super) fn check(&self) -> Result<(), BrokerError> {
        match &self.stopped {
            Some(cause) => Err(BrokerError::Stopped { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn stop(&mut self, cause: &str) {
        self.stopped.get_or_insert_with(|| cause.to_string());
        self.lines.values().for_each(|line| line.signal.wake());
    }

    /// A queue that exists and isn't being deleted.
    pub(super) fn line(&mut self, number: u32) -> Option<&mut Line> {
        self.lines.get_mut(&number).filter(|line| line.defined && line.deleting == 0)
    }

    /// The number of the queue of that name, if it exists.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        let number = *self.names.get(name)?;
        let line = self.lines.get(&number)?;
        (line.defined && line.deleting == 0).then_some(number)
    }

    /// Shows the messages of a queue whose time has come.
    pub(super) fn advance(&mut self, queue: u32, now_ms: i64) {
        if let Some(line) = self.lines.get_mut(&queue) {
            line.advance(&mut self.slots, now_ms);
        }
    }

    pub(super) fn no_such_queue(&self, name: &str) -> BrokerError {
        let exist = self.names.keys().filter(|name| self.number(name).is_some());
        let existing = exist.take(NAMES_LISTED_MAX).cloned().collect();
        BrokerError::NoSuchQueue { name: name.into(), existing }
    }

    pub(super) fn receipt(&mut self) -> u64 {
        self.receipts += 1;
        (self.epoch << RECEIPT_BITS) + self.receipts
    }

    /// Whether a receipt was given out by an earlier process, whose last notes may be lost.
    pub(super) fn is_of_earlier_process(&self, receipt: u64) -> bool {
        receipt >> RECEIPT_BITS < self.epoch
    }

    /// The index under which a source's name is kept.
    pub(super) fn source(&mut self, name: &str) -> u32 {
        let known = self.sources.iter().position(|source| **source == *name);
        let index = known.unwrap_or_else(|| {
            self.sources.push(Arc::from(name));
            self.sources.len() - 1
        });
        index as u32 + 1
    }

    pub(super) fn source_name(&self, source: u32) -> Option<&Arc<str>> {
        self.sources.get((source as usize).checked_sub(1)?)
    }

    /// Takes a message in. Its queue must be there.
    pub(super) fn arrive(&mut self, arrival: &Arrival, state: State) {
        let Some(line) = self.lines.get_mut(&arrival.queue) else { return };
        let note = &arrival.note;
        let slot = Slot {
            id: note.id,
            at: arrival.at,
            sent_ms: arrival.sent_ms,
            first_received_ms: note.first_received_ms,
            received_ms: note.received_ms,
            receipt: note.receipt,
            visible_at_ms: note.visible_at_ms,
            bytes: arrival.place.bytes,
            body_bytes: arrival.place.body_bytes,
            queue: arrival.queue,
            source: arrival.source,
            receive_count: note.receive_count,
            state,
            ..Slot::vacant()
        };
        if let Some(handle) = self.slots.insert(slot)
            && let Some(slot) = self.slots.get(handle.index)
        {
            self.segments.add(arrival.at, arrival.place.bytes);
            line.enter(slot, handle);
        }
    }

    /// Lets a message go for good; whether it was still there.
    pub(super) fn remove(&mut self, handle: Handle) -> bool {
        let Some(slot) = self.slots.of(handle) else { return false };
        let (at, bytes, queue) = (slot.at, slot.bytes, slot.queue);
        if let Some(line) = self.lines.get_mut(&queue) {
            line.leave(slot);
        }
        self.segments.remove(at, bytes);
        self.slots.remove(handle.index);
        true
    }

    /// Removes all messages of a queue.
    pub(super) fn clear(&mut self, queue: u32) {
        let Some(line) = self.lines.get(&queue) else { return };
        for handle in line.members(&self.slots) {
            self.remove(handle);
        }
    }

    /// Moves a message to another queue, which must be there. Its receives count anew there: the
    /// dead-letter queue may have a redrive of its own. It keeps its time of sending.
    pub(super) fn transfer(&mut self, handle: Handle, to: u32) {
        let Some(slot) = self.slots.of(handle) else { return };
        let from = slot.queue;
        let name = self.lines.get(&from).map(|line| Arc::clone(&line.name));
        let source = name.map_or(0, |name| self.source(&name));
        let Some(slot) = self.slots.of(handle) else { return };
        if let Some(line) = self.lines.get_mut(&from) {
            line.leave(slot);
        }
        slot.queue = to;
        slot.source = source;
        slot.generation = slot.generation.wrapping_add(1);
        slot.stamp = slot.stamp.wrapping_add(1);
        slot.state = State::Visible;
        slot.leaving = 0;
        slot.to_be_noted = false;
        (slot.receive_count, slot.first_received_ms, slot.received_ms) = (0, 0, 0);
        slot.visible_at_ms = 0;
        let handle = Handle { generation: slot.generation, ..handle };
        if let Some(line) = self.lines.get_mut(&to) {
            line.enter(slot, handle);
        }
    }

    /// Hides a message, because its removal is on the way to the disk.
    pub(super) fn begin_leaving(&mut self, handle: Handle) {
        let Some(slot) = self.slots.of(handle) else { return };
        slot.leaving = slot.leaving.saturating_add(1);
        if let (true, Some(line)) = (slot.state != State::Leaving, self.lines.get_mut(&slot.queue))
        {
            line.change(slot, handle.index, State::Leaving);
        }
    }

    /// Takes [`Core::begin_leaving`] back.
    pub(super) fn stay(&mut self, handle: Handle) {
        let Some(slot) = self.slots.of(handle) else { return };
        slot.leaving = slot.leaving.saturating_sub(1);
        if slot.leaving > 0 {
            return;
        }
        if let Some(line) = self.lines.get_mut(&slot.queue) {
            // Whose time has come is shown by the next `advance`.
            let state = if slot.receipt == 0 { State::Delayed } else { State::InFlight };
            line.change(slot, handle.index, state);
            line.signal.wake();
            if state == State::InFlight {
                self.note(handle);
            }
        }
    }

    /// The next record is to tell of this receive.
    pub(super) fn note(&mut self, handle: Handle) {
        if let Some(slot) = self.slots.of(handle)
            && !slot.to_be_noted
        {
            slot.to_be_noted = true;
            self.to_note.push(handle);
        }
    }

    /// What the next record tells of receives. Those whose message is leaving are left out.
    pub(super) fn take_notes(&mut self) -> (Vec<Note>, Vec<Handle>) {
        let mut notes = Vec::new();
        let mut handles = std::mem::take(&mut self.to_note);
        handles.retain(|handle| {
            let Some(slot) = self.slots.of(*handle) else { return false };
            slot.to_be_noted = false;
            let told = slot.state != State::Leaving;
            if told {
                notes.push(slot.note());
            }
            told
        });
        (notes, handles)
    }
}

impl Slot {
    /// What is known of its receives.
    pub(super) fn note(&self) -> Note {
        // Receives of this process end with it.
        let local = self.state == State::InFlightLocal;
        Note {
            id: self.id,
            first_received_ms: self.first_received_ms,
            received_ms: self.received_ms,
            visible_at_ms: if local { 0 } else { self.visible_at_ms },
            receipt: self.receipt,
            receive_count: self.receive_count,
        }
    }
}
