//! The third step, one thread a pipe: reserve keys in source order.

use std::collections::HashMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use dedup::ledger::{LedgerError, PipeLedger};
use event::source::BatchLimits;
use event::{Batch, BatchNumber, Clock, Fate};

use super::Decided;
use crate::unsettled::{Carried, Due, History, Taken, Unsettled};

/// Reserves keys and numbers batches.
pub struct Decide {
    ledger: Arc<PipeLedger>,
    next: BatchNumber,
    unsettled: Arc<Unsettled>,
    limits: BatchLimits,
    clock: Arc<dyn Clock>,
    wakeups_seen: u64,
    /// Its keys are in a store that workers share.
    shared: bool,
}

/// Asked after a failure of the store that passes: waits a while, and says whether to try again.
pub type StorePatience<'a> = &'a mut dyn FnMut(&LedgerError) -> bool;

impl Decide {
    /// Goes on with the ledger's next batch number.
    #[must_use]
    pub(crate) fn new(
        ledger: Arc<PipeLedger>,
        limits: BatchLimits,
        unsettled: Arc<Unsettled>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let next = ledger.next_batch();
        let shared = ledger.store_health().is_some();
        Self { ledger, next, unsettled, limits, clock, wakeups_seen: 0, shared }
    }

    /// Whether the source has to pause because too much is unsettled.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unsettled.is_full()
    }

    /// Whether nothing is unsettled, here or in a batch that is under way. With `but_parked`,
    /// events that the ledger keeps don't count.
    #[must_use]
    pub fn is_idle(&self, but_parked: bool) -> bool {
        if but_parked { self.unsettled.is_parked() } else { self.unsettled.is_idle() }
    }

    /// Whether events wait for a key that is in flight elsewhere: nobody tells when it gets free.
    #[must_use]
    pub fn waits_for_a_key(&self) -> bool {
        self.unsettled.waits_for_a_key()
    }

    /// How long until the next event is due; 0 when it is already.
    #[must_use]
    pub fn due_in_ms(&self) -> Option<u64> {
        let due_ms = self.unsettled.next_due_ms()?;
        let now_ms = self.clock.now_ms();
        Some(u64::try_from(due_ms.saturating_sub(now_ms)).unwrap_or(0))
    }

    /// Decides a batch that was just received.
    ///
    /// # Errors
    /// [`LedgerError`]: its keys couldn't be looked up.
    pub fn decide(
        &mut self,
        mut batch: Batch,
        patience: StorePatience<'_>,
    ) -> Result<Decided, LedgerError> {
        let seen = self.committed();
        self.ledger.reserve_patiently(self.next, &mut batch, patience)?;
        self.keep_waiting(&batch);
        Ok(self.decided(batch, Vec::new(), seen))
    }

    /// Copies out the events of a new batch that wait for a key.
    fn keep_waiting(&self, batch: &Batch) {
        if !batch.events.iter().any(|event| event.fate == Fate::Waits) {
            return;
        }
        let now_ms = self.clock.now_ms();
        let held = self.held();
        for (extent, range) in batch.extent_ranges() {
            for index in range.clone() {
                if batch.events.get(index).is_none_or(|event| event.fate != Fate::Waits) {
                    continue;
                }
                let Some(copy) = Carried::copy(batch, extent, &range, index) else { continue };
                if self.shared {
                    let held = held.get(&index).copied();
                    self.unsettled.leave_to_ask(copy, self.next, held, now_ms);
                    continue;
                }
                self.unsettled.leave(copy, self.next, Due::Key, History::default(), now_ms);
            }
        }
    }

    /// For how long keys of the batch that was decided last are held elsewhere at most, by the
    /// event's index; ms.
    fn held(&self) -> HashMap<usize, u64> {
        let again = self.ledger.ask_again().into_iter();
        again.map(|again| (again.event as usize, again.lease_left_ms)).collect()
    }

    /// What is committed. Read before keys are asked for: what the answer knows is in it.
    fn committed(&self) -> BatchNumber {
        BatchNumber(self.ledger.next_batch().0.saturating_sub(1))
    }

    fn decided(&mut self, batch: Batch, ids: Vec<u64>, seen: BatchNumber) -> Decided {
        let number = self.take_number();
        let mut decided = self.empty(number);
        decided.committed_seen = seen;
        decided.batch = batch;
        decided.ids = ids;
        decided.reserved_in = Some(Arc::clone(&self.ledger));
        self.unsettled.batch_goes_out();
        decided
    }

    /// Asks for the keys of the events that may go on now: those that are due, and those that wait
    /// for a key where that may be free. The next batch of those that need not wait any more.
    ///
    /// # Errors
    /// [`LedgerError`]: their keys couldn't be looked up.
    pub fn decide_waiting(
        &mut self,
        patience: StorePatience<'_>,
    ) -> Result<Option<Decided>, LedgerError> {
        if self.unsettled.is_empty() {
            return Ok(None);
        }
        loop {
            // Read before the keys are asked for: a wake-up in between leads to one more try.
            let wakeups = self.ledger.wakeups();
            if wakeups != self.wakeups_seen {
                self.wakeups_seen = wakeups;
                self.unsettled.wake();
            }
            let seen = self.committed();
            let taken = self.unsettled.take(self.clock.now_ms(), &self.limits);
            let Some(Taken { mut batch, ids }) = taken else { return Ok(None) };
            self.ledger.reserve_patiently(self.next, &mut batch, patience)?;
            let held = self.held();
            let now_ms = self.clock.now_ms();
            let mut any = false;
            for (index, (event, id)) in batch.events.iter().zip(&ids).enumerate() {
                if event.fate == Fate::Waits && self.shared {
                    self.unsettled.leave_again_to_ask(*id, held.get(&index).copied(), now_ms);
                } else if event.fate == Fate::Waits {
                    self.unsettled.leave_again(*id, Due::Key, None);
                } else {
                    any = true;
                }
            }
            if any {
                return Ok(Some(self.decided(batch, ids, seen)));
            }
        }
    }

    /// A batch without events, in which sinks may close files whose time is over and events are
    /// parked; and what will tell whether its number was used. Nothing else may be decided before
    /// that is known: [`Decide::ticked`].
    #[must_use]
    pub fn tick(&mut self) -> (Decided, Receiver<bool>) {
        let (number_used, answer) = bounded(1);
        let mut tick = self.empty(self.next);
        tick.number_used = Some(number_used);
        self.unsettled.batch_goes_out();
        (tick, answer)
    }

    /// Ends a tick.
    pub fn ticked(&mut self, number_used: bool) {
        if number_used {
            self.take_number();
        }
    }

    /// The last batch: what is still unsettled goes back to the source, sinks finish their files.
    #[must_use]
    pub fn finish(&mut self) -> Decided {
        self.ledger.forget_waiters();
        let number = self.take_number();
        let mut last = self.empty(number);
        last.last = true;
        self.unsettled.batch_goes_out();
        last
    }

    fn empty(&self, number: BatchNumber) -> Decided {
        Decided {
            number,
            batch: Batch::default(),
            ids: Vec::new(),
            committed_seen: BatchNumber(0),
            parking: crate::unsettled::Parking::default(),
            letters: Vec::new(),
            returned: Vec::new(),
            last: false,
            number_used: None,
            reserved_in: None,
        }
    }

    fn take_number(&mut self) -> BatchNumber {
        let number = self.next;
        self.next = number.next();
        number
    }
}

impl Drop for Decide {
    /// Whatever ended the pipe: its waiters hold back nobody any more.
    fn drop(&mut self) {
        self.ledger.forget_waiters();
    }
}
