//! Writing the table's files: partitions in parallel, each in order of time.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use journal::{SyncPoint, mkdir_all_synced};
use parquet::file::properties::WriterProperties;

use super::merge::Merge;
use super::output::Output;
use super::partitions::Partition;
use super::run::{Run, Span};
use super::state::Made;
use super::work::{Job, in_threads};
use super::{CompactError, CompactOptions, Phase};
use crate::table::{Rescues, Schema, Shredder};
use event::ShardId;

/// Most rows that become columns before they are handed to a file.
const BATCH_ROWS_MAX: usize = 8192;
/// Read at a time of a spilled run.
const BUFFER_BYTES_MAX: usize = 256 << 10;

/// A file ends before it, also with the rows that come in one go.
const FILE_BYTES_MAX: u64 = CompactOptions::FILE_BYTES_TARGET_MAX;

/// A partition is cut for several threads only into parts of at least this many bytes of rows, or
/// of an eighth of the memory.
const SLICE_BYTES_MIN: u64 = 32 << 20;

/// Rows that one thread writes.
struct Slice {
    /// Of the partition.
    id: u32,
    /// From 1, in order of time.
    number: u64,
    span: Span,
    /// About how many bytes of rows.
    bytes: u64,
}

fn file_name(folder: &str, compaction: u64, slice: u64, part: u32) -> String {
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}part-{compaction:06}-{slice:03}-{part:04}.parquet")
}

/// What is to be written.
pub(super) struct Writing<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) number: u64,
    pub(super) runs: &'a [Run],
    pub(super) partitions: &'a [Partition],
    pub(super) schema: &'a Schema,
    pub(super) shards: &'a [ShardId],
}

/// What was written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) made: Vec<Made>,
    pub(super) rescues: Rescues,
    pub(super) rows_rescued: u64,
    pub(super) rescued: Vec<super::RescuedField>,
    pub(super) columns_added: Vec<String>,
    /// What it was written from.
    pub(super) sorted: Option<super::Sorted>,
}

impl Writing<'_> {
    /// Writes and syncs all files, under their unfinished names.
    pub(super) fn write(&self) -> Result<Written, CompactError> {
        let job = self.job;
        let total = self.partitions.iter().map(|partition| partition.bytes).sum();
        job.progress.begin(Phase::Write, total);
        let slices = self.slices();
        let next = AtomicUsize::new(0);
        let written = Mutex::new(Written::default());
        let properties = super::output::properties();
        in_threads(job, |job| {
            let mut shredder = Shredder::new(self.schema);
            let mut made = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(slice) = slices.get(place) else { break };
                self.slice(job, slice, &mut shredder, &properties, &mut made)?;
            }
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            written.made.append(&mut made);
            written.rescues.merge(shredder.into_rescues());
            Ok(())
        })?;
        let mut written = written.into_inner().unwrap_or_else(PoisonError::into_inner);
        written.made.sort_by(|a, b| a.name.cmp(&b.name));
        self.sync_names(&written.made)?;
        Ok(written)
    }

    /// What threads take one by one: a partition each, or a part of one that is so large that
    /// threads would wait for it. The largest first.
    fn slices(&self) -> Vec<Slice> {
        let threads = self.job.options.threads.max(1) as u64;
        let total: u64 = self.partitions.iter().map(|partition| partition.bytes).sum();
        let least = SLICE_BYTES_MIN.min(self.job.options.memory_bytes_max / 8);
        let mut slices = Vec::new();
        for (id, partition) in (0..).zip(self.partitions) {
            let fair = (partition.bytes * threads).div_ceil(total.max(1));
            let count = fair.min(partition.bytes / least).max(1);
            let mut times = Vec::new();
            if count > 1 {
                self.runs.iter().for_each(|run| run.times(id, &mut times));
                times.sort_unstable();
            }
            let bound = |at: u64| times.get((times.len() as u64 * at / count) as usize).copied();
            for at in 0..count {
                let from = if at == 0 { None } else { bound(at) };
                // Without a time to begin with it would be all rows once more.
                if at > 0 && from.is_none() {
                    continue;
                }
                let to = if at + 1 == count { None } else { bound(at + 1) };
                let span = Span { from, to };
                slices.push(Slice { id, number: at + 1, span, bytes: partition.bytes / count });
            }
        }
        slices.sort_by_key(|slice| std::cmp::Reverse(slice.bytes));
        slices
    }

    fn slice(
        &self,
        job: &Job<'_>,
        slice: &Slice,
        shredder: &mut Shredder,
        properties: &WriterProperties,
        made: &mut Vec<Made>,
    ) -> Result<(), CompactError> {
        let Some(partition) = self.partitions.get(slice.id as usize) else { return Ok(()) };
        let options = job.options;
        let threads = options.threads.max(1) as u64;
        let per_thread = (options.memory_bytes_max / 2 / threads).max(1 << 16);
        let buffer = (per_thread as usize / 2 / self.runs.len().max(1)).min(BUFFER_BYTES_MAX);
        let target = options.file_bytes_target.min(FILE_BYTES_MAX - (32 << 20));
        let batch_bytes_max = (per_thread / 8).min(target * 4).clamp(1 << 12, 8 << 20);
        let folder = job.place.table.join(&partition.folder);
        mkdir_all_synced(job.disk.as_ref(), &job.place.root, &folder, SyncPoint("compact.folder"))
            .map_err(CompactError::io("create", &folder))?;
        let mut merge = Merge::new(self.runs.iter(), slice.id, slice.span, buffer)?;
        let mut part = 0;
        while merge.row().is_some() {
            part += 1;
            let name = file_name(&partition.folder, self.number, slice.number, part);
            let path = job.place.unfinished(&name);
            let mut output =
                Output::create(job.disk.as_ref(), &path, shredder.schema(), properties)?;
            let mut rows = 0;
            while merge.row().is_some() && output.bytes() < target {
                let mut bytes = 0;
                while let Some(row) = merge.row() {
                    let shard = self.shards.get(row.side.shard as usize).map_or("", |shard| shard);
                    let event = Some(row.time).filter(|_| row.event);
                    shredder.push(row.text, row.json, &row.side, shard, event);
                    bytes += row.text.len() as u64 + 1;
                    merge.advance()?;
                    if shredder.rows() >= BATCH_ROWS_MAX || bytes >= batch_bytes_max {
                        break;
                    }
                }
                rows += shredder.rows() as u64;
                let batch = shredder.finish().map_err(|error| CompactError::Parquet {
                    file: path.clone(),
                    what: error.to_string(),
                })?;
                output.write(&batch)?;
                output.flush_past((per_thread / 2) as usize)?;
                job.progress.advance(bytes);
                job.check_stop()?;
            }
            let bytes = output.finish()?;
            made.push(Made { name, bytes, rows });
        }
        Ok(())
    }

    /// Makes the unfinished names durable: the switch will count on them.
    fn sync_names(&self, made: &[Made]) -> Result<(), CompactError> {
        let folders: std::collections::BTreeSet<_> = made
            .iter()
            .filter_map(|made| {
                self.job.place.file(&made.name).parent().map(std::path::Path::to_path_buf)
            })
            .collect();
        folders.iter().try_for_each(|folder| {
            let sync = self.job.disk.sync_dir(folder, SyncPoint("compact.named"));
            sync.map_err(CompactError::io("sync", folder))
        })
    }
}
