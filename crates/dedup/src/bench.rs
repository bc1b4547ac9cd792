//! Key runs for `benches/runs.rs`: they are no part of what the crate shows.

use std::path::Path;
use std::sync::Arc;

use event::{BatchNumber, LedgerId};
use journal::{Disk, RealDisk};

use crate::error::LedgerError;
use crate::run::{self, LookupRoom, OpenRun, Place, RunReader, RunWriter};
use crate::scope::{CommittedBy, CommittedKey, KeyState};
use crate::state::RunState;

const ID: LedgerId = LedgerId(7);
const PLACE: Place = Place { class: 27, bucket: 1 };

/// Runs in a folder on the real disk.
pub struct Runs {
    disk: RealDisk,
    dir: std::path::PathBuf,
    states: Vec<RunState>,
    /// Runs ever begun.
    begun: u64,
    open: Vec<Arc<OpenRun>>,
    room: LookupRoom,
}

/// Key number `number`, spread like a hash.
#[must_use]
pub fn key(number: u64) -> u128 {
    xxhash_rust::xxh3::xxh3_128(&number.to_le_bytes())
}

fn io(path: &Path, error: std::io::Error) -> LedgerError {
    crate::error::FolderIo::new("write", path, error).into()
}

impl Runs {
    /// None yet, in `dir`. `parallel_reads_max`: threads that read where reads are slow.
    #[must_use]
    pub fn new(dir: &Path, parallel_reads_max: usize) -> Self {
        let room = LookupRoom::new(parallel_reads_max);
        Self {
            disk: RealDisk::new(),
            dir: dir.into(),
            states: vec![],
            begun: 0,
            open: vec![],
            room,
        }
    }

    fn writer(&mut self, keys_max: u64) -> Result<RunWriter, LedgerError> {
        self.begun += 1;
        let name = format!("{}.run", self.begun);
        RunWriter::create(&self.disk, &self.dir, name, ID, 0, PLACE, keys_max)
            .map_err(|error| io(&self.dir, error))
    }

    /// Keys of these numbers, sorted.
    #[must_use]
    pub fn keys(numbers: impl Iterator<Item = u64>) -> Vec<CommittedKey> {
        let each = |number: u64| CommittedKey {
            key: key(number),
            recorded_ms: 1_700_000_000_000 + (number / 3_000) as i64,
            window_ms: 80_000_000 + (number % 3) as i64 * 10_000_000,
            body_hash: number,
            state: KeyState::Delivered,
            by: CommittedBy { pipe: 0, batch: BatchNumber(number >> 16) },
        };
        let mut keys: Vec<CommittedKey> = numbers.map(each).collect();
        keys.sort_unstable_by_key(|key| key.key);
        keys
    }

    /// Writes sorted keys into one more run.
    ///
    /// # Errors
    /// What the disk says.
    pub fn build(&mut self, keys: Vec<CommittedKey>) -> Result<(), LedgerError> {
        let mut writer = self.writer(keys.len() as u64)?;
        for key in keys {
            writer.push(key).map_err(|error| io(&self.dir, error))?;
        }
        let state = writer.finish().map_err(|error| io(&self.dir, error))?;
        self.states.push(state);
        Ok(())
    }

    /// Merges the runs from number `first` on into one.
    ///
    /// # Errors
    /// What the runs or the disk say.
    pub fn merge(&mut self, first: usize) -> Result<(), LedgerError> {
        let chosen = self.states.get(first..).unwrap_or_default();
        let open = |state| RunReader::open(&self.disk, &self.dir, state, ID);
        let readers = chosen.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        let keys_max = chosen.iter().map(|state| state.count).sum();
        let mut writer = self.writer(keys_max)?;
        run::merge(readers, &mut writer, i64::MIN, |error| io(&self.dir, error))?;
        let merged = writer.finish().map_err(|error| io(&self.dir, error))?;
        for state in self.states.drain(first..) {
            let path = self.dir.join(&state.name);
            self.disk.unlink(&path).map_err(|error| io(&path, error))?;
        }
        self.states.push(merged);
        Ok(())
    }

    /// Opens all runs for look-ups.
    ///
    /// # Errors
    /// What the runs say.
    pub fn open(&mut self) -> Result<(), LedgerError> {
        let open = |state| OpenRun::open(&self.disk, &self.dir, state, ID).map(Arc::new);
        self.open = self.states.iter().map(open).collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Looks keys up; how many entries there are.
    ///
    /// # Errors
    /// What the runs say.
    pub fn look_up(&mut self, keys: &[u128]) -> Result<usize, LedgerError> {
        let mut found = Vec::new();
        run::look_up(&self.open, keys, &mut self.room, &mut found)?;
        Ok(found.len())
    }

    /// Bytes on disk, and of memory.
    #[must_use]
    pub fn bytes(&self) -> (u64, usize) {
        let disk = self.states.iter().map(|state| state.bytes).sum();
        (disk, self.open.iter().map(|run| run.memory_bytes()).sum())
    }
}
