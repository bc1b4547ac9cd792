//! What each step does. A step is atomic: one call to one item of the store, or one record.

use super::action::Action;
use super::protocols::{Flaw, Protocol};
use super::state::{Batch, Entry, Id, Late, Look, Phase, Record, Slot, State, Written};

impl Protocol {
    pub(super) fn step(&self, state: &mut State, action: Action) {
        match action {
            Action::Receive { worker, first, second } => {
                self.begin(state, worker, [Some(first), second]);
            }
            Action::ReceiveMore { worker, message } => {
                let Some(batch) = &mut state.workers[usize::from(worker)].batch else { return };
                if let Some(free) = batch.slots.iter_mut().find(|slot| slot.is_none()) {
                    *free = Some(Slot { message, look: Look::Fresh });
                    batch.phase = Phase::Opening;
                }
            }
            Action::OpenRecord(worker) => open_record(state, worker),
            Action::LookAtKey { worker, slot }
            | Action::LookAtHolder { worker, slot, .. }
            | Action::AbortHolder { worker, slot }
            | Action::TakeKey { worker, slot }
            | Action::LookAgain { worker, slot }
            | Action::Leave { worker, slot }
            | Action::Release { worker, slot } => self.step_slot(state, worker, slot, action),
            Action::Prepare(worker) => self.prepare(state, worker),
            Action::Commit(worker) => self.commit(state, worker),
            Action::Record(worker) => self.record(state, worker),
            Action::Publish { worker, number } => self.publish(state, Id { worker, number }),
            Action::Acknowledge { worker, number } => acknowledge(state, Id { worker, number }),
            Action::AcknowledgeEarly(worker) => {
                let Some(batch) = state.workers[usize::from(worker)].batch else { return };
                let messages = batch.slots().fold(0, |bits, slot| bits | 1 << slot.message);
                state.acknowledged |= messages;
            }
            Action::Settle { key } => state.keys[usize::from(key)] = Entry::Told,
            Action::Sweep(id) => *state.record_mut(id) = Record::Absent,
            Action::Crash(worker) => crash(state, worker),
            Action::Recover { worker, number } => self.recover(state, Id { worker, number }),
            Action::Forget { key } => {
                state.keys[usize::from(key)] = Entry::Free;
                state.eras[usize::from(key)] += 1;
            }
            Action::Delay(late) => delay(state, late),
            Action::Arrive { late } => {
                if let Some(late) = state.late[usize::from(late)].take() {
                    self.arrive(state, late);
                }
                state.late.sort_unstable();
            }
            Action::LoseKey { key } => self.lose_key(state, key),
            Action::LoseRecord(id) => self.lose_record(state, id, Record::Absent),
            Action::RollBack(id) => self.lose_record(state, id, Record::Open),
        }
        self.forget_aborted(state);
    }

    /// An aborted record that its owner doesn't know (any more) means what no record means.
    fn forget_aborted(&self, state: &mut State) {
        for id in self.ids() {
            let own = state.workers[usize::from(id.worker)].batch;
            let known = own.is_some_and(|batch| batch.number == id.number);
            if state.record(id) == Record::Aborted
                && !known
                && state.written(id).is_none()
                && !state.under_way(id)
            {
                *state.record_mut(id) = Record::Absent;
            }
        }
    }

    fn begin(&self, state: &mut State, worker: u8, messages: [Option<u8>; 2]) {
        let Some(number) = self.free_number(state, worker) else { return };
        state.aborted &= !State::aborted_bit(Id { worker, number });
        let recordless = self.has(Flaw::SetThenDeliver) || self.has(Flaw::FencingAlone);
        let phase = if recordless { Phase::Asking } else { Phase::Opening };
        let fresh = |message| Slot { message, look: Look::Fresh };
        let slots = messages.map(|message| message.map(fresh));
        state.workers[usize::from(worker)].batch =
            Some(Batch { number, phase, repeated: false, slots });
        if phase == Phase::Opening && !self.fine_steps() {
            open_record(state, worker);
        }
    }

    fn step_slot(&self, state: &mut State, worker: u8, slot: u8, action: Action) {
        let Some(batch) = state.workers[usize::from(worker)].batch else { return };
        let Some(asked) = batch.slots[usize::from(slot)] else { return };
        let id = Id { worker, number: batch.number };
        let key = usize::from(self.message(asked.message).key);
        let look = match (action, asked.look) {
            (Action::LookAtKey { .. }, _) => Some(self.look_at_key(state, id, key)),
            (Action::LookAtHolder { lease_over, .. }, Look::Saw(holder)) => {
                self.look_at_holder(state, holder, lease_over)
            }
            (Action::AbortHolder { .. }, Look::Expired(holder)) => {
                Some(match abort(state, holder) {
                    Record::Committed => Look::Kept(holder),
                    _ => Look::Gone(holder),
                })
            }
            (Action::TakeKey { .. }, Look::Gone(holder)) => {
                let named = state.keys[key] == Entry::Held(holder);
                Some(if named || self.has(Flaw::TakenWithoutNamingTheHolder) {
                    state.keys[key] = Entry::Held(id);
                    Look::Held
                } else {
                    Look::Fresh
                })
            }
            (Action::LookAgain { .. }, Look::Kept(holder)) => {
                let kept = [Entry::Held(holder), Entry::Told].contains(&state.keys[key]);
                Some(if kept { Look::Duplicate } else { Look::Fresh })
            }
            (Action::Leave { .. }, _) if self.fine_steps() => Some(Look::Left),
            // Released, and out of the batch.
            _ => {
                if state.keys[key] == Entry::Held(id) {
                    state.keys[key] = Entry::Free;
                }
                None
            }
        };
        if look == Some(Look::Duplicate) {
            state.shadowed |= state.decided & self.message(asked.message).bit() == 0;
        }
        let Some(batch) = &mut state.workers[usize::from(worker)].batch else { return };
        batch.slots[usize::from(slot)] = look.map(|look| Slot { look, ..asked });
        if batch.slots().next().is_none() {
            state.workers[usize::from(worker)].batch = None;
        }
    }

    fn look_at_key(&self, state: &mut State, id: Id, key: usize) -> Look {
        match state.keys[key] {
            Entry::Free => {
                let told = self.has(Flaw::SetThenDeliver);
                state.keys[key] = if told { Entry::Told } else { Entry::Held(id) };
                Look::Held
            }
            Entry::Held(holder) if holder == id => Look::Held,
            Entry::Held(holder) => Look::Saw(holder),
            Entry::Told => Look::Duplicate,
        }
    }

    /// `None` for a key that is busy: its event goes back.
    fn look_at_holder(&self, state: &State, holder: Id, lease_over: bool) -> Option<Look> {
        if self.has(Flaw::FencingAlone) {
            return lease_over.then_some(Look::Gone(holder));
        }
        match state.record(holder) {
            Record::Open if lease_over => {
                let unresolved = self.has(Flaw::TakenWithoutResolvingTheBatch);
                Some(if unresolved { Look::Gone(holder) } else { Look::Expired(holder) })
            }
            Record::Open => None,
            Record::Committed if self.has(Flaw::DuplicateByAnOldLook) => Some(Look::Duplicate),
            Record::Committed => Some(Look::Kept(holder)),
            Record::Aborted | Record::Absent => Some(Look::Gone(holder)),
        }
    }

    fn prepare(&self, state: &mut State, worker: u8) {
        let Some(batch) = &mut state.workers[usize::from(worker)].batch else { return };
        let bits = |wanted: Look| {
            let wanted = batch.slots().filter(|slot| slot.look == wanted);
            wanted.fold(0, |bits, slot| bits | 1 << slot.message)
        };
        let mut written = Written {
            held: bits(Look::Held),
            duplicates: bits(Look::Duplicate),
            committed: false,
            published: false,
            acknowledged: false,
        };
        batch.phase = Phase::Prepared;
        let id = Id { worker, number: batch.number };
        // A batch that holds no key has nothing to commit in the store.
        let duplicates_only = written.held == 0;
        if duplicates_only {
            abort(state, id);
            written.published = true;
        }
        if duplicates_only || self.has(Flaw::SetThenDeliver) {
            written.committed = true;
            state.workers[usize::from(worker)].batch = None;
        }
        *state.written_mut(id) = Some(written);
        if self.has(Flaw::SettledBeforeTheCommit) {
            tell(state, id);
        }
    }

    fn commit(&self, state: &mut State, worker: u8) {
        let Some(batch) = state.workers[usize::from(worker)].batch else { return };
        let id = Id { worker, number: batch.number };
        let after = if self.has(Flaw::FencingAlone) {
            Record::Committed
        } else {
            self.commit_record(state, id)
        };
        if after == Record::Committed {
            let phase = Phase::Committed;
            state.workers[usize::from(worker)].batch = Some(Batch { phase, ..batch });
        } else {
            // Withdrawn: what it staged is dropped, its messages come again.
            state.workers[usize::from(worker)].batch = None;
            *state.written_mut(id) = None;
        }
    }

    /// Open → committed; the state afterwards.
    fn commit_record(&self, state: &mut State, id: Id) -> Record {
        if state.record(id) == Record::Open {
            *state.record_mut(id) = Record::Committed;
            state.decided |= self.events(state, id);
        }
        state.record(id)
    }

    /// The events of a batch that is in its worker's ledger, as event bits.
    pub(super) fn events(&self, state: &State, id: Id) -> u8 {
        let held = state.written(id).map_or(0, |written| written.held);
        let messages = (0..self.messages.len() as u8).filter(|message| held & (1 << message) != 0);
        messages.fold(0, |bits, message| bits | self.message(message).bit())
    }

    fn record(&self, state: &mut State, worker: u8) {
        let Some(batch) = state.workers[usize::from(worker)].batch.take() else { return };
        let id = Id { worker, number: batch.number };
        if let Some(written) = state.written_mut(id) {
            written.committed = true;
        }
        // From here on it is published whatever happens; when makes no difference to anybody.
        if self.symmetric {
            self.publish(state, id);
        }
    }

    fn publish(&self, state: &mut State, id: Id) {
        let events = self.events(state, id);
        state.twice |= state.once & events;
        state.once |= events;
        if self.has(Flaw::FencingAlone) {
            tell(state, id);
        }
        if let Some(written) = state.written_mut(id) {
            written.published = true;
        }
        tidy(state, id);
    }

    fn recover(&self, state: &mut State, id: Id) {
        let after = if self.has(Flaw::RecoveredWithoutAsking) || self.has(Flaw::FencingAlone) {
            Record::Absent
        } else if self.resumes {
            self.commit_record(state, id)
        } else {
            abort(state, id)
        };
        let absent = self.has(Flaw::AbsentTakenForCommitted) && after == Record::Absent;
        let written = state.written_mut(id);
        if after == Record::Committed || absent {
            // Not acknowledged: the queue delivers its messages again, as duplicates.
            *written =
                written.map(|written| Written { committed: true, acknowledged: true, ..written });
            tidy(state, id);
        } else {
            *written = None;
        }
    }

    fn arrive(&self, state: &mut State, late: Late) {
        match late {
            Late::Open(id) => {
                if state.record(id) == Record::Absent {
                    *state.record_mut(id) = Record::Open;
                }
            }
            Late::Place(id, key) => {
                let entry = &mut state.keys[usize::from(key)];
                if *entry == Entry::Free {
                    *entry = Entry::Held(id);
                }
            }
            Late::Release(id, key) => {
                let entry = &mut state.keys[usize::from(key)];
                if *entry == Entry::Held(id) {
                    *entry = Entry::Free;
                }
            }
            Late::Commit(id) => {
                self.commit_record(state, id);
            }
            Late::Settle(id, key) => {
                let entry = &mut state.keys[usize::from(key)];
                if *entry == Entry::Held(id) {
                    *entry = Entry::Told;
                }
            }
        }
    }

    fn lose_key(&self, state: &mut State, key: u8) {
        state.losses -= 1;
        state.lost |= super::state::Message { key, era: state.eras[usize::from(key)] }.bit();
        state.keys[usize::from(key)] = Entry::Free;
    }

    fn lose_record(&self, state: &mut State, id: Id, left: Record) {
        state.losses -= 1;
        let mut events = self.events(state, id);
        let living = state.workers[usize::from(id.worker)].batch;
        for slot in living.iter().filter(|batch| batch.number == id.number).flat_map(Batch::slots) {
            events |= self.message(slot.message).bit();
        }
        for key in 0..self.keys() {
            if state.keys[usize::from(key)] == Entry::Held(id) {
                events |= super::state::Message { key, era: state.eras[usize::from(key)] }.bit();
            }
        }
        state.lost |= events;
        let unheard = state.written(id).is_some_and(|written| !written.committed);
        if state.record(id) == Record::Committed && unheard && self.forgives {
            state.unheard |= events;
        }
        // A store that forgets an abort can't hold to it.
        state.aborted &= !State::aborted_bit(id);
        *state.record_mut(id) = left;
    }
}

fn open_record(state: &mut State, worker: u8) {
    let Some(batch) = &mut state.workers[usize::from(worker)].batch else { return };
    batch.phase = Phase::Asking;
    let id = Id { worker, number: batch.number };
    match state.record(id) {
        Record::Absent => {
            *state.record_mut(id) = Record::Open;
            state.aborted &= !State::aborted_bit(id);
        }
        Record::Open => {}
        // No longer open: the batch is withdrawn.
        Record::Committed | Record::Aborted => state.workers[usize::from(worker)].batch = None,
    }
}

/// Open → aborted; the state afterwards.
fn abort(state: &mut State, id: Id) -> Record {
    if state.record(id) == Record::Open {
        *state.record_mut(id) = Record::Aborted;
        state.aborted |= State::aborted_bit(id);
    }
    state.record(id)
}

/// Tells the keys that name a batch that they are committed.
fn tell(state: &mut State, id: Id) {
    for entry in &mut state.keys {
        if *entry == Entry::Held(id) {
            *entry = Entry::Told;
        }
    }
}

fn acknowledge(state: &mut State, id: Id) {
    let Some(written) = state.written_mut(id) else { return };
    written.acknowledged = true;
    let messages = written.held | written.duplicates;
    state.acknowledged |= messages;
    tidy(state, id);
}

/// A batch that is published and acknowledged needs nothing more of its worker.
fn tidy(state: &mut State, id: Id) {
    let done = |written: &mut Written| written.published && written.acknowledged;
    let _ = state.written_mut(id).take_if(done);
}

fn crash(state: &mut State, worker: u8) {
    let own = &mut state.workers[usize::from(worker)];
    own.batch = None;
    for written in own.ledger.iter_mut().flatten() {
        written.acknowledged |= written.committed;
    }
    for number in 0..own.ledger.len() as u8 {
        tidy(state, Id { worker, number });
    }
}

fn delay(state: &mut State, late: Late) {
    state.delays -= 1;
    if let Some(free) = state.late.iter_mut().find(|late| late.is_none()) {
        *free = Some(late);
    }
    state.late.sort_unstable();
    // The whole of an unanswered `reserve` is asked again.
    if let (Late::Open(id) | Late::Place(id, _), Some(batch)) =
        (late, &mut state.workers[usize::from(late.id().worker)].batch)
        && batch.number == id.number
    {
        batch.phase = Phase::Opening;
        batch.repeated = true;
        for slot in batch.slots.iter_mut().flatten() {
            slot.look = Look::Fresh;
        }
    }
}
