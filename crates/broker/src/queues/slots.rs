//! What is kept in memory of each message, and how it is found by its id.

use hashbrown::HashTable;

/// Slots of one chunk: memory grows in such pieces, so that a large backlog is never copied.
const CHUNK_SLOTS: usize = 4096;

/// Where a message stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// Can be received.
    Visible,
    /// Not yet visible for the first time.
    Delayed,
    /// Received, and noted in the journal.
    InFlight,
    /// Received by somebody in this process, whose receives end with it.
    InFlightLocal,
    /// Its delete, move or expiry is on the way to the disk.
    Leaving,
}

/// How many [`State`]s there are.
pub(super) const STATES: usize = 5;

/// What is kept in memory of a message: 96 bytes. Its body stays in the journal.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) id: u128,
    /// Where in the journal its content stands.
    pub(super) at: u64,
    pub(super) sent_ms: i64,
    /// 0 before the first receive, like the next three.
    pub(super) first_received_ms: i64,
    pub(super) received_ms: i64,
    /// Number of the latest receipt.
    pub(super) receipt: u64,
    /// Hidden until then.
    pub(super) visible_at_ms: i64,
    /// Of the content, in the journal.
    pub(super) bytes: u32,
    pub(super) body_bytes: u32,
    pub(super) queue: u32,
    /// The queue that it was moved from: an interned name, 0 is none.
    pub(super) source: u32,
    pub(super) receive_count: u32,
    /// Another one for each message that has this slot, and for each queue that it is in.
    pub(super) generation: u32,
    /// Another one for each change of state: older entries of a queue's lists are stale.
    pub(super) stamp: u32,
    pub(super) state: State,
    /// Removals that are on the way to the disk.
    pub(super) leaving: u8,
    /// The next record takes a note of it along.
    pub(super) to_be_noted: bool,
    pub(super) occupied: bool,
}

/// A message, as long as it is there and in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handle {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// The slots of all queues.
#[derive(Default)]
pub(super) struct Slots {
    chunks: Vec<Vec<Slot>>,
    free: Vec<u32>,
    ids: HashTable<u32>,
    /// Generation of slots that are made.
    first_generation: u32,
}

/// Ids are random, so some of their bits are a hash.
fn hash(id: u128) -> u64 {
    (id as u64 ^ (id >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn place(index: u32) -> (usize, usize) {
    (index as usize / CHUNK_SLOTS, index as usize % CHUNK_SLOTS)
}

impl Slots {
    /// Messages that are there.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn get(&self, index: u32) -> Option<&Slot> {
        let (chunk, at) = place(index);
        self.chunks.get(chunk)?.get(at).filter(|slot| slot.occupied)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        let (chunk, at) = place(index);
        self.chunks.get_mut(chunk)?.get_mut(at).filter(|slot| slot.occupied)
    }

    /// The message of a handle, if it is still there and in the same queue.
    pub(super) fn of(&mut self, handle: Handle) -> Option<&mut Slot> {
        self.get_mut(handle.index).filter(|slot| slot.generation == handle.generation)
    }

    pub(super) fn find(&self, id: u128) -> Option<u32> {
        let same = |index: &u32| self.get(*index).is_some_and(|slot| slot.id == id);
        self.ids.find(hash(id), same).copied()
    }

    pub(super) fn handle(&self, index: u32) -> Option<Handle> {
        let generation = self.get(index)?.generation;
        Some(Handle { index, generation })
    }

    /// Takes a message in; its generation is set here. `None` past four billion.
    pub(super) fn insert(&mut self, slot: Slot) -> Option<Handle> {
        let id = slot.id;
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.grow()?,
        };
        let (chunk, at) = place(index);
        let into = self.chunks.get_mut(chunk)?.get_mut(at)?;
        let generation = into.generation.wrapping_add(1);
        *into = Slot { generation, stamp: into.stamp.wrapping_add(1), occupied: true, ..slot };
        let chunks = &self.chunks;
        self.ids.insert_unique(hash(id), index, |index| {
            let (chunk, at) = place(*index);
            chunks.get(chunk).and_then(|chunk| chunk.get(at)).map_or(0, |slot| hash(slot.id))
        });
        Some(Handle { index, generation })
    }

    fn grow(&mut self) -> Option<u32> {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK_SLOTS) {
            self.chunks.push(Vec::with_capacity(CHUNK_SLOTS));
        }
        let before = self.chunks.len().checked_sub(1)? * CHUNK_SLOTS;
        let chunk = self.chunks.last_mut()?;
        let index = u32::try_from(before + chunk.len()).ok()?;
        chunk.push(Slot { generation: self.first_generation, ..Slot::vacant() });
        Some(index)
    }

    /// Lets a message go.
    pub(super) fn remove(&mut self, index: u32) {
        let Some(slot) = self.get_mut(index) else { return };
        slot.occupied = false;
        let (id, generation) = (slot.id, slot.generation.wrapping_add(1));
        slot.generation = generation;
        self.first_generation = self.first_generation.max(generation);
        if let Ok(found) = self.ids.find_entry(hash(id), |other| *other == index) {
            found.remove();
        }
        self.free.push(index);
        if self.ids.is_empty() && self.chunks.len() > 1 {
            // The memory of a backlog is given back. Older handles stay invalid.
            let first_generation = self.first_generation.wrapping_add(1);
            *self = Self { first_generation, ..Self::default() };
        }
    }

    /// Every message that is there.
    pub(super) fn indexes(&self) -> impl Iterator<Item = u32> + '_ {
        let all = self.chunks.iter().flatten().zip(0_u32..);
        all.filter(|(slot, _)| slot.occupied).map(|(_, index)| index)
    }
}

impl Slot {
    pub(super) fn vacant() -> Self {
        Self {
            id: 0,
            at: 0,
            sent_ms: 0,
            first_received_ms: 0,
            received_ms: 0,
            receipt: 0,
            visible_at_ms: 0,
            bytes: 0,
            body_bytes: 0,
            queue: 0,
            source: 0,
            receive_count: 0,
            generation: 0,
            stamp: 0,
            state: State::Visible,
            leaving: 0,
            to_be_noted: false,
            occupied: false,
        }
    }
}

const _: () = assert!(size_of::<Slot>() <= 100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_ends_with_its_message() {
        let mut slots = Slots::default();
        let put = |slots: &mut Slots, id| slots.insert(Slot { id, ..Slot::vacant() }).unwrap();
        let one = put(&mut slots, 1);
        assert_eq!(slots.find(1), Some(one.index));
        slots.remove(one.index);
        let two = put(&mut slots, 2);
        assert_eq!(one.index, two.index);
        assert!(slots.of(one).is_none() && slots.find(1).is_none());
        let many: Vec<_> = (3..20_000).map(|id| put(&mut slots, id)).collect();
        assert!((3..20_000).all(|id| slots.find(id).is_some()));
        many.iter().chain([&two]).for_each(|handle| slots.remove(handle.index));
        assert_eq!((slots.len(), slots.chunks.len()), (0, 0));
        put(&mut slots, 1);
        assert!(many.iter().chain([&one, &two]).all(|handle| slots.of(*handle).is_none()));
    }
}
