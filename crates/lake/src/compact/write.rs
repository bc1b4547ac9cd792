//! Writing the table's files: partitions in parallel, each in order of time.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use journal::{SyncPoint, mkdir_all_synced};
use parquet::file::properties::WriterProperties;

use super::merge::Merge;
use super::output::Output;
use super::partitions::Partition;
use super::run::Run;
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
        // The largest first, so that no thread is left alone with it at the end.
        let mut order: Vec<usize> = (0..self.partitions.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(self.partitions.get(*at).map_or(0, |p| p.bytes)));
        let next = AtomicUsize::new(0);
        let written = Mutex::new(Written::default());
        let properties = super::output::properties();
        in_threads(job, |job| {
            let mut shredder = Shredder::new(self.schema);
            let mut made = Vec::new();
            loop {
                let place = next.fetch_add(1, Ordering::Relaxed);
                let Some(at) = order.get(place) else { break };
                if let Some(partition) = self.partitions.get(*at) {
                    self.partition(
                        job,
                        *at as u32,
                        partition,
                        &mut shredder,
                        &properties,
                        &mut made,
                    )?;
                }
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

    fn partition(
        &self,
        job: &Job<'_>,
        id: u32,
        partition: &Partition,
        shredder: &mut Shredder,
        properties: &WriterProperties,
        made: &mut Vec<Made>,
    ) -> Result<(), CompactError> {
        let options = job.options;
        let threads = options.threads.max(1) as u64;
        let per_thread = (options.memory_bytes_max / 2 / threads).max(1 << 16);
        let buffer = (per_thread as usize / 2 / self.runs.len().max(1)).min(BUFFER_BYTES_MAX);
        let target = options.file_bytes_target.min(FILE_BYTES_MAX - (32 << 20));
        let batch_bytes_max = (per_thread / 8).min(target * 4).clamp(1 << 12, 8 << 20);
        let folder = job.place.table.join(&partition.folder);
        mkdir_all_synced(job.disk.as_ref(), &job.place.root, &folder, SyncPoint("compact.folder"))
            .map_err(CompactError::io("create", &folder))?;
        let mut merge = Merge::new(self.runs.iter(), id, buffer)?;
        let mut part = 0;
        while merge.row().is_some() {
            part += 1;
            let name = format!("{}/part-{:06}-{part:04}.parquet", partition.folder, self.number);
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
