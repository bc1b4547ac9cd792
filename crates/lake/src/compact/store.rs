//! The lake's journal: the state of the table, and its changes.

use std::sync::Arc;

use journal::{Disk, Journal, JournalConfig};

use super::CompactError;
use super::place::Place;
use super::state::{Level, State};
use super::switch;
use super::work::Job;
use super::{make_spill, make_table};

/// What a segment is preallocated to; a longer record gets one of its own.
const SEGMENT_BYTES: u64 = 64 << 10;

/// The lake's journal, open for writing.
pub(super) struct Store {
    journal: Journal,
    /// As of the last record.
    pub(super) state: State,
}

impl Store {
    pub(super) fn open(disk: &Arc<dyn Disk>, place: &Place) -> Result<Self, CompactError> {
        let config = JournalConfig { segment_bytes: SEGMENT_BYTES, ..JournalConfig::default() };
        let mut state = State { next: 1, ..State::default() };
        let journal = Journal::open(Arc::clone(disk), &place.journal, config, &mut |_, record| {
            state = State::decode(record)?;
            Ok(())
        })?;
        Ok(Self { journal, state })
    }

    /// Completes what a crash interrupted; whether that was a switch.
    pub(super) fn recover(&mut self, job: &Job<'_>) -> Result<bool, CompactError> {
        switch::remove_spilled(job.disk.as_ref(), job.place)?;
        if let Some(pending) = self.state.switch.take() {
            switch::carry_out(job.disk.as_ref(), job.place, &pending, job.progress)?;
            self.ended()?;
            return Ok(true);
        }
        if self.state.writing {
            switch::remove_unfinished(job.disk.as_ref(), &job.place.table)?;
        }
        Ok(false)
    }

    /// Notes that unfinished files are about to be written, with the number of the compaction.
    pub(super) fn begin(&mut self, job: &Job<'_>, levels: &[Level]) -> Result<(), CompactError> {
        self.state.next += 1;
        self.state.writing = true;
        self.state.partition = Some(levels.to_vec());
        self.append()?;
        make_table(job)?;
        make_spill(job)
    }

    /// The switch: records the state that names it, and carries it out.
    pub(super) fn switch(&mut self, job: &Job<'_>, state: State) -> Result<(), CompactError> {
        self.state = state;
        self.append()?;
        if let Some(pending) = self.state.switch.take() {
            switch::carry_out(job.disk.as_ref(), job.place, &pending, job.progress)?;
        }
        self.ended()
    }

    /// Records that nothing is pending, and lets go of the records before.
    fn ended(&mut self) -> Result<(), CompactError> {
        self.state.writing = false;
        let position = self.append()?;
        Ok(self.journal.drop_before(position)?)
    }

    fn append(&self) -> Result<journal::Position, CompactError> {
        let record = self.state.encode().map_err(|error| CompactError::Option {
            what: format!("the lake's journal can't be written: {error}"),
        })?;
        Ok(self.journal.append(record)?)
    }

    pub(super) fn close(self) -> Result<(), CompactError> {
        Ok(self.journal.close()?)
    }
}
