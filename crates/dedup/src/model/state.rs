//! Everything that the model keeps: the queue, the store, the workers with their ledgers.

/// At most so many of each; a model's bounds say how many there are.
pub(super) const WORKERS_MAX: usize = 3;
pub(super) const KEYS_MAX: usize = 2;
pub(super) const NUMBERS_MAX: usize = 3;
pub(super) const ERAS: usize = 2;
pub(super) const BATCH_MAX: usize = 2;
pub(super) const MESSAGES_MAX: usize = 8;
pub(super) const LATE_MAX: usize = 2;

/// A message of the queue, as its producer sent it. Two with the same key and era are the same
/// event; two with different eras are a window apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Message {
    pub(super) key: u8,
    pub(super) era: u8,
}

impl Message {
    /// The bit of its event: key and era.
    pub(super) fn bit(self) -> u8 {
        1 << (usize::from(self.key) * ERAS + usize::from(self.era))
    }
}

/// A batch. Numbers are used again only when nothing anywhere names them any more, so they stand
/// for numbers (and epochs) that never come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Id {
    pub(super) worker: u8,
    pub(super) number: u8,
}

/// A key in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Free,
    /// It names its batch, whose record says what that means.
    Held(Id),
    /// Committed, and told so.
    Told,
}

/// A batch's record in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Record {
    Absent,
    Open,
    Committed,
    Aborted,
}

/// How far a worker is with one event of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Look {
    /// The key is to be looked at.
    Fresh,
    /// It is held by this batch, whose record is to be looked at.
    Saw(Id),
    /// That batch is open and its lease ran out: it is to be aborted.
    Expired(Id),
    /// That batch is aborted or absent: the key is to be taken.
    Gone(Id),
    /// That batch is committed: the key is to be looked at again.
    Kept(Id),
    /// The batch holds the key.
    Held,
    /// A duplicate, which settles with the batch.
    Duplicate,
    /// The event left; its key is to be released.
    Left,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slot {
    pub(super) message: u8,
    pub(super) look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// The record is to be opened.
    Opening,
    /// Keys are asked for.
    Asking,
    /// Output is staged, and the ledger has the batch as `prepared`.
    Prepared,
    /// The store answered `Committed`.
    Committed,
}

/// A batch in a worker's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Batch {
    pub(super) number: u8,
    pub(super) phase: Phase,
    /// Whether its call was repeated because there was no answer.
    pub(super) repeated: bool,
    pub(super) slots: [Option<Slot>; BATCH_MAX],
}

impl Batch {
    pub(super) fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().flatten().copied()
    }
}

/// A batch in a worker's ledger, until it is published and acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Written {
    /// Messages whose keys it holds, as bits.
    pub(super) held: u8,
    /// Messages that it calls duplicates, as bits.
    pub(super) duplicates: u8,
    /// `committed`, else `prepared`.
    pub(super) committed: bool,
    pub(super) published: bool,
    /// Whether nothing is to be acknowledged any more. Kept in memory: a restarted worker leaves
    /// it to the queue to deliver again.
    pub(super) acknowledged: bool,
}

/// A worker that is down is one that does nothing for a while, so a crash takes its memory and a
/// restart is no step of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) batch: Option<Batch>,
    /// By batch number.
    pub(super) ledger: [Option<Written>; NUMBERS_MAX],
}

/// A call that got no answer and is still under way. It was repeated meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Late {
    /// The part of `reserve` that opens the batch's record.
    Open(Id),
    /// The part of `reserve` that places a free key.
    Place(Id, u8),
    Release(Id, u8),
    Commit(Id),
    Settle(Id, u8),
}

impl Late {
    pub(super) fn id(self) -> Id {
        match self {
            Self::Open(id) | Self::Commit(id) => id,
            Self::Place(id, _) | Self::Release(id, _) | Self::Settle(id, _) => id,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    /// Messages that the queue forgot because they were acknowledged, as bits. All others may be
    /// received by any worker at any time: visibility runs out whenever it likes.
    pub(super) acknowledged: u8,
    pub(super) eras: [u8; KEYS_MAX],
    pub(super) keys: [Entry; KEYS_MAX],
    pub(super) records: [[Record; NUMBERS_MAX]; WORKERS_MAX],
    pub(super) workers: [Worker; WORKERS_MAX],
    pub(super) late: [Option<Late>; LATE_MAX],
    /// Faults that may happen yet.
    pub(super) losses: u8,
    pub(super) delays: u8,
    // What no worker sees; for the properties alone.
    /// How often each event was published: once or more often; event bits.
    pub(super) once: u8,
    pub(super) twice: u8,
    /// Events whose batch was committed; event bits.
    pub(super) decided: u8,
    /// Events of which the store lost something; event bits.
    pub(super) lost: u8,
    /// Events whose batch record was lost after its commit and before its owner's ledger heard of
    /// it; event bits.
    pub(super) unheard: u8,
    /// An event was called a duplicate of one that no committed batch holds.
    pub(super) shadowed: bool,
    /// Batches that were aborted; one bit each.
    pub(super) aborted: u16,
}

impl State {
    pub(super) fn new(losses: u8, delays: u8) -> Self {
        let worker = Worker { batch: None, ledger: [None; NUMBERS_MAX] };
        Self {
            acknowledged: 0,
            eras: [0; KEYS_MAX],
            keys: [Entry::Free; KEYS_MAX],
            records: [[Record::Absent; NUMBERS_MAX]; WORKERS_MAX],
            workers: [worker; WORKERS_MAX],
            late: [None; LATE_MAX],
            losses,
            delays,
            once: 0,
            twice: 0,
            decided: 0,
            lost: 0,
            unheard: 0,
            shadowed: false,
            aborted: 0,
        }
    }

    pub(super) fn record(&self, id: Id) -> Record {
        self.records[usize::from(id.worker)][usize::from(id.number)]
    }

    pub(super) fn record_mut(&mut self, id: Id) -> &mut Record {
        &mut self.records[usize::from(id.worker)][usize::from(id.number)]
    }

    pub(super) fn written(&self, id: Id) -> Option<Written> {
        self.workers[usize::from(id.worker)].ledger[usize::from(id.number)]
    }

    pub(super) fn written_mut(&mut self, id: Id) -> &mut Option<Written> {
        &mut self.workers[usize::from(id.worker)].ledger[usize::from(id.number)]
    }

    /// Whether a key names the batch.
    pub(super) fn named(&self, id: Id) -> bool {
        self.keys.contains(&Entry::Held(id))
    }

    /// Whether a call of the batch is still under way.
    pub(super) fn under_way(&self, id: Id) -> bool {
        self.late.iter().flatten().any(|late| late.id() == id)
    }

    /// Whether nothing anywhere names the batch.
    pub(super) fn unused(&self, id: Id) -> bool {
        let seen = |look: Look| match look {
            Look::Saw(seen) | Look::Expired(seen) | Look::Gone(seen) | Look::Kept(seen) => {
                seen == id
            }
            Look::Fresh | Look::Held | Look::Duplicate | Look::Left => false,
        };
        let mut batches = self.workers.iter().filter_map(|worker| worker.batch.as_ref());
        let own = self.workers[usize::from(id.worker)].batch;
        self.record(id) == Record::Absent
            && self.written(id).is_none()
            && !self.named(id)
            && !self.under_way(id)
            && own.is_none_or(|batch| batch.number != id.number)
            && !batches.any(|batch| batch.slots().any(|slot| seen(slot.look)))
    }

    pub(super) fn aborted_bit(id: Id) -> u16 {
        1 << (usize::from(id.worker) * NUMBERS_MAX + usize::from(id.number))
    }
}
