//! A pipe's handle of the ledger, where its scope is in a store that workers share.

use event::{Batch, BatchNumber, Fate};

use super::Settlement;
use super::lock;
use super::pipe::{PipeLedger, key, refreshed};
use super::shared::{AskAgain, Plan, Ready, StoreHealth};
use crate::error::LedgerError;
use crate::record::{BatchHead, PreparedRecord, Record};
use crate::scope::Reserved;

impl PipeLedger {
    /// As [`PipeLedger::reserve`]; `patience` is asked after each failure of the store that passes
    /// ([`LedgerError::passes`]): it waits a while, and says whether to try again.
    ///
    /// # Errors
    /// As [`PipeLedger::reserve`].
    pub fn reserve_patiently(
        &self,
        number: BatchNumber,
        batch: &mut Batch,
        patience: &mut dyn FnMut(&LedgerError) -> bool,
    ) -> Result<Reserved, LedgerError> {
        let Some(shared) = &self.shared else { return self.reserve_here(number, batch) };
        shared.check()?;
        let undecided: Vec<bool> =
            batch.events.iter().map(|event| event.fate == Fate::Undecided).collect();
        let asked = |at: usize| undecided.get(at).copied().unwrap_or(false);
        let mut reserved = self.reserve_here(number, batch)?;
        let answer = shared.ask(number, batch, asked, patience);
        let (said, again) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.release(number, batch);
                let decided = batch.events.iter_mut().enumerate().filter(|(at, _)| asked(*at));
                let of_keys = |fate| matches!(fate, Fate::Deliver | Fate::Duplicate | Fate::Waits);
                decided
                    .filter(|(_, event)| of_keys(event.fate))
                    .for_each(|(_, event)| event.fate = Fate::Undecided);
                return Err(error);
            }
        };
        *lock(&self.busy) = again;
        if let Some(cell) = self.cell().filter(|_| !said.is_empty()) {
            cell.with(|scope| {
                scope.said_elsewhere(self.pipe_id(), number, batch, asked, &said);
            });
            let count = |fate| {
                let of_fate = batch.events.iter().zip(&undecided);
                let of_fate = of_fate.filter(|(event, asked)| **asked && event.fate == fate);
                u32::try_from(of_fate.count()).unwrap_or(u32::MAX)
            };
            reserved.reserved = count(Fate::Deliver);
            reserved.duplicates = count(Fate::Duplicate);
            reserved.waiting = count(Fate::Waits);
        }
        Ok(reserved)
    }

    /// Of the batch that was decided last: the events that wait because another batch holds their
    /// key in the store. Nobody tells when it is free. They aren't told a second time.
    #[must_use]
    pub fn ask_again(&self) -> Vec<AskAgain> {
        std::mem::take(&mut *lock(&self.busy))
    }

    /// How the pipe gets on with the store that its scope is in, if it is in one.
    #[must_use]
    pub fn store_health(&self) -> Option<StoreHealth> {
        self.shared.as_ref().map(|shared| shared.health())
    }

    /// The record of a batch that waits for the store's word.
    pub(super) fn ready(&self, plan: &Plan, head: BatchHead, settlement: &Settlement<'_>) -> Ready {
        let (epoch, attempt) = (plan.name.epoch, plan.name.number.0);
        let mut record = PreparedRecord { epoch, attempt, head };
        let mut bytes = Vec::new();
        if !plan.prepared {
            let events = settlement.batch.events.as_slice();
            let keys = events.iter().filter_map(key).chain(refreshed(settlement.batch, true));
            let mut scratch = lock(&self.scratch);
            record.head.keys = record.encode(&mut bytes, &mut scratch, events.len(), keys);
        }
        let (scope, sightings) = (self.cell().cloned(), self.sightings(settlement));
        Ready { bytes, record: Record::Prepared(record), scope, sightings }
    }
}
