//! Receiving, with redrive and expiry on the way.

use std::sync::Arc;

use super::bodies::{self, Extent, Unread};
use super::core::Core;
use super::effect::Effect;
use super::message::{Message, MessageId, Receipt, Receive};
use super::queue::Queue;
use super::record::{RecordWriter, content};
use super::removal::HIDDEN_MS_MAX;
use super::slots::{Handle, Slot, State};
use crate::error::BrokerError;

/// Messages of a queue at most that are received and not deleted; SQS' own limit.
const IN_FLIGHT_MAX: u64 = 120_000;
/// Messages that one receive moves or lets expire at most: it shall not take long.
const PASSED_MAX: usize = 4096;
/// How often contents are looked for again that were moved by the cleaner meanwhile.
const TRIES: usize = 8;

/// A message that was taken, whose content is still to be read.
struct Taken {
    handle: Handle,
    slot: Slot,
    source: Option<Arc<str>>,
    /// As it was before.
    first_received_ms: i64,
    received_ms: i64,
    receipt: u64,
}

impl Queue {
    /// Takes messages that are visible now, roughly in order of sending; empty when there are none.
    ///
    /// # Errors
    /// [`BrokerError`]; no message is hidden then. `OverLimit` with 120,000 in flight.
    pub fn receive(&self, receive: Receive) -> Result<Vec<Message>, BrokerError> {
        if let Some(ms) = receive.visibility_ms.filter(|ms| !(0..=HIDDEN_MS_MAX).contains(ms)) {
            let what = format!("VisibilityTimeout is {ms} ms, it may be 0 to {HIDDEN_MS_MAX}");
            return Err(BrokerError::Invalid { what });
        }
        let mut taken = self.take(receive)?;
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        match self.read(&mut taken) {
            Ok(messages) => Ok(messages),
            Err(error) => {
                self.give_back(&taken);
                Err(error)
            }
        }
    }

    fn take(&self, receive: Receive) -> Result<Vec<Taken>, BrokerError> {
        let now_ms = self.shared.now_ms();
        let mut core = self.shared.core();
        self.line(&mut core)?;
        self.shared.expire(&mut core, self.number, now_ms, PASSED_MAX)?;
        core.advance(self.number, now_ms);
        let line = self.line(&mut core)?;
        let mut messages_max = receive.messages_max;
        if receive.remembered {
            let room = IN_FLIGHT_MAX.saturating_sub(line.count(State::InFlight));
            if room == 0 {
                let what = format!("queue `{}` has {IN_FLIGHT_MAX} messages in flight", self.name);
                return Err(BrokerError::OverLimit { what });
            }
            messages_max = messages_max.min(usize::try_from(room).unwrap_or(usize::MAX));
        }
        let retention_ms = line.attributes.retention_ms();
        let timeout_ms = i64::from(line.attributes.visibility_timeout_s) * 1000;
        let visibility_ms = receive.visibility_ms.unwrap_or(timeout_ms);
        let redrive = line.attributes.redrive.clone().and_then(|redrive| {
            Some((core.number(&redrive.dead_letter_queue)?, redrive.receive_count_max))
        });
        let (mut taken, mut dead, mut bytes) = (Vec::new(), Vec::new(), 0);
        while taken.len() < messages_max && dead.len() < PASSED_MAX {
            let Core { lines, slots, .. } = &mut *core;
            let Some(line) = lines.get_mut(&self.number) else { break };
            let Some(index) = line.first_visible(slots) else { break };
            let Some(slot) = slots.get(index) else { break };
            if slot.sent_ms.saturating_add(retention_ms) <= now_ms {
                break; // The next receive, or the housekeeping, goes on with these.
            }
            let handle = Handle { index, generation: slot.generation };
            if redrive.is_some_and(|(_, count_max)| slot.receive_count >= count_max) {
                dead.push((handle, slot.id));
                core.begin_leaving(handle);
                continue;
            }
            bytes += slot.body_bytes as usize;
            if !taken.is_empty() && bytes > receive.bytes_max {
                break;
            }
            taken.extend(hide(&mut core, handle, now_ms, visibility_ms, receive.remembered));
        }
        if let Some((to, _)) = redrive
            && let Err(error) = self.move_dead(&mut core, to, &dead)
        {
            drop(core);
            self.give_back(&taken);
            return Err(error);
        }
        Ok(taken)
    }

    fn move_dead(
        &self,
        core: &mut Core,
        to: u32,
        dead: &[(Handle, u128)],
    ) -> Result<(), BrokerError> {
        if dead.is_empty() {
            return Ok(());
        }
        let (messages, ids): (Vec<_>, Vec<_>) = dead.iter().copied().unzip();
        let mut record = RecordWriter::default();
        record.moved(self.number, to, &ids);
        let effect = Effect::Moved { from: self.number, to, messages };
        // Nobody waits for it: until it is durable the messages are in neither queue.
        drop(self.shared.submit(core, record, effect, None)?);
        Ok(())
    }

    fn read(&self, taken: &mut [Taken]) -> Result<Vec<Message>, BrokerError> {
        for attempt in 1.. {
            let extents: Vec<_> = taken
                .iter()
                .map(|taken| Extent { at: taken.slot.at, bytes: taken.slot.bytes })
                .collect();
            match bodies::read(&self.shared.journal, &self.shared.recent, &extents) {
                Ok(contents) => {
                    let mut messages = Vec::with_capacity(taken.len());
                    for (taken, bytes) in taken.iter().zip(contents) {
                        let content = content::decode(&bytes)
                            .ok_or_else(|| bodies::damaged(&self.shared.dir, taken.slot.at))?;
                        messages.push(self.message(taken, content));
                    }
                    return Ok(messages);
                }
                Err(Unread::Failed(error)) => return Err(error),
                Err(Unread::Moved) if attempt == TRIES => break,
                Err(Unread::Moved) => {
                    let mut core = self.shared.core();
                    for taken in taken.iter_mut() {
                        if let Some(slot) = core.slots.of(taken.handle) {
                            taken.slot.at = slot.at;
                        }
                    }
                }
            }
        }
        let at = taken.first().map_or(0, |taken| taken.slot.at);
        Err(bodies::damaged(&self.shared.dir, at))
    }

    fn message(&self, taken: &Taken, content: content::Content) -> Message {
        let slot = &taken.slot;
        let id = MessageId(slot.id);
        Message {
            id,
            receipt: Receipt { queue: self.creation_id, message: id, number: slot.receipt },
            body: content.body,
            attributes: content.attributes,
            group: content.group,
            trace: content.trace,
            sent_ms: slot.sent_ms,
            first_received_ms: slot.first_received_ms,
            receive_count: slot.receive_count,
            dead_letter_source: taken.source.as_ref().map(ToString::to_string),
        }
    }

    /// As if they had not been received.
    fn give_back(&self, taken: &[Taken]) {
        let mut core = self.shared.core();
        let Core { lines, slots, .. } = &mut *core;
        for taken in taken {
            let Some(slot) = slots.of(taken.handle) else { continue };
            let hidden = matches!(slot.state, State::InFlight | State::InFlightLocal);
            if slot.receipt != taken.slot.receipt || !hidden {
                continue;
            }
            slot.receive_count -= 1;
            slot.receipt = taken.receipt;
            slot.first_received_ms = taken.first_received_ms;
            slot.received_ms = taken.received_ms;
            if let Some(line) = lines.get_mut(&slot.queue) {
                line.change(slot, taken.handle.index, State::Visible);
                line.signal.wake();
            }
        }
    }
}

/// Hides a message for its receiver.
fn hide(
    core: &mut Core,
    handle: Handle,
    now_ms: i64,
    visibility_ms: i64,
    remembered: bool,
) -> Option<Taken> {
    let receipt = core.receipt();
    let slot = core.slots.of(handle)?;
    let before = (slot.first_received_ms, slot.received_ms, slot.receipt);
    if slot.receive_count == 0 {
        slot.first_received_ms = now_ms;
    }
    slot.receive_count = slot.receive_count.saturating_add(1);
    (slot.received_ms, slot.receipt) = (now_ms, receipt);
    slot.visible_at_ms = now_ms.saturating_add(visibility_ms.max(0));
    let state = if remembered { State::InFlight } else { State::InFlightLocal };
    if let Some(line) = core.lines.get_mut(&slot.queue) {
        line.change(slot, handle.index, state);
    }
    let slot = slot.clone();
    let source = core.source_name(slot.source).cloned();
    if remembered {
        core.note(handle);
    }
    let (first_received_ms, received_ms, receipt) = before;
    Some(Taken { handle, slot, source, first_received_ms, received_ms, receipt })
}
