//! States that differ by names alone: which worker is called first, and which of its batches.

use super::protocols::Protocol;
use super::state::{
    Entry, Id, Late, Look, MESSAGES_MAX, Message, NUMBERS_MAX, Slot, State, WORKERS_MAX,
};

/// New names: of each worker, and of each of its batches.
#[derive(Clone, Copy)]
struct Names {
    workers: [u8; WORKERS_MAX],
    numbers: [[u8; NUMBERS_MAX]; WORKERS_MAX],
}

impl Names {
    fn of(&self, id: Id) -> Id {
        Id {
            worker: self.workers[usize::from(id.worker)],
            number: self.numbers[usize::from(id.worker)][usize::from(id.number)],
        }
    }
}

impl Protocol {
    /// One for all that are the same but for names: batches sorted by what is known of them, then
    /// workers by what they have. States that tie may keep two representatives, which costs time
    /// and changes nothing.
    pub(super) fn representative(&self, state: &State) -> State {
        let state = &self.messages_sorted(state);
        let mut names = Names { workers: [0, 1, 2], numbers: [[0, 1, 2]; WORKERS_MAX] };
        let (workers, numbers) = (usize::from(self.workers), usize::from(self.numbers));
        for worker in 0..workers {
            let mut order: [u8; NUMBERS_MAX] = [0, 1, 2];
            order[..numbers]
                .sort_by_key(|&number| weight(state, Id { worker: worker as u8, number }));
            for (new, old) in order.iter().enumerate() {
                names.numbers[worker][usize::from(*old)] = new as u8;
            }
        }
        let state = renamed(state, &names);
        let names = Names { workers: [0, 1, 2], numbers: [[0, 1, 2]; WORKERS_MAX] };
        let mut order: [u8; WORKERS_MAX] = [0, 1, 2];
        order[..workers].sort_by_key(|&worker| {
            let all: [u64; NUMBERS_MAX] =
                std::array::from_fn(|number| weight(&state, Id { worker, number: number as u8 }));
            let phase = state.workers[usize::from(worker)].batch.map(|batch| {
                let look = |slot: Option<Slot>| slot.map_or(0, |slot| rank(slot.look));
                batch.slots.map(look)
            });
            (all, phase)
        });
        let mut names = names;
        for (new, old) in order.iter().enumerate() {
            names.workers[usize::from(*old)] = new as u8;
        }
        renamed(&state, &names)
    }
}

impl Protocol {
    /// Messages of the same event, next to each other in the queue, are the same but for their
    /// place: sorted by what became of each.
    fn messages_sorted(&self, state: &State) -> State {
        let count = self.messages.len() as u8;
        let mut order: [u8; MESSAGES_MAX] = std::array::from_fn(|at| at as u8);
        let fate = |message: u8| {
            let bit = 1u8 << message;
            let mut fate = u64::from(state.acknowledged & bit != 0);
            for id in self.ids() {
                let written = state.written(id);
                fate = fate << 1 | u64::from(written.is_some_and(|it| it.held & bit != 0));
                fate = fate << 1 | u64::from(written.is_some_and(|it| it.duplicates & bit != 0));
            }
            for batch in state.workers.iter().filter_map(|worker| worker.batch.as_ref()) {
                let mut slots = batch.slots();
                fate = fate << 1 | u64::from(slots.any(|slot| slot.message == message));
            }
            fate
        };
        order[..usize::from(count)].sort_by_key(|&message| {
            let Message { key, era } = self.message(message);
            (key, era, fate(message))
        });
        let mut names = [0; MESSAGES_MAX];
        for (new, old) in order.iter().enumerate() {
            names[usize::from(*old)] = new as u8;
        }
        let bits = |old: u8| {
            let all = (0..count).filter(|message| old & (1 << message) != 0);
            all.fold(0, |bits, message| bits | 1 << names[usize::from(message)])
        };
        let mut next = *state;
        next.acknowledged = bits(state.acknowledged);
        for worker in &mut next.workers {
            for written in worker.ledger.iter_mut().flatten() {
                written.held = bits(written.held);
                written.duplicates = bits(written.duplicates);
            }
            for slot in worker.batch.iter_mut().flat_map(|batch| batch.slots.iter_mut().flatten()) {
                slot.message = names[usize::from(slot.message)];
            }
        }
        next
    }
}

/// What is known of a batch, as a number that its name isn't part of.
fn weight(state: &State, id: Id) -> u64 {
    let own = state.workers[usize::from(id.worker)].batch;
    let living = own.filter(|batch| batch.number == id.number);
    let mut weight = state.record(id) as u64;
    weight = weight << 3 | living.map_or(0, |batch| batch.phase as u64 + 1);
    for entry in state.keys {
        weight = weight << 1 | u64::from(entry == Entry::Held(id));
    }
    weight = weight << 1 | u64::from(state.written(id).is_some());
    if let Some(written) = state.written(id) {
        weight = weight << 8 | u64::from(written.held);
        weight = weight << 8 | u64::from(written.duplicates);
        weight = weight << 1 | u64::from(written.committed);
        weight = weight << 1 | u64::from(written.published);
        weight = weight << 1 | u64::from(written.acknowledged);
    }
    for other in state.workers.iter().filter_map(|worker| worker.batch.as_ref()) {
        for slot in other.slots() {
            weight = weight << 3 | if seen(slot.look) == Some(id) { rank(slot.look) } else { 0 };
        }
    }
    weight
}

fn rank(look: Look) -> u64 {
    match look {
        Look::Fresh => 0,
        Look::Saw(_) => 1,
        Look::Expired(_) => 2,
        Look::Gone(_) => 3,
        Look::Kept(_) => 4,
        Look::Held => 5,
        Look::Duplicate => 6,
        Look::Left => 7,
    }
}

fn seen(look: Look) -> Option<Id> {
    match look {
        Look::Saw(id) | Look::Expired(id) | Look::Gone(id) | Look::Kept(id) => Some(id),
        Look::Fresh | Look::Held | Look::Duplicate | Look::Left => None,
    }
}

fn renamed(state: &State, names: &Names) -> State {
    let mut next = *state;
    for worker in 0..WORKERS_MAX as u8 {
        let mut own = state.workers[usize::from(worker)];
        if let Some(batch) = &mut own.batch {
            batch.number = names.of(Id { worker, number: batch.number }).number;
            for slot in batch.slots.iter_mut().flatten() {
                slot.look = match slot.look {
                    Look::Saw(id) => Look::Saw(names.of(id)),
                    Look::Expired(id) => Look::Expired(names.of(id)),
                    Look::Gone(id) => Look::Gone(names.of(id)),
                    Look::Kept(id) => Look::Kept(names.of(id)),
                    look => look,
                };
            }
        }
        next.workers[usize::from(names.workers[usize::from(worker)])] = own;
    }
    next.aborted = 0;
    for worker in 0..WORKERS_MAX as u8 {
        for number in 0..NUMBERS_MAX as u8 {
            let old = Id { worker, number };
            let new = names.of(old);
            *next.record_mut(new) = state.record(old);
            *next.written_mut(new) = state.written(old);
            if state.aborted & State::aborted_bit(old) != 0 {
                next.aborted |= State::aborted_bit(new);
            }
        }
    }
    next.keys = state.keys.map(|entry| match entry {
        Entry::Held(id) => Entry::Held(names.of(id)),
        entry => entry,
    });
    next.late = state.late.map(|late| {
        late.map(|late| match late {
            Late::Open(id) => Late::Open(names.of(id)),
            Late::Place(id, key) => Late::Place(names.of(id), key),
            Late::Release(id, key) => Late::Release(names.of(id), key),
            Late::Commit(id) => Late::Commit(names.of(id)),
            Late::Settle(id, key) => Late::Settle(names.of(id), key),
        })
    });
    next.late.sort_unstable();
    next
}
