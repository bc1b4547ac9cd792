//! Which batches are in flight: reserved and not committed.

use event::BatchNumber;

use super::PipeId;

/// Through which batch each pipe has committed. Batches of a pipe commit in order, so this one
/// number tells for every key that a batch holds whether it is still in flight, and a commit
/// touches no key.
#[derive(Debug, Default)]
pub(super) struct Flights {
    committed_through: Vec<u64>,
    /// Through which batch the keys of each pipe are in key runs.
    saved_through: Vec<u64>,
}

impl Flights {
    /// Whether the batch that an entry names (modulo 2^32) is in flight. Wrong only for a batch
    /// more than 2^31 back, and entries that old have long been rewritten.
    #[inline]
    pub(super) fn in_flight(&self, pipe: u16, number: u32) -> bool {
        let through = self.committed_through.get(usize::from(pipe)).copied().unwrap_or(0);
        number.wrapping_sub(through as u32).cast_signed() > 0
    }

    /// Whether the keys of the batch that an entry names (modulo 2^32) are in key runs. As with
    /// [`Flights::in_flight`], entries too old to tell have been rewritten.
    #[inline]
    pub(super) fn is_saved(&self, pipe: u16, number: u32) -> bool {
        let through = self.saved_through.get(usize::from(pipe)).copied().unwrap_or(0);
        through > 0 && number.wrapping_sub(through as u32).cast_signed() <= 0
    }

    /// Notes that the keys of a pipe are in key runs through `number`.
    pub(super) fn saved(&mut self, pipe: PipeId, number: BatchNumber) {
        let index = usize::from(pipe.0);
        if index >= self.saved_through.len() {
            self.saved_through.resize(index + 1, 0);
        }
        if let Some(through) = self.saved_through.get_mut(index) {
            *through = number.0.max(*through);
        }
    }

    /// The whole number of a batch in flight that an entry names.
    pub(super) fn whole_number(&self, pipe: u16, number: u32) -> BatchNumber {
        let through = self.committed_through.get(usize::from(pipe)).copied().unwrap_or(0);
        BatchNumber(through.wrapping_add(u64::from(number.wrapping_sub(through as u32))))
    }

    /// Notes that a pipe begins at `number`: nothing before it is in flight.
    pub(super) fn begin(&mut self, pipe: PipeId, number: BatchNumber) {
        let index = usize::from(pipe.0);
        if index >= self.committed_through.len() {
            self.committed_through.resize(index + 1, u64::MAX);
        }
        if let Some(through) = self.committed_through.get_mut(index)
            && *through == u64::MAX
        {
            *through = number.0.wrapping_sub(1);
        }
    }

    /// Notes that a pipe has committed through `number`.
    pub(super) fn commit(&mut self, pipe: PipeId, number: BatchNumber) {
        self.begin(pipe, number);
        if let Some(through) = self.committed_through.get_mut(usize::from(pipe.0)) {
            *through = number.0.max(*through);
        }
    }
}
