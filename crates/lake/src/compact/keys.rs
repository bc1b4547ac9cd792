//! Looks whether a key is twice within its window among the rows of a compaction: by parts of the
//! keys' hashes, so that memory holds a part at a time.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use journal::DiskFile;
use journal::disk::read_full_at;

use super::CompactError;
use super::report::{DuplicateKey, LISTED_MAX};
use super::work::{Job, in_threads};
use crate::table::SideRow;

/// Length of a row's key and times in a file.
const ROW_BYTES: usize = 32;
/// Parts where all is in memory: small ones are sorted faster.
const PARTS_IN_MEMORY: usize = 64;
/// Most parts that are files.
const PARTS_MAX: u64 = 512;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KeyRow {
    key: u128,
    recorded_ms: i64,
    window_ms: i64,
}

#[derive(Default)]
struct Part {
    rows: Vec<KeyRow>,
    file: Option<Arc<dyn DiskFile>>,
    written: u64,
}

/// The keys of all rows.
pub(super) struct Keys {
    parts: Vec<Mutex<Part>>,
    /// Rows of a part that are kept in memory; `None` for all.
    rows_max: Option<usize>,
}

impl Keys {
    /// For about so many rows; with `spill` they go to files.
    pub(super) fn new(job: &Job<'_>, rows: u64, spill: bool) -> Self {
        let memory = job.options.memory_bytes_max / 8;
        let needed = (rows * ROW_BYTES as u64).div_ceil(memory.max(1)).clamp(1, PARTS_MAX);
        let parts = if spill { needed as usize } else { PARTS_IN_MEMORY };
        let rows_max = (memory as usize / ROW_BYTES / parts).clamp(32, 2048);
        Self {
            parts: (0..parts).map(|_| Mutex::default()).collect(),
            rows_max: spill.then_some(rows_max),
        }
    }

    fn part(&self, at: usize) -> Option<MutexGuard<'_, Part>> {
        self.parts.get(at).map(|part| part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn path(job: &Job<'_>, at: usize) -> PathBuf {
        job.place.spill.join(format!("keys-{at:03}"))
    }

    /// Adds the keys of rows that were let through without a mark.
    pub(super) fn add(&self, job: &Job<'_>, sides: &[SideRow]) -> Result<(), CompactError> {
        let parts = self.parts.len() as u128;
        let mut own: Vec<Vec<KeyRow>> = vec![Vec::new(); self.parts.len()];
        for side in sides.iter().filter(|side| side.marks.0 == 0) {
            // The highest bits may be few in a test; these 32 are as good.
            let at = ((side.key >> 64 ^ side.key) & 0xffff_ffff) % parts;
            if let Some(own) = own.get_mut(at as usize) {
                let SideRow { key, recorded_ms, window_ms, .. } = *side;
                own.push(KeyRow { key, recorded_ms, window_ms });
            }
        }
        for (at, mut rows) in own.into_iter().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let Some(mut part) = self.part(at) else { continue };
            part.rows.append(&mut rows);
            if self.rows_max.is_some_and(|most| part.rows.len() >= most) {
                Self::write(job, at, &mut part)?;
            }
        }
        Ok(())
    }

    fn write(job: &Job<'_>, at: usize, part: &mut Part) -> Result<(), CompactError> {
        let path = Self::path(job, at);
        let file = match &part.file {
            Some(file) => Arc::clone(file),
            None => {
                let file = job.disk.create_new(&path).map_err(CompactError::io("create", &path))?;
                Arc::clone(part.file.insert(file))
            }
        };
        let mut bytes = Vec::with_capacity(part.rows.len() * ROW_BYTES);
        for row in part.rows.drain(..) {
            bytes.extend_from_slice(&row.key.to_le_bytes());
            bytes.extend_from_slice(&row.recorded_ms.to_le_bytes());
            bytes.extend_from_slice(&row.window_ms.to_le_bytes());
        }
        file.write_at(part.written, &bytes).map_err(CompactError::io("write", &path))?;
        part.written += bytes.len() as u64;
        Ok(())
    }

    /// How many rows repeat a key within its window, and the first of them.
    pub(super) fn duplicates(
        &self,
        job: &Job<'_>,
    ) -> Result<(u64, Vec<DuplicateKey>), CompactError> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new((0, Vec::new()));
        in_threads(job, |job| {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(mut part) = self.part(at) else { return Ok(()) };
                let mut rows = std::mem::take(&mut part.rows);
                if let Some(file) = part.file.take() {
                    Self::read(job, at, file.as_ref(), part.written, &mut rows)?;
                }
                rows.sort_unstable();
                let repeats = rows.windows(2).filter_map(repeat);
                let repeats: Vec<DuplicateKey> = repeats.collect();
                if !repeats.is_empty() {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.0 += repeats.len() as u64;
                    found.1.extend(repeats);
                    found.1.sort_by(|a, b| a.key.cmp(&b.key));
                    found.1.truncate(LISTED_MAX);
                }
                job.check_stop()?;
            }
        })?;
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn read(
        job: &Job<'_>,
        at: usize,
        file: &dyn DiskFile,
        bytes: u64,
        rows: &mut Vec<KeyRow>,
    ) -> Result<(), CompactError> {
        let path = Self::path(job, at);
        let mut buffer = vec![0; bytes as usize];
        read_full_at(file, 0, &mut buffer).map_err(CompactError::io("read", &path))?;
        let (chunks, _) = buffer.as_chunks::<ROW_BYTES>();
        for chunk in chunks {
            let number = |from: usize, to: usize| {
                chunk
                    .get(from..to)
                    .into_iter()
                    .flatten()
                    .rev()
                    .fold(0, |n, b| n << 8 | u128::from(*b))
            };
            let (recorded_ms, window_ms) = (number(16, 24) as i64, number(24, 32) as i64);
            rows.push(KeyRow { key: number(0, 16), recorded_ms, window_ms });
        }
        Ok(())
    }
}

/// Two rows next to each other, if the second repeats the first.
fn repeat(pair: &[KeyRow]) -> Option<DuplicateKey> {
    let [first, second] = pair else { return None };
    let apart = second.recorded_ms.saturating_sub(first.recorded_ms);
    (first.key == second.key && apart < first.window_ms).then(|| DuplicateKey {
        key: format!("{:032x}", first.key),
        recorded_ms: [first.recorded_ms, second.recorded_ms],
        window_ms: first.window_ms,
    })
}
