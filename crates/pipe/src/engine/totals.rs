//! What a run did, for its summary.

use std::collections::BTreeMap;

use event::{Batch, Outcome};

use crate::types::Types;

/// Counts of one run of one pipe. The ledger keeps the ones that last.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Batches committed.
    pub batches: u64,
    /// Events whose receipt was committed.
    pub received: u64,
    /// By [`Outcome::index`].
    pub outcomes: [u64; 6],
    /// Events of earlier runs that were read again and dropped.
    pub reread: u64,
    /// Events that the source's retention removed before they were read.
    pub expired: u64,
    /// Payload bytes as received.
    pub bytes: u64,
    /// Outcomes by type name.
    pub types: BTreeMap<String, [u64; 6]>,
    /// Rejected events by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    by_type: Vec<[u64; 6]>,
}

impl Totals {
    pub(super) fn add(&mut self, batch: &Batch, returned: u64) {
        self.batches += 1;
        for event in &batch.events {
            let Some(outcome) = event.fate.outcome() else { continue };
            let row = event.type_id as usize;
            if self.by_type.len() <= row {
                self.by_type.resize(row + 1, [0; 6]);
            }
            if let Some(cell) =
                self.by_type.get_mut(row).and_then(|row| row.get_mut(outcome.index()))
            {
                *cell += 1;
            }
        }
        for rejection in &batch.rejections {
            *self.reasons.entry(rejection.reason).or_default() += 1;
        }
        if let Some(cell) = self.outcomes.get_mut(Outcome::Returned.index()) {
            *cell += returned;
        }
        self.bytes += batch.buffer.len() as u64;
    }

    /// Adds what another stretch of the run did.
    pub(crate) fn merge(&mut self, more: Self) {
        let Self { batches, received, outcomes, reread, expired, bytes, types, reasons, by_type } =
            more;
        // Named before the stretch ended.
        debug_assert!(by_type.is_empty());
        self.batches += batches;
        self.received += received;
        self.reread += reread;
        self.expired += expired;
        self.bytes += bytes;
        self.outcomes.iter_mut().zip(outcomes).for_each(|(sum, more)| *sum += more);
        for (name, row) in types {
            let sums = self.types.entry(name).or_default();
            sums.iter_mut().zip(row).for_each(|(sum, more)| *sum += more);
        }
        for (reason, count) in reasons {
            *self.reasons.entry(reason).or_default() += count;
        }
    }

    pub(super) fn name_types(&mut self, types: &Types) {
        for (id, row) in (0_u32..).zip(&self.by_type) {
            for (total, cell) in self.outcomes.iter_mut().zip(row) {
                *total += cell;
            }
            if row.iter().any(|cell| *cell > 0) {
                self.types.insert(types.name(id).to_string(), *row);
            }
        }
        self.by_type.clear();
    }
}
