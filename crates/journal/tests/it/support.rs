//! A journal's history as its owner knows it, and what may be found after a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{AppendError, Disk, Journal, JournalConfig, OpenError, Position, SimDisk, read_only};

pub(crate) const SMALL: JournalConfig =
    JournalConfig { segment_bytes: 4096, record_bytes_max: 1 << 20, queue_bytes_max: 1 << 20 };

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("/j")
}

/// SplitMix64, so that a seed gives the same run everywhere.
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Record number `n`: no two are equal unless they are empty.
pub(crate) fn record(n: u64, bytes: usize) -> Vec<u8> {
    let mut rng = Rng(n);
    let mut record = Vec::with_capacity(bytes + 8);
    while record.len() < bytes {
        record.extend(rng.next().to_le_bytes());
    }
    record.truncate(bytes);
    record
}

pub(crate) type Replayed = Vec<(Position, Vec<u8>)>;

pub(crate) fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<(Journal, Replayed), OpenError> {
    let mut replayed = Vec::new();
    let journal = Journal::open(disk, dir, SMALL, &mut |position, record| {
        replayed.push((position, record.to_vec()));
        Ok(())
    })?;
    Ok((journal, replayed))
}

pub(crate) fn open(disk: &SimDisk) -> Result<(Journal, Replayed), OpenError> {
    open_on(Arc::new(disk.clone()), &dir())
}

pub(crate) fn read_all(disk: &dyn Disk, dir: &Path) -> Result<Replayed, OpenError> {
    let mut replayed = Vec::new();
    read_only(disk, dir, &mut |position, record| {
        replayed.push((position, record.to_vec()));
        Ok(())
    })?;
    Ok(replayed)
}

/// Every record that was submitted, and what its owner was told of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) records: Vec<(Vec<u8>, Option<Position>)>,
    /// The first so many were answered; none after them was.
    pub(crate) answered: usize,
    /// Of the first so many nobody knows whether they were dropped.
    pub(crate) dropped: usize,
    /// Makes records that differ from lost ones.
    made: u64,
}

impl History {
    /// Submits records together and notes the answers.
    pub(crate) fn append(&mut self, journal: &Journal, sizes: &[usize]) -> Result<(), AppendError> {
        let mut records = Vec::new();
        for bytes in sizes {
            self.made += 1;
            records.push(record(self.made, *bytes));
        }
        self.records.extend(records.iter().map(|record| (record.clone(), None)));
        for pending in journal.submit_all(records) {
            let position = pending.wait()?;
            self.records[self.answered].1 = Some(position);
            self.answered += 1;
        }
        Ok(())
    }

    /// Drops about the first `eighths` of the records.
    pub(crate) fn drop_eighths(
        &mut self,
        journal: &Journal,
        eighths: u64,
    ) -> Result<(), AppendError> {
        let dropped = (self.answered as u64 * eighths / 8) as usize;
        self.dropped = self.dropped.max(dropped);
        let position = match self.records.get(dropped) {
            Some((_, Some(position))) if dropped < self.answered => *position,
            _ => journal.end(),
        };
        journal.drop_before(position)
    }

    /// Checks what was found after a crash, and takes it for the truth: what was handed out at an
    /// opening has to be there from then on.
    pub(crate) fn check(&mut self, found: &Replayed) -> Result<(), String> {
        let Some(first) = found.first() else {
            if self.dropped < self.answered {
                return Err(format!("{} answered records are gone", self.answered - self.dropped));
            }
            self.records.truncate(self.answered);
            return Ok(());
        };
        let begin = (0..=self.dropped.min(self.records.len() - 1)).find(|at| {
            let (record, position) = &self.records[*at];
            *record == first.1 && position.is_none_or(|position| position == first.0)
        });
        let begin = begin.ok_or("it begins with a record that was never there, or too late")?;
        let end = begin + found.len();
        if end < self.answered {
            return Err(format!("{} answered records are gone", self.answered - end));
        }
        if end > self.records.len() {
            return Err("more records than were submitted".into());
        }
        for (at, (position, record)) in found.iter().enumerate() {
            let known = &mut self.records[begin + at];
            if known.0 != *record {
                return Err(format!("record {at} of {} is another one", found.len()));
            }
            if *known.1.get_or_insert(*position) != *position {
                return Err(format!("record {at} of {} stands elsewhere", found.len()));
            }
        }
        if !found.is_sorted_by(|one, next| one.0 < next.0) {
            return Err("positions do not grow".into());
        }
        self.records.truncate(end);
        self.answered = end;
        Ok(())
    }
}
