//! Reading all rows and sorting them, in memory or spilled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use event::ShardId;

use super::chunk::{Plan, Reader, place_of};
use super::inputs::{Feed, Item};
use super::keys::Keys;
use super::merge::Merge;
use super::partitions::{Partition, Partitions};
use super::report::{DuplicateKey, OtherPartition};
use super::run::{Run, Span, Spill};
use super::state::{Day, Level, Taken};
use super::work::{InTurn, Job, in_threads};
use super::{CompactError, CompactOptions, Phase};
use crate::table::{Learned, Limits};

/// What a row takes in memory beside its text, for each byte that its sidecar takes on disk.
const SIDE_FACTOR: u64 = 6;
/// What a row takes in its sidecar, at least.
const SIDE_BYTES: u64 = 20;
/// Most rows' bytes that are sorted at a time, so that threads share the work.
const ITEM_BYTES_MAX: u64 = 16 << 20;
/// Least memory for each run that is merged.
const RUN_BUFFER_BYTES: u64 = 64 << 10;

/// All rows, sorted.
pub(super) struct Sorted {
    pub(super) runs: Vec<Run>,
    pub(super) partitions: Vec<Partition>,
    pub(super) days: BTreeMap<String, Day>,
    pub(super) other: Vec<OtherPartition>,
    pub(super) shards: Vec<ShardId>,
    pub(super) learned: Learned,
    pub(super) rows: u64,
    pub(super) rows_without_time: u64,
    pub(super) bytes_spilled: u64,
    pub(super) rows_duplicate: u64,
    pub(super) duplicates: Vec<DuplicateKey>,
}

/// What is put together in the order of the input.
struct Gathered<'a> {
    partitions: Partitions<'a>,
    shards: Vec<ShardId>,
    learned: Learned,
    rows: u64,
    rows_without_time: u64,
}

/// Whether everything fits into half of the memory that is allowed; the other half is for columns.
fn fits(taken: &[Taken], options: &CompactOptions) -> bool {
    let memory: u64 = taken.iter().map(|taken| taken.bytes + SIDE_FACTOR * taken.keys_bytes).sum();
    memory <= options.memory_bytes_max / 2
}

/// Reads and sorts all rows of `taken`.
pub(super) fn sort(
    job: &Job<'_>,
    taken: &[Taken],
    levels: &[Level],
    days: BTreeMap<String, Day>,
    limits: &Limits,
) -> Result<Sorted, CompactError> {
    let options = job.options;
    job.progress.begin(Phase::Sort, taken.iter().map(|taken| taken.bytes).sum());
    let spill = !fits(taken, options);
    let threads = options.threads.max(1) as u64;
    let item_bytes = (options.memory_bytes_max / 4 / threads).clamp(1 << 12, ITEM_BYTES_MAX);
    let feed = Feed::new(job.disk.as_ref(), job.place, taken, item_bytes);
    let plan = Plan::new(options);
    let partitions =
        Partitions::new(Arc::clone(job.disk), job.place, levels, options.partitions_open_max, days);
    let gathered = InTurn::new(Gathered {
        partitions,
        shards: Vec::new(),
        learned: limits.learned(),
        rows: 0,
        rows_without_time: 0,
    });
    let rows = taken.iter().map(|taken| taken.keys_bytes / SIDE_BYTES).sum();
    let keys = Keys::new(job, rows, spill);
    let runs = Mutex::new(Vec::new());
    let bytes_spilled = AtomicU64::new(0);
    in_threads(job, |job| {
        let mut reader = Reader::new(job.place, taken, plan.clone(), *limits);
        while let Some(item) = feed.next()? {
            let run = sort_item(job, &mut reader, &item, &gathered, &keys)?;
            let run = if spill {
                let path = job.place.spill.join(format!("run-{:06}", item.number));
                let (run, bytes) = run.spill(job.disk.as_ref(), &path)?;
                bytes_spilled.fetch_add(bytes, Ordering::Relaxed);
                run
            } else {
                run
            };
            runs.lock().unwrap_or_else(PoisonError::into_inner).push((item.number, run));
            job.progress.advance(item.pieces.iter().map(|p| p.text.end - p.text.start).sum());
            job.check_stop()?;
        }
        Ok(())
    })?;
    let (rows_duplicate, duplicates) = keys.duplicates(job)?;
    let mut runs = runs.into_inner().unwrap_or_else(PoisonError::into_inner);
    runs.sort_by_key(|(number, _)| *number);
    let gathered = gathered.into_inner();
    let (partitions, days, other) = gathered.partitions.into_parts();
    let mut sorted = Sorted {
        runs: runs.into_iter().map(|(_, run)| run).collect(),
        partitions,
        days,
        other,
        shards: gathered.shards,
        learned: gathered.learned,
        rows: gathered.rows,
        rows_without_time: gathered.rows_without_time,
        bytes_spilled: bytes_spilled.into_inner(),
        rows_duplicate,
        duplicates,
    };
    if spill {
        merge_runs(job, &mut sorted)?;
    }
    Ok(sorted)
}

fn sort_item(
    job: &Job<'_>,
    reader: &mut Reader<'_>,
    item: &Item,
    gathered: &InTurn<Gathered<'_>>,
    keys: &Keys,
) -> Result<Run, CompactError> {
    let (mut chunk, learned) = reader.read(item)?;
    let locals = std::mem::take(&mut chunk.locals);
    let (partitions, shards) = gathered.take(item.number, job, |all| {
        let mut partitions = Vec::with_capacity(locals.len());
        for local in &locals {
            partitions.push(all.partitions.assign(
                local.date,
                &local.values,
                local.rows,
                local.bytes,
            )?);
        }
        let shards: Vec<u32> =
            chunk.shards.iter().map(|shard| place_of(&mut all.shards, shard)).collect();
        all.learned.merge(&learned);
        all.rows += chunk.entries.len() as u64;
        all.rows_without_time += chunk.rows_without_time;
        Ok((partitions, shards))
    })?;
    keys.add(job, &chunk.sides)?;
    for entry in &mut chunk.entries {
        entry.partition = partitions.get(entry.partition as usize).copied().unwrap_or(0);
    }
    for side in &mut chunk.sides {
        side.shard = shards.get(side.shard as usize).copied().unwrap_or(0);
    }
    Ok(Run::sort(chunk))
}

/// Merges runs that follow each other, until all that are left can be merged at once.
fn merge_runs(job: &Job<'_>, sorted: &mut Sorted) -> Result<(), CompactError> {
    let memory = job.options.memory_bytes_max / 4;
    let threads = job.options.threads.max(1) as u64;
    let at_once = (memory / RUN_BUFFER_BYTES / threads).clamp(2, 128) as usize;
    let mut number = 0;
    while sorted.runs.len() > at_once {
        job.progress.begin(Phase::Merge, sorted.runs.len() as u64);
        let mut merged = Vec::new();
        let mut runs = std::mem::take(&mut sorted.runs).into_iter();
        loop {
            let group: Vec<Run> = runs.by_ref().take(at_once).collect();
            if group.is_empty() {
                break;
            }
            let count = group.len() as u64;
            if group.len() == 1 {
                merged.extend(group);
            } else {
                number += 1;
                let path = job.place.spill.join(format!("merged-{number:06}"));
                let buffer = (memory as usize / group.len()).clamp(1 << 10, 1 << 20);
                let (run, bytes) = merge_group(job, group, &path, buffer)?;
                sorted.bytes_spilled += bytes;
                merged.push(run);
            }
            job.progress.advance(count);
        }
        sorted.runs = merged;
    }
    Ok(())
}

fn merge_group(
    job: &Job<'_>,
    group: Vec<Run>,
    path: &std::path::Path,
    buffer_bytes: usize,
) -> Result<(Run, u64), CompactError> {
    let partitions: std::collections::BTreeSet<u32> =
        group.iter().flat_map(Run::partitions).collect();
    let mut spill = Spill::create(job.disk.as_ref(), path)?;
    for partition in partitions {
        spill.begin(partition);
        let mut merge = Merge::new(group.iter(), partition, Span::default(), buffer_bytes)?;
        while let Some(row) = merge.row() {
            spill.push(&row)?;
            merge.advance()?;
        }
        job.check_stop()?;
    }
    let done = spill.finish()?;
    group.into_iter().try_for_each(|run| run.remove(job.disk.as_ref()))?;
    Ok(done)
}
