//! The third step, one thread a pipe: reserve keys in source order.

use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use dedup::ledger::PipeLedger;
use event::source::BatchLimits;
use event::{Batch, BatchNumber, Fate};

use super::Decided;
use crate::unsettled::{Unsettled, UnsettledLimits};

/// Reserves keys and numbers batches.
pub struct Decide {
    ledger: Arc<PipeLedger>,
    next: BatchNumber,
    unsettled: Unsettled,
    limits: BatchLimits,
    wakeups_seen: u64,
}

impl Decide {
    /// Goes on with the ledger's next batch number.
    #[must_use]
    pub fn new(ledger: Arc<PipeLedger>, limits: BatchLimits, unsettled: UnsettledLimits) -> Self {
        let next = ledger.next_batch();
        Self { ledger, next, unsettled: Unsettled::new(unsettled), limits, wakeups_seen: 0 }
    }

    /// Whether the source has to pause because too much waits.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.unsettled.is_full()
    }

    /// Whether events wait for keys in flight elsewhere.
    #[must_use]
    pub fn has_waiting(&self) -> bool {
        !self.unsettled.is_empty()
    }

    /// Decides a batch that was just received.
    #[must_use]
    pub fn decide(&mut self, mut batch: Batch) -> Decided {
        self.ledger.reserve(self.next, &mut batch);
        self.unsettled.keep_waiting(&batch);
        self.decided(batch)
    }

    fn decided(&mut self, batch: Batch) -> Decided {
        let number = self.take_number();
        let mut decided = self.empty(number);
        decided.batch = batch;
        decided.reserved_in = Some(Arc::clone(&self.ledger));
        decided
    }

    /// Asks again for the keys of the events that wait, where that may have changed; the next batch
    /// of those that need not wait any more.
    #[must_use]
    pub fn decide_waiting(&mut self) -> Option<Decided> {
        loop {
            let Some(mut carried) = self.unsettled.carry_over(&self.limits) else {
                // Read before the keys are asked for: a wake-up in between leads to one more try.
                let wakeups = self.ledger.wakeups();
                if self.unsettled.is_empty() || wakeups == self.wakeups_seen {
                    return None;
                }
                self.wakeups_seen = wakeups;
                self.unsettled.wake();
                continue;
            };
            self.ledger.reserve(self.next, &mut carried);
            self.unsettled.keep_waiting(&carried);
            if carried.events.iter().any(|event| event.fate != Fate::Waits) {
                return Some(self.decided(carried));
            }
        }
    }

    /// A batch without events, in which sinks may close files whose time is over; and what will
    /// tell whether its number was used. Nothing else may be decided before that is known:
    /// [`Decide::ticked`].
    #[must_use]
    pub fn tick(&mut self) -> (Decided, Receiver<bool>) {
        let (number_used, answer) = bounded(1);
        let mut tick = self.empty(self.next);
        tick.number_used = Some(number_used);
        (tick, answer)
    }

    /// Ends a tick.
    pub fn ticked(&mut self, number_used: bool) {
        if number_used {
            self.take_number();
        }
    }

    /// The last batch: what still waits goes back to the source, sinks finish their files.
    #[must_use]
    pub fn finish(&mut self) -> Decided {
        let returned = self.unsettled.give_back();
        self.ledger.forget_waiters();
        let number = self.take_number();
        let mut last = self.empty(number);
        last.returned = returned;
        last.last = true;
        last
    }

    fn empty(&self, number: BatchNumber) -> Decided {
        Decided {
            number,
            batch: Batch::default(),
            in_flight: self.unsettled.by_minute(),
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
