//! Deleting, hiding longer, and the end of the retention.

use std::sync::Arc;

use super::core::Core;
use super::effect::Effect;
use super::message::Receipt;
use super::queue::Queue;
use super::receipt_problem::ReceiptProblem;
use super::record::RecordWriter;
use super::shared::Shared;
use super::slots::{Handle, State};
use crate::durable::Durable;
use crate::error::BrokerError;

/// Longest a message may be hidden after its receive; SQS' own limit.
pub(super) const HIDDEN_MS_MAX: i64 = 43_200_000;

type Answers = Vec<Result<(), ReceiptProblem>>;

impl Queue {
    /// Deletes messages; durable once answered. An answer for each receipt.
    pub fn delete(&self, receipts: &[Receipt]) -> Durable<Vec<Result<(), ReceiptProblem>>> {
        match self.try_delete(receipts) {
            Ok(durable) => durable,
            Err(error) => Durable::now(Err(error)),
        }
    }

    fn try_delete(&self, receipts: &[Receipt]) -> Result<Durable<Answers>, BrokerError> {
        let mut core = self.shared.core_with_room()?;
        self.line(&mut core)?;
        let mut messages: Vec<Handle> = Vec::with_capacity(receipts.len());
        let mut ids = Vec::with_capacity(receipts.len());
        let answers = receipts.iter().map(|receipt| {
            let handle = self.of_receipt(&core, receipt)?;
            if !messages.contains(&handle) {
                core.begin_leaving(handle);
                messages.push(handle);
                ids.push(receipt.message.0);
            }
            Ok(())
        });
        let answers = answers.collect();
        if ids.is_empty() {
            return Ok(Durable::now(Ok(answers)));
        }
        let mut record = RecordWriter::with_room(64 + 16 * ids.len());
        record.deleted(self.number, &ids);
        let count = ids.len() as u64;
        let effect = Effect::Deleted { queue: self.number, messages, count };
        let pending = self.shared.submit(&mut core, record, effect, None)?;
        Ok(Durable::after(pending, answers))
    }

    /// The message of a receipt that holds. It holds while no later receive is known: also after
    /// the message became visible again, and where a crash took the note of the receive.
    fn of_receipt(&self, core: &Core, receipt: &Receipt) -> Result<Handle, ReceiptProblem> {
        if receipt.queue != self.creation_id {
            return Err(ReceiptProblem::OtherQueue);
        }
        let index = core.slots.find(receipt.message.0).ok_or(ReceiptProblem::Gone)?;
        let slot = core.slots.get(index).ok_or(ReceiptProblem::Gone)?;
        if slot.queue != self.number {
            return Err(ReceiptProblem::Gone);
        }
        let latest = receipt.number == slot.receipt;
        let note_lost = receipt.number > slot.receipt && core.is_of_earlier_process(receipt.number);
        if !latest && !note_lost {
            return Err(ReceiptProblem::Stale);
        }
        Ok(Handle { index, generation: slot.generation })
    }

    /// Hides messages until `ms` from now (0 shows them at once); at most 12 h after their receive.
    /// An answer for each receipt.
    ///
    /// # Errors
    /// [`BrokerError`]; nothing was changed.
    pub fn change_visibility(
        &self,
        changes: &[(Receipt, i64)],
    ) -> Result<Vec<Result<(), ReceiptProblem>>, BrokerError> {
        if let Some((_, ms)) = changes.iter().find(|(_, ms)| !(0..=HIDDEN_MS_MAX).contains(ms)) {
            let what = format!("VisibilityTimeout is {ms} ms, it may be 0 to {HIDDEN_MS_MAX}");
            return Err(BrokerError::Invalid { what });
        }
        let now_ms = self.shared.now_ms();
        let mut core = self.shared.core();
        self.line(&mut core)?;
        core.advance(self.number, now_ms);
        Ok(changes
            .iter()
            .map(|(receipt, ms)| self.hide_until(&mut core, receipt, now_ms, now_ms + ms))
            .collect())
    }

    fn hide_until(
        &self,
        core: &mut Core,
        receipt: &Receipt,
        now_ms: i64,
        until_ms: i64,
    ) -> Result<(), ReceiptProblem> {
        let handle = self.of_receipt(core, receipt)?;
        let Core { lines, slots, .. } = &mut *core;
        let slot = slots.of(handle).ok_or(ReceiptProblem::Gone)?;
        if slot.state == State::Leaving {
            return Err(ReceiptProblem::Gone);
        }
        if receipt.number > slot.receipt {
            // A crash took the note of this receive, so it is noted now.
            slot.receipt = receipt.number;
            slot.receive_count = slot.receive_count.saturating_add(1);
            slot.received_ms = now_ms;
            if slot.first_received_ms == 0 {
                slot.first_received_ms = now_ms;
            }
        } else if !matches!(slot.state, State::InFlight | State::InFlightLocal) {
            return Err(ReceiptProblem::NotInFlight);
        }
        if until_ms > slot.received_ms.saturating_add(HIDDEN_MS_MAX) {
            return Err(ReceiptProblem::HiddenTooLong);
        }
        slot.visible_at_ms = until_ms;
        let local = slot.state == State::InFlightLocal;
        let state = match (until_ms <= now_ms, local) {
            (true, _) => State::Visible,
            (false, true) => State::InFlightLocal,
            (false, false) => State::InFlight,
        };
        if let Some(line) = lines.get_mut(&self.number) {
            line.change(slot, handle.index, state);
            line.tidy(slots);
            line.signal.wake();
        }
        if !local {
            core.note(handle);
        }
        Ok(())
    }
}

impl Shared {
    /// Sends what the retention of a queue ends on its way out, `at_most` messages.
    pub(super) fn expire(
        self: &Arc<Self>,
        core: &mut Core,
        queue: u32,
        now_ms: i64,
        at_most: usize,
    ) -> Result<Option<journal::PendingAppend>, BrokerError> {
        let Core { lines, slots, .. } = &mut *core;
        let Some(line) = lines.get_mut(&queue) else { return Ok(None) };
        if line.purging > 0 || line.deleting > 0 || !line.defined {
            return Ok(None);
        }
        let ends_ms = now_ms.saturating_sub(line.attributes.retention_ms());
        let (mut messages, mut passed) = (Vec::new(), Vec::new());
        while let Some((sent_ms, handle)) = line.oldest(slots) {
            if sent_ms > ends_ms || messages.len() == at_most {
                break;
            }
            let leaving = slots.of(handle).is_some_and(|slot| slot.state == State::Leaving);
            if !leaving {
                messages.push(handle);
            }
            passed.push(handle);
            line.pass_oldest();
        }
        // They keep their place until they are gone: the record may fail.
        for handle in passed {
            if let Some(slot) = slots.of(handle) {
                line.list_age(slot, handle);
            }
        }
        if messages.is_empty() {
            return Ok(None);
        }
        let mut ids = Vec::with_capacity(messages.len());
        for handle in &messages {
            ids.extend(core.slots.of(*handle).map(|slot| slot.id));
            core.begin_leaving(*handle);
        }
        let mut record = RecordWriter::with_room(64 + 16 * ids.len());
        record.expired(queue, &ids);
        self.submit(core, record, Effect::Expired { queue, messages }, None).map(Some)
    }
}
