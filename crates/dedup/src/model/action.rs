//! What may happen next.

use super::protocols::{Flaw, Protocol};
use super::state::{BATCH_MAX, Entry, Id, Late, Look, Message, Phase, Record, State, Written};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// A worker receives one or two messages and begins a batch with them.
    Receive {
        worker: u8,
        first: u8,
        second: Option<u8>,
    },
    /// A batch asks for one more message's key in a call of its own.
    ReceiveMore {
        worker: u8,
        message: u8,
    },
    /// `reserve`: opens the batch's record.
    OpenRecord(u8),
    /// `reserve`: looks at the key, and places it where it is free.
    LookAtKey {
        worker: u8,
        slot: u8,
    },
    /// `reserve`: looks at the holder's record; if that is open, its lease has run out or not.
    LookAtHolder {
        worker: u8,
        slot: u8,
        lease_over: bool,
    },
    /// `reserve`: takes over, first step.
    AbortHolder {
        worker: u8,
        slot: u8,
    },
    /// `reserve`: takes over, second step.
    TakeKey {
        worker: u8,
        slot: u8,
    },
    /// `reserve`: the holder is committed; looks whether the key still names it.
    LookAgain {
        worker: u8,
        slot: u8,
    },
    /// An event leaves its batch.
    Leave {
        worker: u8,
        slot: u8,
    },
    Release {
        worker: u8,
        slot: u8,
    },
    /// Stages the output and writes the batch into the ledger as `prepared`.
    Prepare(u8),
    Commit(u8),
    /// The ledger's `committed`.
    Record(u8),
    Publish {
        worker: u8,
        number: u8,
    },
    Acknowledge {
        worker: u8,
        number: u8,
    },
    /// Acknowledges what is in the worker's memory.
    AcknowledgeEarly(u8),
    Settle {
        key: u8,
    },
    /// A batch record goes.
    Sweep(Id),
    /// Takes what the worker has in memory; it may start again at once, or much later.
    Crash(u8),
    /// Resolves a batch that the ledger has as `prepared`.
    Recover {
        worker: u8,
        number: u8,
    },
    /// The window ends, as far as every source has come.
    Forget {
        key: u8,
    },
    /// A call gets no answer, but is under way; it is made again.
    Delay(Late),
    /// A call that was under way arrives.
    Arrive {
        late: u8,
    },
    LoseKey {
        key: u8,
    },
    LoseRecord(Id),
    /// The store fails over and forgets the last thing it was told: a commit.
    RollBack(Id),
}

impl Protocol {
    pub(super) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        for worker in 0..self.workers {
            self.of_worker(state, worker, actions);
            for number in 0..self.numbers {
                self.of_batch(state, Id { worker, number }, actions);
            }
        }
        for key in 0..self.keys() {
            self.of_key(state, key, actions);
        }
        for (at, late) in state.late.iter().enumerate() {
            if late.is_some() {
                actions.push(Action::Arrive { late: at as u8 });
            }
        }
    }

    fn of_worker(&self, state: &State, worker: u8, actions: &mut Vec<Action>) {
        let own = &state.workers[usize::from(worker)];
        if own.batch.is_some() || own.ledger.iter().flatten().any(|written| !written.acknowledged) {
            actions.push(Action::Crash(worker));
        }
        let Some(batch) = own.batch else {
            // A worker that has batches to resolve does that first.
            if !own.ledger.iter().flatten().any(|written| !written.committed) {
                self.receive(state, worker, actions);
            }
            return;
        };
        let id = Id { worker, number: batch.number };
        match batch.phase {
            Phase::Opening | Phase::Asking => self.reserve(state, id, actions),
            Phase::Prepared => {
                actions.push(Action::Commit(worker));
                self.delay(state, Late::Commit(id), actions);
            }
            Phase::Committed => actions.push(Action::Record(worker)),
        }
    }

    /// What can be received, as it may stand in a batch: each message alone, or two with different
    /// keys. (Two of one key in one batch are told apart in the worker's memory.)
    fn receive(&self, state: &State, worker: u8, actions: &mut Vec<Action>) {
        if self.free_number(state, worker).is_none() {
            return;
        }
        for first in 0..self.messages.len() as u8 {
            if !self.receivable(state, first) {
                continue;
            }
            actions.push(Action::Receive { worker, first, second: None });
            for second in first + 1..self.messages.len() as u8 {
                if self.batch_max > 1
                    && self.receivable(state, second)
                    && self.message(first).key != self.message(second).key
                {
                    actions.push(Action::Receive { worker, first, second: Some(second) });
                }
            }
        }
    }

    fn reserve(&self, state: &State, id: Id, actions: &mut Vec<Action>) {
        let worker = id.worker;
        let Some(batch) = state.workers[usize::from(worker)].batch else { return };
        let opening = batch.phase == Phase::Opening;
        let settled = |look| matches!(look, Look::Held | Look::Duplicate);
        let ready = batch.slots().all(|slot| settled(slot.look));
        if opening && (!self.has(Flaw::RecordOpenedAfterTheKeys) || ready) {
            actions.push(Action::OpenRecord(worker));
            self.delay(state, Late::Open(id), actions);
        }
        if opening && !self.has(Flaw::RecordOpenedAfterTheKeys) {
            return;
        }
        for (at, slot) in batch.slots.iter().enumerate() {
            let Some(slot) = slot else { continue };
            self.of_slot(state, id, at as u8, slot.look, actions);
        }
        if opening {
            return;
        }
        let unreleased =
            |look| self.has(Flaw::CommittedBeforeTheReleaseWasAnswered) && look == Look::Left;
        if batch.slots().all(|slot| settled(slot.look) || unreleased(slot.look)) {
            actions.push(Action::Prepare(worker));
            if self.has(Flaw::AcknowledgedBeforeTheCommit) {
                actions.push(Action::AcknowledgeEarly(worker));
            }
        }
        if self.has(Flaw::AskedInSeveralCalls) && batch.slots().count() < BATCH_MAX {
            for message in 0..self.messages.len() as u8 {
                let other = |slot: super::state::Slot| {
                    self.message(slot.message).key != self.message(message).key
                };
                if self.receivable(state, message) && batch.slots().all(other) {
                    actions.push(Action::ReceiveMore { worker, message });
                }
            }
        }
    }

    fn of_slot(&self, state: &State, id: Id, slot: u8, look: Look, actions: &mut Vec<Action>) {
        let worker = id.worker;
        let batch = state.workers[usize::from(worker)].batch;
        let Some(asked) = batch.and_then(|batch| batch.slots[usize::from(slot)]) else { return };
        let key = self.message(asked.message).key;
        match look {
            Look::Fresh => {
                actions.push(Action::LookAtKey { worker, slot });
                self.delay(state, Late::Place(id, key), actions);
            }
            Look::Saw(holder) => {
                actions.push(Action::LookAtHolder { worker, slot, lease_over: false });
                if state.record(holder) == Record::Open || self.has(Flaw::FencingAlone) {
                    actions.push(Action::LookAtHolder { worker, slot, lease_over: true });
                }
            }
            Look::Expired(_) => actions.push(Action::AbortHolder { worker, slot }),
            Look::Gone(_) => actions.push(Action::TakeKey { worker, slot }),
            Look::Kept(_) => actions.push(Action::LookAgain { worker, slot }),
            Look::Held => {
                let repeated = batch.is_some_and(|batch| batch.repeated);
                if self.leaves && (!repeated || self.has(Flaw::LeftAfterARepeatedCall)) {
                    actions.push(Action::Leave { worker, slot });
                }
            }
            Look::Left => {
                actions.push(Action::Release { worker, slot });
                self.delay(state, Late::Release(id, key), actions);
            }
            Look::Duplicate => {}
        }
    }

    fn of_batch(&self, state: &State, id: Id, actions: &mut Vec<Action>) {
        let Id { worker, number } = id;
        let own = &state.workers[usize::from(worker)];
        let living = own.batch.is_some_and(|batch| batch.number == number);
        if let Some(written) = state.written(id) {
            let Written { committed, published, acknowledged, .. } = written;
            if committed && !published {
                actions.push(Action::Publish { worker, number });
            }
            if committed && !acknowledged {
                actions.push(Action::Acknowledge { worker, number });
            }
            if !committed && !living {
                actions.push(Action::Recover { worker, number });
            }
        }
        let goes = match state.record(id) {
            Record::Absent => false,
            // Until its keys are told, and its owner's ledger has it.
            Record::Committed => {
                let named = state.named(id) && !self.has(Flaw::RecordDroppedWhileAKeyNamesIt);
                !named && !living && state.written(id).is_none_or(|written| written.committed)
            }
            // Not while a call of its own may be under way: it could open it again.
            Record::Open | Record::Aborted => {
                let early = self.has(Flaw::RecordForgottenWhileACallIsUnderWay);
                early || !state.under_way(id) && (self.sweeps_living || !living)
            }
        };
        if goes {
            actions.push(Action::Sweep(id));
        }
        if state.losses > 0 && state.record(id) != Record::Absent {
            actions.push(Action::LoseRecord(id));
            if state.record(id) == Record::Committed {
                actions.push(Action::RollBack(id));
            }
        }
    }

    fn of_key(&self, state: &State, key: u8, actions: &mut Vec<Action>) {
        let entry = state.keys[usize::from(key)];
        if let Entry::Held(id) = entry
            && self.settles(state, id)
        {
            actions.push(Action::Settle { key });
            self.delay(state, Late::Settle(id, key), actions);
        }
        if self.window_ended(state, key) {
            actions.push(Action::Forget { key });
        }
        if state.losses > 0 && entry != Entry::Free {
            actions.push(Action::LoseKey { key });
        }
    }

    /// Whether the batch's keys may be told that they are committed.
    fn settles(&self, state: &State, id: Id) -> bool {
        let recorded = state.written(id).is_none_or(|written| written.committed);
        state.record(id) == Record::Committed && recorded
    }

    /// Whether a key may be forgotten: it is committed, and no event of its era is to come.
    fn window_ended(&self, state: &State, key: u8) -> bool {
        let era = state.eras[usize::from(key)];
        let later = |message: &Message| message.key == key && message.era > era;
        if !self.messages.iter().any(later) {
            return false;
        }
        let committed = match state.keys[usize::from(key)] {
            Entry::Free => false,
            Entry::Told => true,
            Entry::Held(id) => state.record(id) == Record::Committed,
        };
        let of_era = |message: u8| self.message(message) == Message { key, era };
        let mut all = 0..self.messages.len() as u8;
        let mut batches = state.workers.iter().filter_map(|worker| worker.batch.as_ref());
        committed
            && all.all(|message| !of_era(message) || state.acknowledged & (1 << message) != 0)
            && !batches.any(|batch| batch.slots().any(|slot| of_era(slot.message)))
    }

    /// A call may get no answer as long as the bounds allow it.
    fn delay(&self, state: &State, late: Late, actions: &mut Vec<Action>) {
        if state.delays > 0 && state.late.contains(&None) {
            actions.push(Action::Delay(late));
        }
    }

    pub(super) fn receivable(&self, state: &State, message: u8) -> bool {
        let Message { key, era } = self.message(message);
        state.acknowledged & (1 << message) == 0 && state.eras[usize::from(key)] == era
    }

    pub(super) fn free_number(&self, state: &State, worker: u8) -> Option<u8> {
        (0..self.numbers).find(|&number| state.unused(Id { worker, number }))
    }
}

impl Action {
    /// Whether it is something that must never be needed to get on.
    pub(super) fn is_a_fault(self) -> bool {
        matches!(
            self,
            Self::Crash(_)
                | Self::Delay(_)
                | Self::LoseKey { .. }
                | Self::LoseRecord(_)
                | Self::RollBack(_)
                | Self::Leave { .. }
        )
    }
}
